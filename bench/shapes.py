"""DeiT-Base cut in every dimension to the multiply-adds of published networks: what is left of each dimension, and how long the exported
networks take.

    pip install onnx onnxruntime
    cargo build --release
    python bench/shapes.py

`experiments/imagenet/deit_base_all.ron` runs with random weights, ranked by chance, on made-up images, so that nothing is trained: shapes and
latencies do not ask what weights are worth. Each network is exported to ONNX and measured in onnxruntime, in turn with the others. Times are
medians of one image; ratios are taken round by round.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

import numpy as np

from export import milliseconds, session

HERE = Path(__file__).parent
EXPERIMENT = HERE.parent / "experiments" / "imagenet" / "deit_base_all.ron"
MADE_UP = [
    "importance=Random",
    "model.pretrained=None",
    "data=Random(image_size: 224, channels: 3, classes: 1000, images: 20)",
    "retrain=None",
    "search.accumulate=1",
    "search.batch=4",
]
KEYS = ["width", "attn_branch", "mlp_branch", "tokens", "head_dim", "hidden"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--out", type=Path, default=HERE.parent / "target" / "shapes", help="where the run and the exports go")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def main():
    args = arguments()
    sets = [word for value in MADE_UP for word in ("--set", value)]
    run = [args.vitslim, "run", str(EXPERIMENT), "--out", str(args.out), "--device", "cpu", "--json", "--quiet", *sets]
    summary = json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True, text=True).stdout)
    folder = args.out / summary["name"] / summary["trial"]
    networks = {"dense": summary["dense"]} | {subnet["label"]: subnet for subnet in summary["subnets"]}
    sessions = {}
    for label in networks:
        path = args.out / f"{label}.onnx"
        network = folder if label == "dense" else folder / label
        subprocess.run([args.vitslim, "export", str(network), "--to", "onnx", "--out", str(path), "--force"], check=True)
        sessions[label] = session(path, args.threads)
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), "float32")
    rounds = [{label: milliseconds(one, image, 0.5) for label, one in sessions.items()} for _ in range(args.rounds)]
    print("| network | MACs | parameters | " + " | ".join(KEYS) + " | one image | times faster |")
    print("| --- |" + " --- |" * (len(KEYS) + 4))
    for label, network in networks.items():
        kept = [f"{network['kept'][key]:.2f}" if "kept" in network else "1" for key in KEYS]
        times = statistics.median(times[label] for times in rounds)
        ratio = statistics.median(times["dense"] / times[label] for times in rounds)
        sizes = [f"{network['macs'] / 1e9:.3f} G", f"{network['params'] / 1e6:.1f} M"]
        print(f"| {label} | " + " | ".join(sizes + kept) + f" | {times:.1f} ms | {ratio:.1f} |")


if __name__ == "__main__":
    main()
