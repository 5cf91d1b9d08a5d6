"""Damages the JPEGs beside it at random, and lists in `damage.csv` what Pillow refuses then: with Pillow 13."""

import csv
import io
import pathlib
import random
import warnings

from PIL import Image

HERE = pathlib.Path(__file__).parent
EACH = 8

warnings.simplefilter("ignore")
random.seed(1)


def damaged(jpeg, damage, at, length):
    if damage == "cut":
        return jpeg[:at]
    if damage == "drop":
        return jpeg[:at] + jpeg[at + length :]
    if damage == "zero":
        return jpeg[:at] + bytes(len(jpeg[at : at + length])) + jpeg[at + length :]
    return jpeg[:at] + bytes([jpeg[at] ^ 1 << length]) + jpeg[at + 1 :]


def is_refused(jpeg):
    try:
        Image.open(io.BytesIO(jpeg)).convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return True
    return False


rows = []
for path in sorted(HERE.glob("*.jpg")):
    jpeg = path.read_bytes()
    for damage, lengths in [("cut", [0]), ("drop", [1, 4, 32]), ("zero", [1, 4, 32]), ("flip", range(8))]:
        # Most flipped bits are a little noise to Pillow.
        drawn = [(damage, random.randrange(2, len(jpeg)), random.choice(lengths)) for _ in range(200)]
        refused = [row for row in drawn if is_refused(damaged(jpeg, *row))]
        rows += [(path.name, *row) for row in refused[:EACH]]
with open(HERE / "damage.csv", "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["file", "damage", "at", "length"])
    writer.writerows(rows)
print(f"{len(rows)} of them are refused")
