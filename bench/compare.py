"""vitslim against PyTorch and timm on this machine, in one table.

    pip install torch timm
    cargo build --release
    python bench/compare.py

Rounds alternate: vitslim measures all it does once, then PyTorch does, so that what else the machine does meets both. Ratios are
taken round by round; the table has medians, and the lowest and highest ratio.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import timm
import torch

from pytorch_models import Work

HERE = Path(__file__).parent
# By the name of the experiment, as timm calls them.
MODELS = {
    **{f"deit_{size}": f"deit_{size}_patch16_224" for size in ("tiny", "small", "base")},
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "convnext_tiny": "convnext_tiny",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:N")
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"])
    parser.add_argument("--batch", type=int, nargs="+", default=[16], help="64 256 for a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="measurements of a round, of which the median counts")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--compile", action="store_true", help="PyTorch by torch.compile")
    parser.add_argument(
        "--selftest", action=argparse.BooleanOptionalAction, help="run `vitslim selftest` first; by default, on a GPU"
    )
    parser.add_argument(
        "--models", nargs="+", default=["deit_tiny", "deit_small", "swin_tiny", "convnext_tiny"], choices=list(MODELS)
    )
    args = parser.parse_args()
    if args.selftest is None:
        args.selftest = args.device != "cpu"
    return args


def selftest(args):
    """Figures of a device that does not compute what it should are worth nothing."""
    if subprocess.run([args.vitslim, "selftest", "--device", args.device]).returncode != 0:
        sys.exit(f"`vitslim selftest --device {args.device}` did not pass: nothing was measured")


def ours(args, model, batch):
    """Seconds by name, for each sub-network its share of the units and that of the MACs, and the precision that it computes in."""
    command = [args.vitslim, "bench", str(HERE.parent / "experiments" / f"bench_{model}.ron"), "--json"]
    command += ["--rounds", str(args.repeats), "--batch", str(batch), "--device", args.device]
    if args.precision != "f32":
        command += ["--set", "precision=" + args.precision.capitalize()]
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    benched = json.loads(printed)["experiments"][0]
    dense, *subnets = benched["networks"]
    seconds = lambda timing: timing["milliseconds"]["median"] / 1000
    found = {kind: seconds(dense[kind]) for kind in ("training", "search", "inference")}
    shares = {}
    for subnet in subnets:
        # Its name is `share-0.7-0.7`: that of the head dims, if there are any, and that of the hidden units, which are the same.
        share = float(subnet["name"].split("-")[1])
        found[f"inference {share}"] = seconds(subnet["inference"])
        shares[share] = subnet["macs"] / dense["macs"]
    return found, shares, benched["precision"]


def theirs(args, work):
    for name in work.todo:
        work.seconds(name)
    return {name: statistics.median(work.seconds(name) for _ in range(args.repeats)) for name in work.todo}


def measure(args, model, batch):
    rounds, work = [], None
    for _ in range(args.rounds):
        found, shares, precision = ours(args, model, batch)
        work = work or Work(MODELS[model], shares, batch, args.device, precision, args.compile)
        rounds.append((found, theirs(args, work)))
    steps = {f"inference {share}": f"inference, {macs:.2f} of the MACs" for share, macs in shares.items()}
    for name in rounds[0][0]:
        our, their = ([round[side][name] for round in rounds] for side in (0, 1))
        ratios = sorted(b / a for a, b in zip(our, their))
        speed = [batch / statistics.median(side) for side in (our, their)]
        ratio = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        step = steps.get(name, name)
        print(f"| {model} | {batch} | {step} | {speed[0]:.1f} | {speed[1]:.1f} | {ratio} |", flush=True)
    over = statistics.median(found["search"] / found["training"] for found, _ in rounds)
    gained = (
        f"{statistics.median(found['inference'] / found[f'inference {share}'] for found, _ in rounds):.2f} "
        f"with {macs:.3f} of the MACs"
        for share, macs in shares.items()
    )
    return f"{model}: a search step takes {over:.3f} training steps; speed-up of inference {', '.join(gained)}"


def processor():
    if platform.system() == "Linux":
        names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        return names[0] if names else platform.machine()
    return platform.processor()


def main():
    args = arguments()
    if args.selftest:
        selftest(args)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    name = processor() if args.device == "cpu" else torch.cuda.get_device_name(args.device)
    mode = "torch.compile" if args.compile else "eager"
    version = subprocess.run([args.vitslim, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    print(f"{datetime.date.today()}, {name}, {args.threads} threads, {args.precision}: {version} against PyTorch", end=" ")
    print(f"{torch.__version__} ({mode}) with timm {timm.__version__}, {args.rounds} rounds\n")
    print("| model | batch | step | vitslim, images/s | PyTorch, images/s | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    notes = [measure(args, model, batch) for model in args.models for batch in args.batch]
    print("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
