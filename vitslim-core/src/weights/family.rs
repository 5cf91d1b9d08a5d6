//! The families of names. A new one is a table here, and a case in `data/weights/make.py`.

use super::rule::Rule;

/// Networks that name their tensors alike.
pub(super) struct Family {
    pub name: &'static str,
    /// A tensor of theirs, which errors show.
    pub example: &'static str,
    pub rules: &'static [Rule],
}

/// What wraps a whole network, in front of all its names: of PyTorch for several devices or compiled, of programs around a network,
/// and the base models of Hugging Face, which stand without it where they were saved without a classifier.
pub(super) const WRAPPERS: [&str; 11] = [
    "module.",
    "_orig_mod.",
    "model.",
    "backbone.",
    "vit.",
    "deit.",
    "dinov2.",
    "dinov2_with_registers.",
    "swin.",
    "convnext.",
    "visual.trunk.",
];

/// Networks that a checkpoint may hold several of, the one that is meant first: an average before what it is an average of, as timm
/// has it, and of DINO the teacher. The last is the checkpoint itself.
pub(super) const NETWORKS: [&str; 9] = [
    "state_dict_ema.",
    "model_ema.",
    "teacher.",
    "model_state_dict.",
    "state_dict.",
    "model.",
    "network.",
    "student.",
    "",
];

/// Layers that classify: the number of classes is that of the data, and their weights may be left at their initialisation.
pub(super) const CLASSIFIERS: [&str; 3] = ["head", "head.fc", "head_dist"];

/// The masks of a search by the original ViT-Slim, and the dimensions that they are of.
pub(super) const MASKS: [Rule; 3] = [
    ("blocks.*.attn.zeta", "blocks.*.attn.head_dim"),
    ("blocks.*.attn.patch_zeta", "blocks.*.tokens"),
    ("blocks.*.mlp.zeta", "blocks.*.mlp.hidden"),
];

