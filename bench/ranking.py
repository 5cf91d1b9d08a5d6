"""Which rule should compare masks of different keys: Fashion-MNIST under limits, cut by each `ranking` and retrained, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/ranking.py

`experiments/fashion_mnist_limits.ron` runs at three seeds. `arms.py` says what is shared and kept.
"""

from arms import arguments, compare, of_field

RULES = {rule: rule for rule in ("Isomorphic", "Value", "Normalised", "PerCost")}

if __name__ == "__main__":
    compare(arguments(__doc__, "ranking"), "fashion_mnist_limits.ron", of_field("ranking", RULES))
