"""The PyTorch side: timm's ViT, ViT-Slim's gating of activations, and ViTs of smaller blocks."""

import time

import timm
import torch
import torch.nn.functional as F
from torch import nn

IMAGE, CLASSES = 224, 1000

# Stochastic depth in training and search, that of vitslim's presets of DeiT. timm has none unless asked.
DROP_PATH = 0.1

# Sizes are multiples of it, as `round_to` has it in the experiments.
MULTIPLE = 8

# Of the search that is measured; they change no time.
HEAD_DIM_WEIGHT, HIDDEN_WEIGHT, LEARNING_RATE = 1e-4, 1e-5, 1e-4


class GatedAttention(nn.Module):
    """timm's attention with a mask on each dim of each head, of queries, keys and values alike.

    As in ViT-Slim (Chavan et al. 2022): `q, k, v = z * q, z * k, z * v`.
    """

    def __init__(self, attention):
        super().__init__()
        self.attention = attention
        self.mask = nn.Parameter(torch.ones(1, 1, attention.num_heads, 1, attention.head_dim))

    def forward(self, x, **_):
        inner = self.attention
        batch, tokens, dim = x.shape
        qkv = inner.qkv(x).reshape(batch, tokens, 3, inner.num_heads, inner.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = (qkv * self.mask).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return inner.proj(x.transpose(1, 2).reshape(batch, tokens, dim))


class GatedMlp(nn.Module):
    """timm's MLP with a mask on each hidden unit: `fc2(z * gelu(fc1(x)))`."""

    def __init__(self, mlp):
        super().__init__()
        self.mlp = mlp
        self.mask = nn.Parameter(torch.ones(1, 1, mlp.fc1.out_features))

    def forward(self, x):
        return self.mlp.fc2(self.mlp.act(self.mlp.fc1(x)) * self.mask)


class SmallAttention(nn.Module):
    """Attention whose heads all have `head_dim` dims, with the softmax scale of the original size."""

    def __init__(self, dim, heads, head_dim, scale):
        super().__init__()
        self.heads, self.head_dim, self.scale = heads, head_dim, scale
        self.qkv, self.proj = nn.Linear(dim, 3 * heads * head_dim), nn.Linear(heads * head_dim, dim)

    def forward(self, x, **_):
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(*qkv.unbind(0), scale=self.scale)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, -1))


def dense(name):
    return timm.create_model(name, num_classes=CLASSES, drop_path_rate=DROP_PATH)


def gated(name):
    model = dense(name)
    for block in model.blocks:
        block.attn, block.mlp = GatedAttention(block.attn), GatedMlp(block.mlp)
    return model


def spread(units, share, blocks):
    """For each block the multiple of 8 to keep of `units`, which may differ by one from block to block, so that all together keep `share`."""
    total = round(units * share * blocks / MULTIPLE)
    ends = [total * block // blocks for block in range(blocks + 1)]
    return [MULTIPLE * (end - start) for start, end in zip(ends, ends[1:])]


def small(name, share):
    """The ViT whose heads and MLPs keep `share` of their units, all heads of a block the same."""
    model = dense(name)
    blocks = len(model.blocks)
    first = model.blocks[0]
    head_dims, hidden_units = (spread(units, share, blocks) for units in (first.attn.head_dim, first.mlp.fc1.out_features))
    for block, head_dim, hidden in zip(model.blocks, head_dims, hidden_units):
        attention, dim = block.attn, model.embed_dim
        block.attn = SmallAttention(dim, attention.num_heads, head_dim, attention.scale)
        block.mlp.fc1, block.mlp.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
    return model


def penalty(model):
    """The l1 norms of the masks, weighed."""
    blocks = model.blocks
    return sum(HEAD_DIM_WEIGHT * b.attn.mask.abs().sum() + HIDDEN_WEIGHT * b.mlp.mask.abs().sum() for b in blocks)


class Work:
    """Things to be measured by name, each a function that returns when the device has ended."""

    def __init__(self, name, shares, batch, device, precision, compiled):
        """`precision` is what vitslim computes in, in its own words: `f32`, `f32 or tf32`, `bf16`."""
        self.device, self.precision = torch.device(device), precision
        self.images = torch.randn(batch, 3, IMAGE, IMAGE, device=self.device)
        self.labels = torch.randint(CLASSES, (batch,), device=self.device)
        tf32 = "tf32" in precision
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        prepare = (lambda model: torch.compile(model.to(self.device))) if compiled else (lambda model: model.to(self.device))
        self.todo = {
            "training": self.step(prepare(dense(name)), lambda model: 0.0),
            "search": self.step(prepare(gated(name)), penalty),
            "inference": self.inference(prepare(dense(name))),
        }
        for share in shares:
            self.todo[f"inference {share}"] = self.inference(prepare(small(name, share)))

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def sync(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def step(self, model, penalty):
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE)

        def once():
            with self.autocast():
                loss = F.cross_entropy(model(self.images).float(), self.labels)
            loss = loss + penalty(model)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            self.sync()

        return once

    def inference(self, model):
        model.eval()

        def once():
            with torch.inference_mode(), self.autocast():
                model(self.images).float().cpu()

        return once

    def seconds(self, name):
        started = time.perf_counter()
        self.todo[name]()
        return time.perf_counter() - started
