"""Tokens that are merged beside tokens that are dropped: Fashion-MNIST, right after the cut and retrained, with the speed, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/merging.py

`experiments/fashion_mnist_recipe.ron` runs at one seed, and only tokens are cut: to half of them, and by six in each of the six blocks; by
searched masks, and by chance without a search. All have the same dense network. What comes out is kept, one file for each seed; a run that was
stopped goes on. Leave the machine alone meanwhile: times are measured.
"""

import statistics

from arms import arguments, of_dense, percent, rows_of_seeds, summaries

ARMS = {
    f"{ranked}, {tokens}": {"importance": ranked, "tokens": tokens} for ranked in ("Masks", "Random") for tokens in ("Drop", "Merge")
}
CUT = [
    'search.dimensions={"tokens": (weight: 1e-4, activation: Tanh, init: 3.0)}',
    'budgets=[Share({"tokens": 0.5}), Tokens(fewer: 6)]',
    "retrain.epochs=2",
]


def rows(args, seed):
    """A row for each sub-network of each arm."""
    found = []
    arms = summaries(args, seed, "fashion_mnist_recipe.ron", ARMS)
    dense = of_dense(arms)
    for arm, summary in arms.items():
        for subnet in summary["subnets"]:
            row = {"arm": arm, "network": subnet["label"], "dense": dense, "faster": subnet["speedup"]}
            row |= {"kept": subnet["kept"]["tokens"], "MACs": subnet["macs"] / summary["dense"]["macs"]}
            found.append(row | {name: percent(subnet[f"top1_{name}"]) for name in ("sliced", "retrained")})
    return found


def table(seeds):
    """Means over the seeds."""
    print(f"| network, {len(seeds)} seeds | ranked by, tokens | tokens | MACs | times faster | cut | retrained |")
    print("| --- |" + " --- |" * 6)
    mean = lambda of, rows: f"{statistics.mean(map(of, rows)):.2f}"
    print(f"| dense | | 1 | 1 | 1 | | {mean(lambda row: row['dense'], [seed[0] for seed in seeds])} |")
    for beside in sorted(zip(*seeds), key=lambda rows: rows[0]["network"]):
        cells = [mean(lambda row: row[name], beside) for name in ("kept", "MACs", "faster", "sliced", "retrained")]
        print(f"| {beside[0]['network']} | {beside[0]['arm']} | {' | '.join(cells)} |")


def main():
    args = arguments(__doc__, "merging", seeds=[42])
    args.set += CUT
    table(rows_of_seeds(args, rows))


if __name__ == "__main__":
    main()
