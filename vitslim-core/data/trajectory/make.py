"""Makes the golden trajectories of this folder: a small ViT of timm, trained by PyTorch.

    pip install torch==2.15.0 timm==1.0.31 safetensors
    python make.py
    python make.py --rounding

The second command writes nothing: it says how far the same training in f32, and with products in TF32, departs. `README.md` says what
is in the files.
"""

import copy
import gzip
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.layers import set_fused_attn
from timm.models.vision_transformer import VisionTransformer
from timm.optim import Lamb, param_groups_layer_decay, param_groups_weight_decay
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils._python_dispatch import TorchDispatchMode

FOLDER = Path(__file__).parent

IMAGES, BATCH, EPOCHS = 320, 16, 10
STEPS_PER_EPOCH = IMAGES // BATCH
STEPS = EPOCHS * STEPS_PER_EPOCH

# By the names of vitslim's configuration.
MODEL = dict(image_size=8, patch_size=2, channels=1, classes=10, dim=12, depth=2, heads=2, mlp_ratio=2.0)
HEAD_DIM = MODEL["dim"] // MODEL["heads"]
SEARCHED = ["head_dim", "hidden", "tokens"]

# What a search trains beside the weights, by the names of vitslim's experiments.
DIMENSIONS = {
    "head_dim": dict(weight=4e-3, activation="Identity", init=1.0),
    "hidden": dict(weight=2e-3, activation="Identity", init=1.0),
    "tokens": dict(weight=4e-3, activation="Tanh", init=1.5),
}
BUDGET = {"head_dim": 0.5, "hidden": 0.5, "tokens": 0.625}

# What acts in all stages of `together`.
ALL = dict(batch=BATCH, accumulate=2, clip=4.0, label_smoothing=0.1, layer_decay=0.7, ema=0.9)

# Settings of each experiment's stages, by the names of vitslim's experiments. What is left out is vitslim's default.
EXPERIMENTS = {
    "plain": dict(
        pretrain=dict(lr=4e-3, warmup_epochs=1),
        search=dict(lr=2e-3),
        retrain=dict(lr=2e-3, warmup_epochs=2, final_lr=1e-4),
        cut="Hard",
    ),
    "together": dict(
        pretrain=dict(lr=8e-3, warmup_epochs=2, final_lr=1e-4, weight_decay=0.1, beta1=0.85, beta2=0.98, epsilon=1e-6, **ALL),
        # An average whose decay rises to the end.
        search=dict(ALL, lr=4e-3, warmup_epochs=1, masks_lr=1e-2, ema=0.99),
        retrain=dict(lr=4e-3, warmup_epochs=1, **ALL),
        cut="Fold",
    ),
}
# One setting each, so that a departure of `together` can be told apart.
ALONE = dict(
    clip=dict(clip=4.0),
    layer_decay=dict(layer_decay=0.7),
    label_smoothing=dict(label_smoothing=0.1, accumulate=2),
    sgd=dict(optimizer="Sgd", lr=5e-3, weight_decay=1e-2),
    sgd_without_nesterov=dict(optimizer="Sgd", lr=8e-3, weight_decay=1e-2, momentum=0.8, nesterov="false"),
    # Which clips to a norm of 1, by itself.
    lamb=dict(optimizer="Lamb", lr=4e-3),
    warmup_lr=dict(lr=1e-3, lr_of_batch=8, warmup_lr=1e-4, final_lr=1e-5),
)


