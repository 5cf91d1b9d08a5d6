"""Makes `images.safetensors`: 200 small image files, and what torchvision's evaluation transform makes of each.

    pip install torch==2.15.0 torchvision==0.29.2 pillow==13.0.0 numpy safetensors
    python make.py

`README.md` says what is in it.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

IMAGES = 200
RESIZE, SIZE = 27, 24
TRANSFORM = Compose([Resize(RESIZE, InterpolationMode.BICUBIC), CenterCrop(SIZE)])


def picture(rng):
    """Smooth colours, an edge and noise. A fifth of the images are smaller than `RESIZE`, and so enlarged."""
    height, width = rng.integers(12, 27, 2) if rng.random() < 0.2 else rng.integers(24, 90, 2)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(3):
        wave = 70 * np.sin(x / rng.uniform(2, 12) + y / rng.uniform(2, 12))
        edge = rng.uniform(-60, 60) * (x * rng.uniform(-1, 1) + y > height * rng.uniform(0.2, 0.8))
        planes.append(rng.uniform(90, 160) + wave + edge + rng.normal(0, rng.uniform(0, 10), (height, width)))
    return Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))


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
    tensors = {}
    for number in range(IMAGES):
        file = encoded(picture(rng), rng)
        seen = np.asarray(TRANSFORM(Image.open(io.BytesIO(file)).convert("RGB")))
        tensors[f"file {number}"] = np.frombuffer(file, np.uint8)
        tensors[f"seen {number}"] = np.ascontiguousarray(seen.transpose(2, 0, 1))
    save_file(tensors, Path(__file__).parent / "images.safetensors")


if __name__ == "__main__":
    main()
