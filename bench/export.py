"""Measures exported networks in onnxruntime: the speed of a DeiT-Small, the accuracy on the digits. Each network is measured dense and
with about half of its MACs, in f32 and in int8.

    pip install onnx onnxruntime
    cargo build --release
    python bench/export.py

The first call runs `experiments/bench_export.ron` and `experiments/quickstart.ron`, which takes minutes. Each round measures every
network, so other load on the machine slows all of them alike. The table has medians, and ratios to the dense network that are taken
round by round, with the lowest and the highest.
"""

import argparse
import gzip
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime

from quantise import description, normalised, quantise

HERE = Path(__file__).parent
DIGITS = HERE.parent / "vitslim-core" / "data" / "digits"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the run and the exports go")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def exports(args, experiment, trial, label, calibration):
    """The ONNX files by name: the dense network, the sub-network `label`, and both in int8. `calibration` are pixels."""
    run = args.out / experiment / trial
    if not (run / "summary.json").exists():
        file = HERE.parent / "experiments" / f"{experiment}.ron"
        subprocess.run([args.vitslim, "run", str(file), "--out", str(args.out), "--quiet"], check=True)
    files = {}
    for name, network in (("dense", run), (label, run / label)):
        path = files[name] = args.out / f"{experiment}_{name}.onnx"
        command = [args.vitslim, "export", str(network), "--to", "onnx", "--out", str(path), "--force"]
        subprocess.run(command, check=True)
        files[name + ", int8"] = path.with_suffix(".int8.onnx")
        quantise(path, files[name + ", int8"], normalised(calibration, description(path)))
    return files


def digits(split):
    """Pixels and labels of a split of the digits."""
    rows = np.loadtxt(gzip.open(DIGITS / "digits.csv.gz"), delimiter=",", dtype="float32")
    lines = dict(line.split(",", 1) for line in (DIGITS / "split.csv").read_text().split())
    rows = rows[[int(row) for row in lines[split].split(",")]]
    return rows[:, :64].reshape(-1, 1, 8, 8), rows[:, 64]


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


def speed(args):
    # What int8 is calibrated on is made up, as the images are that this network was trained on.
    pixels = np.random.default_rng(0).uniform(0, 255, (16, 3, 224, 224)).astype("float32")
    files = exports(args, "bench_export", "seed=1", "share-0.488-0.488", pixels)
    sessions = {name: session(path, args.threads) for name, path in files.items()}
    print("| DeiT-Small | file | batch | ms | times as fast as dense |\n| --- | --- | --- | --- | --- |")
    for batch in args.batch:
        images = np.random.default_rng(1).standard_normal((batch, 3, 224, 224), "float32")
        rounds = []
        for _ in range(args.rounds):
            rounds.append({name: milliseconds(s, images, args.seconds) for name, s in sessions.items()})
        for name, path in files.items():
            ratios = sorted(times["dense"] / times[name] for times in rounds)
            middle = statistics.median(times[name] for times in rounds)
            spread = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            spread = "1" if name == "dense" else spread
            print(f"| {name} | {path.stat().st_size / 1e6:.1f} MB | {batch} | {middle:.0f} | {spread} |")


def accuracy(args):
    files = exports(args, "quickstart", "seed=42", "share-0.5-0.5-0.7", digits("held_out")[0])
    pixels, labels = digits("test")
    print("\n| digits | file | top-1 |\n| --- | --- | --- |")
    for name, path in files.items():
        images = normalised(pixels, description(path))
        (logits,) = session(path, args.threads).run(["logits"], {"images": images})
        print(f"| {name} | {path.stat().st_size / 1e3:.0f} kB | {(logits.argmax(1) == labels).mean():.4f} |")


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"onnxruntime {onnxruntime.__version__}, {args.threads} threads, {args.rounds} rounds\n", flush=True)
    speed(args)
    accuracy(args)


if __name__ == "__main__":
    main()
