"""Whether the dense network as teacher helps its sub-networks: Fashion-MNIST with and without it, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/distillation.py

`experiments/fashion_mnist.ron` runs at three seeds, and at each retrains every sub-network once for each teacher. All of them share the
dense network and the search, so that only the retraining differs. About 30 minutes a seed on two cores. Results are kept in
`bench/distillation/`, one file for each seed. What is there does not run again, and a run that was stopped goes on. A teacher that is
added runs alone.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
EXPERIMENT = HERE.parent / "experiments" / "fashion_mnist.ron"
# As the table calls them, and as the experiment writes them.
TEACHERS = {
    "no teacher": "None",
    "dense, soft": "Dense",
    "dense, hard": "Dense(kind: Hard)",
    "dense, soft and features": "Dense(features: 0.5)",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="the folder of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2])
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--runs", default=str(HERE.parent / "target/distillation"), help="where the runs go")
    parser.add_argument("--results", type=Path, default=HERE / "distillation", help="where the accuracies are kept")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as for `vitslim run`")
    return parser.parse_args()


def run(args, seed, teachers):
    """The accuracies of the dense network, and of each sub-network after retraining with each of `teachers`, in percent."""
    sweep = f"retrain.teacher=Sweep([{', '.join(TEACHERS[teacher] for teacher in teachers)}])"
    sets = [f"seed={seed}", f"data.path={json.dumps(args.data)}", sweep, *args.set]
    command = [args.vitslim, "run", str(EXPERIMENT), "--out", args.runs, "--device", "cpu", "--json"]
    command += [word for value in sets for word in ("--set", value)]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    # The trials are in the order of the sweep.
    trials = dict(zip(teachers, report["trials"], strict=True))
    summaries = {teacher: trial["summary"] for teacher, trial in trials.items()}
    dense = {summary["dense"]["top1"] for summary in summaries.values()}
    assert len(dense) == 1, f"the dense network is not shared: {dense}"
    found = {"dense": percent(dense.pop())}
    for teacher, summary in summaries.items():
        for subnet in summary["subnets"]:
            found.setdefault(subnet["label"], {})[teacher] = percent(subnet["top1_retrained"])
    return found


def merged(known, found, kept):
    """The accuracies in the file `kept`, and those that were `found` with the same dense network."""
    if not known:
        return found
    assert known["dense"] == found["dense"], f"{kept} is of another dense network: remove it to measure all again"
    return {label: found[label] if label == "dense" else {**known[label], **found[label]} for label in found}


def percent(share):
    return round(100 * share, 2)


def spread(values):
    """The mean, with the lowest and the highest."""
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(results):
    """Means over the seeds, the lowest and the highest in parentheses; of a teacher also the mean of what it adds at a seed."""
    seeds = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    teachers = list(TEACHERS)
    print(f"| network, {len(seeds)} seeds | " + " | ".join(teachers) + " |")
    print("| --- |" + " --- |" * len(teachers))
    print(f"| dense | {spread([seed['dense'] for seed in seeds])} |" + " |" * (len(teachers) - 1))
    for label in [name for name in seeds[0] if name != "dense"]:
        alone = [seed[label][teachers[0]] for seed in seeds]
        cells = [spread(alone)]
        for teacher in teachers[1:]:
            taught = [seed[label][teacher] for seed in seeds]
            added = statistics.mean(there - here for there, here in zip(taught, alone))
            cells.append(f"{spread(taught)}, {added:+.2f}")
        print(f"| {label} | " + " | ".join(cells) + " |")


def main():
    args = arguments()
    args.results.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        kept = args.results / f"{seed}.json"
        known = json.loads(kept.read_text()) if kept.exists() else {}
        done = set.intersection(*(set(taught) for label, taught in known.items() if label != "dense")) if known else set()
        missing = [teacher for teacher in TEACHERS if teacher not in done]
        if missing:
            kept.write_text(json.dumps(merged(known, run(args, seed, missing), kept), indent=1) + "\n")
    table(args.results)


if __name__ == "__main__":
    main()
