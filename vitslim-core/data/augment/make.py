"""Makes `operations.safetensors`, `draws.json` and `losses.json`: what Pillow makes of small images, what timm draws, and its losses.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 pillow==13.0.0 safetensors
    python make.py

`README.md` says what is in the files.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.numpy import save_file
from timm.data import auto_augment
from timm.data.mixup import Mixup, cutmix_bbox_and_lam, mixup_target
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torchvision.transforms import ColorJitter

FOLDER = Path(__file__).parent
FILL = (124, 116, 104)
DRAWS = 20_000
# Each operation comes in one layer of fifteen.
IMAGES = 10 * DRAWS
GEOMETRY = dict(resample=Image.BICUBIC)

# By the names of `Operation`, with their arguments.
OPERATIONS = {
    "AutoContrast": (auto_augment.auto_contrast, [()]),
    "Equalize": (auto_augment.equalize, [()]),
    "Invert": (auto_augment.invert, [()]),
    "Rotate": (auto_augment.rotate, [(0.0,), (27.0,), (-3.3,), (-30.0,)]),
    "Posterize": (auto_augment.posterize, [(1,), (2,), (4,)]),
    "Solarize": (auto_augment.solarize, [(0,), (26,), (128,), (256,)]),
    "SolarizeAdd": (auto_augment.solarize_add, [(0,), (99,), (110,)]),
    "Color": (auto_augment.color, [(0.0,), (0.1,), (0.73,), (1.0,), (1.81,)]),
    "Contrast": (auto_augment.contrast, [(0.1,), (0.73,), (1.0,), (1.81,)]),
    "Brightness": (auto_augment.brightness, [(0.1,), (0.73,), (1.0,), (1.81,)]),
    "Sharpness": (auto_augment.sharpness, [(0.1,), (0.73,), (1.0,), (1.81,)]),
    "ShearX": (auto_augment.shear_x, [(0.0,), (0.27,), (-0.3,)]),
    "ShearY": (auto_augment.shear_y, [(0.11,), (-0.3,)]),
    "TranslateX": (auto_augment.translate_x_rel, [(0.0,), (0.405,), (-0.11,)]),
    "TranslateY": (auto_augment.translate_y_rel, [(0.405,), (-0.11,)]),
    "GaussianBlur": (auto_augment.gaussian_blur, [(0.1,), (0.5,), (1.0,), (1.37,), (2.0,)]),
}

# Crop `(top, left, height, width)` and height and width after it.
RESIZES = [
    ((0, 0, 31, 40), (16, 16)),
    ((3, 5, 20, 13), (16, 16)),
    ((2, 1, 7, 9), (24, 24)),
    ((0, 0, 31, 40), (31, 12)),
    ((30, 39, 1, 1), (4, 4)),
]


def picture(height, width, channels, rng):
    """Smooth colours, edges and noise, with 0 and 255 among them."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        smooth = 90 + 70 * np.sin(x / (2 + channel) + y / 5) + 20 * channel
        edge = 60 * ((x + channel * y) % 11 > 5)
        planes.append(smooth + edge + rng.normal(0, 12, (height, width)))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def planar(image):
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def operations():
    rng = np.random.default_rng(7)
    source = Image.fromarray(picture(31, 40, 3, rng))
    images = {
        "colour": Image.fromarray(picture(17, 23, 3, rng)),
        "gray": Image.fromarray(picture(16, 16, 1, rng)[:, :, 0]),
        "narrow": Image.fromarray(picture(9, 2, 3, rng) // 3 + 40),
    }
    tensors = {"source": planar(source)}
    for name, image in images.items():
        tensors[name] = planar(image)
        fill = FILL if image.mode == "RGB" else FILL[0]
        for operation, (apply, arguments) in OPERATIONS.items():
            for argument in arguments:
                key = " ".join([name, operation, *map(str, argument)])
                tensors[key] = planar(apply(image, *argument, fillcolor=fill, **GEOMETRY))
    for (top, left, height, width), size in RESIZES:
        part = source.crop((left, top, left + width, top + height))
        key = f"source Resize {top} {left} {height} {width} {size[0]} {size[1]}"
        tensors[key] = planar(part.resize(size[::-1], Image.BICUBIC))
    save_file(tensors, FOLDER / "operations.safetensors")


def quantiles(values):
    """From the 2nd to the 98th percentile."""
    return [round(float(value), 6) for value in np.quantile(values, np.linspace(0.02, 0.98, 25))]


def crops():
    drawn = {}
    for name, (width, height) in {"wide": (500, 375), "strip": (600, 100), "small": (28, 28)}.items():
        image = Image.new("L", (width, height))
        boxes = np.array(
            [RandomResizedCropAndInterpolation.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(DRAWS)]
        )
        top, left, high, wide = boxes.T
        drawn[name] = dict(
            width=width,
            height=height,
            area=quantiles(high * wide / (width * height)),
            aspect=quantiles(wide / high),
            top=quantiles(top / height),
            left=quantiles(left / width),
        )
    return drawn


def rand_augment():
    """What each layer of `rand-m9-mstd0.5-inc1` does: how often, and with which arguments."""
    transform = auto_augment.rand_augment_transform("rand-m9-mstd0.5-inc1", dict(img_mean=FILL))
    found = {}

    def spy(name):
        return lambda image, *arguments, **_: found.setdefault(name, []).append(arguments) or image

    for operation in transform.ops:
        operation.aug_fn = spy(operation.name.removesuffix("Increasing").removesuffix("Rel"))
    for _ in range(IMAGES):
        transform(None)
    return {
        name: dict(
            frequency=len(arguments) / IMAGES,
            argument=quantiles([float(argument[0]) for argument in arguments]) if arguments[0] else None,
        )
        for name, arguments in sorted(found.items())
    }


def three_augment():
    """How often each of the three operations is drawn, the arguments of those that have a fixed one, and radii of the blur."""
    transform = auto_augment.auto_augment_transform("3a", dict(img_mean=FILL))
    found = dict(Solarize=[], Color=[], GaussianBlur=[])

    class Spy:
        def filter(self, blur):
            found["GaussianBlur"].append(blur.radius)
            return self

    def desaturate(image, factor, **_):
        return found["Color"].append(1 - factor) or image

    def solarize(image, threshold, **_):
        return found["Solarize"].append(threshold) or image

    replaced = dict(Solarize=solarize, Desaturate=desaturate)
    for operation in (operation for operations in transform.policy for operation in operations):
        operation.aug_fn = replaced.get(operation.name, operation.aug_fn)
    for _ in range(DRAWS):
        transform(Spy())
    return {
        name: dict(frequency=len(arguments) / DRAWS, argument=quantiles(arguments)) for name, arguments in found.items()
    }


def jitter():
    """Factors of brightness, contrast and saturation, and how often each operation comes first."""
    parameters = [ColorJitter.get_params((0.7, 1.3), (0.7, 1.3), (0.7, 1.3), None) for _ in range(DRAWS)]
    orders = [[step for step in order.tolist() if step < 3] for order, *_ in parameters]
    return dict(
        brightness=quantiles([factors[1] for factors in parameters]),
        contrast=quantiles([factors[2] for factors in parameters]),
        color=quantiles([factors[3] for factors in parameters]),
        first=[sum(order[0] == step for order in orders) / DRAWS for step in range(3)],
    )


def erasing():
    erase = RandomErasing(probability=0.25, mode="pixel", device="cpu")
    size = 64
    areas, aspects, tops, lefts, values = [], [], [], [], []
    for _ in range(DRAWS):
        image = torch.full((1, size, size), 100.0)
        erase(image)
        rows, columns = (image[0] != 100).nonzero(as_tuple=True)
        if len(rows):
            high, wide = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
            areas.append(high * wide / size**2)
            aspects.append(high / wide)
            tops.append(int(rows.min()) / size)
            lefts.append(int(columns.min()) / size)
            values.extend(image[image != 100].flatten().tolist()[:50])
    return dict(
        size=size,
        frequency=len(areas) / DRAWS,
        area=quantiles(areas),
        aspect=quantiles(aspects),
        top=quantiles(tops),
        left=quantiles(lefts),
        value=quantiles(values),
    )


def mixing():
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, prob=0.9, switch_prob=0.5)
    # So small that a box that is a pixel too large or too small shows.
    size = 14
    found = dict(none=0, mixup=[], cutmix=[], box_height=[], box_top=[])
    for _ in range(DRAWS):
        share, is_cutmix = mixup._params_per_batch()
        if share == 1.0:
            found["none"] += 1
        elif is_cutmix:
            (top, bottom, _, _), share = cutmix_bbox_and_lam((3, size, size), share)
            found["cutmix"].append(share)
            found["box_height"].append((bottom - top) / size)
            found["box_top"].append(top / size)
        else:
            found["mixup"].append(share)
    return dict(
        size=size,
        none=found["none"] / DRAWS,
        cutmix_frequency=len(found["cutmix"]) / DRAWS,
        **{name: quantiles(found[name]) for name in ["mixup", "cutmix", "box_height", "box_top"]},
    )