def ron(name, experiment):
    """The experiment in vitslim's language."""
    def stage(settings, more=""):
        settings = dict(warmup_epochs=0, label_smoothing=0.0) | settings
        optimizer = ", ".join(f"{key}: {settings[key]}" for key in ["lr", "weight_decay", "beta1", "beta2", "epsilon", "momentum", "nesterov"] if key in settings)
        schedule = ", ".join(f"{key}: {settings[key]}" for key in ["warmup_epochs", "warmup_lr", "final_lr"] if key in settings)
        others = "".join(f"        {key}: {settings[key]},\n" for key in ["lr_of_batch", "accumulate", "clip", "label_smoothing", "layer_decay", "ema"] if key in settings)
        return (f"(\n        epochs: {EPOCHS},\n        batch: {BATCH},\n        optimizer: {settings.get('optimizer', 'AdamW')}({optimizer}),\n"
                f"        schedule: Cosine({schedule}),\n{others}{more}    )")

    shares = ", ".join(f'"{key}": {share}' for key, share in BUDGET.items())
    dimensions = "".join(f'            "{key}": (weight: {d["weight"]}, activation: {d["activation"]}, init: {d["init"]}),\n'
                         for key, d in DIMENSIONS.items())
    search = experiment["search"]
    masks = f"        masks: (lr: {search['masks_lr']}),\n" if "masks_lr" in search else ""
    # Images and classes are those of the data.
    config = ", ".join(f"{key}: {MODEL[key]}" for key in ["patch_size", "dim", "depth", "heads", "mlp_ratio"])
    return (f"// Written by make.py, which trains by the same settings.\n"
            f'Experiment(\n    name: "{name}",\n    model: (architecture: "vit", config: ({config})),\n    data: Digits,\n'
            f"    pretrain: {stage(experiment['pretrain'])},\n"
            f"    search: {stage(search, masks + '        dimensions: {' + chr(10) + dimensions + '        },' + chr(10))},\n"
            f"    budgets: [Share({{ {shares} }})],\n    cut: {experiment['cut']},\n"
            f"    retrain: {stage(experiment['retrain'])},\n)\n")


def digits():
    """Pixels from 0 to 16, `[images, 64]`, and labels of the first images of the digits."""
    lines = gzip.open(FOLDER.parent / "digits" / "digits.csv.gz", "rt").read().split()[:IMAGES]
    values = torch.tensor([[int(value) for value in line.split(",")] for line in lines], dtype=torch.uint8)
    return values[:, :64].contiguous(), values[:, 64].contiguous()


def batches(seed):
    """Indices of the images of each step, `[steps, batch]`."""
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(IMAGES, generator=generator) for _ in range(EPOCHS)]
    return torch.cat(orders).reshape(STEPS, BATCH)


