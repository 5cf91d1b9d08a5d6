//! Numbers with a range. A value out of range is refused where it is written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident, $range:literal, $holds:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The number.
            pub fn get(self) -> f64 {
                self.0
            }

            // For defaults, which are in range.
            #[allow(dead_code)]
            pub(super) const fn known(value: f64) -> Self {
                Self(value)
            }
        }

        impl TryFrom<f64> for $name {
            type Error = String;

            fn try_from(value: f64) -> Result<Self, String> {
                let holds: fn(f64) -> bool = $holds;
                // Training computes in 32 bits, where the range must hold as well.
                let in_32_bits = f64::from(value as f32);
                let vanishes = value != 0.0 && in_32_bits == 0.0;
                if !value.is_finite() || !holds(value) {
                    Err(format!(concat!("must be ", $range, ", but is {:?}"), value))
                } else if !in_32_bits.is_finite() || vanishes || !holds(in_32_bits) {
                    let range = concat!("must be ", $range, " in the 32 bits that training computes in");
                    Err(format!("{range}, where {value:?} becomes {in_32_bits:?}"))
                } else {
                    Ok(Self(value))
                }
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

ranged!(
    /// A number greater than 0.
    Positive, "greater than 0", |value| value > 0.0, { "type": "number", "exclusiveMinimum": 0 }
);
ranged!(
    /// A number of at least 0. `-0.0` is refused: nobody means it.
    NonNegative, "at least 0", |value| value >= 0.0 && value.is_sign_positive(), { "type": "number", "minimum": 0 }
);
ranged!(
    /// A learning rate: greater than 0, at most 1.
    Rate, "greater than 0 and at most 1", |value| value > 0.0 && value <= 1.0,
    { "type": "number", "exclusiveMinimum": 0, "maximum": 1 }
);
ranged!(
    /// A factor on learning rates from layer to layer. Less than 0.1 would leave nothing for the first of many layers.
    LayerDecay, "at least 0.1 and at most 1", |value| (0.1..=1.0).contains(&value),
    { "type": "number", "minimum": 0.1, "maximum": 1 }
);
ranged!(
    /// A part of a whole, which may be all of it: greater than 0, at most 1.
    Portion, "greater than 0 and at most 1", |value| value > 0.0 && value <= 1.0,
    { "type": "number", "exclusiveMinimum": 0, "maximum": 1 }
);
ranged!(
    /// A fraction: at least 0, less than 1. `-0.0` is refused.
    Fraction, "at least 0 and less than 1", |value| value.is_sign_positive() && value < 1.0,
    { "type": "number", "minimum": 0, "exclusiveMaximum": 1 }
);
ranged!(
    /// A part of a whole, and less than it: greater than 0, less than 1.
    ProperFraction, "greater than 0 and less than 1", |value| value > 0.0 && value < 1.0,
    { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }
);
ranged!(
    /// Any number but infinities and NaN.
    Finite, "a finite number", |_| true, { "type": "number" }
);

/// A count of at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Count(u32);

impl Count {
    /// The count.
    pub fn get(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn known(value: u32) -> Self {
        Self(value)
    }
}

impl TryFrom<u32> for Count {
    type Error = String;

    fn try_from(value: u32) -> Result<Self, String> {
        match value {
            0 => Err("must be at least 1, but is 0".to_owned()),
            _ => Ok(Self(value)),
        }
    }
}

impl From<Count> for u32 {
    fn from(value: Count) -> u32 {
        value.0
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanishes_or_overflows_in_32_bits_is_out_of_range() {
        assert!(Positive::try_from(1e-60).is_err() && NonNegative::try_from(1e39).is_err());
        assert!(Fraction::try_from(0.999_999_999_99).is_err() && Finite::try_from(-1e39).is_err());
        assert!(Rate::try_from(1.0).is_ok() && Rate::try_from(1.5).is_err());
    }

    #[test]
    fn what_is_told_is_what_is_wrong() {
        let told = |result: Result<NonNegative, String>| result.unwrap_err();
        let in_32_bits = "must be at least 0 in the 32 bits that training computes in, where";
        assert_eq!(told(NonNegative::try_from(1e308)), format!("{in_32_bits} 1e308 becomes inf"));
        assert_eq!(told(NonNegative::try_from(1e-60)), format!("{in_32_bits} 1e-60 becomes 0.0"));
        assert_eq!(told(NonNegative::try_from(-1e308)), "must be at least 0, but is -1e308");
        let told = Fraction::try_from(0.999_999_999_99).unwrap_err();
        assert!(told.starts_with("must be at least 0 and less than 1 in the 32 bits"), "{told}");
        assert!(told.ends_with("where 0.99999999999 becomes 1.0"), "{told}");
        assert_eq!(Finite::try_from(f64::NAN).unwrap_err(), "must be a finite number, but is NaN");
    }

    #[test]
    fn ranges_hold_at_their_ends() {
        assert!(Positive::try_from(0.0).is_err() && Positive::try_from(-0.0).is_err());
        assert!(NonNegative::try_from(0.0).is_ok() && NonNegative::try_from(-0.0).is_err());
        assert!(Portion::try_from(1.0).is_ok() && Portion::try_from(0.0).is_err());
        assert!(Fraction::try_from(0.0).is_ok() && Fraction::try_from(1.0).is_err());
        assert!(ProperFraction::try_from(0.0).is_err() && ProperFraction::try_from(1.0).is_err());
        assert!(Finite::try_from(f64::NAN).is_err());
        assert!(Count::try_from(0).is_err());
    }
}
