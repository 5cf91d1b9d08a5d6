"""Makes the files of this folder from small random networks, each made by the program whose names its weights have.

    pip install torch==2.15.0 timm==1.0.31 transformers==5.24.0 safetensors
    git clone https://github.com/microsoft/Swin-Transformer
    git clone https://github.com/facebookresearch/ConvNeXt
    python make.py FOLDER_OF_BOTH_CLONES

Weights are f32, and what each program computes from them is computed in f64. `README.md` says what is in the files.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path

import timm.layers
import torch
import transformers
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table
from timm.models.vision_transformer import VisionTransformer

FOLDER = Path(__file__).parent
CLONES = Path(sys.argv[1])

VIT = dict(image_size=8, patch_size=4, channels=3, classes=5, dim=12, depth=2, heads=3, mlp_ratio=2.0)
SWIN = dict(image_size=16, patch_size=2, channels=3, classes=5, dim=4, depths=[2, 1], heads=[1, 2], window=4,
            mlp_ratio=2.0)
CONVNEXT = dict(image_size=32, patch_size=4, channels=3, classes=5, dims=[3, 4, 3, 5], depths=[1, 2, 1, 1])

DINOV2 = dict(VIT, init_values=1e-5)
DEIT3 = dict(DINOV2, no_embed_class=True)
REGISTERS = dict(DEIT3, reg_tokens=4)

# By the names of vitslim's configurations.
CONFIGS = dict(timm_vit=VIT, timm_deit3=DEIT3, timm_dinov2_registers=REGISTERS, hugging_face_vit=VIT,
               hugging_face_deit=VIT, hugging_face_dinov2=DINOV2, hugging_face_dinov2_registers=REGISTERS,
               hugging_face_swin=SWIN, hugging_face_convnext=CONVNEXT, microsoft_swin=SWIN, facebook_convnext=CONVNEXT)


def randomised(model):
    """`model` with random parameters: a bias of 0 would hide a bias that was left out."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            vector = parameter.ndim == 1
            parameter.normal_(0.0, 0.1 if vector else 0.5 if "table" in name else 0.2)
            # The weights of norms, and the scales of branches.
            if vector and not name.endswith("bias"):
                parameter.add_(1.0)
    return model.eval()


def timm_vit(**options):
    c = VIT
    model = randomised(VisionTransformer(
        img_size=c["image_size"], patch_size=c["patch_size"], num_classes=c["classes"], embed_dim=c["dim"],
        depth=c["depth"], num_heads=c["heads"], mlp_ratio=c["mlp_ratio"], **options))
    return model, lambda images: model(images)


def hugging_face(config, network):
    common = dict(image_size=8, patch_size=4, num_channels=3, num_labels=5, hidden_size=12, num_hidden_layers=2,
                  num_attention_heads=3, intermediate_size=24, mlp_ratio=2)
    model = randomised(network(config(**common)))
    return model, lambda images: model(images).logits


def hugging_face_dinov2(config, network):
    """Its own classifier reads the mean of the patches too, which no network of ours does: one on the class token instead."""
    model, _ = hugging_face(config, network)
    model.classifier = randomised(torch.nn.Linear(12, 5))
    return model, lambda images: model.classifier(model.base_model(images).last_hidden_state[:, 0])


def hugging_face_swin():
    c = SWIN
    model = randomised(transformers.SwinForImageClassification(transformers.SwinConfig(
        image_size=c["image_size"], patch_size=c["patch_size"], embed_dim=c["dim"], depths=c["depths"],
        num_heads=c["heads"], window_size=c["window"], mlp_ratio=c["mlp_ratio"], num_labels=c["classes"])))
    return model, lambda images: model(images).logits


def hugging_face_convnext():
    c = CONVNEXT
    model = randomised(transformers.ConvNextForImageClassification(transformers.ConvNextConfig(
        patch_size=c["patch_size"], hidden_sizes=c["dims"], depths=c["depths"], num_stages=4,
        num_labels=c["classes"])))
    return model, lambda images: model(images).logits


