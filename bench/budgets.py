"""What a budget is counted in, and what units are ranked by: three networks on Fashion-MNIST, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/budgets.py

`experiments/budgets.ron` runs, all of it on one thread after the other, since `Latency` is measured: leave the machine alone meanwhile. A
run that was stopped goes on. The accuracies are kept in `bench/budgets.json`.
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
        network = trial["differing"]["network"].split('"')[1]
        dense = summary["dense"]
        for subnet in summary["subnets"]:
            row = {"network": network, "ranked by": trial["differing"]["ranked by"], "budget": subnet["label"]}
            row |= {"MACs": subnet["macs"] / dense["macs"], "parameters": subnet["params"] / dense["params"]}
            if time := subnet.get("latency"):
                row["time of what was asked"] = time["measured"] / time["asked"]
            row |= {name: percent(subnet[f"top1_{name}"]) for name in ("sliced", "retrained")}
            rows.append(row | {"dense": percent(dense["top1"])})
    return rows


def share(values):
    """Parts of a whole, from the smallest to the largest."""
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"


def table(rows):
    """Means over the seeds, the lowest and the highest in parentheses."""
    print("| network | budget | ranked by | MACs | parameters | time, of what was asked | cut | retrained |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    networks = {}
    for row in rows:
        arms = networks.setdefault(row["network"], {})
        arms.setdefault((row["budget"], row["ranked by"]), []).append(row)
    for network, arms in networks.items():
        dense = {row["dense"] for seeds in arms.values() for row in seeds}
        print(f"| {network} | dense | | 1 | 1 | | | {spread(dense)} |")
        for (budget, ranked_by), seeds in arms.items():
            of = lambda name: [row[name] for row in seeds if name in row]
            time = share(of("time of what was asked")) if of("time of what was asked") else ""
            cells = [network, budget, ranked_by, share(of("MACs")), share(of("parameters")), time, spread(of("sliced")), spread(of("retrained"))]
            print(f"| {' | '.join(cells)} |")


def main():
    rows = run(arguments())
    KEPT.write_text(json.dumps(rows, indent=1) + "\n")
    table(rows)


if __name__ == "__main__":
    main()
