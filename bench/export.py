"""How fast exported networks are in onnxruntime: a DeiT-Small, half of its MACs, and both in int8.

    pip install onnx onnxruntime
    cargo build --release
    python bench/export.py

The first call runs `experiments/bench_export.ron`, which takes minutes. Rounds alternate between the networks, so that what else the
machine does meets all of them. The table has medians, and ratios to the dense network that are taken round by round, with the lowest
and the highest.
"""

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime

from quantise import description, quantise

HERE = Path(__file__).parent
LABEL = "share-0.488-0.488"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the run and the exports go")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def exports(args):
    """The ONNX files by name. The images are made up, and so is what int8 is calibrated on."""
    run = args.out / "bench_export" / "seed=1"
    if not (run / "summary.json").exists():
        experiment = HERE.parent / "experiments" / "bench_export.ron"
        subprocess.run([args.vitslim, "run", str(experiment), "--out", str(args.out), "--quiet"], check=True)
    files = {}
    for name, network in (("dense", run), ("half", run / LABEL)):
        files[name] = args.out / f"bench_export_{name}.onnx"
        command = [args.vitslim, "export", str(network), "--to", "onnx", "--out", str(files[name]), "--force"]
        subprocess.run(command, check=True)
    images = description(files["half"])
    shape = (16, images["channels"], images["size"], images["size"])
    for name in ("dense", "half"):
        files[name + ", int8"] = args.out / f"bench_export_{name}_int8.onnx"
        quantise(files[name], files[name + ", int8"], np.random.default_rng(0).standard_normal(shape, "float32"))
    return files


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def milliseconds(session, images, seconds):
    """Of one batch."""
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(["logits"], {"images": images})
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    args = arguments()
    files = exports(args)
    images = description(files["dense"])
    sessions = {name: session(path, args.threads) for name, path in files.items()}
    print(f"onnxruntime {onnxruntime.__version__}, {args.threads} threads, {args.rounds} rounds\n")
    print("| network | file | batch | ms | times as fast as dense |\n| --- | --- | --- | --- | --- |")
    for batch in args.batch:
        shape = (batch, images["channels"], images["size"], images["size"])
        batch_of_images = np.random.default_rng(1).standard_normal(shape, "float32")
        rounds = []
        for _ in range(args.rounds):
            rounds.append({name: milliseconds(s, batch_of_images, args.seconds) for name, s in sessions.items()})
        for name, path in files.items():
            ratios = sorted(times["dense"] / times[name] for times in rounds)
            middle = statistics.median(times[name] for times in rounds)
            size = path.stat().st_size / 1e6
            spread = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            print(f"| {name} | {size:.1f} MB | {batch} | {middle:.1f} | {'1' if name == 'dense' else spread} |")


if __name__ == "__main__":
    main()