def initial():
    """timm's model, whose every parameter is random: a bias of 0 would hide a bias that was left out."""
    torch.manual_seed(17)
    model = VisionTransformer(img_size=MODEL["image_size"], patch_size=MODEL["patch_size"], in_chans=MODEL["channels"],
                              num_classes=MODEL["classes"], embed_dim=MODEL["dim"], depth=MODEL["depth"],
                              num_heads=MODEL["heads"], mlp_ratio=MODEL["mlp_ratio"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.1 if parameter.ndim == 1 else 0.25)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return model


class Network(nn.Module):
    """timm's ViT; in a search, with masks that gate as in ViT-Slim; after a cut, with units and tokens that are gone."""

    def __init__(self, model):
        super().__init__()
        self.model, self.masks, self.kept = model, nn.ParameterDict(), None

    def gates(self, block):
        """What multiplies head dims, hidden units and the norms of tokens."""
        if self.kept is not None:
            return self.kept[block]
        values = {name: self.masks[f"{name}{block}"] for name in SEARCHED}
        return {name: torch.tanh(value) if DIMENSIONS[name]["activation"] == "Tanh" else value for name, value in values.items()}

    def forward(self, images):
        model = self.model
        if not self.masks and self.kept is None:
            return model(images)
        x = model._pos_embed(model.patch_embed(images))
        tokens = torch.arange(x.shape[1])
        for index, block in enumerate(model.blocks):
            gates = self.gates(index)
            if self.kept is not None:
                # A cut token is gone from here on; the class token always stays.
                stays = torch.cat([torch.ones(1), gates["tokens"]])[tokens] > 0
                x, tokens, scale = x[:, stays], tokens[stays], 1.0
            else:
                scale = torch.cat([torch.ones(1, dtype=x.dtype), gates["tokens"]])[None, :, None]
            x = x + attention(block.attn, block.norm1(x) * scale, gates["head_dim"])
            mlp = block.mlp
            x = x + mlp.fc2(mlp.act(mlp.fc1(block.norm2(x) * scale)) * gates["hidden"])
        return model.head(model.norm(x)[:, 0])

    def search(self):
        for name, dimension in DIMENSIONS.items():
            units = dict(head_dim=MODEL["dim"], hidden=int(MODEL["dim"] * MODEL["mlp_ratio"]), tokens=16)[name]
            for block in range(MODEL["depth"]):
                self.masks[f"{name}{block}"] = nn.Parameter(torch.full((units,), dimension["init"]))

    def penalty(self):
        return sum(DIMENSIONS[name]["weight"] * gate.abs().sum()
                   for block in range(MODEL["depth"]) for name, gate in self.gates(block).items())

    def cut(self, how):
        """Keeps the largest masks, all blocks ranked together; those that stay are folded into the weights, or count as 1."""
        with torch.no_grad():
            gates = [self.gates(block) for block in range(MODEL["depth"])]
            kept = [{} for _ in gates]
            for name, share in BUDGET.items():
                values = torch.stack([gate[name] for gate in gates])
                if name == "tokens":
                    # A token that a block needs, all blocks before it keep.
                    values = values.flip(0).cummax(0).values.flip(0)
                ranked = values.flatten().sort(descending=True).values
                count = int(share * len(ranked))
                # Equal values are those of one token in several blocks.
                assert ranked[count - 1] - ranked[count] > 1e-4, f"{name}: {ranked[count - 1] - ranked[count]}"
                for mask, value in zip(kept, values):
                    mask[name] = (value >= ranked[count - 1]).to(value.dtype)
            if how == "Fold":
                for block, gate in zip(self.model.blocks, gates):
                    block.attn.qkv.weight.mul_(gate["head_dim"].repeat(3)[:, None])
                    block.attn.qkv.bias.mul_(gate["head_dim"].repeat(3))
                    block.mlp.fc2.weight.mul_(gate["hidden"])
        self.masks, self.kept = nn.ParameterDict(), kept


def attention(attn, x, gate):
    """timm's attention with a factor on each dim of each head, of queries, keys and values alike."""
    batch, tokens, dim = x.shape
    qkv = attn.qkv(x).reshape(batch, tokens, 3, MODEL["heads"], HEAD_DIM).permute(2, 0, 3, 1, 4)
    q, k, v = (qkv * gate.reshape(1, 1, MODEL["heads"], 1, HEAD_DIM)).unbind(0)
    scores = (q @ k.transpose(-2, -1)) * attn.scale
    return attn.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, dim))


def rate(lr, step, settings):
    """The learning rate of a step, from 0: a linear rise, then half a cosine."""
    warmup = settings.get("warmup_epochs", 0) * STEPS_PER_EPOCH
    if step < warmup and "warmup_lr" in settings:
        return settings["warmup_lr"] + step * (lr - settings["warmup_lr"]) / warmup
    if step < warmup:
        return lr * (step + 1) / warmup
    final = min(settings.get("final_lr", 0.0), lr)
    return final + (lr - final) * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup))) / 2


def full_rate(settings):
    """The learning rate, linearly scaled to the batch."""
    return settings["lr"] * BATCH / settings.get("lr_of_batch", BATCH)


def optimizer(network, settings):
    """timm's groups, and the masks in one of their own."""
    model, weight_decay = network.model, settings.get("weight_decay", 0.05)
    spared = model.no_weight_decay()
    if "layer_decay" in settings:
        groups = param_groups_layer_decay(model, weight_decay, spared, layer_decay=settings["layer_decay"])
    else:
        groups = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=spared)
    groups = [dict(group, base=full_rate(settings) * group.get("lr_scale", 1.0), scale=group.get("lr_scale", 1.0)) for group in groups]
    if network.masks:
        base = settings.get("masks_lr", full_rate(settings))
        groups.append(dict(params=list(network.masks.parameters()), weight_decay=0.0, base=base, scale=1.0))
    if settings.get("optimizer") == "Sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=settings.get("momentum", 0.9), nesterov="nesterov" not in settings)
    if settings.get("optimizer") == "Lamb":
        return Lamb(groups, lr=1.0)
    betas = settings.get("beta1", 0.9), settings.get("beta2", 0.999)
    return torch.optim.AdamW(groups, lr=1.0, betas=betas, eps=settings.get("epsilon", 1e-8))


