"""ViT-Slim in plain PyTorch: the side that `recipe.py` puts beside vitslim.

Dense training, a search with soft masks and an l1 penalty, hard masks for each budget, and retraining under them, by the formulas of
the paper. The network is timm's ViT of this size, written out because masks reach into it.
"""

import gzip
import math

import numpy
import torch
import torch.nn.functional as F
from torch import nn

DIM, DEPTH, HEADS, PATCH, HIDDEN, TOKENS = 96, 6, 3, 4, 384, 50
HEAD_DIM = DIM // HEADS
BATCH, SMOOTHING, SHIFT = 128, 0.1, 2
PENALTY = {"head_dim": 2e-4, "hidden": 5e-5, "tokens": 1e-4}
MEAN, DEVIATION = 0.2860, 0.3530


class Images:
    """Fashion-MNIST in memory."""

    def __init__(self, folder):
        read = lambda name, start: numpy.frombuffer(gzip.open(f"{folder}/{name}.gz").read(), numpy.uint8, offset=start)
        images = lambda name: torch.from_numpy(read(name, 16).copy()).reshape(-1, 1, 28, 28)
        labels = lambda name: torch.from_numpy(read(name, 8).copy()).long()
        self.train = images("train-images-idx3-ubyte"), labels("train-labels-idx1-ubyte")
        self.test = images("t10k-images-idx3-ubyte"), labels("t10k-labels-idx1-ubyte")


def normalised(images):
    return (images.float() / 255 - MEAN) / DEVIATION


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.fc1, self.fc2 = nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)
        self.masks = nn.ParameterDict({
            "head_dim": torch.ones(HEADS, HEAD_DIM),
            "hidden": torch.ones(HIDDEN),
            "tokens": torch.full((TOKENS,), 3.0),
        })
        self.hard = None

    def gates(self):
        """What the masks multiply by: tokens by a tanh; after the cut, 0 or 1."""
        if self.hard is not None:
            return self.hard
        return {name: torch.tanh(mask) if name == "tokens" else mask for name, mask in self.masks.items()}

    def forward(self, x, masked):
        batch = x.shape[0]
        gates = self.gates() if masked else {}
        tokens = gates["tokens"][None, :, None] if masked else 1.0
        y = self.norm1(x) * tokens
        q, k, v = self.qkv(y).reshape(batch, TOKENS, 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
        if masked:
            q, k, v = (part * gates["head_dim"][None, :, None, :] for part in (q, k, v))
        y = ((q @ k.transpose(-2, -1)) * HEAD_DIM**-0.5).softmax(-1) @ v
        x = x + self.proj(y.transpose(1, 2).reshape(batch, TOKENS, DIM))
        y = F.gelu(self.fc1(self.norm2(x) * tokens))
        return x + self.fc2(y * gates["hidden"] if masked else y)


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(1, DIM, PATCH, PATCH)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, DIM)), nn.Parameter(torch.zeros(1, TOKENS, DIM))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(DIM, eps=1e-6), nn.Linear(DIM, 10)
        nn.init.normal_(self.cls, std=1e-6)
        nn.init.trunc_normal_(self.pos, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images, masked=False):
        x = self.embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x, masked)
        return self.head(self.norm(x)[:, 0])

    def penalty(self):
        """The l1 norms of all gates, weighted."""
        gates = [block.gates() for block in self.blocks]
        return sum(weight * gate[name].abs().sum() for gate in gates for name, weight in PENALTY.items())


def top1(model, images, masked):
    pixels, labels = images.test
    with torch.no_grad():
        answers = torch.cat([model(normalised(part), masked).argmax(1) for part in pixels.split(500)])
    return 100 * (answers == labels).float().mean().item()


def rate(step, steps, warmup):
    """The factor on the learning rate at a step, from 0: a linear rise, then half a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


class Recipe:
    """The recipe at one seed."""

    def __init__(self, images, seed):
        torch.manual_seed(seed)
        self.images, self.random = images, numpy.random.default_rng(seed)
        self.model = Vit()

    def augmented(self, pixels):
        """A crop moved by up to two pixels, and a flip."""
        padded = F.pad(pixels, (SHIFT,) * 4)
        down, right = self.random.integers(0, 2 * SHIFT + 1, (2, len(pixels)))
        crops = torch.stack([image[:, y : y + 28, x : x + 28] for image, y, x in zip(padded, down, right)])
        flip = torch.from_numpy(self.random.random(len(pixels)) < 0.5)
        return torch.where(flip[:, None, None, None], crops.flip(-1), crops)

    def optimizer(self, lr, weight_decay, searching):
        """AdamW, with weight decay of everything but masks, which only a search trains."""
        masks = [mask for block in self.model.blocks for mask in block.masks.values()]
        known = {id(mask) for mask in masks}
        weights = [parameter for parameter in self.model.parameters() if id(parameter) not in known]
        groups = [{"params": weights, "weight_decay": weight_decay}]
        if searching:
            groups.append({"params": masks, "weight_decay": 0.0})
        return torch.optim.AdamW(groups, lr)

    def train(self, epochs, lr, weight_decay, masked=False, searching=False):
        pixels, labels = self.images.train
        per_epoch = len(pixels) // BATCH
        steps, step = epochs * per_epoch, 0
        optimizer = self.optimizer(lr, weight_decay, searching)
        for _ in range(epochs):
            order = torch.from_numpy(self.random.permutation(len(pixels)))
            for batch in order[: per_epoch * BATCH].split(BATCH):
                if not searching:
                    for group in optimizer.param_groups:
                        group["lr"] = lr * rate(step, steps, steps // 20)
                logits = self.model(normalised(self.augmented(pixels[batch])), masked)
                loss = F.cross_entropy(logits, labels[batch], label_smoothing=SMOOTHING)
                if searching:
                    loss = loss + self.model.penalty()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1

    def cut(self, budget):
        """Hard masks for a budget. One threshold a kind; a token that a block needs, all blocks before it keep. Returns the share of
        tokens that are kept so, in percent."""
        gates = [{name: gate.detach() for name, gate in block.gates().items()} for block in self.model.blocks]
        least = {}
        for name, share in budget.items():
            values = torch.cat([gate[name].flatten() for gate in gates]).sort().values
            least[name] = values[int((1 - share) * len(values))]
        needed = torch.zeros(TOKENS)
        for block, gate in zip(reversed(self.model.blocks), reversed(gates)):
            hard = {name: (gate[name] >= least[name]).float() for name in budget}
            needed = hard["tokens"] = torch.maximum(needed, hard["tokens"])
            block.hard = hard
        return 100 * torch.stack([block.hard["tokens"] for block in self.model.blocks]).mean().item()

    def run(self, epochs, budgets):
        """Yields the name of each network and its top-1 on the test split, and of each budget the tokens that are kept; in percent."""
        pretraining, search, retraining = epochs
        self.train(pretraining, 1e-3, 0.05)
        yield "dense", top1(self.model, self.images, False)
        self.train(search, 5e-4, 1e-3, masked=True, searching=True)
        yield "searched", top1(self.model, self.images, True)
        searched = {name: value.clone() for name, value in self.model.state_dict().items()}
        for budget in budgets:
            for block in self.model.blocks:
                block.hard = None
            self.model.load_state_dict(searched)
            tokens = self.cut(budget)
            name = "-".join(str(share) for share in budget.values())
            yield f"{name} tokens", tokens
            yield f"{name} cut", top1(self.model, self.images, True)
            self.train(retraining, 5e-4, 0.05, masked=True)
            yield f"{name} retrained", top1(self.model, self.images, True)
