"""Makes the pickles in this folder, with the operations that Python 2 wrote CIFAR's with; Python 3 writes others.

They are small: four images each. Run it again, and they do not change.
"""

import pickle
import struct
from pathlib import Path

import numpy


class Writer:
    """Writes values as `cPickle.dump(value, file, 2)` of Python 2 does."""

    def __init__(self):
        self.bytes = b"\x80\x02"
        self.places = 0

    def put(self):
        self.places += 1
        self.bytes += b"q" + bytes([self.places])

    def string(self, value, put=True):
        length = len(value)
        self.bytes += b"U" + bytes([length]) if length < 256 else b"T" + struct.pack("<i", length)
        self.bytes += value
        if put:
            self.put()

    def number(self, value):
        if 0 <= value < 1 << 8:
            self.bytes += b"K" + bytes([value])
        elif 0 <= value < 1 << 16:
            self.bytes += b"M" + struct.pack("<H", value)
        else:
            self.bytes += b"J" + struct.pack("<i", value)

    def list(self, values):
        self.bytes += b"]"
        self.put()
        self.bytes += b"("
        for value in values:
            self.number(value) if isinstance(value, int) else self.string(value)
        self.bytes += b"e"

    def name(self, module, name):
        self.bytes += b"c" + module + b"\n" + name + b"\n"
        self.put()

    def array(self, rows, columns, content):
        self.name(b"numpy.core.multiarray", b"_reconstruct")
        self.name(b"numpy", b"ndarray")
        self.bytes += b"K\x00\x85"
        self.string(b"b", put=False)
        self.bytes += b"\x87R"
        self.put()
        self.bytes += b"(K\x01"
        self.number(rows)
        self.number(columns)
        self.bytes += b"\x86"
        self.name(b"numpy", b"dtype")
        self.string(b"u1", put=False)
        self.bytes += b"K\x00K\x01\x87R"
        self.put()
        self.bytes += b"(K\x03"
        self.string(b"|", put=False)
        self.bytes += b"NNN"
        self.number(-1)
        self.number(-1)
        self.bytes += b"K\x00tb\x89"
        self.string(content, put=False)
        self.bytes += b"tb"

    def dict(self, entries):
        self.bytes += b"}"
        self.put()
        self.bytes += b"("
        for key, value in entries:
            self.string(key)
            if isinstance(value, list):
                self.list(value)
            elif isinstance(value, tuple):
                self.array(*value)
            else:
                self.string(value)
        self.bytes += b"u."


def pixels(image):
    """As those of the binary files in the tests."""
    return b"".join(bytes([7 + c]) + bytes([100 * c + image]) * 1023 for c in range(3))


def main():
    data = (4, 3072, b"".join(pixels(image) for image in range(4)))
    filenames = [f"caf\xe9_s_{image:06}.png".encode("latin-1") for image in range(4)]
    files = {
        "data_batch_1": [
            (b"batch_label", b"training batch 1 of 5"),
            (b"labels", [9 - image for image in range(4)]),
            (b"data", data),
            (b"filenames", filenames),
        ],
        "train": [
            (b"filenames", filenames),
            (b"batch_label", b"training batch 1 of 1"),
            (b"fine_labels", [90 + image for image in range(4)]),
            (b"coarse_labels", list(range(4))),
            (b"data", data),
        ],
    }
    for name, entries in files.items():
        writer = Writer()
        writer.dict(entries)
        Path(__file__).with_name(name).write_bytes(writer.bytes)
        read = pickle.loads(writer.bytes, encoding="latin1")
        assert [key.encode() for key in read] == [key for key, _ in entries]
        assert (read["data"] == numpy.frombuffer(data[2], numpy.uint8).reshape(4, 3072)).all()


if __name__ == "__main__":
    main()