def cloned(path):
    """A module of a clone, which imports parts of an older timm."""
    sys.modules.setdefault("timm.models.layers", timm.layers)
    registry = types.ModuleType("timm.models.registry")
    registry.register_model = lambda build: build
    sys.modules.setdefault("timm.models.registry", registry)
    spec = importlib.util.spec_from_file_location(Path(path).stem, CLONES / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def microsoft_swin():
    c = SWIN
    model = cloned("Swin-Transformer/models/swin_transformer.py").SwinTransformer(
        img_size=c["image_size"], patch_size=c["patch_size"], num_classes=c["classes"], embed_dim=c["dim"],
        depths=c["depths"], num_heads=c["heads"], window_size=c["window"], mlp_ratio=c["mlp_ratio"])
    return randomised(model), lambda images: model(images)


def facebook_convnext():
    c = CONVNEXT
    model = cloned("ConvNeXt/models/convnext.py").ConvNeXt(
        num_classes=c["classes"], depths=c["depths"], dims=c["dims"])
    return randomised(model), lambda images: model(images)


CASES = dict(
    timm_vit=timm_vit,
    hugging_face_vit=lambda: hugging_face(transformers.ViTConfig, transformers.ViTForImageClassification),
    hugging_face_deit=lambda: hugging_face(transformers.DeiTConfig, transformers.DeiTForImageClassificationWithTeacher),
    hugging_face_dinov2=lambda: hugging_face_dinov2(
        transformers.Dinov2Config, transformers.Dinov2ForImageClassification),
    hugging_face_swin=hugging_face_swin,
    hugging_face_convnext=hugging_face_convnext,
    microsoft_swin=microsoft_swin,
    facebook_convnext=facebook_convnext,
    timm_deit3=lambda: timm_vit(init_values=1e-5, no_embed_class=True),
    timm_dinov2_registers=lambda: timm_vit(init_values=1e-5, no_embed_class=True, reg_tokens=4),
    hugging_face_dinov2_registers=lambda: hugging_face_dinov2(
        transformers.Dinov2WithRegistersConfig, transformers.Dinov2WithRegistersForImageClassification),
)


def make(name, build, seed):
    torch.manual_seed(seed)
    model, logits = build()
    side = CONFIGS[name]["image_size"]
    images = torch.randn(2, 3, side, side)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    # As each is published.
    if name.startswith("hugging_face"):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            (FOLDER / f"{name}.safetensors").write_bytes((Path(folder) / "model.safetensors").read_bytes())
        # In memory the names of these are others.
        if name in ["hugging_face_vit", "hugging_face_dinov2", "hugging_face_swin"]:
            torch.save(state, FOLDER / f"{name}.pth")
    else:
        torch.save({"model": state}, FOLDER / f"{name}.pth")
    if name == "hugging_face_vit":
        model.save_pretrained(FOLDER / "hugging_face_vit", max_shard_size="8KB")
        (FOLDER / "hugging_face_vit" / "config.json").unlink()
    model.double()
    with torch.no_grad():
        io = {f"{name}.images": images, f"{name}.logits": logits(images.double()).float()}
    return io


class Reaches:
    """What a pickle must not do when it is read."""

    def __reduce__(self):
        return print, ("this pickle was executed",)


def containers():
    """One network in all that PyTorch wraps around it."""
    torch.manual_seed(100)
    model = torch.nn.Module()
    model.fc = torch.nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    model.fc(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = model.state_dict()
    wrapped = {f"_orig_mod.module.{name}": value for name, value in state.items()}
    average = {f"module.{name}": value + 1 for name, value in state.items()}
    arguments = argparse.Namespace(lr=1e-3, model="tiny")
    files = dict(
        bare=state,
        legacy=state,
        wrapped=dict(state_dict=wrapped, epoch=3, args=arguments, optimizer=optimizer.state_dict()),
        average=dict(model=state, model_ema=average),
        teacher=dict(student=wrapped, teacher={f"backbone.{name}": value for name, value in state.items()}),
        module=model,
        half={name: value.half() for name, value in state.items()},
        bfloat={name: value.bfloat16() for name, value in state.items()},
        integers={name: value.long() for name, value in state.items()},
        nan={name: value * float("nan") for name, value in state.items()},
        expanded={"fc.weight": torch.zeros(1, 1).expand(3000, 2000)},
        # A directory whose first entry is as long as what stands behind it.
        deit_tiny_patch16_224=state,
        executed=Reaches(),
        executed_beside=dict(model=state, args=Reaches()),
    )
    for name, content in files.items():
        torch.save(content, FOLDER / "containers" / f"{name}.pth", _use_new_zipfile_serialization=name != "legacy")
    for name, precision in dict(state=torch.float32, half=torch.float16, bfloat=torch.bfloat16).items():
        save_file({key: value.to(precision) for key, value in state.items()}, FOLDER / "containers" / f"{name}.safetensors")


def resized():
    """What timm makes of positions and tables."""
    torch.manual_seed(200)
    found = {}
    for before, old, new in [(1, 14, 8), (1, 8, 14), (2, 7, 12), (0, 5, 2), (1, 3, 4), (1, 24, 14)]:
        positions = torch.randn(1, before + old * old, 3)
        key = f"positions.{before}.{old}.{new}"
        found[f"{key}.from"] = positions
        found[f"{key}.to"] = resample_abs_pos_embed(positions, [new, new], num_prefix_tokens=before)
    for old, new in [(7, 4), (7, 12), (4, 7), (2, 3), (1, 3), (3, 1), (12, 7)]:
        table = torch.randn((2 * old - 1) ** 2, 2)
        found[f"table.{old}.{new}.from"] = table
        shape = ((2 * new - 1) ** 2, 2)
        found[f"table.{old}.{new}.to"] = resize_rel_pos_bias_table(table, (new, new), shape)
    save_file({key: value.contiguous() for key, value in found.items()}, FOLDER / "resized.safetensors")


(FOLDER / "containers").mkdir(exist_ok=True)
io = {}
for seed, (name, build) in enumerate(CASES.items()):
    io.update(make(name, build, seed))
save_file(io, FOLDER / "io.safetensors")
(FOLDER / "configs.json").write_text(json.dumps(CONFIGS, indent=1) + "\n")
containers()
resized()
