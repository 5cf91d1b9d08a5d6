"""{title}

    from {module} import load

    network = load()          # with the weights in `{module}.safetensors`, beside this file
    {use}

`network.description` has the names of the classes, and says how pixels are normalised: `(pixel / white - mean) / std`. The network
can be trained further; dropout and stochastic depth are left out. vitslim {version} wrote this file. It needs torch alone.{features}
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

# Tensors that are not trained.
BUFFERS = {buffers}


class Part(nn.Module):
    """A part of the network. The parts of a list have numbers for names."""

    def __getitem__(self, number):
        return getattr(self, str(number))


class Network(Part):
    def __init__(self, tensors, description):
        super().__init__()
        self.description = description
        for path, values in tensors.items():
            *parts, name = path.split(".")
            part = self
            for inner in parts:
                if not hasattr(part, inner):
                    part.add_module(inner, Part())
                part = getattr(part, inner)
            if path in BUFFERS:
                part.register_buffer(name, values)
            else:
                part.register_parameter(name, nn.Parameter(values))

    def forward(self, images):
        batch = images.shape[0]
{forward}

def read(path):
    """The tensors of a safetensors file, and what its metadata say of the network."""
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    description = json.loads(header.pop("__metadata__")["vitslim"])["network"]
    types = {"F32": torch.float32, "F64": torch.float64, "I32": torch.int32, "I64": torch.int64}
    tensors = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        values = torch.empty(entry["shape"], dtype=types[entry["dtype"]])
        if end > begin:
            values.copy_(torch.frombuffer(bytearray(data[begin:end]), dtype=values.dtype).reshape(values.shape))
        tensors[name] = values
    return tensors, description


def load(path=Path(__file__).with_suffix(".safetensors")):
    """The network with the weights in the file at `path`, for evaluation."""
    return Network(*read(path)).eval()
