"""Makes the JPEGs beside it, and for each a PNG of what Pillow reads: with Pillow 13 and NumPy."""

import io
import pathlib

import numpy
from PIL import Image, ImageCms

HERE = pathlib.Path(__file__).parent
y, x = numpy.mgrid[0:16, 0:16] / 15
COLOURS = numpy.stack([255 * x, 160 + 60 * y, 200 * (1 - x)], axis=2).astype("uint8")
INKS = numpy.stack([255 * x, 220 * y, 200 * (1 - x), 90 * (1 - y)], axis=2).astype("uint8")
JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"


def adobe(transform):
    return b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def encoded(pixels, mode, **options):
    """The bytes of a JPEG without JFIF and Adobe segments."""
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "JPEG", quality=95, **options)
    jpeg, at = file.getvalue(), 2
    while jpeg[at + 1] != 0xDB:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg[:2] + jpeg[at:]


def profile():
    """A segment with an ICC profile by which red and blue change places. Pillow reads the colours as they are stored."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = icc.index(b"rXYZ"), icc.index(b"bXYZ")
    swapped = bytearray(icc)
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    data = b"ICC_PROFILE\0\x01\x01" + swapped
    return b"\xff\xe2" + (len(data) + 2).to_bytes(2, "big") + data


def with_segments(jpeg, *segments):
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


ycc = encoded(COLOURS, "RGB", subsampling=0)
# libjpeg writes the four channels as they are, and Pillow inverts them.
inks = encoded(INKS, "CMYK", subsampling=0)
files = {
    "ycc_jfif": with_segments(ycc, JFIF),
    "ycc_half": with_segments(encoded(COLOURS, "RGB", subsampling=2), JFIF),
    "ycc_progressive": with_segments(encoded(COLOURS, "RGB", subsampling=0, progressive=True), JFIF),
    "ycc_restarts": with_segments(encoded(COLOURS, "RGB", subsampling=0, restart_marker_blocks=1), JFIF),
    "ycc_icc": with_segments(ycc, JFIF, profile()),
    "ycc_jfif_adobe_0": with_segments(ycc, JFIF, adobe(0)),
    "rgb_adobe_0": with_segments(ycc, adobe(0)),
    "ycc_adobe_2": with_segments(ycc, adobe(2)),
    "ycc_adobe_7": with_segments(ycc, adobe(7)),
    "ycc_two_adobe": with_segments(ycc, adobe(0), adobe(1)),
    "rgb_names": encoded(COLOURS, "RGB", keep_rgb=True),
    "gray_adobe_0": with_segments(encoded(COLOURS[:, :, 0].copy(), "L"), adobe(0)),
    "cmyk_plain": inks,
    "cmyk_adobe_0": with_segments(inks, adobe(0)),
    "ycck_adobe_1": with_segments(inks, adobe(1)),
    "ycck_adobe_2": with_segments(inks, adobe(2)),
    "ycck_jfif_adobe_2": with_segments(inks, JFIF, adobe(2)),
}
for name, jpeg in files.items():
    (HERE / f"{name}.jpg").write_bytes(jpeg)
    read = Image.open(io.BytesIO(jpeg)).convert("RGB")
    read.save(HERE / f"{name}.png", optimize=True)
    print(name, len(jpeg), (numpy.asarray(read) / 255).mean(axis=(0, 1)).round(3))
