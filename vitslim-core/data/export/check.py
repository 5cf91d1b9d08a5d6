"""Compares exported networks with vitslim: what onnxruntime and PyTorch compute from them.

    pip install torch timm safetensors onnx onnxruntime onnxscript
    python check.py FOLDER

FOLDER has for each network `NAME.onnx`, `NAME.py` with `NAME.safetensors`, and `NAME.json` with `shape`, `images`, `logits` and `features`,
those of vitslim: `features` has the `shape` and the `values` of each further output. `timm` in it has the arguments of a
`VisionTransformer` of timm's that holds the network. Prints the largest difference of each, over the largest value of its output, and
exits with 1 if one is too large. For the one called `vit_cut`, what PyTorch makes of it, compiled or exported by itself, is compared too,
and `vit_cut_apart.onnx`, whose weights lie in `vit_cut_apart.onnx.data`.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

# Largest differences.
ONNX, PYTORCH, TIMM = 1e-4, 1e-5, 2e-5


def difference(found, expected):
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def furthest(found, expected, batch):
    """The largest difference of any output."""
    assert len(found) == len(expected), (len(found), len(expected))
    return max(difference(values, wanted[:batch]) for values, wanted in zip(found, expected))


def of_onnx(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    used = {name for node in model.graph.node for name in node.input}
    assert {value.name for value in model.graph.initializer} <= used, "an initializer is not used"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def without_gradients(network):
    @torch.no_grad()
    def compute(images):
        return [values.numpy() for values in outputs(network(torch.from_numpy(images)))]

    return compute


def outputs(computed):
    """The logits, and then the features."""
    if isinstance(computed, torch.Tensor):
        return [computed]
    logits, features = computed
    return [logits, *features.values()]


def of_pytorch(path):
    return without_gradients(loaded(path))


def of_trained(path):
    """After a step of training that changes nothing."""
    network = loaded(path)
    outputs(network.train()(torch.zeros(2, *shape_of(path))))[0].square().mean().backward()
    assert any(values.grad is not None and values.grad.abs().max() > 0 for values in network.parameters())
    torch.optim.SGD(network.parameters(), lr=0.0).step()
    return without_gradients(network.eval())


def of_compiled(path):
    return without_gradients(torch.compile(loaded(path), backend="aot_eager", fullgraph=True))


def of_exported(path):
    """By PyTorch's own export to ONNX."""
    out = path.with_suffix(".exported.onnx")
    names = {"input_names": ["images"], "output_names": ["logits", *io_of(path)["features"]]}
    dynamic = {"images": {0: torch.export.Dim("batch")}}
    images = (torch.zeros(2, *shape_of(path)),)
    torch.onnx.export(loaded(path), images, out, dynamo=True, dynamic_shapes=dynamic, verbose=False, **names)
    return of_onnx(out)


def of_timm(path):
    import timm
    from safetensors.torch import load_file

    network = timm.models.vision_transformer.VisionTransformer(**io_of(path)["timm"]).eval()
    network.load_state_dict(load_file(path))
    return without_gradients(network)


def io_of(path):
    return json.loads(path.with_suffix(".json").read_text())


def shape_of(path):
    return io_of(path)["shape"][1:]


def main():
    torch.set_num_threads(1)
    wrong = 0
    for description in sorted(Path(sys.argv[1]).glob("*.json")):
        io = json.loads(description.read_text())
        images = np.array(io["images"], "float32").reshape(io["shape"])
        expected = [np.array(io["logits"], "float32").reshape(len(images), -1)]
        expected += [np.array(values["values"], "float32").reshape(values["shape"]) for values in io["features"].values()]
        checks = [(".onnx", of_onnx, ONNX), (".py", of_pytorch, PYTORCH)]
        if description.stem == "vit_cut":
            checks += [(".py", of, PYTORCH) for of in (of_trained, of_compiled, of_exported)]
            checks += [("_apart.onnx", of_onnx, ONNX)]
        if "timm" in io:
            checks += [(".safetensors", of_timm, TIMM)]
        for suffix, of, most in checks:
            path = description.with_name(description.stem + suffix)
            compute = of(path)
            # Of timm's own class only the logits come out.
            compared = expected[:1] if of is of_timm else expected
            # One image, and all of them.
            found = [furthest(compute(images[:batch]), compared, batch) for batch in (1, len(images))]
            wrong += max(found) > most
            print(f"{path.name:40} {of.__name__:12} {found[0]:.0e} {found[1]:.0e}")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
