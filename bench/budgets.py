"""What a budget is counted in, and what units are ranked by: three networks on Fashion-MNIST, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/budgets.py

`experiments/budgets.ron` runs, one trial after the other, since times are measured: leave the machine alone meanwhile. A run that was
stopped goes on. What comes out is kept in `bench/budgets.json`.
"""

import argparse
import json
import subprocess
from pathlib import Path

from arms import percent, spread

HERE = Path(__file__).parent
KEPT = HERE / "budgets.json"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="the folder of Fashion-MNIST")
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--runs", default=str(HERE.parent / "target/budgets"), help="where the runs go")
    return parser.parse_args()


def run(args):
    """A row for each sub-network of each trial."""
    command = [args.vitslim, "run", str(HERE.parent / "experiments/budgets.ron"), "--out", args.runs, "--device", "cpu", "--json"]
    command += ["--set", f"data.path={json.dumps(args.data)}"]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    rows = []
    for trial in report["trials"]:
        summary = trial["summary"]
        differing = trial["differing"]
        network = differing["network"].split('"')[1]
        dense = summary["dense"]
        for subnet in summary["subnets"]:
            row = {"network": network, "seed": differing["seed"], "ranked by": differing["ranked-by"], "budget": subnet["label"]}
            row |= {"MACs": subnet["macs"] / dense["macs"], "parameters": subnet["params"] / dense["params"]}
            # Measured once more for this, at the batch that the budget is for.
            row["time"] = 1 / subnet["speedup"]
            row |= {name: percent(subnet[f"top1_{name}"]) for name in ("sliced", "retrained")}
            rows.append(row | {"dense": percent(dense["top1"])})
    return rows


def share(values):
    """Parts of a whole, from the smallest to the largest."""
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"


def table(rows):
    """Means over the seeds, the lowest and the highest in parentheses."""
    print("| network | budget | ranked by | MACs | parameters | time | cut | retrained |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    networks = {}
    for row in rows:
        arms = networks.setdefault(row["network"], {})
        arms.setdefault((row["budget"], row["ranked by"]), []).append(row)
    for network, arms in networks.items():
        dense = {row["seed"]: row["dense"] for seeds in arms.values() for row in seeds}
        print(f"| {network} | dense | | 1 | 1 | 1 | | {spread(dense.values())} |")
        for (budget, ranked_by), seeds in arms.items():
            of = lambda name: [row[name] for row in seeds]
            shares = [share(of(name)) for name in ("MACs", "parameters", "time")]
            cells = [network, budget, ranked_by, *shares, spread(of("sliced")), spread(of("retrained"))]
            print(f"| {' | '.join(cells)} |")


def main():
    rows = run(arguments())
    KEPT.write_text(json.dumps(rows, indent=1) + "\n")
    table(rows)


if __name__ == "__main__":
    main()
