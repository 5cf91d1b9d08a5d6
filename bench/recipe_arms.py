"""What the recipe that PyTorch's side shares gains by what vitslim has beside: Fashion-MNIST in several arms, in one table.

    apt-get install dataset-fashion-mnist
    cargo build --release
    python bench/recipe_arms.py

`experiments/fashion_mnist_recipe.ron` runs at three seeds. `arms.py` says what is shared and kept.
"""

from arms import arguments, compare

RECIPE = {"cut": "Fold", "search.masks": "()", "retrain.teacher": "None"}
ARMS = {
    "the recipe": RECIPE,
    "`cut: Hard`": RECIPE | {"cut": "Hard"},
    "masks at 10 times the rate": RECIPE | {"search.masks": "(lr: 5e-3)"},
    "dense network as teacher": RECIPE | {"retrain.teacher": "Dense"},
}

if __name__ == "__main__":
    compare(arguments(__doc__, "recipe_arms"), "fashion_mnist_recipe.ron", ARMS)
