"""Makes `images.safetensors`: 200 small image files, and what torchvision's evaluation transform makes of each.

    pip install torch==2.15.0 torchvision==0.29.2 pillow==13.0.0 scikit-image numpy safetensors
    python make.py

`README.md` says what is in it.
"""

import io
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

IMAGES = 200
# Of so many the largest square in the middle is seen too.
SQUARES = 50
RESIZE, SIZE = 30, 24
PICTURES = ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg", "ihc.png"]


def seen(file, resize):
    """What torchvision makes of `file` to evaluate."""
    transform = Compose([Resize(resize, InterpolationMode.BICUBIC), CenterCrop(SIZE)])
    image = transform(Image.open(io.BytesIO(file)).convert("RGB"))
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def picture(sources, rng):
    """A part of a picture, with noise. A fifth of the images are smaller than `RESIZE`, and so enlarged."""
    width, height = rng.integers(18, 30, 2) if rng.random() < 0.2 else rng.integers(30, 90, 2)
    source = sources[rng.integers(len(sources))]
    share = rng.uniform(0.5, 1) * min(source.width / width, source.height / height)
    wide, high = round(share * width), round(share * height)
    left, top = rng.integers(source.width - wide + 1), rng.integers(source.height - high + 1)
    part = source.crop((left, top, left + wide, top + high)).resize((width, height), Image.BICUBIC)
    pixels = np.asarray(part) + rng.normal(0, rng.uniform(0, 8), (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def encoded(image, rng):
    """Of ten images, eight are JPEGs, one is a PNG and one a WebP."""
    file, kind = io.BytesIO(), rng.integers(10)
    if kind < 8:
        options = dict(quality=int(rng.integers(50, 99)), progressive=bool(rng.random() < 0.25))
        mode = "L" if rng.random() < 0.1 else "RGB"
        image.convert(mode).save(file, "JPEG", subsampling=int(rng.integers(3)), **options)
    elif kind == 8:
        image.convert(rng.choice(["RGB", "RGBA", "L", "P"])).save(file, "PNG")
    else:
        image.save(file, "WebP", lossless=True)
    return file.getvalue()


def main():
    rng = np.random.default_rng(11)
    folder = Path(skimage.__file__).parent / "data"
    sources = [Image.open(folder / name).convert("RGB") for name in PICTURES]
    tensors = {}
    for number in range(IMAGES):
        file = encoded(picture(sources, rng), rng)
        tensors[f"file {number}"] = np.frombuffer(file, np.uint8)
        tensors[f"seen {number}"] = seen(file, RESIZE)
        if number < SQUARES:
            tensors[f"square {number}"] = seen(file, SIZE)
    save_file(tensors, Path(__file__).parent / "images.safetensors")


if __name__ == "__main__":
    main()
