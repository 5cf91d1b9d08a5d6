//! What a sub-network keeps: budgets, and what no budget cuts.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keyed::Keyed;
use super::number::{Count, Portion};

/// What a sub-network keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Budget {
    /// The share of its units that each key keeps, greater than 0 and at most 1. Keys are as under `dimensions`; what no key names is
    /// kept.
    Share(Keyed<Portion>),
    /// The most multiply-adds for one image, as a share of the dense network's, `0.5`, or as a number with its unit, `"2.8 G"`. The
    /// sub-network keeps what is above one threshold over all searched dimensions, and then what else fits.
    Macs(Amount),
    /// The most parameters, likewise: `0.5` or `"15 M"`.
    Params(Amount),
    /// The longest time of a forward pass on the device of the run, by a table of measured operations and then by the network itself. It
    /// names no device: a network is to be measured where it will run.
    Latency {
        /// A share of the dense network's time, `0.5`, or a time with its unit, `"3 ms"`; units are us, ms and s.
        #[serde(deserialize_with = "time")]
        most: Amount,
        /// Number of images in the forward pass.
        #[serde(default = "one")]
        batch: Count,
    },
    /// So many prunable tokens fewer at each gate that is searched, whatever is searched beside; at least one stays.
    Tokens {
        /// How many fewer.
        fewer: Count,
    },
    /// Several limits at once, all of which are kept; shares are then the most that their keys keep.
    All(Vec<Budget>),
}

impl Budget {
    /// Whether `other` asks for the same, in whatever order it is written.
    pub fn is_same(&self, other: &Budget) -> bool {
        match (self, other) {
            (Self::Share(ours), Self::Share(theirs)) => {
                ours.len() == theirs.len() && ours.iter().all(|(key, part)| theirs.get(key) == Some(part))
            }
            (Self::Macs(ours), Self::Macs(theirs)) | (Self::Params(ours), Self::Params(theirs)) => {
                ours.is_same(theirs)
            }
            (Self::Latency { most: ours, batch }, Self::Latency { most: theirs, batch: of_theirs }) => {
                ours.is_same(theirs) && batch == of_theirs
            }
            (Self::Tokens { fewer: ours }, Self::Tokens { fewer: theirs }) => ours == theirs,
            (Self::All(ours), Self::All(theirs)) => {
                let all_in = |some: &[Self], others: &[Self]| {
                    some.iter().all(|one| others.iter().any(|other| one.is_same(other)))
                };
                all_in(ours, theirs) && all_in(theirs, ours)
            }
            _ => false,
        }
    }

    /// Its limits one by one: itself, or those of `All`, with their places in it.
    pub fn limits(&self) -> Vec<(Vec<String>, &Budget)> {
        match self {
            Self::All(limits) => {
                let place = |index: usize| vec!["0".to_owned(), index.to_string()];
                limits.iter().enumerate().map(|(index, limit)| (place(index), limit)).collect()
            }
            one => vec![(Vec::new(), one)],
        }
    }

    /// Whether it limits the network as a whole.
    pub fn limits_all(&self) -> bool {
        self.limits().iter().any(|(_, limit)| !matches!(limit, Self::Share(_) | Self::Tokens { .. }))
    }

    /// Whether it limits the time of a forward pass.
    pub fn limits_latency(&self) -> bool {
        self.limits().iter().any(|(_, limit)| matches!(limit, Self::Latency { .. }))
    }

    /// A name for it: `share-0.7-0.5`, `macs-0.5`, `params-15M`, `latency-3ms-batch-8`, `tokens-fewer-4`,
    /// `share-0.7-macs-0.5`.
    pub fn label(&self) -> String {
        match self {
            Self::Share(shares) => {
                let numbers: Vec<_> = shares.iter().map(|(_, share)| share.get().to_string()).collect();
                format!("share-{}", numbers.join("-"))
            }
            Self::Macs(amount) => format!("macs-{}", amount.label()),
            Self::Params(amount) => format!("params-{}", amount.label()),
            Self::Latency { most, batch } => match batch.get() {
                1 => format!("latency-{}", most.label()),
                batch => format!("latency-{}-batch-{batch}", most.label()),
            },
            Self::Tokens { fewer } => format!("tokens-fewer-{}", fewer.get()),
            Self::All(limits) => limits.iter().map(Self::label).collect::<Vec<_>>().join("-"),
        }
    }
}

/// How large a network may be, or how slow.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// A share of the dense network.
    Share(Portion),
    /// A number, and how it is written. A time is in nanoseconds.
    Number(u64, String),
}

/// How an [`Amount`] is written.
struct Units {
    /// Units of a number, and what they stand for.
    known: &'static [(&'static str, f64)],
    named: &'static str,
    expected: &'static str,
    range: &'static str,
}

