//! The parser of experiments held to the `ron` crate: what one of the two reads the other reads, to an equal value, except for
//! [`DIFFERENCES`]. Used by a fuzz target and by an ordinary test.

use ron::error::SpannedError;
use ron::{Map, Number, Value};
use vitslim_core::experiment::{ExperimentErrors, Node, Source, Value as Ours, parse};

/// A difference that is meant.
pub struct Difference {
    /// Why it is.
    pub why: &'static str,
    /// Texts that show it.
    pub examples: &'static [&'static str],
    /// Whether two readings differ by it.
    explains: fn(&Readings) -> bool,
}

/// All differences that are meant.
#[rustfmt::skip]
pub const DIFFERENCES: &[Difference] = &[
    // What ron reads and we refuse.
    Difference {
        why: "An experiment holds no bytes.",
        examples: &["b\"a\"", "(x: b'a')", "br#\"a\"#"],
        explains: |readings| readings.refused("byte strings are not part"),
    },
    Difference {
        why: "An experiment has no field for a range: two dots are a slip of the keyboard.",
        examples: &["1..2", "(x: 0.5..=1)", "[..]"],
        explains: |readings| readings.ours.is_err() && readings.text.contains(".."),
    },
    Difference {
        why: "Fields know their types: one in the file could only contradict them.",
        examples: &["1u8", "[-0.5f32]", "inff64", "(x: NaNf32)"],
        explains: |readings| readings.refused("has a type at its end") || readings.has_word(&["inff32", "inff64", "NaNf32", "NaNf64"]),
    },
    Difference {
        why: "An underscore that does not separate two digits is a slip of the keyboard.",
        examples: &["1_", "[1__0]", "1_.5", "1e-_5"],
        explains: |readings| readings.refused("an underscore stands between two digits"),
    },
    Difference {
        why: "Of a field that is written twice, one would be lost without a word.",
        examples: &["(a: 1, a: 2)", "{ \"a\": 1, \"a\": 2 }", "{ 16: 1, 0x10: 2 }"],
        explains: |readings| readings.refused("is written twice"),
    },
    Difference {
        why: "A forgotten quote is told on its line, and not where the next string begins.",
        examples: &["\"a\nb\"", "(x: \"a\\\n  b\")", "\"\\\r\n\"", "'\n'"],
        explains: |readings| readings.ours.is_err() && (readings.text.contains("'\n'") || readings.text.lines().any(has_an_open_quote)),
    },
    Difference {
        why: "As in Rust, `\\x` is for ASCII: ron puts characters together from the bytes of their UTF-8.",
        examples: &["\"\\xE2\\x82\\xAC\""],
        explains: |readings| readings.refused("unknown escape `\\x"),
    },
    Difference {
        why: "As in Rust, a quote in quotes is escaped.",
        examples: &["'''"],
        explains: |readings| readings.text.contains("'''"),
    },
    Difference {
        why: "No name begins with a dot or a sign.",
        examples: &["r#.a", "(r#-: 1)"],
        explains: |readings| ["r#.", "r#-", "r#+"].iter().any(|name| readings.text.contains(name)),
    },
    // What we read and ron refuses.
    Difference {
        why: "A space that was pasted from elsewhere, or a byte order mark, is a space.",
        examples: &["\u{a0}1", "(a:\u{3000}1)", "\u{feff}[]"],
        explains: |readings| readings.theirs.is_err() && readings.text.contains(|c: char| !c.is_ascii() && c.is_whitespace() || c == '\u{feff}'),
    },
    Difference {
        why: "A whole number too large for 64 bits is refused by its field, which says what it may be.",
        examples: &["0xFFFFFFFFFFFFFFFFF"],
        explains: |readings| readings.theirs_refuse(&ron::Error::IntegerOutOfBounds),
    },
    // What the two read or refuse otherwise.
    Difference {
        why: "Infinities and NaN are numbers however they are spelled, so that a field says that it takes none.",
        examples: &["nan", "[-Infinity, INF]", "nan(1)"],
        explains: |readings| readings.has_word(&["inf", "infinity", "nan"]),
    },
    Difference {
        why: "`( )` is `()`: a space means nothing.",
        examples: &["( )", "[(/**/), 1]"],
        explains: |readings| readings.ours.as_ref().is_ok_and(|node| readings.theirs.as_ref().ok() == node.as_ref().map(|node| value(node, true)).as_ref()),
    },
    Difference {
        why: "Extensions change nothing, since types are asked how a value is written, and other attributes are not known.",
        examples: &["#![enable()] 1", "#![type = \"a\"] 1", "#![enable(unwrap_variant_newtypes)] Some(a: 1)"],
        explains: |readings| readings.text.contains("#!"),
    },
    Difference {
        why: "Brackets are nested at most 64 deep, whatever they hold; ron counts otherwise.",
        examples: &[DEEP],
        explains: |readings| readings.refused("brackets are nested more than"),
    },
];

macro_rules! fourfold {
    ($($text:tt)*) => { concat!($($text)*, $($text)*, $($text)*, $($text)*) };
}

/// Brackets, 65 deep.
const DEEP: &str =
    concat!("[", fourfold!(fourfold!(fourfold!("Some("))), "1", fourfold!(fourfold!(fourfold!(")"))), "]");

fn has_an_open_quote(line: &str) -> bool {
    line.replace("\\\"", "").matches('"').count() % 2 == 1
}

