//! Bytes of AMQP 0-9-1: elementary types, field tables, frames. Malformed bytes are errors, never a
//! panic, and nothing is taken on trust: a length is checked before it is used.

use std::fmt;

/// Values of a table, its nested ones included: a small frame must not become much memory.
const MAX_VALUES: usize = 1024;
/// How deep tables and arrays may be nested.
const MAX_DEPTH: usize = 16;
/// What ends every frame.
const FRAME_END: u8 = 0xCE;
/// Bytes of a frame beside its payload.
pub const FRAME_EXTRA: usize = 8;
/// The least size of frames both sides must be able to take (specification 4.2.5).
pub const FRAME_MIN: u32 = 4096;
/// What a client of this version says first.
pub const PROTOCOL: [u8; 8] = *b"AMQP\0\0\x09\x01";

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

type Result<T> = std::result::Result<T, Malformed>;

/// Reads values one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, values: 0 }
    }

    /// Takes the next `n` bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// If something is.
    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("there is more than there should be"))
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn count(&mut self) -> Result<()> {
        self.values += 1;
        if self.values > MAX_VALUES { Err(Malformed("a table of too many values")) } else { Ok(()) }
    }
}

/// A type that methods are made of.
pub trait Wire: Sized {
    /// Reads one.
    ///
    /// # Errors
    /// If the bytes are none.
    fn read(from: &mut Reader<'_>) -> Result<Self>;
    /// Writes it.
    fn write(&self, to: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            fn read(from: &mut Reader<'_>) -> Result<$t> {
                from.array().map(<$t>::from_be_bytes)
            }
            fn write(&self, to: &mut Vec<u8>) {
                to.extend(self.to_be_bytes());
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

/// A short string: UTF-8 of at most 255 bytes.
impl Wire for String {
    fn read(from: &mut Reader<'_>) -> Result<String> {
        let length = u8::read(from)?;
        let bytes = from.take(length.into())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("a short string is no UTF-8"))
    }

    fn write(&self, to: &mut Vec<u8>) {
        let mut length = self.len().min(255);
        while !self.is_char_boundary(length) {
            length -= 1;
        }
        to.push(length as u8);
        to.extend(&self.as_bytes()[..length]);
    }
}

/// A long string: any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Long(pub Vec<u8>);

impl Wire for Long {
    fn read(from: &mut Reader<'_>) -> Result<Long> {
        let length = u32::read(from)?;
        from.take(length as usize).map(|b| Long(b.to_vec()))
    }

    fn write(&self, to: &mut Vec<u8>) {
        (self.0.len() as u32).write(to);
        to.extend(&self.0);
    }
}

/// A value in a table. The letters are RabbitMQ's, which differ from the specification's.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `t`
    Bool(bool),
    /// `b`, `s`, `I`, `l`: signed numbers, with the letter they came with.
    Int(u8, i64),
    /// `B`, `u`, `i`: unsigned numbers.
    Uint(u8, u64),
    /// `f`, as its bits.
    Float(u32),
    /// `d`, as its bits.
    Double(u64),
    /// `D`: a scale and a number.
    Decimal(u8, u32),
    /// `S`
    Text(Vec<u8>),
    /// `x`
    Bytes(Vec<u8>),
    /// `T`: seconds since 1970.
    Time(u64),
    /// `A`
    Array(Vec<Value>),
    /// `F`
    Table(Table),
    /// `V`
    Void,
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    /// A number.
    pub fn number(n: i64) -> Value {
        Value::Int(b'l', n)
    }

    /// The number this is, if it is one.
    pub fn as_number(&self) -> Option<i64> {
        match self {
            Value::Int(_, n) => Some(*n),
            Value::Uint(_, n) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The text this is, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    fn read(from: &mut Reader<'_>, depth: usize) -> Result<Value> {
        from.count()?;
        let kind = u8::read(from)?;
        Ok(match kind {
            b't' => Value::Bool(u8::read(from)? != 0),
            b'b' => Value::Int(kind, i8::read(from)?.into()),
            b's' | b'U' => Value::Int(b's', i16::read(from)?.into()),
            b'I' => Value::Int(kind, i32::read(from)?.into()),
            b'l' | b'L' => Value::Int(b'l', i64::read(from)?),
            b'B' => Value::Uint(kind, u8::read(from)?.into()),
            b'u' => Value::Uint(kind, u16::read(from)?.into()),
            b'i' => Value::Uint(kind, u32::read(from)?.into()),
            b'f' => Value::Float(u32::read(from)?),
            b'd' => Value::Double(u64::read(from)?),
            b'D' => Value::Decimal(u8::read(from)?, u32::read(from)?),
            b'S' => Value::Text(Long::read(from)?.0),
            b'x' => Value::Bytes(Long::read(from)?.0),
            b'T' => Value::Time(u64::read(from)?),
            b'V' => Value::Void,
            b'F' => Value::Table(Table::read_at(from, depth + 1)?),
            b'A' => {
                let mut inner = nested(from, depth)?;
                let mut out = Vec::new();
                while !inner.rest.is_empty() {
                    out.push(Value::read(&mut inner, depth + 1)?);
                }
                from.values = inner.values;
                Value::Array(out)
            }
            _ => return Err(Malformed("a value of a kind that does not exist")),
        })
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Value::Bool(b) => to.extend([b't', u8::from(*b)]),
            Value::Int(kind, n) => {
                to.push(*kind);
                match kind {
                    b'b' => (*n as i8).write(to),
                    b's' => (*n as i16).write(to),
                    b'I' => (*n as i32).write(to),
                    _ => n.write(to),
                }
            }
            Value::Uint(kind, n) => {
                to.push(*kind);
                match kind {
                    b'B' => (*n as u8).write(to),
                    b'u' => (*n as u16).write(to),
                    _ => (*n as u32).write(to),
                }
            }
            Value::Float(bits) => {
                to.push(b'f');
                bits.write(to);
            }
            Value::Double(bits) => {
                to.push(b'd');
                bits.write(to);
            }
            Value::Decimal(scale, n) => {
                to.extend([b'D', *scale]);
                n.write(to);
            }
            Value::Text(bytes) | Value::Bytes(bytes) => {
                to.push(if matches!(self, Value::Text(_)) { b'S' } else { b'x' });
                (bytes.len() as u32).write(to);
                to.extend(bytes);
            }
            Value::Time(at) => {
                to.push(b'T');
                at.write(to);
            }
            Value::Array(values) => {
                to.push(b'A');
                sized(to, |to| values.iter().for_each(|v| v.write(to)));
            }
            Value::Table(table) => {
                to.push(b'F');
                Wire::write(table, to);
            }
            Value::Void => to.push(b'V'),
        }
    }
}

/// What a length before it bounds, one level deeper.
fn nested<'a>(from: &mut Reader<'a>, depth: usize) -> Result<Reader<'a>> {
    if depth >= MAX_DEPTH {
        return Err(Malformed("tables nested too deep"));
    }
    let length = u32::read(from)?;
    Ok(Reader { rest: from.take(length as usize)?, values: from.values })
}

/// Writes something after its length.
fn sized(to: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    0u32.write(to);
    write(to);
    let length = (to.len() - at - 4) as u32;
    to[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Names with values, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(String, Value)>);

impl Table {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Gives a name a value, instead of the one it had.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn read_at(from: &mut Reader<'_>, depth: usize) -> Result<Table> {
        let mut inner = nested(from, depth)?;
        let mut out = Vec::new();
        while !inner.rest.is_empty() {
            out.push((String::read(&mut inner)?, Value::read(&mut inner, depth)?));
        }
        from.values = inner.values;
        Ok(Table(out))
    }
}

impl Wire for Table {
    fn read(from: &mut Reader<'_>) -> Result<Table> {
        Table::read_at(from, 0)
    }

    fn write(&self, to: &mut Vec<u8>) {
        sized(to, |to| {
            for (name, value) in &self.0 {
                name.write(to);
                value.write(to);
            }
        });
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method.
    Method,
    /// The head of a content.
    Header,
    /// A part of its body.
    Body,
    /// A sign of life.
    Heartbeat,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: Kind,
    /// The channel it belongs to; 0 is the connection.
    pub channel: u16,
    /// The bytes of it.
    pub payload: Vec<u8>,
}

/// Takes a frame from the front of `bytes`, if one is there as a whole, and says how long it was.
///
/// # Errors
/// If it is none, or is longer than `most` bytes.
pub fn frame(bytes: &[u8], most: u32) -> Result<Option<(Frame, usize)>> {
    let Some(head) = bytes.first_chunk::<7>() else { return Ok(None) };
    let kind = match head[0] {
        1 => Kind::Method,
        2 => Kind::Header,
        3 => Kind::Body,
        8 => Kind::Heartbeat,
        _ => return Err(Malformed("a frame of a type that does not exist")),
    };
    let channel = u16::from_be_bytes([head[1], head[2]]);
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    if length > most.saturating_sub(FRAME_EXTRA as u32) {
        return Err(Malformed("a frame is longer than was agreed"));
    }
    let end = 7 + length as usize;
    let Some(last) = bytes.get(end) else { return Ok(None) };
    if *last != FRAME_END {
        return Err(Malformed("a frame does not end with 0xCE"));
    }
    Ok(Some((Frame { kind, channel, payload: bytes[7..end].to_vec() }, end + 1)))
}

/// Writes a frame.
pub fn write_frame(kind: Kind, channel: u16, payload: &[u8], to: &mut Vec<u8>) {
    to.push(match kind {
        Kind::Method => 1,
        Kind::Header => 2,
        Kind::Body => 3,
        Kind::Heartbeat => 8,
    });
    channel.write(to);
    (payload.len() as u32).write(to);
    to.extend(payload);
    to.push(FRAME_END);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i8>().prop_map(|n| Value::Int(b'b', n.into())),
            any::<i16>().prop_map(|n| Value::Int(b's', n.into())),
            any::<i32>().prop_map(|n| Value::Int(b'I', n.into())),
            any::<i64>().prop_map(|n| Value::Int(b'l', n)),
            any::<u8>().prop_map(|n| Value::Uint(b'B', n.into())),
            any::<u16>().prop_map(|n| Value::Uint(b'u', n.into())),
            any::<u32>().prop_map(|n| Value::Uint(b'i', n.into())),
            any::<u32>().prop_map(Value::Float),
            any::<u64>().prop_map(Value::Double),
            any::<(u8, u32)>().prop_map(|(s, n)| Value::Decimal(s, n)),
            any::<u64>().prop_map(Value::Time),
            bytes().prop_map(Value::Text),
            bytes().prop_map(Value::Bytes),
            Just(Value::Void),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec(("[a-z]{0,9}", inner), 0..6)
                    .prop_map(|f| Value::Table(Table(f))),
            ]
        })
    }

    /// Any table.
    pub fn table() -> impl Strategy<Value = Table> {
        proptest::collection::vec(("\\PC{0,20}", value()), 0..6).prop_map(Table)
    }

    proptest! {
        #[test]
        fn a_table_is_read_as_it_was_written(table in table()) {
            let mut bytes = Vec::new();
            table.write(&mut bytes);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(Table::read(&mut reader).unwrap(), table);
            reader.end().unwrap();
            // Cut anywhere it is an error.
            for cut in 0..bytes.len() {
                prop_assert!(Table::read(&mut Reader::new(&bytes[..cut])).is_err());
            }
        }

        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _either = Table::read(&mut Reader::new(&bytes));
            let _either = frame(&bytes, 4096);
        }

        #[test]
        fn a_frame_comes_whole_or_not_yet(payload in proptest::collection::vec(any::<u8>(), 0..50), channel: u16) {
            let mut bytes = Vec::new();
            write_frame(Kind::Body, channel, &payload, &mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(frame(&bytes[..cut], FRAME_MIN).unwrap(), None);
            }
            bytes.push(7);
            let (read, used) = frame(&bytes, FRAME_MIN).unwrap().unwrap();
            prop_assert_eq!(used, bytes.len() - 1);
            prop_assert_eq!(read, Frame { kind: Kind::Body, channel, payload });
        }
    }

    #[test]
    fn what_would_become_too_much() {
        // Four thousand values of one byte each; a hundred arrays in each other.
        let mut voids = vec![0, 0, 16, 8, 1, b'a', b'A', 0, 0, 16, 0];
        voids.extend([b'V'; 4096]);
        voids[3] = 7; // the table's length: name, letter, length, values
        voids[2] = 16;
        assert!(Table::read(&mut Reader::new(&voids)).is_err());
        let mut deep = Value::Void;
        for _ in 0..100 {
            deep = Value::Array(vec![deep]);
        }
        let mut bytes = Vec::new();
        Table(vec![("a".into(), deep)]).write(&mut bytes);
        let error = Table::read(&mut Reader::new(&bytes)).unwrap_err();
        assert_eq!(error, Malformed("tables nested too deep"));
        assert!(frame(&[1, 0, 0, 0, 1, 0, 0], 4096).is_err(), "64 KiB were not agreed");
        assert!(frame(&[9, 0, 0, 0, 0, 0, 0, FRAME_END], 4096).is_err());
        assert!(frame(&[1, 0, 0, 0, 0, 0, 0, 0], 4096).is_err());
    }
}
