"""What it is worth to search every dimension: Fashion-MNIST, cut to a half and a quarter of the multiply-adds, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/dimensions.py

`experiments/fashion_mnist_limits.ron` runs at three seeds. Heads, hidden units and tokens are searched alone, and together with the width and
whole branches. At each seed both searches begin with the same dense network. Results are kept, one file for each seed; a run that was stopped
goes on. Leave the machine alone meanwhile: times are measured.
"""

import statistics

from arms import arguments, of_dense, of_field, percent, rows_of_seeds, spread, summaries

USUAL = ['"head_dim": (weight: 5e-4)', '"hidden": (weight: 5e-5)', '"tokens": (weight: 1e-4, activation: Tanh, init: 3.0)']
# As for tokens: a unit of the width and a branch have as much to do as one of these.
OTHERS = ['"width": (weight: 1e-4)', '"attn_branch": (weight: 1e-4)', '"mlp_branch": (weight: 1e-4)']
ARMS = of_field("search.dimensions", {"heads, MLP, tokens": "{%s}" % ", ".join(USUAL), "all": "{%s}" % ", ".join(USUAL + OTHERS)})
KEYS = ["head_dim", "hidden", "tokens", "width", "attn_branch", "mlp_branch"]


def rows(args, seed):
    """A row for each sub-network of each arm."""
    found = []
    arms = summaries(args, seed, "fashion_mnist_limits.ron", ARMS)
    dense = of_dense(arms)
    for arm, summary in arms.items():
        for subnet in summary["subnets"]:
            row = {"arm": arm, "network": subnet["label"], "dense": dense}
            row |= {"parameters": subnet["params"] / summary["dense"]["params"], "faster": subnet["speedup"]}
            # What is not searched is kept.
            row["kept"] = {key: round(subnet["kept"].get(key, 1), 3) for key in KEYS}
            found.append(row | {name: percent(subnet[f"top1_{name}"]) for name in ("sliced", "retrained")})
    return found


def table(seeds):
    """Means over the seeds, of accuracies with the lowest and the highest."""
    print(f"| network, {len(seeds)} seeds | searched | " + " | ".join(KEYS) + " | parameters | times faster | cut | retrained |")
    print("| --- | --- |" + " --- |" * (len(KEYS) + 4))
    print("| dense | |" + " 1 |" * (len(KEYS) + 2) + f" | {spread([seed[0]['dense'] for seed in seeds])} |")
    for beside in sorted(zip(*seeds), key=lambda rows: rows[0]["network"], reverse=True):
        mean = lambda of: f"{statistics.mean(map(of, beside)):.2f}"
        cells = [beside[0]["network"], beside[0]["arm"], *[mean(lambda row: row["kept"][key]) for key in KEYS]]
        cells += [mean(lambda row: row[name]) for name in ("parameters", "faster")]
        cells += [spread([row[name] for row in beside]) for name in ("sliced", "retrained")]
        print(f"| {' | '.join(cells)} |")


def main():
    args = arguments(__doc__, "dimensions")
    args.set.append("budgets=[Macs(0.5), Macs(0.25)]")
    table(rows_of_seeds(args, rows))


if __name__ == "__main__":
    main()
