"""Makes the golden numbers of this folder from small random models of timm.

    pip install torch==2.15.0 timm==1.0.31 safetensors
    python make.py

Weights are f32, and what timm computes from them is computed in f64. `README.md` says what is in the files.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.layers import SwiGLUPacked
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.deit import VisionTransformerDistilled
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from timm.optim import param_groups_layer_decay

FOLDER = Path(__file__).parent

# By the names of vitslim's configurations.
CASES = {
    # Shifted windows in the first stage, one window in the second, one smaller than `window` in the third.
    "swin": dict(image_size=32, patch_size=4, channels=3, classes=10, dim=8, depths=[2, 2, 1], heads=[2, 4, 2],
                 window=4, mlp_ratio=2.0, qkv_bias=True),
    # Windows of an odd size, an odd number of blocks, no bias, one head.
    "swin_odd": dict(image_size=24, patch_size=2, channels=1, classes=7, dim=6, depths=[2, 3], heads=[1, 3],
                     window=3, mlp_ratio=1.7, qkv_bias=False),
    "deit_distilled": dict(image_size=16, patch_size=4, channels=3, classes=10, dim=12, depth=2, heads=3,
                           mlp_ratio=2.5, qkv_bias=True),
    # Kernels larger than every stage but the first.
    "convnext": dict(image_size=32, patch_size=4, channels=3, classes=10, dims=[4, 6, 8, 12], depths=[1, 2, 1, 1],
                     kernel_size=7),
    # Stages that narrow, and other kernels and patches.
    "convnext_odd": dict(image_size=24, patch_size=3, channels=1, classes=7, dims=[5, 3, 6, 4], depths=[2, 1, 1, 2],
                         kernel_size=5),
    # As DINOv2 with registers.
    "vit_registers": dict(image_size=16, patch_size=4, channels=3, classes=10, dim=12, depth=2, heads=3, mlp_ratio=2.5,
                          mlp_layer="SwiGLUPacked", qkv_bias=True, init_values=0.5, reg_tokens=2, no_embed_class=True),
    # No class token, no bias, and norms around the blocks.
    "vit_pooled": dict(image_size=15, patch_size=5, channels=1, classes=7, dim=12, depth=2, heads=2, mlp_ratio=1.7,
                       qkv_bias=False, proj_bias=False, class_token=False, pre_norm=True, global_pool="Avg"),
    # Tokens before the patches that have positions and are not in the mean, which is taken after the norm.
    "vit_mean": dict(image_size=8, patch_size=4, channels=1, classes=5, dim=6, depth=2, heads=2, mlp_ratio=2.0,
                     qkv_bias=True, init_values=1.0, reg_tokens=1, global_pool="Avg", fc_norm=False),
    # Norms of queries and keys, of heads that masks make different.
    "vit_qk_norm": dict(image_size=8, patch_size=4, channels=1, classes=5, dim=12, depth=2, heads=3, mlp_ratio=1.0,
                        qkv_bias=True, qk_norm=True),
    # As DINOv3, with pairs of either kind.
    "vit_rope_halves": dict(image_size=16, patch_size=4, channels=1, classes=5, dim=16, depth=2, heads=2, mlp_ratio=1.5,
                            qkv_bias=True, pos_embed=False, rope=dict(pairing="Halves", temperature=100.0)),
    "vit_rope_neighbours": dict(image_size=12, patch_size=4, channels=1, classes=5, dim=16, depth=2, heads=2, mlp_ratio=1.0,
                                qkv_bias=False, qk_norm=True, rope=dict(pairing="Neighbours", temperature=30.0)),
}


def timm_model(name, config):
    """The model of timm, on which every parameter is random: a bias of 0 would hide a bias that was left out."""
    if "dims" in config:
        model = ConvNeXt(in_chans=config["channels"], num_classes=config["classes"], patch_size=config["patch_size"],
                         dims=config["dims"], depths=config["depths"], kernel_sizes=config["kernel_size"])
        return randomised(model)
    same = dict(img_size=config["image_size"], patch_size=config["patch_size"], in_chans=config["channels"],
                num_classes=config["classes"], embed_dim=config["dim"], mlp_ratio=config["mlp_ratio"],
                qkv_bias=config["qkv_bias"])
    if "window" in config:
        model = SwinTransformer(**same, depths=config["depths"], num_heads=config["heads"],
                                window_size=config["window"])
    elif "rope" in config:
        rope = config["rope"]
        model = Eva(**same, depth=config["depth"], num_heads=config["heads"], qk_norm=config.get("qk_norm", False),
                    global_pool="token", use_abs_pos_emb=config.get("pos_embed", True), attn_type="rope",
                    use_rot_pos_emb=True, rope_type="dinov3", rope_temperature=rope["temperature"],
                    rope_rotate_half=rope["pairing"] == "Halves")
    elif "distilled" in name:
        model = VisionTransformerDistilled(**same, depth=config["depth"], num_heads=config["heads"])
    else:
        model = VisionTransformer(**same, depth=config["depth"], num_heads=config["heads"], **choices(config))
    return randomised(model)


def choices(config):
    """What `config` chooses of a Vision Transformer, as timm's arguments."""
    named = ["qk_norm", "proj_bias", "init_values", "class_token", "reg_tokens", "no_embed_class", "pre_norm", "fc_norm"]
    found = {name: config[name] for name in named if name in config}
    found["global_pool"] = config.get("global_pool", "Token").lower()
    if config.get("mlp_layer") == "SwiGLUPacked":
        # By itself, timm would take a GELU for the gate.
        found.update(mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU)
    return found


