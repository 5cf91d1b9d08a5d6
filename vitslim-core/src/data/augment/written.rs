//! Augmentation as it is written: a record, or a recipe with what differs from it.

use serde::Deserialize;
use serde::de::{Deserializer, EnumAccess, MapAccess, VariantAccess, Visitor};

use super::settings::Augment;

/// Where the settings start that are not written.
#[derive(Deserialize)]
enum Recipe {
    /// A record without a name.
    Augment,
    DeiT,
    DeiT3,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Field {
    Repeats,
    Crop,
    CropPadding,
    Fill,
    Flip,
    AutoAugment,
    ColorJitter,
    Erasing,
    Mixup,
    Cutmix,
    MixupProb,
    MixupSwitchProb,
}

const FIELDS: &[&str] = &[
    "repeats",
    "crop",
    "crop_padding",
    "fill",
    "flip",
    "auto_augment",
    "color_jitter",
    "erasing",
    "mixup",
    "cutmix",
    "mixup_prob",
    "mixup_switch_prob",
];

impl<'de> Deserialize<'de> for Augment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Augment", &["Augment", "DeiT", "DeiT3"], Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Augment;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`DeiT`, `DeiT3` or a struct `(name: value)`")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, written: A) -> Result<Augment, A::Error> {
        let (recipe, settings) = written.variant()?;
        let start = match recipe {
            Recipe::Augment => Augment::NONE,
            Recipe::DeiT => Augment::DEIT,
            Recipe::DeiT3 => Augment::DEIT3,
        };
        settings.struct_variant(FIELDS, From(start))
    }
}

/// The settings where nothing else is written.
struct From(Augment);

impl<'de> Visitor<'de> for From {
    type Value = Augment;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a struct `(name: value)`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Augment, A::Error> {
        let Self(mut augment) = self;
        while let Some(field) = fields.next_key()? {
            match field {
                Field::Repeats => augment.repeats = fields.next_value()?,
                Field::Crop => augment.crop = fields.next_value()?,
                Field::CropPadding => augment.crop_padding = fields.next_value()?,
                Field::Fill => augment.fill = fields.next_value()?,
                Field::Flip => augment.flip = fields.next_value()?,
                Field::AutoAugment => augment.auto_augment = fields.next_value()?,
                Field::ColorJitter => augment.color_jitter = fields.next_value()?,
                Field::Erasing => augment.erasing = fields.next_value()?,
                Field::Mixup => augment.mixup = fields.next_value()?,
                Field::Cutmix => augment.cutmix = fields.next_value()?,
                Field::MixupProb => augment.mixup_prob = fields.next_value()?,
                Field::MixupSwitchProb => augment.mixup_switch_prob = fields.next_value()?,
            }
        }
        Ok(augment)
    }
}
