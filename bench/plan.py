"""How long vitslim takes to plan a sweep of a thousand trials.

    cargo build --release
    python bench/plan.py

It plans experiments/quickstart.ron with 100 weights and 10 seeds, without measuring a step.
"""

import argparse
import statistics
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent
SWEEP = ["search.dimensions.hidden.weight=LogRange(1e-6, 1e-3, 100)", "seed=Seeds(10)"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    command = [args.vitslim, "plan", str(HERE.parent / "experiments/quickstart.ron"), "--no-times"]
    for value in SWEEP:
        command += ["--set", value]
    seconds = []
    for _ in range(args.rounds):
        started = time.perf_counter()
        printed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        seconds.append(time.perf_counter() - started)
    assert "1000 trials: " in printed, printed
    print(f"1000 trials are planned in {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
