"""How fast vitslim and torchvision read and augment JPEGs: images per second, in turn, on the same cores.

    pip install torch torchvision timm scikit-image
    cargo build --release
    python bench/loader.py

It makes JPEGs of 500 x 375 pixels at quality 90 from pictures of scikit-image, with noise, and reads them in two ways: as DeiT trains
(timm's `create_transform` with RandomResizedCrop, bicubic, flip, `rand-m9-mstd0.5-inc1`, normalisation and erasing) and as it is evaluated
(resize to 256, bicubic, and the centre crop of 224); each from a folder, and from the same files packed into the `.tar` shards of a
WebDataset. timm's side is a `DataLoader` of as many workers as vitslim has threads. Its workers read shards as the `webdataset` library
does: each its own, from their start to their end, and in training in a random order, through a buffer that shuffles samples. No network
computes on either side. The files are in the page cache: neither side waits for the disk.
"""

import argparse
import io
import json
import os
import random
import statistics
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image, ImageOps
from timm.data import create_transform
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torchvision.datasets import ImageFolder

HERE = Path(__file__).parent
PICTURES = ["astronaut", "chelsea", "coffee", "motorcycle_left", "retina", "rocket", "ihc", "hubble_deep_field"]
SIZE = (500, 375)
# What vitslim calls a layout, and the folder that has it.
LAYOUTS = {"folder": ("ImageFolder", "images"), "shards": ("Shards", "shards")}
# Shards of a split, and samples that a worker of the DataLoader shuffles.
SHARDS, BUFFER = 8, 256
EXPERIMENT = """Experiment(
    name: "loader",
    model: (architecture: "vit", config: (patch_size: 16, dim: 16, depth: 1, heads: 2)),
    data: LAYOUT(
        path: "PATH",
        image_size: 224,
        resize: 256,
        normalise: ImageNet,
        augment: DeiT(mixup: 0, cutmix: 0, repeats: 1),
    ),
    search: (epochs: 1, optimizer: AdamW(lr: 1e-3), dimensions: { "hidden": (weight: 1e-4) }),
    budgets: [Share({ "hidden": 0.5 })],
)
"""


def pictures():
    """The pictures of scikit-image that are photos, and come with it."""
    folder = Path(skimage.__file__).parent / "data"
    files = [file for name in PICTURES for file in folder.glob(f"{name}.*")]
    return [Image.open(file).convert("RGB") for file in files]


def make(folder, images):
    """Makes `images` JPEGs in each of `train` and `val`, of two classes: parts of the pictures, mirrored or not, with noise of any strength."""
    rng = np.random.default_rng(1)
    sources = pictures()
    for part in ["train", "val"]:
        for image in range(images):
            source = sources[image % len(sources)]
            share = rng.uniform(0.5, 1) * min(source.width / SIZE[0], source.height / SIZE[1])
            width, height = (round(share * side) for side in SIZE)
            left, top = rng.integers(source.width - width + 1), rng.integers(source.height - height + 1)
            seen = source.crop((left, top, left + width, top + height)).resize(SIZE, Image.BICUBIC)
            pixels = np.asarray(seen)[:, :: rng.choice([-1, 1])].astype(float)
            pixels = pixels + rng.normal(0, rng.uniform(0, 8), pixels.shape)
            file = folder / part / f"class{image % 2}" / f"{image}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, quality=90)


def pack(images, folder):
    """Packs the same files into shards, in a random order."""
    folder.mkdir()
    for part in ["train", "val"]:
        files = sorted((images / part).glob("*/*.jpg"))
        random.Random(1).shuffle(files)
        for shard in range(SHARDS):
            with tarfile.open(folder / f"{part}-{shard:04}.tar", "w") as packed:
                for file in files[shard::SHARDS]:
                    label = file.parent.name.removeprefix("class").encode()
                    packed.add(file, f"{file.stem}.jpg")
                    member = tarfile.TarInfo(f"{file.stem}.cls")
                    member.size = len(label)
                    packed.addfile(member, io.BytesIO(label))


def posterize(image, bits, of_pillow=ImageOps.posterize):
    """Pillow's, which from 13 on refuses the 0 bits that timm draws now and then."""
    return of_pillow(image, bits) if bits else image.point(lambda _: 0)


ImageOps.posterize = posterize


