//! How training images are augmented.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crop::RandomCrop;
use super::policy::AutoAugment;

/// Random changes to training images, drawn anew in each epoch. `DeiT` and `DeiT3` stand for the settings of these recipes:
/// `augment: DeiT`, or `augment: DeiT(erasing: 0)` for all of them but one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
// Settings that earlier versions did not have are written only where they act: the names of runs are made of what is written. The
// schema leaves out the default of what is not written, so it is given.
#[schemars(deny_unknown_fields, default, extend("type" = ["object", "string"], "pattern" = "^DeiT3?$"))]
pub struct Augment {
    /// How often an image is seen in an epoch, each time changed in another way: repeated augmentation (Hoffer et al. 2020). Epochs stay
    /// as long as they are, so that each has a part of the images, drawn by chance.
    #[serde(skip_serializing_if = "is_once")]
    #[schemars(extend("default" = Self::NONE.repeats), range(min = 1, max = 100))]
    pub repeats: u32,
    /// Which part of an image is seen. Left out, the middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<RandomCrop>,
    /// Most pixels that an image is shifted by in each direction; less than its size.
    #[schemars(extend("unit" = "pixels"))]
    pub crop_padding: u32,
    /// Colour of the border that a shift brings in.
    pub fill: Fill,
    /// Whether half of the images, chosen at random, are mirrored left to right.
    pub flip: bool,
    /// Operations that are drawn for each image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_augment: Option<AutoAugment>,
    /// By how much brightness, contrast and saturation are changed at most, in random order: 0.3 draws factors from 0.7 to 1.3. Unlike
    /// timm's, it also acts beside `RandAugment`.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = Self::NONE.color_jitter), range(min = 0, max = 1))]
    pub color_jitter: f64,
    /// Probability that a rectangle of an image, of 2 to 33 % of its area, is replaced by normal noise.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = Self::NONE.erasing), range(min = 0, max = 1))]
    pub erasing: f64,
    /// Mixes each image of a batch with another: the image's share is drawn from a beta distribution of this alpha. 0 does not mix.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = Self::NONE.mixup), range(min = 0, max = 100))]
    pub mixup: f64,
    /// Replaces a rectangle of each image of a batch by that of another: the share of the image that stays is drawn from a beta
    /// distribution of this alpha. 0 replaces none.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = Self::NONE.cutmix), range(min = 0, max = 100))]
    pub cutmix: f64,
    /// Probability that a batch is mixed.
    #[serde(skip_serializing_if = "is_one")]
    #[schemars(extend("default" = Self::NONE.mixup_prob), range(min = 0, max = 1))]
    pub mixup_prob: f64,
    /// Probability of `cutmix` in a batch that is mixed, where there is `mixup` too.
    #[serde(skip_serializing_if = "is_half")]
    #[schemars(extend("default" = Self::NONE.mixup_switch_prob), range(min = 0, max = 1))]
    pub mixup_switch_prob: f64,
}

/// Colour of the pixels that lie outside an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Fill {
    /// Pixels of value 0, as torchvision's `RandomCrop` fills.
    #[default]
    Black,
    /// The mean colour of the normalisation, which is 0 after it: that of the training split, unless `normalise` says otherwise.
    Mean,
}

impl Augment {
    /// Names of the recipes.
    pub const RECIPES: [&str; 2] = ["DeiT", "DeiT3"];

    /// Nothing is changed.
    pub const NONE: Self = Self {
        repeats: 1,
        crop: None,
        crop_padding: 0,
        fill: Fill::Black,
        flip: false,
        auto_augment: None,
        color_jitter: 0.0,
        erasing: 0.0,
        mixup: 0.0,
        cutmix: 0.0,
        mixup_prob: 1.0,
        mixup_switch_prob: 0.5,
    };

    /// What DeiT trains with (Touvron et al. 2021, and its `main.py`).
    pub const DEIT: Self = Self {
        repeats: 3,
        crop: Some(RandomCrop::RESIZED),
        flip: true,
        auto_augment: Some(AutoAugment::RAND),
        erasing: 0.25,
        mixup: 0.8,
        cutmix: 1.0,
        ..Self::NONE
    };

    /// What DeiT III trains with on ImageNet-1k (Touvron et al. 2022).
    pub const DEIT3: Self = Self {
        repeats: 3,
        crop: Some(RandomCrop::RESIZED),
        flip: true,
        auto_augment: Some(AutoAugment::ThreeAugment),
        color_jitter: 0.3,
        mixup: 0.8,
        cutmix: 1.0,
        ..Self::NONE
    };
}

impl Default for Augment {
    fn default() -> Self {
        Self::NONE
    }
}

fn is_once(repeats: &u32) -> bool {
    *repeats == 1
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_half(value: &f64) -> bool {
    *value == 0.5
}
