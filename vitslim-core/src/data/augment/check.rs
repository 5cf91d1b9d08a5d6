//! Settings that cannot be.

use super::crop::RandomCrop;
use super::policy::AutoAugment;
use super::settings::Augment;
use crate::data::{DataError, ImageShape};

/// Numbers that a setting may have.
#[derive(Clone, Copy)]
struct Range {
    holds: fn(f64) -> bool,
    told: &'static str,
}

const PROBABILITY: Range =
    Range { holds: |value| (0.0..=1.0).contains(&value), told: "at least 0 and at most 1" };
const MAGNITUDE: Range =
    Range { holds: |value| (0.0..=10.0).contains(&value), told: "at least 0 and at most 10" };
const LAYERS: Range =
    Range { holds: |value| (1.0..=15.0).contains(&value), told: "at least 1 and at most 15" };
const REPEATS: Range =
    Range { holds: |value| (1.0..=100.0).contains(&value), told: "at least 1 and at most 100" };
// The draws of a smaller alpha are as good as all 0 or 1.
const ALPHA: Range = Range {
    holds: |value| value == 0.0 || (0.01..=100.0).contains(&value),
    told: "0, or at least 0.01 and at most 100",
};

impl Augment {
    /// Checks the settings for images of `shape`.
    ///
    /// # Errors
    ///
    /// The first that cannot be.
    pub(crate) fn check(&self, shape: ImageShape) -> Result<(), DataError> {
        let size = shape.size;
        if self.crop_padding as usize >= size {
            let reason = format!("is {}, but the images have {size} pixels", self.crop_padding);
            return Err(DataError::setting(&["augment", "crop_padding"], reason));
        }
        if let Some((setting, value, range)) =
            self.ranges().into_iter().find(|(_, value, range)| !(range.holds)(*value))
        {
            return Err(DataError::setting(setting, format!("must be {}, but is {value:?}", range.told)));
        }
        match self.crop {
            Some(RandomCrop::Simple { padding }) if padding as usize >= size => {
                let reason = format!("is {padding}, but images are cropped to {size} pixels");
                Err(DataError::setting(&["augment", "crop", "padding"], reason))
            }
            Some(RandomCrop::Resized { scale: [least, most], .. })
                if !(0.0 < least && least <= most && most <= 1.0) =>
            {
                let reason = format!(
                    "is [{least:?}, {most:?}]: the first part must be greater than 0, the second at most 1 and no less than the first"
                );
                Err(DataError::setting(&["augment", "crop", "scale"], reason))
            }
            Some(RandomCrop::Resized { ratio: [least, most], .. })
                if !(0.01 <= least && least <= most && most <= 100.0) =>
            {
                let reason = format!(
                    "is [{least:?}, {most:?}]: the first ratio must be at least 0.01, the second at most 100 and no less than the first"
                );
                Err(DataError::setting(&["augment", "crop", "ratio"], reason))
            }
            _ => Ok(()),
        }
    }

    /// The settings that have a range: their path below `data`, and their value.
    fn ranges(&self) -> Vec<(&'static [&'static str], f64, Range)> {
        let setting = |place: &'static [&'static str], value, range| (place, value, range);
        let mut settings = vec![
            setting(&["augment", "repeats"], f64::from(self.repeats), REPEATS),
            setting(&["augment", "color_jitter"], self.color_jitter, PROBABILITY),
            setting(&["augment", "erasing"], self.erasing, PROBABILITY),
            setting(&["augment", "mixup"], self.mixup, ALPHA),
            setting(&["augment", "cutmix"], self.cutmix, ALPHA),
            setting(&["augment", "mixup_prob"], self.mixup_prob, PROBABILITY),
            setting(&["augment", "mixup_switch_prob"], self.mixup_switch_prob, PROBABILITY),
        ];
        if let Some(AutoAugment::RandAugment { magnitude, magnitude_std, layers, prob }) = self.auto_augment {
            settings.extend([
                setting(&["augment", "auto_augment", "magnitude"], magnitude, MAGNITUDE),
                setting(&["augment", "auto_augment", "magnitude_std"], magnitude_std, MAGNITUDE),
                setting(&["augment", "auto_augment", "layers"], f64::from(layers), LAYERS),
                setting(&["augment", "auto_augment", "prob"], prob, PROBABILITY),
            ]);
        }
        settings
    }
}