def transform(is_training):
    """timm's transform of DeiT."""
    if is_training:
        return create_transform(
            224,
            is_training=True,
            auto_augment="rand-m9-mstd0.5-inc1",
            interpolation="bicubic",
            re_prob=0.25,
            re_mode="pixel",
        )
    return create_transform(224, interpolation="bicubic", crop_pct=0.875)


class Shards(IterableDataset):
    """The samples of shards."""

    def __init__(self, files, is_training):
        self.files, self.is_training, self.transform = files, is_training, transform(is_training)

    def __iter__(self):
        worker = get_worker_info()
        samples = self.samples(self.files[worker.id :: worker.num_workers])
        for image, label in self.shuffled(samples) if self.is_training else samples:
            yield self.transform(Image.open(io.BytesIO(image)).convert("RGB")), label

    def samples(self, files):
        """Bytes of an image, and its label, one after the other."""
        for file in random.sample(files, len(files)) if self.is_training else files:
            with tarfile.open(file, "r|") as packed:
                for member in packed:
                    content = packed.extractfile(member).read()
                    if member.name.endswith(".jpg"):
                        image = content
                    else:
                        yield image, int(content)

    def shuffled(self, samples):
        buffer = []
        for sample in samples:
            buffer.append(sample)
            if len(buffer) > BUFFER:
                yield buffer.pop(random.randrange(len(buffer)))
        yield from random.sample(buffer, len(buffer))


class Torchvision:
    """An epoch of a `DataLoader`."""

    def __init__(self, folder, layout, is_training, batch, workers):
        part = "train" if is_training else "val"
        if layout == "folder":
            dataset = ImageFolder(folder / part, transform(is_training))
        else:
            dataset = Shards(sorted(folder.glob(f"{part}-*.tar")), is_training)
        self.loader = DataLoader(
            dataset,
            batch_size=batch,
            shuffle=is_training and layout == "folder",
            drop_last=is_training,
            num_workers=workers,
            persistent_workers=True,
        )
        # Starts the workers.
        self.epoch()

    def epoch(self):
        started = time.perf_counter()
        images = sum(len(labels) for _, labels in self.loader)
        return images / (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(HERE.parent / "target/release/vitslim"), help="the binary")
    parser.add_argument("--folder", help="where to make the images, in a folder that is removed at the end")
    parser.add_argument("--images", type=int, default=1024, help="images to train, and as many to evaluate")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2, help="threads of vitslim, and workers of the DataLoader")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    vitslim = str(Path(args.vitslim).resolve())
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder = Path(folder)
        make(folder / "images", args.images)
        pack(folder / "images", folder / "shards")
        for layout, (name, path) in LAYOUTS.items():
            (folder / f"{layout}.ron").write_text(EXPERIMENT.replace("LAYOUT", name).replace("PATH", path))
        environment = {**os.environ, "VITSLIM_CACHE": str(folder / "cache")}

        def ours(layout):
            command = [vitslim, "bench", f"{layout}.ron", "--loader", "--rounds", "1", "--json"]
            options = ["--batch", str(args.batch), "--loader-threads", str(args.threads)]
            run = subprocess.run(
                [*command, *options], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True
            )
            return json.loads(run.stdout)["experiments"][0]

        theirs = {
            (kind, layout): Torchvision(folder / path, layout, kind == "training", args.batch, args.threads)
            for kind in ["training", "evaluation"]
            for layout, (_, path) in LAYOUTS.items()
        }
        found = {case: [] for case in theirs}
        for _ in range(args.rounds):
            measured = {layout: ours(layout) for layout in LAYOUTS}
            for (kind, layout), loader in theirs.items():
                our = measured[layout][f"{kind}_images_per_second"]["median"]
                found[kind, layout].append((our, loader.epoch()))
        print(f"{args.images} images, batches of {args.batch}, {args.threads} threads, {args.rounds} rounds\n")
        print("| transform | from | vitslim, images/s | torchvision and Pillow, images/s | ratio |")
        print("| --- | --- | --- | --- | --- |")
        for (kind, layout), rounds in found.items():
            ratios = [our / their for our, their in rounds]
            our, their = (statistics.median(side) for side in zip(*rounds))
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"| {kind} | {layout} | {our:.0f} | {their:.0f} | **{statistics.median(ratios):.2f}** ({spread}) |")


if __name__ == "__main__":
    main()
