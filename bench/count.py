"""Counts networks by vitslim and by fvcore, layer by layer: parameters and multiply-adds must be equal to the last one.

    pip install torch timm fvcore
    cargo build --release
    python bench/count.py

Each network is counted dense, as timm makes it, and cut, as `vitslim export --to pytorch` writes it. It is cut by masks that two steps on
random images have moved, which takes minutes for all five; a run that is there is not run again.

Counted are the products of fvcore's own handles: linear, conv, matmul, bmm, mm, addmm, einsum. By default fvcore counts 5 operations for
each value of a norm and 1 for each value of a pooling, too; the last column has that. It knows no `scaled_dot_product_attention`: timm's
fused attention is turned off, and that of an exported file replaced by the two products that it stands for.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import timm
import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as HANDLES


def widths(stages):
    """Shares of the width of each stage."""
    return {f"{stages}.{stage}.width": 0.8 for stage in range(4)}


ROOT = Path(__file__).parent.parent
VIT = {"head_dim": 0.6, "hidden": 0.5, "tokens": 0.7}
NETWORKS = {
    "DeiT-Tiny": ("vit", "deit_tiny_patch16_224", VIT),
    "DeiT-Small": ("vit", "deit_small_patch16_224", VIT),
    "DeiT-Base": ("vit", "deit_base_patch16_224", VIT),
    "Swin-Tiny": ("swin", "swin_tiny_patch4_window7_224", {"head_dim": 0.6, "hidden": 0.5} | widths("layers")),
    "ConvNeXt-Tiny": ("convnext", "convnext_tiny", {"hidden": 0.5} | widths("stages")),
}
PRODUCTS = [f"aten::{name}" for name in ("linear", "_convolution", "matmul", "bmm", "mm", "addmm", "einsum")]
# What a weight may pass on its way to a product.
VIEWS = {f"aten::{name}" for name in ("t", "transpose", "permute", "numpy_T", "reshape", "view", "unsqueeze", "expand")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitslim", default=str(ROOT / "target/release/vitslim"), help="the binary")
    parser.add_argument("--folder", type=Path, default=ROOT / "target/count", help="where everything goes")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    return parser.parse_args()


class Explicit:
    """`torch.nn.functional`, but for attention, which is written out."""

    def __getattr__(self, name):
        return getattr(torch.nn.functional, name)

    @staticmethod
    def scaled_dot_product_attention(q, k, v, attn_mask=None, scale=None):
        scores = (q * scale) @ k.transpose(-2, -1)
        return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ v


def layer(value, parameters):
    """The layer whose weight `value` is, if it is one."""
    while value.node().kind() in VIEWS:
        value = next(value.node().inputs())
    if value.node().kind() == "prim::Param" and value.offset() > 0:
        return parameters[value.offset() - 1].rpartition(".")[0]
    return None


def common(before, after):
    """The module that both layers are in."""
    before, after, shared = before.split(".")[:-1], after.split(".")[:-1], []
    for one, other in zip(before, after):
        if one != other:
            break
        shared.append(one)
    return ".".join(shared)


def by_fvcore(model):
    """Parameters, multiply-adds by layer, and what fvcore counts by default. A product without weights belongs to the module that the
    layers before and after it are in, as in `vitslim count`."""
    parameters = list(model.state_dict())
    found, waiting, last = Counter(), [], ""

    def handle(count):
        def counted(inputs, outputs):
            nonlocal last
            flops = count(inputs, outputs)
            macs = sum(flops.values()) if isinstance(flops, Counter) else flops
            layers = [path for value in inputs[:3] if (path := layer(value, parameters))]
            if layers:
                for product in waiting:
                    found[common(last, layers[0])] += product
                waiting.clear()
                last = layers[0]
                found[last] += macs
            else:
                waiting.append(macs)
            return flops

        return counted

    analysis = FlopCountAnalysis(model, torch.zeros(1, 3, 224, 224))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.set_op_handle(**{name: handle(HANDLES[name]) for name in PRODUCTS})
    by_default = analysis.total()
    assert not waiting, "products behind the last layer"
    assert not any("attention" in name for name in analysis.unsupported_ops()), "fused attention is not counted"
    return sum(parameter.numel() for parameter in model.parameters()), +found, by_default


def by_vitslim(args, target, number):
    """Parameters, and multiply-adds by layer, of one of the networks of `target`."""
    printed = subprocess.run([args.vitslim, "count", str(target), "--json"], stdout=subprocess.PIPE, check=True).stdout
    network = json.loads(printed)["networks"][number]
    found = Counter()
    for part in network["layers"]:
        found[part["path"]] += part["macs"]
    assert sum(found.values()) == network["macs"]
    return network["params"], +found


def experiment(args, architecture, preset, shares):
    """A file of an experiment, and the folder of its run."""
    dimensions = ", ".join(f'"{name}": (weight: 1e-4)' for name in shares)
    budget = ", ".join(f'"{name}": {share}' for name, share in shares.items())
    file = args.folder / f"{preset}.ron"
    file.write_text(
        f'Experiment(name: "{preset}", seed: 1, model: (architecture: "{architecture}", preset: "{preset}"), data: Random(images: 10), '
        f"search: (epochs: 1, batch: 4, optimizer: AdamW(lr: 1e-4), masks: (lr: 1e-2), dimensions: {{ {dimensions} }}), "
        f"budgets: [Share({{ {budget} }})])\n"
    )
    return file, args.folder / preset / "seed=1"


def exported(args, run, label, name):
    """The sub-network as a module of PyTorch."""
    file = args.folder / f"{name}_cut.py"
    command = [args.vitslim, "export", str(run / label), "--to", "pytorch", "--out", str(file), "--force"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.F = Explicit()
    return module.load()


def row(name, ours, theirs):
    """Prints a line of the table, and says whether all is equal."""
    (params, macs), (torch_params, torch_macs, by_default) = ours, theirs
    differ = [path for path in sorted(macs | torch_macs) if macs[path] != torch_macs[path]]
    cells = [name, f"{params:,}", f"{torch_params:,}", f"{sum(macs.values()):,}", f"{sum(torch_macs.values()):,}"]
    cells += [f"{len(differ)} of {len(macs | torch_macs)}", f"{by_default:,}"]
    print("| " + " | ".join(cells) + " |", flush=True)
    for path in differ:
        print(f"{path}: {macs[path]:,} and {torch_macs[path]:,}", file=sys.stderr)
    return params == torch_params and not differ


def main():
    args = arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    timm.layers.set_fused_attn(False)
    print("| network | parameters | in PyTorch | multiply-adds | by fvcore | layers that differ | fvcore by default |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    equal = True
    for name in args.networks:
        architecture, preset, shares = NETWORKS[name]
        file, run = experiment(args, architecture, preset, shares)
        equal &= row(f"{name}, dense", by_vitslim(args, file, 0), by_fvcore(timm.create_model(preset).eval()))
        subprocess.run([args.vitslim, "run", str(file), "--out", str(args.folder), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        label = json.loads((run / "summary.json").read_text())["subnets"][0]["label"]
        cut = exported(args, run, label, preset)
        equal &= row(f"{name}, cut", by_vitslim(args, run / label, 1), by_fvcore(cut))
    sys.exit(0 if equal else "they are not equal")


if __name__ == "__main__":
    main()
