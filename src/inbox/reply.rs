//! Redis answers taken apart without copying their bytes.

use std::time::Duration;

use redis::Value;

use super::link::RedisFault;
use super::reading::{Pending, RawEntry};

/// The entries of an answer to XREADGROUP on one stream; none when it timed out.
pub(super) fn stream_entries(answer: Value) -> Option<Vec<RawEntry>> {
    if answer == Value::Nil {
        return Some(Vec::new());
    }
    let mut streams = array(answer)?.into_iter();
    let Some(stream) = streams.next() else { return Some(Vec::new()) };
    let entries = array(stream)?.into_iter().nth(1)?;
    array(entries)?.into_iter().map(entry).collect()
}

/// The entries of an answer to XREVRANGE.
pub(super) fn entries(answer: Value) -> Option<Vec<RawEntry>> {
    array(answer)?.into_iter().map(entry).collect()
}

/// The lines of an answer to XPENDING with a range.
pub(super) fn pending(answer: Value) -> Option<Vec<Pending>> {
    let line = |line| {
        let mut parts = array(line)?.into_iter();
        let (id, consumer) = (text(parts.next()?)?, text(parts.next()?)?);
        let idle = Duration::from_millis(u64::try_from(int(&parts.next()?)?).ok()?);
        Some(Pending { id, consumer, idle })
    };
    array(answer)?.into_iter().map(line).collect()
}

/// What `take.lua` answers: entries with their number of deliveries.
pub(super) fn taken(answer: Value) -> Option<Vec<(RawEntry, u64)>> {
    let line = |line| {
        let mut parts = array(line)?;
        let deliveries = u64::try_from(int(&parts.pop()?)?).ok()?;
        Some((entry(Value::Array(parts))?, deliveries))
    };
    array(answer)?.into_iter().map(line).collect()
}

/// A list of texts; an absent list is empty.
pub(super) fn texts(answer: Value) -> Option<Vec<String>> {
    if answer == Value::Nil { Some(Vec::new()) } else { array(answer)?.into_iter().map(text).collect() }
}

/// The value that follows `name` in a flat list of names and values, as XINFO answers.
pub(super) fn named<'a>(flat: &'a [Value], name: &str) -> Option<&'a Value> {
    flat.chunks_exact(2).find(|pair| pair[0] == Value::BulkString(name.into())).map(|pair| &pair[1])
}

pub(super) fn array(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(items) = value { Some(items) } else { None }
}

pub(super) fn text(value: Value) -> Option<String> {
    if let Value::SimpleString(text) = value { Some(text) } else { String::from_utf8(bytes(value)?).ok() }
}

pub(super) fn int(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

/// The server's time in Unix microseconds, as TIME answers.
pub(super) fn time_micros(answer: Value) -> Option<i64> {
    let parts = texts(answer)?;
    let seconds: i64 = parts.first()?.parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(parts.get(1)?.parse().ok()?)
}

/// The server's run id, as INFO answers.
pub(super) fn run_id(answer: Value) -> Option<String> {
    text(answer)?.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned())
}

pub(super) fn expect<T>(value: Option<T>, command: &str) -> Result<T, RedisFault> {
    value.ok_or_else(|| RedisFault::unexpected(command))
}

fn entry(value: Value) -> Option<RawEntry> {
    let mut parts = array(value)?.into_iter();
    let id = text(parts.next()?)?;
    let Some(Value::Array(flat)) = parts.next() else { return Some((id, None)) };
    let mut fields = Vec::with_capacity(flat.len() / 2);
    let mut flat = flat.into_iter();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        fields.push((bytes(name)?, bytes(value)?));
    }
    Some((id, Some(fields)))
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}