/// Of multiply-adds and parameters.
const COUNTS: Units = Units {
    known: &[("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)],
    named: "k, M, G and T",
    expected: "a share of the dense network, such as 0.5, or a number with a unit in quotes, such as \"2.8 G\"",
    range: "from 1 to \"999999 T\"",
};

const TIMES: Units = Units {
    known: &[("us", 1e3), ("ms", 1e6), ("s", 1e9)],
    named: "us, ms and s",
    expected: "a share of the dense network's time, such as 0.5, or a time with its unit in quotes, such as \"3 ms\"",
    range: "from \"0.001 us\" to \"999999 s\"",
};

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    deserializer.deserialize_any(AmountVisitor(&TIMES))
}

const fn one() -> Count {
    Count::known(1)
}

impl Amount {
    /// What is allowed, of a dense network with `dense`.
    pub fn of(&self, dense: u64) -> u64 {
        match self {
            // A share is a decimal number, which f64 holds only nearly; 0.7 of 177440 is 124208 all the same. What is not whole is rounded
            // down, so that it is never exceeded.
            Self::Share(share) => {
                let product = share.get() * dense as f64;
                let whole = product.round();
                let is_whole = (product - whole).abs() <= whole * f64::EPSILON;
                (if is_whole { whole } else { product.floor() }) as u64
            }
            Self::Number(number, _) => *number,
        }
    }

    /// Whether it is a share of the dense network's.
    pub fn is_share(&self) -> bool {
        matches!(self, Self::Share(_))
    }

    /// Whether it is the whole dense network, exactly.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Share(share) if share.get() == 1.0)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Share(ours), Self::Share(theirs)) => ours == theirs,
            (Self::Number(ours, _), Self::Number(theirs, _)) => ours == theirs,
            _ => false,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Share(share) => share.get().to_string(),
            Self::Number(_, written) => written.replace(char::is_whitespace, ""),
        }
    }

    fn parse(text: &str, units: &Units) -> Result<Self, String> {
        let Units { known, named, expected, range } = units;
        let trimmed = text.trim();
        let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &trimmed[digits.len()..];
        let unit = known.iter().find(|(name, _)| *name == unit);
        let number =
            digits.trim_end().parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let (Some((_, unit)), Some(number)) = (unit, number) else {
            return Err(format!("expected {expected}, found {text:?}; units are {named}"));
        };
        match (number * unit).round() {
            value if (1.0..1e18).contains(&value) => Ok(Self::Number(value as u64, trimmed.to_owned())),
            _ => Err(format!("{text:?} is out of range: {range}")),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Share(share) => share.serialize(serializer),
            Self::Number(_, written) => serializer.serialize_str(written),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor(&COUNTS))
    }
}

struct AmountVisitor(&'static Units);

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.expected)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Amount, E> {
        match value > 1.0 {
            true => {
                let expected = self.0.expected;
                Err(E::custom(format!("{value} is more than the dense network: write {expected}")))
            }
            false => Portion::try_from(value).map(Amount::Share).map_err(E::custom),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Amount, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Amount, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
        Amount::parse(text, self.0).map_err(E::custom)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }, { "type": "string" }] })
    }
}

/// How many units of a dimension every sub-network keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AtLeast {
    /// So many units of each layer.
    Layer(Count),
    /// So many units of each group: dims of each head.
    Group(Count),
}

/// What kept counts are rounded to: the same multiple everywhere, or one for each key.
#[derive(Clone, Debug, PartialEq)]
pub enum RoundTo {
    /// `8`
    Everywhere(Count),
    /// `{ "hidden": 32, "head_dim": 8 }`
    Keys(Keyed<Count>),
}

impl Serialize for RoundTo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Everywhere(multiple) => multiple.serialize(serializer),
            Self::Keys(multiples) => multiples.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RoundTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoundToVisitor)
    }
}

struct RoundToVisitor;

impl<'de> Visitor<'de> for RoundToVisitor {
    type Value = RoundTo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or a map `{ \"key\": number }`")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<RoundTo, E> {
        let number = u32::try_from(value).map_err(|_| E::custom(format!("must be at most {}", u32::MAX)))?;
        Count::try_from(number).map(RoundTo::Everywhere).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<RoundTo, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::custom(format!("must be at least 1, but is {value}"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RoundTo, A::Error> {
        Keyed::deserialize(MapAccessDeserializer::new(map)).map(RoundTo::Keys)
    }
}

impl JsonSchema for RoundTo {
    fn schema_name() -> Cow<'static, str> {
        "RoundTo".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = Keyed::<Count>::json_schema(generator);
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, keys] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_allows_what_exact_arithmetic_allows() {
        for dense in (1..=1000).chain([177_440, 4_600_000_000, 86_567_656]) {
            for hundredths in 1..=100_u64 {
                let amount = Amount::Share(Portion::try_from(hundredths as f64 / 100.0).unwrap());
                assert_eq!(amount.of(dense), dense * hundredths / 100, "{hundredths} % of {dense}");
            }
        }
        assert_eq!(Amount::parse("2.8 G", &COUNTS).unwrap().of(1), 2_800_000_000);
    }

    #[test]
    fn times_have_units_in_nanoseconds() {
        for (text, nanoseconds) in [("3 ms", 3_000_000), ("0.5us", 500), ("2 s", 2_000_000_000)] {
            assert_eq!(Amount::parse(text, &TIMES).unwrap().of(1), nanoseconds);
        }
    }
}