def randomised(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            deviation = 0.5 if "table" in name else 0.1 if parameter.ndim == 1 else 0.2
            parameter.normal_(0.0, deviation)
            # The weights of norms, some of which have a number for a name, and the scales of branches.
            if parameter.ndim == 1 and name.endswith(("weight", "gamma")):
                parameter.add_(1.0)
    return model.eval()


def carriers(config, parameters):
    """For each dimension of vitslim: its number of units, and the parameters of timm that its masks multiply, each with the
    axis and the number of copies of the units that lie along it one after the other, or what makes the factors of the whole axis of
    the masks. `parameters` are the names of all."""
    if "dims" in config:
        return carriers_of_convnext(config)
    found = {}

    def block(path, width, dim, heads):
        hidden = int(dim * config["mlp_ratio"]) // (2 if config.get("mlp_layer") == "SwiGLUPacked" else 1)
        bias = [("qkv.bias", 0, 3)] if config["qkv_bias"] else []
        qkv = [("qkv.weight", 0, 3)] + bias
        qkv = [(f"{path}.attn.{name}", axis, copies) for name, axis, copies in qkv]
        if "rope" in config:
            spread = spread_over_pairs(config)
            found[f"{path}.attn.qk_pair"] = (dim // 2, [(name, 0, spread) for name, *_ in qkv])
            found[f"{path}.attn.v_dim"] = (dim, [(name, 0, of_values) for name, *_ in qkv])
        else:
            found[f"{path}.attn.head_dim"] = (dim, qkv)
        found[f"{path}.mlp.hidden"] = (hidden, [(f"{path}.mlp.fc2.weight", 1, 1)])
        for layer in ["norm1", "attn.proj", "norm2", "mlp.fc2"]:
            width += [(f"{path}.{layer}.weight", 0, 1), (f"{path}.{layer}.bias", 0, 1)]

    patches = [("patch_embed.proj.weight", 0, 1), ("patch_embed.proj.bias", 0, 1)]
    last = [("norm.weight", 0, 1), ("norm.bias", 0, 1)]
    if "window" not in config:
        norms = [(f"{norm}.{name}", 0, 1) for norm in ["norm_pre", "fc_norm"] for name in ["weight", "bias"]]
        tokens = [(name, 2, 1) for name in ["cls_token", "dist_token", "reg_token", "pos_embed"]]
        width = patches + last + norms + tokens
        for index in range(config["depth"]):
            block(f"blocks.{index}", width, config["dim"], config["heads"])
        found["width"] = (config["dim"], [carrier for carrier in width if carrier[0] in parameters])
        return found

    widths = [[] for _ in config["depths"]]
    widths[0] += patches + [("patch_embed.norm.weight", 0, 1), ("patch_embed.norm.bias", 0, 1)]
    widths[-1] += last
    for stage, depth in enumerate(config["depths"]):
        path, dim = f"layers.{stage}", config["dim"] * 2**stage
        if stage > 0:
            widths[stage - 1] += [(f"{path}.downsample.norm.{name}", 0, 4) for name in ["weight", "bias"]]
            widths[stage] += [(f"{path}.downsample.reduction.weight", 0, 1)]
        for index in range(depth):
            block(f"{path}.blocks.{index}", widths[stage], dim, config["heads"][stage])
        found[f"{path}.width"] = (dim, widths[stage])
    return found


def spread_over_pairs(config):
    """What makes factors on queries, keys and values of the masks of pairs: on both dims of a pair, of queries and keys alike."""
    def spread(mask):
        pairs = mask.reshape(config["heads"], -1)
        axis = 1 if config["rope"]["pairing"] == "Halves" else 2
        both = torch.stack([pairs, pairs], axis).flatten()
        return torch.cat([both, both, torch.ones_like(both)])

    return spread


def of_values(mask):
    return torch.cat([torch.ones_like(mask), torch.ones_like(mask), mask])


def carriers_of_convnext(config):
    """The same for a ConvNeXt."""
    def both(*layers):
        return [(f"{layer}.{name}", 0, 1) for layer in layers for name in ["weight", "bias"]]

    found, widths = {}, [[] for _ in config["dims"]]
    widths[0] += both("stem.0", "stem.1")
    widths[-1] += both("head.norm")
    for stage, (depth, dim) in enumerate(zip(config["depths"], config["dims"])):
        path = f"stages.{stage}"
        if stage > 0:
            widths[stage - 1] += both(f"{path}.downsample.0")
            widths[stage] += both(f"{path}.downsample.1")
        for index in range(depth):
            block = f"{path}.blocks.{index}"
            found[f"{block}.mlp.hidden"] = (4 * dim, [(f"{block}.mlp.fc2.weight", 1, 1)])
            widths[stage] += both(f"{block}.conv_dw", f"{block}.norm", f"{block}.mlp.fc2")
        found[f"{path}.width"] = (dim, widths[stage])
    return found


def gated(model, masks, carriers):
    """The logits of `model` with its parameters multiplied by the masks."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for path, mask in masks.items():
        for name, axis, copies in carriers[path][1]:
            shape = [1] * state[name].ndim
            shape[axis] = -1
            factors = copies(mask.double()) if callable(copies) else mask.double().repeat(copies)
            state[name] *= factors.reshape(shape)
        attention, _, dimension = path.rpartition(".")
        if dimension in ("head_dim", "qk_pair") and f"{attention}.q_norm.weight" in state:
            copies = carriers[path][1][0][2]
            of_dims = copies(mask.double())[: 2 * len(mask)] if callable(copies) else mask.double()
            gate_heads(model.get_submodule(attention), of_dims)
    return lambda images: torch.func.functional_call(model, state, images)


def gate_heads(attention, mask):
    """Multiplies what the norms of queries and keys return, `[batch, heads, tokens, head_dim]`: heads share their parameters."""
    mask = mask.reshape(attention.num_heads, 1, attention.head_dim)
    for norm in [attention.q_norm, attention.k_norm]:
        norm._forward_hooks.clear()
        norm.register_forward_hook(lambda norm, inputs, output: output * mask)


def hard_mask(path, units, config):
    """0 or 1 for each unit, a third of them 0. Of some blocks all is gone, of others one head."""
    mask = (torch.rand(units) < 0.67).float()
    if path.endswith("1.mlp.hidden") or path.endswith("1.blocks.0.attn.head_dim"):
        return torch.zeros(units)
    if path.endswith("blocks.0.attn.head_dim"):
        heads = config["heads"][0] if "window" in config else config["heads"]
        if heads > 1:
            mask[: units // heads] = 0
    if mask.sum() == 0:
        mask[0] = 1
    return mask


def layers(name, config):
    """The factor on the learning rate of each parameter that is trained with a layer decay of 0.5."""
    model = timm_model(name, config)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    return {names[parameter]: group["lr_scale"] for group in groups for parameter in group["params"]}


def make(name, config, seed):
    torch.manual_seed(seed)
    model = timm_model(name, config)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, FOLDER / f"{name}.safetensors")
    model.double()
    side = config["image_size"]
    images = torch.randn(3, config["channels"], side, side)
    known = carriers(config, model.state_dict())
    masks = {
        "soft": {path: torch.rand(units) * 1.4 - 0.2 for path, (units, _) in known.items()},
        "hard": {path: hard_mask(path, units, config) for path, (units, _) in known.items()},
    }
    io = {"images": images}
    with torch.no_grad():
        io["dense.logits"] = model(images.double())
        for kind, values in masks.items():
            io[f"{kind}.logits"] = gated(model, values, known)(images.double())
            io.update({f"{kind}.{path}": mask for path, mask in values.items()})
        if "distilled" in name:
            # In training timm gives the logits of both heads; nothing is dropped.
            model.train()
            model.set_distilled_training(True)
            io["dense.class"], io["dense.distillation"] = model(images.double())
    save_file({key: value.float().contiguous() for key, value in io.items()}, FOLDER / f"{name}.io.safetensors")


for seed, (name, config) in enumerate(CASES.items()):
    make(name, config, seed)
(FOLDER / "layers.json").write_text(json.dumps({name: layers(name, config) for name, config in CASES.items()}) + "\n")
(FOLDER / "configs.json").write_text(json.dumps(CASES, indent=1) + "\n")