/// What the two make of a text.
struct Readings<'a> {
    text: &'a str,
    /// `None` where nothing is written.
    ours: Result<Option<Node>, ExperimentErrors>,
    theirs: Result<Value, SpannedError>,
}

impl Readings<'_> {
    /// Whether they are the same.
    fn agree(&self) -> bool {
        match (&self.ours, &self.theirs) {
            (Ok(Some(node)), Ok(theirs)) => value(node, false) == *theirs,
            (Ok(None) | Err(_), Err(_)) => true,
            _ => false,
        }
    }

    /// Whether we refuse it for this reason.
    fn refused(&self, reason: &str) -> bool {
        let errors = self.ours.as_ref().err().into_iter().flatten();
        errors.into_iter().any(|error| error.message().contains(reason))
    }

    fn theirs_refuse(&self, reason: &ron::Error) -> bool {
        self.theirs.as_ref().is_err_and(|error| error.code == *reason)
    }

    /// Whether one of `words` stands in the text, in large or small letters.
    fn has_word(&self, words: &[&str]) -> bool {
        let mut found = self.text.split(|c: char| !c.is_alphanumeric() && c != '_');
        found.any(|found| words.iter().any(|word| found.eq_ignore_ascii_case(word)))
    }
}

/// What is told of `text` where the two differ and no difference that is meant explains it.
pub fn unexplained(text: &str) -> Option<String> {
    let readings = read(text);
    let explained = || DIFFERENCES.iter().any(|difference| (difference.explains)(&readings));
    (!readings.agree() && !explained()).then(|| {
        let ours = match &readings.ours {
            Ok(node) => format!("{:?}", node.as_ref().map(|node| value(node, false))),
            Err(errors) => errors.to_string(),
        };
        format!("{text:?}\n  ours:   {ours}\n  theirs: {:?}", readings.theirs)
    })
}

/// Whether the two differ in `text`, and by `difference`.
#[allow(dead_code, reason = "the fuzz target has no use for it")]
pub fn differ_by(difference: &Difference, text: &str) -> bool {
    let readings = read(text);
    !readings.agree() && (difference.explains)(&readings)
}

fn read(text: &str) -> Readings<'_> {
    Readings { text, ours: parse(&Source::new("text", text), 0), theirs: text.parse() }
}

/// A node as `ron` has it: without names, and numbers without their spelling. Whether `( )` is an empty tuple there and not `()` is
/// `spaced`.
fn value(node: &Node, spaced: bool) -> Value {
    let items = |nodes: &[Node]| Value::Seq(nodes.iter().map(|node| value(node, spaced)).collect());
    match &node.value {
        Ours::Unit if spaced && node.span.text() != "()" => Value::Seq(Vec::new()),
        Ours::Unit | Ours::Name(_) => Value::Unit,
        Ours::Bool(value) => Value::Bool(*value),
        Ours::Number(text) => Value::Number(number(text)),
        Ours::Char(c) => Value::Char(*c),
        Ours::String(text) => Value::String(text.clone()),
        Ours::None => Value::Option(None),
        Ours::Some(inner) => Value::Option(Some(Box::new(value(inner, spaced)))),
        Ours::List(nodes) | Ours::Tuple { items: nodes, .. } => items(nodes),
        Ours::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| (value(key, spaced), value(node, spaced)));
            Value::Map(entries.collect::<Map>())
        }
        Ours::Record { fields, .. } => {
            let fields = fields.iter();
            let fields = fields.map(|(name, node)| (Value::String(name.text.clone()), value(node, spaced)));
            Value::Map(fields.collect::<Map>())
        }
    }
}

/// The number in the smallest type that holds it, which is the one that `ron` takes.
fn number(text: &str) -> Number {
    let plain = text.replace('_', "");
    let unsigned = plain.trim_start_matches(['+', '-']);
    let (radix, digits) = match unsigned.get(..2) {
        Some("0x") => (16, &unsigned[2..]),
        Some("0o") => (8, &unsigned[2..]),
        Some("0b") => (2, &unsigned[2..]),
        _ => (10, unsigned),
    };
    let magnitude = i128::from_str_radix(digits, radix);
    let negative = plain.starts_with('-');
    if let (Ok(magnitude), true) = (&magnitude, negative) {
        let value = -magnitude;
        let small = [i8::try_from(value).map(Number::I8).ok(), i16::try_from(value).map(Number::I16).ok()];
        let large = [i32::try_from(value).map(Number::I32).ok(), i64::try_from(value).map(Number::I64).ok()];
        if let Some(number) = small.into_iter().chain(large).flatten().next() {
            return number;
        }
    }
    if let (Ok(value), false) = (magnitude, negative) {
        let small = [u8::try_from(value).map(Number::U8).ok(), u16::try_from(value).map(Number::U16).ok()];
        let large = [u32::try_from(value).map(Number::U32).ok(), u64::try_from(value).map(Number::U64).ok()];
        if let Some(number) = small.into_iter().chain(large).flatten().next() {
            return number;
        }
    }
    let value: f64 = plain.parse().unwrap_or(f64::NAN);
    let single = value as f32;
    let is_single = value.is_nan() || value.total_cmp(&f64::from(single)).is_eq();
    if is_single { Number::F32(single.into()) } else { Number::F64(value.into()) }
}
