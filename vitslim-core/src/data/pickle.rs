//! Reads the pickles of CIFAR's Python version as values, and executes nothing.
//!
//! It knows the operations that Python 2 wrote these files with, and three names of numpy. No crate does: `serde-pickle` drops the names of
//! what a pickle calls, so that nothing could be said of a foreign one, and overflows the stack on lists in lists; PyTorch's readers keep
//! no arrays of numpy.

use std::collections::HashMap;

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A string of Python 2: bytes.
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Tuple(Vec<Value<'a>>),
    Dict(Entries<'a>),
    Array(Array<'a>),
    Name(Name),
    /// A type of numpy, by its name.
    Type(&'a [u8]),
    /// An array before its content is known.
    NoArray,
}

/// The entries of a dictionary.
pub(super) type Entries<'a> = Vec<(&'a [u8], Value<'a>)>;

/// An array of bytes, one row after another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) bytes: &'a [u8],
}

/// What a pickle may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Reconstruct,
    NdArray,
    DType,
}

impl Name {
    fn of(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("numpy.core.multiarray", "_reconstruct") => Some(Self::Reconstruct),
            ("numpy", "ndarray") => Some(Self::NdArray),
            ("numpy", "dtype") => Some(Self::DType),
            _ => None,
        }
    }
}

/// The only protocol that is read.
const PROTOCOL: u8 = 2;

/// Most operations, each of which makes one value at most, so that no file fills the memory. CIFAR's have about 200,000.
const MOST_OPERATIONS: usize = 1 << 19;

/// What to do about a pickle that another program wrote.
const AGAIN: &str = "unpack the downloaded archive again, or take the binary version";

/// Whether `bytes` begin as a pickle of any protocol with a number.
pub(super) fn is_pickle(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x80)
}

