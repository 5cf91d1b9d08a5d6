"""An experiment at several seeds, at each with all of some arms beside one another, as a table of accuracies. An arm is what it sets: values
by their paths.

At each seed one sweep trains the dense network and the search once, and cuts and retrains for each arm: only what the arm changes
differs. Results are kept, one file for each seed. What is there does not run again, a run that was stopped goes on, and an arm that is
added runs alone.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def arguments(doc, name, seeds=(42, 1, 2)):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="the folder of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--runs", default=str(HERE.parent / "target" / name), help="where the runs go")
    parser.add_argument("--results", type=Path, default=HERE / name, help="where the accuracies are kept")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as for `vitslim run`")
    return parser.parse_args()


def of_field(field, values):
    """An arm for each of the named `values` of a field."""
    return {name: {field: value} for name, value in values.items()}


def summaries(args, seed, experiment, arms):
    """What `experiment` comes to in each of the `arms`."""
    # Sweeps of one name go in step.
    sweeps = [f'{field}=Sweep("arm", [{", ".join(arm[field] for arm in arms.values())}])' for field in next(iter(arms.values()))]
    sets = [f"seed={seed}", f"data.path={json.dumps(args.data)}", *sweeps, *args.set]
    path = HERE.parent / "experiments" / experiment
    command = [args.vitslim, "run", str(path), "--out", args.runs, "--device", "cpu", "--json"]
    command += [word for value in sets for word in ("--set", value)]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    # The trials are in the order of the sweep.
    return {arm: trial["summary"] for arm, trial in zip(arms, report["trials"], strict=True)}


def accuracies(summaries):
    """The accuracies of the dense network, and of each sub-network after retraining in each of the arms, in percent."""
    found = {"dense": of_dense(summaries)}
    for arm, summary in summaries.items():
        for subnet in summary["subnets"]:
            found.setdefault(subnet["label"], {})[arm] = percent(subnet["top1_retrained"])
    return found


def of_dense(summaries):
    """The accuracy of the dense network that all arms share, in percent."""
    dense = {summary["dense"]["top1"] for summary in summaries.values()}
    assert len(dense) == 1, f"the dense network is not shared: {dense}"
    return percent(dense.pop())


def merged(known, found, kept):
    """The accuracies in the file `kept`, and those that were `found` with the same dense network."""
    if not known:
        return found
    assert known["dense"] == found["dense"], f"{kept} is of another dense network: remove it to measure all again"
    return {label: found[label] if label == "dense" else {**known[label], **found[label]} for label in found}


def rows_of_seeds(args, rows):
    """The `rows` of each seed, which are kept, one file for each."""
    args.results.mkdir(parents=True, exist_ok=True)
    files = {seed: args.results / f"{seed}.json" for seed in args.seeds}
    for seed, kept in files.items():
        if not kept.exists():
            kept.write_text(json.dumps(rows(args, seed), indent=1) + "\n")
    return [json.loads(kept.read_text()) for kept in files.values()]


def percent(share):
    return round(100 * share, 2)


def spread(values):
    """The mean, with the lowest and the highest."""
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(files, arms):
    """Means over the seeds in `files`, the lowest and the highest in parentheses; of all but the first also the mean of what it adds at a
    seed."""
    seeds = [json.loads(path.read_text()) for path in files]
    first, *others = arms
    print(f"| network, {len(seeds)} seeds | " + " | ".join(arms) + " |")
    print("| --- |" + " --- |" * len(arms))
    print(f"| dense | {spread([seed['dense'] for seed in seeds])} |" + " |" * len(others))
    for label in [name for name in seeds[0] if name != "dense"]:
        alone = [seed[label][first] for seed in seeds]
        cells = [spread(alone)]
        for arm in others:
            beside = [seed[label][arm] for seed in seeds]
            added = statistics.mean(there - here for there, here in zip(beside, alone))
            cells.append(f"{spread(beside)}, {added:+.2f}")
        print(f"| {label} | " + " | ".join(cells) + " |")


def compare(args, experiment, arms):
    """Runs `experiment` in each of the `arms`, all of which set the same fields, where it has not run yet, and prints the table."""
    args.results.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        kept = args.results / f"{seed}.json"
        known = json.loads(kept.read_text()) if kept.exists() else {}
        of_labels = [set(beside) for label, beside in known.items() if label != "dense"]
        done = set.intersection(*of_labels) if of_labels else set()
        missing = {arm: value for arm, value in arms.items() if arm not in done}
        if missing:
            found = accuracies(summaries(args, seed, experiment, missing))
            kept.write_text(json.dumps(merged(known, found, kept), indent=1) + "\n")
    table([args.results / f"{seed}.json" for seed in args.seeds], arms)
