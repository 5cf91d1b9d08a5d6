"""How much memory a training step needs, with activation checkpointing and without, and how long it takes.

    cargo build --release
    python bench/memory.py

Each row is a process of its own, `vitslim plan`, which takes a few steps of DeiT-Small on made-up images: its largest resident memory,
and the seconds of its fastest step.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
# An epoch of one step, and hardly any image to validate on.
IMAGES = 10


def measured(vitslim, experiment, batch, checkpointing):
    """Largest resident memory in GB, and seconds of an epoch of one step."""
    sets = [
        f"search.batch={batch}",
        f"search.checkpointing={str(checkpointing).lower()}",
        f"data.images={batch * 10 // 8 + IMAGES}",
        'budgets=[Share({"hidden": 0.5})]',
    ]
    command = [vitslim, "plan", experiment, "--json"]
    for value in sets:
        command += ["--set", value]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, printed
    stage = json.loads(printed)["trials"][0]["stages"][0]
    # Linux counts in KiB.
    return usage.ru_maxrss * 1024 / 1e9, stage["seconds"] / stage["steps"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--experiment", default=str(HERE.parent / "experiments/bench_deit_small.ron"))
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64])
    args = parser.parse_args()
    print("| batch | memory | with checkpointing | seconds a step | with checkpointing |")
    print("| --- | --- | --- | --- | --- |")
    for batch in args.batch:
        (kept, seconds), (again, longer) = (
            measured(args.vitslim, args.experiment, batch, checkpointing) for checkpointing in (False, True)
        )
        print(
            f"| {batch} | {kept:.2f} GB | {again:.2f} GB, {again / kept:.0%} | {seconds:.2f} | {longer:.2f}, {longer / seconds:.2f} times |",
            flush=True,
        )


if __name__ == "__main__":
    main()
