"""Compares exported networks with vitslim: what onnxruntime and PyTorch compute from them.

    pip install torch onnx onnxruntime
    python check.py FOLDER

FOLDER has for each network `NAME.onnx`, `NAME.py` with `NAME.safetensors`, and `NAME.json` with `shape`, `images` and `logits`, those of
vitslim. Prints the largest difference of each, over the largest logit, and exits with 1 if one is too large.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

ONNX, PYTORCH = 1e-4, 1e-5


def difference(found, expected):
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def of_onnx(path, images):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    used = {name for node in model.graph.node for name in node.input}
    assert {value.name for value in model.graph.initializer} <= used, "an initializer is not used"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images})
    return logits


def of_pytorch(path, images):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    with torch.no_grad():
        logits = network(torch.from_numpy(images)).numpy()
    network.train()(torch.from_numpy(images)).square().mean().backward()
    assert any(values.grad is not None and values.grad.abs().max() > 0 for values in network.parameters())
    return logits


def main():
    wrong = 0
    for description in sorted(Path(sys.argv[1]).glob("*.json")):
        io = json.loads(description.read_text())
        images = np.array(io["images"], "float32").reshape(io["shape"])
        logits = np.array(io["logits"], "float32").reshape(len(images), -1)
        for suffix, compute, most in ((".onnx", of_onnx, ONNX), (".py", of_pytorch, PYTORCH)):
            path = description.with_suffix(suffix)
            # One image, and all of them.
            found = [difference(compute(path, images[:batch]), logits[:batch]) for batch in (1, len(images))]
            wrong += max(found) > most
            print(f"{path.name:30} {found[0]:.0e} {found[1]:.0e}")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