def average(decay):
    """The average of vitslim, whose decay rises to `decay`."""
    def step(averaged, parameter, steps):
        d = min(decay, (1 + int(steps)) / (10 + int(steps)))
        return averaged + (1 - d) * (parameter - averaged)

    return step


def train(network, settings, pixels, labels, orders):
    """Trains `network` for a stage. Returns what is compared."""
    groups = optimizer(network, settings)
    told = dict(loss=[], penalty=[], learning_rate=[])
    averaged = AveragedModel(network, avg_fn=average(settings["ema"])) if "ema" in settings else None
    if averaged:
        # The first update takes the weights as they are: those of step 0.
        averaged.update_parameters(network)
    parts, norms = settings.get("accumulate", 1), []
    for step, order in enumerate(orders):
        for group in groups.param_groups:
            # Layers scale the final rate too.
            scaled = dict(settings, final_lr=settings.get("final_lr", 0.0) * group["scale"])
            group["lr"] = rate(group["base"], step, scaled)
        groups.zero_grad()
        loss, penalty = 0.0, 0.0
        for part in order.chunk(parts):
            entropy = F.cross_entropy(network(pixels[part]), labels[part], label_smoothing=settings.get("label_smoothing", 0.0))
            sparsity = network.penalty() if network.masks else torch.zeros(())
            ((entropy + sparsity) / parts).backward()
            loss, penalty = loss + entropy.item() / parts, penalty + sparsity.item() / parts
        if "clip" in settings:
            norms.append(nn.utils.clip_grad_norm_(network.parameters(), settings["clip"]).item())
        groups.step()
        if averaged:
            averaged.update_parameters(network)
        told["loss"].append(loss)
        told["penalty"].append(penalty)
        told["learning_rate"].append(rate(full_rate(settings), step, settings))
    clipped = sum(norm > settings.get("clip", math.inf) for norm in norms)
    assert "clip" not in settings or STEPS / 10 < clipped < STEPS * 9 / 10, f"{clipped} steps are clipped"
    return told, averaged.module if averaged else None, clipped


def rounded(network):
    """With each value as f32 has it, in f64."""
    return copy.deepcopy(network).float().double()


def parameters(network, prefix):
    found = {f"{prefix}weights.{name}": value for name, value in network.model.named_parameters()}
    for key, value in network.masks.items():
        name, block = key[:-1], key[-1]
        part = dict(head_dim="attn.head_dim", hidden="mlp.hidden", tokens="tokens")[name]
        found[f"{prefix}masks.blocks.{block}.{part}"] = value
    return {name: value.detach().float().clone() for name, value in found.items()}


