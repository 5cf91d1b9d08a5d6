"""How long vitslim takes to start on a folder of as many images as ImageNet has.

    cargo build --release
    python bench/start.py

It makes a folder of 1,281,167 small JPEGs in 1000 classes to train and 50,000 to test, which takes 6 GB and some minutes, and times the
first start on it, which reads all files, and later ones, which do not; the last of them find a complete run, which trained nothing.
Images are decoded when they are in a batch, so their size only matters to the first start, which reads all bytes, and to the 2000 images
that the normalisation is computed from.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
JPEGS = sorted((HERE.parent / "vitslim-core/data/jpeg").glob("ycc_*.jpg"))
EXPERIMENT = """Experiment(
    name: "start",
    model: (architecture: "vit", config: (patch_size: 8, dim: 16, depth: 1, heads: 2)),
    data: ImageFolder(path: "images", image_size: 16),
    importance: Random,
    search: (epochs: 1, optimizer: AdamW(lr: 1e-3), dimensions: { "hidden": (weight: 1e-4) }),
    budgets: [Share({ "hidden": 0.5 })],
)
"""


def make(folder, images, classes):
    """Makes `images` files in `classes` classes of `folder`, no two of the same content."""
    contents = [jpeg.read_bytes() for jpeg in JPEGS]
    for label in range(classes):
        of_class = folder / f"n{label:08}"
        of_class.mkdir(parents=True)
        for image in range(label, images, classes):
            # What lies behind the end of a JPEG belongs to nothing.
            content = contents[image % len(contents)] + image.to_bytes(8, "little")
            (of_class / f"n{label:08}_{image}.JPEG").write_bytes(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--folder", help="where to make the images, in a folder that is removed at the end")
    parser.add_argument("--images", type=int, default=1_281_167, help="images to train; a 25th of them is to test")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    vitslim = str(Path(args.vitslim).resolve())
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        make(folder / "images/train", args.images, args.classes)
        make(folder / "images/val", max(args.images // 25, args.classes), args.classes)
        (folder / "start.ron").write_text(EXPERIMENT)
        environment = {**os.environ, "VITSLIM_CACHE": str(folder / "cache")}
        # Times of files that were written a moment ago are not believed.
        time.sleep(5)

        def start(*command):
            started = time.perf_counter()
            subprocess.run([vitslim, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
            return time.perf_counter() - started

        print(f"{args.images} images to train, {args.classes} classes")
        print(f"first start (check): {start('check', 'start.ron'):.1f} s")
        run = ("run", "start.ron", "--device", "cpu", "--quiet")
        later = {"check": ("check", "start.ron"), "plan": ("plan", "start.ron", "--no-times"), "complete run": run}
        for name, command in later.items():
            if command is run:
                print(f"the run: {start(*run):.1f} s")
            seconds = [start(*command) for _ in range(args.rounds)]
            spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
            print(f"later starts ({name}): {statistics.median(seconds):.1f} s ({spread})")
        index = sum(file.stat().st_size for file in (folder / "cache").iterdir())
        print(f"the index takes {index / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