def losses():
    """Losses of the same logits, with their gradients. An odd batch: the middle image is mixed with itself."""
    share, classes = 0.7, 4
    logits = torch.randn(5, classes, dtype=torch.float64) * 3
    # A classifier that starts with zeros gives such logits.
    logits[1] = 0
    labels = torch.tensor([2, 0, 3, 1, 1])

    def mixed(smoothing):
        return mixup_target(labels, classes, share, smoothing).double()

    cases = {
        "cross_entropy": (LabelSmoothingCrossEntropy(0.1), labels),
        "cross_entropy_mixed": (SoftTargetCrossEntropy(), mixed(0.1)),
        "binary": (BinaryCrossEntropy(0.1), labels),
        "binary_mixed": (BinaryCrossEntropy(), mixed(0.1)),
        "binary_threshold": (BinaryCrossEntropy(target_threshold=0.0), mixed(0.0)),
        "binary_high_threshold": (BinaryCrossEntropy(target_threshold=0.5), mixed(0.0)),
    }
    values = {}
    for name, (loss, target) in cases.items():
        given = logits.clone().requires_grad_()
        value = loss(given, target)
        value.backward()
        values[name] = dict(loss=value.item(), gradient=given.grad.flatten().tolist())
    return dict(share=share, logits=logits.tolist(), labels=labels.tolist(), cases=values)


def main():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    operations()
    drawn = dict(
        draws=DRAWS,
        crop=crops(),
        rand_augment=rand_augment(),
        jitter=jitter(),
        erasing=erasing(),
        mixing=mixing(),
        three_augment=three_augment(),
    )
    (FOLDER / "losses.json").write_text(json.dumps(losses(), indent=1) + "\n")
    (FOLDER / "draws.json").write_text(json.dumps(drawn, indent=1) + "\n")


if __name__ == "__main__":
    main()