def everything(dtype=torch.float64, starts=None):
    """All trajectories. Stages begin with `starts` of another call, or with what the stage before left."""
    torch.set_default_dtype(dtype)
    pixels, labels = digits()
    # Exact in f32.
    images, classes = (pixels.to(dtype) / 8 - 1).reshape(-1, 1, 8, 8), labels.long()
    found = {"pixels": pixels, "labels": labels}
    orders = {stage: batches(seed) for seed, stage in enumerate(["pretrain", "search", "retrain"])}
    found |= {f"{stage}.batches": order.to(torch.uint16) for stage, order in orders.items()}
    own, clipped = {}, {}

    def run(name, stage, settings, network):
        if starts is None:
            network = rounded(network)
        else:
            network = copy.deepcopy(starts[f"{name}.{stage}"]).to(dtype)
        if network.kept is not None:
            network.kept = [{key: value.to(dtype) for key, value in kept.items()} for kept in network.kept]
        own[f"{name}.{stage}"] = copy.deepcopy(network)
        told, averaged, count = train(network, settings, images, classes, orders[stage])
        prefix = f"{name}.{stage}."
        told = {key: values for key, values in told.items() if key != "penalty" or network.masks}
        found.update({prefix + key: torch.tensor(values, dtype=torch.float64) for key, values in told.items()})
        # Of a setting alone, the losses are enough.
        if name in EXPERIMENTS:
            found.update(parameters(network, prefix))
        if averaged:
            found.update(parameters(averaged, prefix + "average."))
        clipped[f"{name}.{stage}"] = count
        return network

    first = Network(initial())
    found |= parameters(first, "initial.")
    for name, experiment in EXPERIMENTS.items():
        network = run(name, "pretrain", experiment["pretrain"], first)
        network.search()
        network = run(name, "search", experiment["search"], network)
        # The cut too reads masks as the file has them.
        network = rounded(network) if starts is None else network
        network.cut(experiment["cut"])
        network = run(name, "retrain", experiment["retrain"], network)
        for block, kept in enumerate(network.kept):
            for key, part in [("head_dim", "attn.head_dim"), ("hidden", "mlp.hidden"), ("tokens", "tokens")]:
                found[f"{name}.kept.blocks.{block}.{part}"] = kept[key].to(torch.uint8)
    for setting, settings in ALONE.items():
        run(setting, "pretrain", dict(EXPERIMENTS["plain"]["pretrain"], **settings), first)
    return found, own, clipped


class Tf32(TorchDispatchMode):
    """Rounds the factors of every product to ten bits of fraction, as a GPU does in TF32."""

    PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"}

    @staticmethod
    def shortened(value):
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or value.ndim < 2:
            return value
        bits = value.contiguous().view(torch.int32)
        return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in self.PRODUCTS:
            args = [self.shortened(value) for value in args]
        return func(*args, **(kwargs or {}))


def departures(golden, found):
    """How far each trajectory is off, at its worst."""
    for prefix in sorted({name.rsplit(".", 1)[0] for name in golden if name.endswith(".loss")}):
        loss, other = (tensors[f"{prefix}.loss"] + tensors.get(f"{prefix}.penalty", 0.0) for tensors in (golden, found))
        worst = {"loss": ((other - loss).abs() / loss).max().item()}
        for kind in ["masks.", "weights.", "average."]:
            off = [0.0]
            for name in golden:
                if name.startswith(f"{prefix}.{kind}"):
                    difference = (found[name] - golden[name]).abs()
                    if name.endswith("qkv.bias"):
                        difference[MODEL["dim"]:2 * MODEL["dim"]] = 0.0
                    off.append(difference.max().item())
            if len(off) > 1:
                worst[kind.rstrip(".")] = max(off)
        told = ", ".join(f"{kind} {value:.1e}" for kind, value in worst.items())
        print(f"  {prefix}: {told}; loss {loss[0]:.3f} to {loss[-1]:.3f}")


def main():
    torch.set_num_threads(1)
    set_fused_attn(False)
    golden, starts, clipped = everything()
    print(f"steps that are clipped: {clipped}")
    if "--rounding" in sys.argv:
        print("f32")
        departures(golden, everything(torch.float32, starts)[0])
        with Tf32():
            found = everything(torch.float32, starts)[0]
        print("TF32")
        departures(golden, found)
        return
    save_file({name: value.contiguous() for name, value in golden.items()}, FOLDER / "trajectories.safetensors")
    for name, experiment in EXPERIMENTS.items():
        (FOLDER / f"{name}.ron").write_text(ron(name, experiment))
    for setting, settings in ALONE.items():
        alone = dict(EXPERIMENTS["plain"], pretrain=dict(EXPERIMENTS["plain"]["pretrain"], **settings))
        (FOLDER / f"{setting}.ron").write_text(ron(setting, alone))


if __name__ == "__main__":
    main()
