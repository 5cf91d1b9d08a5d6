"""Whether the dense network as teacher helps its sub-networks: Fashion-MNIST with and without it, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/distillation.py

`experiments/fashion_mnist.ron` runs at three seeds, with the smallest of its sub-networks, which has the most to learn. `arms.py` says what
is shared and kept.
"""

from arms import arguments, compare, of_field

# As the table calls them, and as the experiment writes them.
TEACHERS = {
    "no teacher": "None",
    "dense, soft": "Dense",
    "dense, hard": "Dense(kind: Hard)",
    "dense, soft and features": "Dense(features: 0.5)",
}

BUDGET = 'budgets=[Share({ "head_dim": 0.3, "hidden": 0.3, "tokens": 0.5 })]'

if __name__ == "__main__":
    args = arguments(__doc__, "distillation")
    args.set.insert(0, BUDGET)
    compare(args, "fashion_mnist.ron", of_field("retrain.teacher", TEACHERS))
