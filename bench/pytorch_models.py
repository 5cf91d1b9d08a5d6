"""The PyTorch side: timm's networks, ViT-Slim's gating of activations, and networks of smaller blocks."""

import time

import timm
import torch
import torch.nn.functional as F
from torch import nn

IMAGE, CLASSES = 224, 1000

# Stochastic depth in training and search, that of vitslim's presets. timm has none unless asked.
DROP_PATH = {"swin_tiny_patch4_window7_224": 0.2}

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


class GatedWindowAttention(nn.Module):
    """timm's attention in windows, gated likewise."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention
        head_dim = attention.qkv.out_features // (3 * attention.num_heads)
        self.mask = nn.Parameter(torch.ones(1, 1, attention.num_heads, 1, head_dim))

    def forward(self, x, mask=None):
        inner = self.attention
        windows, tokens, dim = x.shape
        qkv = inner.qkv(x).reshape(windows, tokens, 3, inner.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = (qkv * self.mask).unbind(0)
        bias = inner._get_rel_pos_bias()
        if mask is not None:
            of_image = mask.view(1, -1, 1, tokens, tokens).expand(windows // len(mask), -1, inner.num_heads, -1, -1)
            bias = bias + of_image.reshape(-1, inner.num_heads, tokens, tokens)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return inner.proj(x.transpose(1, 2).reshape(windows, tokens, -1))


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
    return timm.create_model(name, num_classes=CLASSES, drop_path_rate=DROP_PATH.get(name, 0.1))


def stages(model):
    """The blocks of each width."""
    if hasattr(model, "stages"):
        return [stage.blocks for stage in model.stages]
    return [layer.blocks for layer in model.layers] if hasattr(model, "layers") else [model.blocks]


def gated(name):
    model = dense(name)
    for block in (block for blocks in stages(model) for block in blocks):
        block.mlp = GatedMlp(block.mlp)
        if hasattr(block, "attn"):
            in_windows = hasattr(block.attn, "relative_position_bias_table")
            block.attn = (GatedWindowAttention if in_windows else GatedAttention)(block.attn)
    return model


def spread(units, share, blocks):
    """For each block the multiple of 8 to keep of `units`, which may differ by one from block to block, so that all together keep `share`."""
    total = round(units * share * blocks / MULTIPLE)
    ends = [total * block // blocks for block in range(blocks + 1)]
    return [MULTIPLE * (end - start) for start, end in zip(ends, ends[1:])]


def small(name, share):
    """The network whose heads and MLPs keep `share` of their units, all heads of a block the same."""
    model = dense(name)
    for blocks in stages(model):
        for block, hidden in zip(blocks, spread(blocks[0].mlp.fc1.out_features, share, len(blocks))):
            dim = block.mlp.fc1.in_features
            block.mlp.fc1, block.mlp.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        if not hasattr(blocks[0], "attn"):
            continue
        heads = blocks[0].attn.num_heads
        head_dims = spread(blocks[0].attn.qkv.out_features // (3 * heads), share, len(blocks))
        for block, head_dim in zip(blocks, head_dims):
            attention, dim = block.attn, block.attn.qkv.in_features
            if hasattr(attention, "relative_position_bias_table"):
                # timm's own, which reads the size of its heads off these.
                attention.qkv = nn.Linear(dim, 3 * heads * head_dim)
                attention.proj = nn.Linear(heads * head_dim, dim)
            else:
                block.attn = SmallAttention(dim, heads, head_dim, attention.scale)
    return model


def penalty(model):
    """The l1 norms of the masks, weighed."""
    blocks = [block for blocks in stages(model) for block in blocks]
    of_heads = sum(HEAD_DIM_WEIGHT * block.attn.mask.abs().sum() for block in blocks if hasattr(block, "attn"))
    return of_heads + sum(HIDDEN_WEIGHT * block.mlp.mask.abs().sum() for block in blocks)


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