/// The entries of the dictionary that `bytes` are the pickle of. What they hold is in no deeper lists than CIFAR's.
///
/// # Errors
///
/// What is wrong, a sentence without its subject.
pub(super) fn read(bytes: &[u8]) -> Result<Entries<'_>, String> {
    let mut reader = Reader { rest: bytes, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    let mut steps = 0;
    while reader.step()? {
        steps += 1;
        if steps > MOST_OPERATIONS {
            return Err(format!("is a pickle of more than {MOST_OPERATIONS} operations: {AGAIN}"));
        }
    }
    match (reader.stack.pop(), &reader.stack[..], reader.rest) {
        (Some(Value::Dict(entries)), [], []) => Ok(entries),
        (Some(Value::Dict(_)), [], _) => Err("has more behind the end of its pickle".to_owned()),
        _ => Err("is a pickle, but of no dictionary".to_owned()),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    stack: Vec<Value<'a>>,
    /// Lengths of the stack at its marks.
    marks: Vec<usize>,
    /// Values that the pickle may come back to. All of them are small, so that copies of copies fill no memory.
    memo: HashMap<u32, Value<'a>>,
}

fn damaged() -> String {
    "is a damaged pickle".to_owned()
}

impl<'a> Reader<'a> {
    /// Does what the next operation says. Answers whether there is another.
    fn step(&mut self) -> Result<bool, String> {
        let [operation] = self.array()?;
        match operation {
            0x80 => match self.array()? {
                [PROTOCOL] => {}
                [other] => {
                    return Err(format!(
                        "is a pickle of protocol {other}, but CIFAR's have protocol {PROTOCOL}: {AGAIN}"
                    ));
                }
            },
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool(operation == 0x88)),
            b'K' => self.integer(|[byte]: [u8; 1]| byte.into())?,
            b'M' => self.integer(|bytes| u16::from_le_bytes(bytes).into())?,
            b'J' => self.integer(|bytes| i32::from_le_bytes(bytes).into())?,
            b'U' => {
                let [length] = self.array()?;
                self.string(length.into())?;
            }
            b'T' => {
                let length = i32::from_le_bytes(self.array()?);
                self.string(usize::try_from(length).map_err(|_| damaged())?)?;
            }
            b']' => self.stack.push(Value::List(Vec::new())),
            b'}' => self.stack.push(Value::Dict(Vec::new())),
            b')' => self.stack.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.tuple(self.stack.len().checked_sub(usize::from(operation - 0x84)))?,
            b't' => {
                let mark = self.marks.pop();
                self.tuple(mark)?;
            }
            b'a' => self.append(self.stack.len().checked_sub(1))?,
            b'e' => {
                let mark = self.marks.pop();
                self.append(mark)?;
            }
            b's' => self.set(self.stack.len().checked_sub(2))?,
            b'u' => {
                let mark = self.marks.pop();
                self.set(mark)?;
            }
            b'q' => {
                let [place] = self.array()?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)?;
            }
            b'h' => {
                let [place] = self.array()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }
            b'c' => self.name()?,
            b'R' => self.call()?,
            b'b' => self.build()?,
            other => {
                return Err(format!(
                    "is a pickle with the operation 0x{other:02x}, which CIFAR's do not have: {AGAIN}"
                ));
            }
        }
        Ok(true)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or("is a pickle that ends too early: the download was cut off")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.bytes(N)?.try_into().map_err(|_| damaged())
    }

    fn integer<const N: usize>(&mut self, number: impl Fn([u8; N]) -> i64) -> Result<(), String> {
        let number = number(self.array()?);
        self.stack.push(Value::Int(number));
        Ok(())
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.bytes(length)?;
        self.stack.push(Value::Bytes(bytes));
        Ok(())
    }

    /// The text up to the next line break.
    fn line(&mut self) -> Result<&'a str, String> {
        let length = self.rest.iter().position(|&byte| byte == b'\n').ok_or_else(damaged)?;
        let line = self.bytes(length)?;
        self.bytes(1)?;
        std::str::from_utf8(line).map_err(|_| damaged())
    }

    /// The values of the stack from `place` on.
    fn taken(&mut self, place: Option<usize>) -> Result<Vec<Value<'a>>, String> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        let place = place.filter(|place| (lowest..=self.stack.len()).contains(place)).ok_or_else(damaged)?;
        Ok(self.stack.split_off(place))
    }

    fn tuple(&mut self, place: Option<usize>) -> Result<(), String> {
        let items = self.taken(place)?;
        let is_flat = |item: &Value| match item {
            Value::Tuple(items) => items.iter().all(Value::is_small),
            item => item.is_small(),
        };
        match items.iter().all(is_flat) {
            true => self.stack.push(Value::Tuple(items)),
            false => return Err(damaged()),
        }
        Ok(())
    }

    fn append(&mut self, place: Option<usize>) -> Result<(), String> {
        let mut items = self.taken(place)?;
        match self.stack.last_mut() {
            Some(Value::List(list)) if items.iter().all(Value::is_small) => list.append(&mut items),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn set(&mut self, place: Option<usize>) -> Result<(), String> {
        let mut items = self.taken(place)?.into_iter();
        let Some(Value::Dict(entries)) = self.stack.last_mut() else { return Err(damaged()) };
        while let Some(key) = items.next() {
            match (key, items.next()) {
                (Value::Bytes(key), Some(value)) if !matches!(value, Value::Dict(_)) => {
                    entries.push((key, value))
                }
                _ => return Err(damaged()),
            }
        }
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), String> {
        let value = self.stack.last().ok_or_else(damaged)?;
        if value.is_small() {
            self.memo.insert(place, value.clone());
        }
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), String> {
        let value = self.memo.get(&place).ok_or("is a pickle that comes back to what CIFAR's do not")?;
        self.stack.push(value.clone());
        Ok(())
    }

    fn name(&mut self) -> Result<(), String> {
        let (module, name) = (self.line()?, self.line()?);
        let known = Name::of(module, name).ok_or_else(|| {
            format!("is a pickle that calls `{module}.{name}`, which no file of CIFAR does: nothing of it was executed")
        })?;
        self.stack.push(Value::Name(known));
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let called = self.taken(self.stack.len().checked_sub(2))?;
        let value = match &called[..] {
            [Value::Name(Name::Reconstruct), Value::Tuple(arguments)] => match &arguments[..] {
                [Value::Name(Name::NdArray), ..] => Value::NoArray,
                _ => return Err(damaged()),
            },
            [Value::Name(Name::DType), Value::Tuple(arguments)] => match &arguments[..] {
                [Value::Bytes(name), ..] => Value::Type(name),
                _ => return Err(damaged()),
            },
            _ => return Err(damaged()),
        };
        self.stack.push(value);
        Ok(())
    }

    /// Gives a type its details, which matter to none of a byte, or an array its content.
    fn build(&mut self) -> Result<(), String> {
        let built = self.taken(self.stack.len().checked_sub(2))?;
        let value = match &built[..] {
            [Value::Type(name), Value::Tuple(_)] => Value::Type(name),
            [Value::NoArray, Value::Tuple(state)] => match &state[..] {
                [_, Value::Tuple(shape), Value::Type(b"u1"), Value::Bool(false), Value::Bytes(bytes)] => {
                    let sizes =
                        shape.iter().map(Value::size).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
                    let length = sizes.iter().try_fold(1_usize, |length, size| length.checked_mul(*size));
                    if length != Some(bytes.len()) {
                        let (found, sizes) =
                            (bytes.len(), sizes.iter().map(usize::to_string).collect::<Vec<_>>());
                        return Err(format!("has an array of {} with {found} bytes", sizes.join(" x ")));
                    }
                    Value::Array(Array { shape: sizes, bytes })
                }
                _ => return Err("has an array that is not of bytes, row by row".to_owned()),
            },
            _ => return Err(damaged()),
        };
        self.stack.push(value);
        Ok(())
    }
}

impl Value<'_> {
    /// Whether it holds no others.
    fn is_small(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Tuple(_) | Self::Dict(_) | Self::Array(_) | Self::NoArray)
    }

    fn size(&self) -> Option<usize> {
        match self {
            Self::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        }
    }
}
