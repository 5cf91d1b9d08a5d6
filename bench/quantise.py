"""int8 of an ONNX file that `vitslim export` wrote, by onnxruntime's static quantisation.

    pip install onnx onnxruntime pillow
    vitslim export runs/mine/seed=1/share-0.5 --to onnx --out half.onnx
    python bench/quantise.py half.onnx half-int8.onnx --images photos/val

The activations are calibrated on the images in the folder, of which 128 are enough, normalised as the file says. Give those that the
run held out, not those that you test on. A file `.npy` of pixels, [images, channels, size, size], does as well.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


def description(path):
    """What the file says of its images."""
    metadata = {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}
    return json.loads(metadata["images"])


def read(path, images):
    """The pixels of an image, [channels, size, size]: its shorter side resized, and the centre cut out."""
    from PIL import Image

    image = Image.open(path).convert("L" if images["channels"] == 1 else "RGB")
    size, resize = images["size"], images["resize"] or images["size"]
    scale = resize / min(image.size)
    image = image.resize([max(size, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    left, top = ((side - size) // 2 for side in image.size)
    pixels = np.asarray(image.crop((left, top, left + size, top + size)), "float32")
    return pixels.reshape(size, size, images["channels"]).transpose(2, 0, 1)


def pixels(source, images, count):
    """At most `count` images from a folder, or from a file of pixels."""
    if source.suffix == ".npy":
        return np.load(source)[:count].astype("float32")
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    random.Random(0).shuffle(files)
    return np.stack([read(path, images) for path in files[:count]])


def normalised(pixels, images):
    mean, std = (np.array(images[name], "float32").reshape(-1, 1, 1) for name in ("mean", "std"))
    return (pixels / images["white"] - mean) / std


class Images(CalibrationDataReader):
    def __init__(self, batches):
        self.batches = iter(batches)

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}


def quantise(path, out, images):
    """Writes `out`, whose products of weights and activations are in int8; `images` are normalised."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(out),
            Images(np.array_split(images, max(1, len(images) // 16))),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # The products of attention have no weights, and stay in f32.
            extra_options={"MatMulConstBOnly": True},
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="a folder, or a `.npy` of pixels")
    parser.add_argument("--count", type=int, default=128)
    args = parser.parse_args()
    images = description(args.model)
    quantise(args.model, args.out, normalised(pixels(args.images, images, args.count), images))


if __name__ == "__main__":
    main()
