"""The logits of a sub-network that vitslim cut out of a ViT, by PyTorch, from the files in its folder alone.

    pip install torch safetensors
    python logits.py runs/quickstart/seed=42/subnets/share-0.5-0.5-0.7 images.safetensors

The second file has `pixels`, [images, channels, height, width], from 0 to white, in the size that the network takes. The program
prints the class of each image. With a third argument, it saves `pixels` and `logits` to that file.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file


def merged(x, sizes, stay, go, prefix):
    """The tokens of `x` that `stay`, into the most similar of which, but for the first `prefix`, those that `go` are averaged, and how many
    are in each."""
    left, total = (x * sizes)[:, stay], sizes[:, stay]
    if go:
        direction = F.normalize(x, dim=-1)
        into = prefix + (direction[:, go] @ direction[:, stay[prefix:]].mT).argmax(-1, keepdim=True)
        left = left.scatter_add(1, into.expand(-1, -1, x.shape[-1]), (x * sizes)[:, go])
        total = total.scatter_add(1, into, sizes[:, go])
    return left / total, total


class Subnet:
    def __init__(self, folder):
        self.network = json.loads((Path(folder) / "network.json").read_text())
        self.weights = load_file(Path(folder) / "model.safetensors")
        assert (self.network["version"], self.network["architecture"]) == (1, "vit")
        assert set(self.network["activations"]) <= {"gelu", "log"}

    def linear(self, path, x):
        return F.linear(x, self.weights[path + ".weight"], self.weights.get(path + ".bias"))

    def norm(self, path, x):
        """Layer norm in which the features that were cut out of the width count as zeros."""
        width, epsilon = (self.network["constants"][path][name] for name in ("width", "epsilon"))
        mean = x.sum(-1, keepdim=True) / width
        centred = x - mean
        cut = (width - x.shape[-1]) * mean.square()
        variance = (centred.square().sum(-1, keepdim=True) + cut) / width
        return centred / (variance + epsilon).sqrt() * self.weights[path + ".weight"] + self.weights[path + ".bias"]

    def attention(self, path, x, sizes):
        """A token counts as often as tokens are merged in it."""
        heads = self.network["heads"][path + ".head_dim"]
        qkv = self.linear(path + ".qkv", x).split([sum(heads["sizes"])] * 3, -1)
        outputs = [x[..., :0]]
        for q, k, v in zip(*(part.split(heads["sizes"], -1) for part in qkv)):
            outputs.append((q @ k.mT * heads["scale"] + sizes.log().mT).softmax(-1) @ v)
        return self.linear(path + ".proj", torch.cat(outputs, -1))

    def mlp(self, path, x):
        return self.linear(path + ".fc2", F.gelu(self.linear(path + ".fc1", x)))

    def logits(self, pixels):
        """[images, classes] of [images, channels, height, width]."""
        images, config = self.network["images"], self.network["config"]
        mean, std = (torch.tensor(images[name]).reshape(1, -1, 1, 1) for name in ("mean", "std"))
        x = (pixels / images["white"] - mean) / std
        weight, bias = self.weights["patch_embed.proj.weight"], self.weights["patch_embed.proj.bias"]
        x = F.conv2d(x, weight, bias, stride=config["patch_size"]).flatten(2).mT
        x = torch.cat([self.weights["cls_token"].expand(len(x), -1, -1), x], 1) + self.weights["pos_embed"]
        there, sizes = list(range(x.shape[1] - 1)), x.new_ones(*x.shape[:2], 1)
        for block in (f"blocks.{index}" for index in range(config["depth"])):
            tokens = self.network["tokens"][block + ".tokens"]
            prefix, keep = tokens["prefix"], tokens["merge_into" if "merge_into" in tokens else "keep"]
            stay = list(range(prefix)) + [prefix + there.index(token) for token in keep]
            go = [token for token in range(x.shape[1]) if token not in stay]
            x, sizes = merged(x, sizes, stay, go if "merge_into" in tokens else [], prefix)
            there = keep
            x = x + self.attention(block + ".attn", self.norm(block + ".norm1", x), sizes)
            x = x + self.mlp(block + ".mlp", self.norm(block + ".norm2", x))
        return self.linear("head", self.norm("norm", x)[:, 0])


@torch.inference_mode()
def main():
    subnet, pixels = Subnet(sys.argv[1]), load_file(sys.argv[2])["pixels"]
    logits = subnet.logits(pixels)
    for number, label in enumerate(logits.argmax(1).tolist()):
        print(number, subnet.network["classes"][label])
    if len(sys.argv) > 3:
        save_file({"pixels": pixels, "logits": logits}, sys.argv[3])


if __name__ == "__main__":
    main()