/// All families. The first is that of our own names, which are timm's.
pub(super) const FAMILIES: [Family; 6] = [
    Family {
        name: "timm, DeiT, DINOv2 or the network's own names",
        example: "blocks.0.attn.qkv.weight",
        rules: &[
            // The names of DeiT III before timm had it.
            ("blocks.*.gamma_1", "blocks.*.ls1.gamma"),
            ("blocks.*.gamma_2", "blocks.*.ls2.gamma"),
            // Those of DINOv2 before timm had it.
            ("register_tokens", "reg_token"),
            ("blocks.*.mlp.w12", "blocks.*.mlp.fc1"),
            ("blocks.*.mlp.w3", "blocks.*.mlp.fc2"),
            ("mask_token", ""),
            ("pre_logits", ""),
            ("layers.*.blocks.*.attn.relative_position_index", ""),
            ("layers.*.blocks.*.attn_mask", ""),
            // See `MASKS`.
            ("blocks.*.attn.zeta", ""),
            ("blocks.*.attn.patch_zeta", ""),
            ("blocks.*.mlp.zeta", ""),
        ],
    },
    Family {
        name: "ViT, DeiT or DINOv2 of Hugging Face",
        example: "encoder.layer.0.attention.attention.query.weight",
        rules: &[
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.distillation_token", "dist_token"),
            ("embeddings.register_tokens", "reg_token"),
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("embeddings.mask_token", ""),
            ("encoder.layer.*.attention.attention.{query,key,value}", "blocks.*.attn.qkv"),
            ("encoder.layer.*.attention.output.dense", "blocks.*.attn.proj"),
            // Since version 5 the names in memory are others than in published files.
            ("encoder.layer.*.attention.{q_proj,k_proj,v_proj}", "blocks.*.attn.qkv"),
            ("encoder.layer.*.attention.o_proj", "blocks.*.attn.proj"),
            ("layers.*.attention.{q_proj,k_proj,v_proj}", "blocks.*.attn.qkv"),
            ("layers.*.attention.o_proj", "blocks.*.attn.proj"),
            ("layers.*.layernorm_before", "blocks.*.norm1"),
            ("layers.*.layernorm_after", "blocks.*.norm2"),
            ("layers.*", "blocks.*"),
            ("encoder.layer.*.layernorm_before", "blocks.*.norm1"),
            ("encoder.layer.*.layernorm_after", "blocks.*.norm2"),
            ("encoder.layer.*.intermediate.dense", "blocks.*.mlp.fc1"),
            ("encoder.layer.*.output.dense", "blocks.*.mlp.fc2"),
            ("encoder.layer.*.layer_scale1.lambda1", "blocks.*.ls1.gamma"),
            ("encoder.layer.*.layer_scale2.lambda1", "blocks.*.ls2.gamma"),
            ("encoder.layer.*.mlp.weights_in", "blocks.*.mlp.fc1"),
            ("encoder.layer.*.mlp.weights_out", "blocks.*.mlp.fc2"),
            // What DINOv2 calls as we do: norm1, norm2, mlp.
            ("encoder.layer.*", "blocks.*"),
            ("layernorm", "norm"),
            ("classifier", "head"),
            ("cls_classifier", "head"),
            ("distillation_classifier", "head_dist"),
            ("pooler", ""),
        ],
    },
    Family {
        name: "Swin of Hugging Face",
        example: "encoder.layers.0.blocks.0.attention.self.query.weight",
        rules: &[
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("embeddings.norm", "patch_embed.norm"),
            ("embeddings.mask_token", ""),
            ("encoder.layers.*.blocks.*.attention.self.{query,key,value}", "layers.*.blocks.*.attn.qkv"),
            (
                "encoder.layers.*.blocks.*.attention.self.relative_position_bias_table",
                "layers.*.blocks.*.attn.relative_position_bias_table",
            ),
            ("encoder.layers.*.blocks.*.attention.self.relative_position_index", ""),
            // Since version 5, in memory.
            ("encoder.layers.*.blocks.*.attention.{q_proj,k_proj,v_proj}", "layers.*.blocks.*.attn.qkv"),
            ("encoder.layers.*.blocks.*.attention.o_proj", "layers.*.blocks.*.attn.proj"),
            ("encoder.layers.*.blocks.*.attention.relative_position_bias", "layers.*.blocks.*.attn"),
            ("encoder.layers.*.blocks.*.mlp", "layers.*.blocks.*.mlp"),
            ("encoder.layers.*.blocks.*.attention.output.dense", "layers.*.blocks.*.attn.proj"),
            ("encoder.layers.*.blocks.*.layernorm_before", "layers.*.blocks.*.norm1"),
            ("encoder.layers.*.blocks.*.layernorm_after", "layers.*.blocks.*.norm2"),
            ("encoder.layers.*.blocks.*.intermediate.dense", "layers.*.blocks.*.mlp.fc1"),
            ("encoder.layers.*.blocks.*.output.dense", "layers.*.blocks.*.mlp.fc2"),
            // There a stage ends with the merging, here the next one begins with it.
            ("encoder.layers.*.downsample", "layers.*+1.downsample"),
            ("layernorm", "norm"),
            ("classifier", "head.fc"),
        ],
    },
    Family {
        name: "ConvNeXt of Hugging Face",
        example: "encoder.stages.0.layers.0.dwconv.weight",
        rules: &[
            ("embeddings.patch_embeddings", "stem.0"),
            ("embeddings.layernorm", "stem.1"),
            ("encoder.stages.*.downsampling_layer", "stages.*.downsample"),
            ("encoder.stages.*.layers.*.dwconv", "stages.*.blocks.*.conv_dw"),
            ("encoder.stages.*.layers.*.layernorm", "stages.*.blocks.*.norm"),
            ("encoder.stages.*.layers.*.pwconv1", "stages.*.blocks.*.mlp.fc1"),
            ("encoder.stages.*.layers.*.pwconv2", "stages.*.blocks.*.mlp.fc2"),
            ("encoder.stages.*.layers.*.layer_scale_parameter", "stages.*.blocks.*.gamma"),
            ("layernorm", "head.norm"),
            ("classifier", "head.fc"),
        ],
    },
    Family {
        name: "Swin of Microsoft",
        example: "layers.0.downsample.reduction.weight",
        rules: &[
            ("layers.*.downsample", "layers.*+1.downsample"),
            ("layers.*.blocks.*.attn.relative_position_index", ""),
            ("layers.*.blocks.*.attn_mask", ""),
            ("head", "head.fc"),
        ],
    },
    Family {
        name: "ConvNeXt of Facebook",
        example: "stages.0.0.dwconv.weight",
        rules: &[
            ("downsample_layers.0", "stem"),
            ("downsample_layers.*", "stages.*.downsample"),
            ("stages.*.*.dwconv", "stages.*.blocks.*.conv_dw"),
            ("stages.*.*.pwconv1", "stages.*.blocks.*.mlp.fc1"),
            ("stages.*.*.pwconv2", "stages.*.blocks.*.mlp.fc2"),
            ("stages.*.*", "stages.*.blocks.*"),
            ("norm", "head.norm"),
            ("head", "head.fc"),
        ],
    },
];
