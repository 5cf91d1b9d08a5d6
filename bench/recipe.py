"""One recipe of ViT-Slim on Fashion-MNIST, by PyTorch and by vitslim on the CPU, and both accuracies in one table.

    pip install torch numpy
    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/recipe.py

The recipe is `experiments/fashion_mnist_recipe.ron`; `pytorch_slim.py` is PyTorch's side. Both sides and all seeds run in turn. Where a
block of PyTorch's keeps a token, all blocks before it keep it too, beyond its share: the sub-networks of vitslim get as many. Results are
kept in `bench/recipe/`, one file for each side and seed. What is there does not run again.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent
EXPERIMENT = HERE.parent / "experiments" / "fashion_mnist_recipe.ron"
SIDES = ("PyTorch", "vitslim")
EPOCHS = (5, 3, 3)
BUDGETS = [
    {"head_dim": 0.7, "hidden": 0.7, "tokens": 0.7},
    {"head_dim": 0.5, "hidden": 0.5, "tokens": 0.7},
    {"head_dim": 0.3, "hidden": 0.3, "tokens": 0.5},
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="the folder of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--threads", type=int, default=2, help="threads of either side")
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--runs", default=str(HERE.parent / "target/recipe"), help="where the runs of vitslim go")
    parser.add_argument("--results", type=Path, default=HERE / "recipe", help="where the accuracies are kept")
    return parser.parse_args()


def by_pytorch(args, seed):
    import torch

    from pytorch_slim import Images, Recipe

    torch.set_num_threads(args.threads)
    found = {"version": torch.__version__}
    for name, top1 in Recipe(Images(args.data), seed).run(EPOCHS, BUDGETS):
        print(f"PyTorch, seed {seed}: {name} {top1:.2f}", flush=True)
        found[name] = round(top1, 2)
    return found


def by_vitslim(args, seed):
    """Sub-networks with as many tokens as those of PyTorch at this seed."""
    kept = kept_by(args, "PyTorch", seed)
    beside = json.loads(kept.read_text())
    names = ["-".join(str(share) for share in budget.values()) for budget in BUDGETS]
    assert all(f"{name} tokens" in beside for name in names), f"{kept} does not say how many tokens it keeps: remove it to measure again"
    tokens = {name: round(beside[f"{name} tokens"] / 100, 3) for name in names}
    shares = [{**budget, "tokens": tokens[name]} for name, budget in zip(names, BUDGETS)]
    budgets = ", ".join(f"Share({json.dumps(share)})" for share in shares)
    command = ["run", str(EXPERIMENT), "--out", args.runs]
    for value in (f"seed={seed}", f"data.path={json.dumps(args.data)}", f"budgets=[{budgets}]"):
        command += ["--set", value]
    summary = vitslim(args, *command)
    version = subprocess.run([args.vitslim, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
    found = {"version": version.split()[1], "dense": percent(summary["dense"]["top1"])}
    for name, subnet in zip(names, summary["subnets"], strict=True):
        found[f"{name} tokens"] = round(100 * tokens[name], 1)
        found[f"{name} cut"] = percent(subnet["top1_sliced"])
        found[f"{name} retrained"] = percent(subnet["top1_retrained"])
    return found


def vitslim(args, *command):
    """What a command of vitslim prints as JSON."""
    words = [args.vitslim, *command, "--device", "cpu", "--json"]
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True, env=environment).stdout)


def percent(share):
    return round(100 * share, 2)


def kept_by(args, side, seed):
    """The file of the accuracies of one side at one seed."""
    return args.results / f"{side}-{seed}.json"


def counted(seeds):
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def table(results):
    """Means over the seeds that both sides have, the lowest and the highest in parentheses."""
    known = {side: {path.stem.split("-")[1]: json.loads(path.read_text()) for path in results.glob(f"{side}-*.json")} for side in SIDES}
    seeds = sorted(set.intersection(*(set(runs) for runs in known.values())))
    if not seeds:
        return
    sides = {side: [runs[seed] for seed in seeds] for side, runs in known.items()}
    names = [name for name in sides["vitslim"][0] if name not in ("version", "minutes")]
    print("| network | " + " | ".join(f"{side}, {counted(len(runs))}" for side, runs in sides.items()) + " | difference |")
    print("| --- | --- | --- | --- |")
    for name in names:
        tops = {side: [run[name] for run in runs] for side, runs in sides.items()}
        means = {side: statistics.mean(values) for side, values in tops.items()}
        cells = [f"{means[side]:.1f} ({min(values):.1f} to {max(values):.1f})" for side, values in tops.items()]
        print(f"| {name} | " + " | ".join(cells) + f" | {means['vitslim'] - means['PyTorch']:+.1f} |")


def main():
    args = arguments()
    args.results.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        for side, run in zip(SIDES, (by_pytorch, by_vitslim)):
            kept = kept_by(args, side, seed)
            if side not in args.sides or kept.exists():
                continue
            started = time.monotonic()
            found = run(args, seed)
            found["minutes"] = round((time.monotonic() - started) / 60, 1)
            kept.write_text(json.dumps(found, indent=1) + "\n")
    table(args.results)


if __name__ == "__main__":
    main()
