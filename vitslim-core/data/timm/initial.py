"""Makes `initial.json`: by which law timm draws each parameter of the networks that vitslim has as presets. The laws are measured
on drawn values, not read from timm's code.

    pip install torch==2.15.0 timm==1.0.31
    python initial.py

`README.md` says what is in the file.
"""

import json
import re
from math import prod, sqrt
from pathlib import Path

import timm
import torch

# Of each preset. A class token of 192 features needs several to tell its law.
NETWORKS = 8
SIGMAS = 6

PRESETS = (
    [f"{family}_{size}_patch16_224" for family in ["vit", "deit"] for size in ["tiny", "small", "base"]]
    + [f"deit_{size}_distilled_patch16_224" for size in ["tiny", "small", "base"]]
    + [f"swin_{size}_patch4_window7_224" for size in ["tiny", "small", "base"]]
    + [f"convnext_{size}" for size in ["tiny", "small", "base", "large"]]
    + [f"vit_{size}_patch14_{form}" for form in ["dinov2", "reg4_dinov2"] for size in ["small", "base"]]
    + [f"deit3_{size}_patch16_224" for size in ["small", "base"]]
)


def moments(values):
    """Number of values, their smallest and largest, and the sums of the values, of their squares and of their fourth powers."""
    values = values.detach().double().flatten()
    # timm makes a normal value of a uniform one from -1 to 1. Once in 2^24, that is -1 in float32, whose quantile is infinite and cut
    # to the bound of -2, which is 100 deviations away. It is left out, as an accident.
    accidents = values == -2
    assert accidents.sum() <= 4 + values.numel() / 2**22, "timm truncates"
    values = values[~accidents]
    squares = values.square()
    powers = [values.sum(), squares.sum(), squares.square().sum()]
    return [values.numel(), values.min().item(), values.max().item(), *(power.item() for power in powers)]


def pooled(parts):
    count, low, high, *powers = zip(*parts)
    return [sum(count), min(low), max(high), *map(sum, powers)]


def law(pool):
    count, low, high, first, second, fourth = pool
    if low == high:
        return "constant", low
    deviation, largest, kurtosis = sqrt(second / count), max(-low, high), count * fourth / second**2
    assert abs(first / count) < SIGMAS * deviation / sqrt(count), f"mean {first / count}, deviation {deviation}"
    # The variance of a kurtosis of many values is this over their number; `tests/tests/initial.rs` has the same two.
    if abs(kurtosis - 3) < SIGMAS * sqrt(24 / count):
        return "normal", deviation
    if abs(kurtosis - 1.8) < SIGMAS * sqrt(1.3166 / count) and largest < deviation * sqrt(3) * (1 + SIGMAS / sqrt(count)):
        return "uniform", largest
    raise SystemExit(f"neither normal nor uniform: {count} values of deviation {deviation}, kurtosis {kurtosis}, up to {largest}")


def rows(name):
    drawn, shapes = {}, {}
    for _ in range(NETWORKS):
        # Some have no classifier by themselves.
        for path, parameter in timm.create_model(name, num_classes=1000).named_parameters():
            drawn.setdefault(path, []).append(moments(parameter))
            shapes[path] = list(parameter.shape)
    # One row for all blocks of a stage.
    groups = {}
    for path in drawn:
        groups.setdefault(re.sub(r"blocks\.\d+", "blocks.*", path), []).append(path)
    for row, paths in groups.items():
        kind, size = law(pooled([part for path in paths for part in drawn[path]]))
        for path in paths:
            assert shapes[path] == shapes[paths[0]], path
            of_one, its_size = law(pooled(drawn[path]))
            # No law's deviation, nor its largest value, has a larger error than the deviation of a normal one.
            allowed = SIGMAS / sqrt(2 * NETWORKS * prod(shapes[path])) if kind != "constant" else 0
            assert of_one == kind and abs(its_size / size - 1 if size else its_size) <= allowed, path
        yield row, {"shape": shapes[paths[0]], kind: float(f"{size:.5g}")}


def written(name):
    lines = [f"  {json.dumps(row)}: {json.dumps(values)}" for row, values in rows(name)]
    return f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }"


torch.manual_seed(0)
text = ",\n".join([f' "networks": {NETWORKS}', *map(written, PRESETS)])
(Path(__file__).parent / "initial.json").write_text("{\n" + text + "\n}\n")
