//! The engine's filters whose results can be much larger than what they are given, with a bound.
//!
//! Each stands in front of the engine's own, which is kept under a name that no template can write.

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, filters};

use super::MAX_OUTPUT_BYTES;

/// The most columns or groups that a list is cut into.
const MAX_GROUPS: u64 = 1_000;

/// The deepest indentation of JSON, in spaces.
const MAX_INDENT: u64 = 16;

/// Puts the bounded filters in the place of the engine's, and takes away what no message needs.
pub(super) fn bound(env: &mut Environment<'static>) {
    env.add_filter("engine format", filters::format);
    env.add_filter("engine replace", filters::replace);
    env.add_filter("engine join", filters::join);
    env.add_filter("engine slice", filters::slice);
    env.add_filter("engine batch", filters::batch);
    env.add_filter("engine tojson", filters::tojson);
    env.add_filter("format", format);
    env.add_filter("replace", replace);
    env.add_filter("join", join);
    env.add_filter("slice", |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
        with_small_numbers(state, "engine slice", values, MAX_GROUPS)
    });
    env.add_filter("batch", |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
        with_small_numbers(state, "engine batch", values, MAX_GROUPS)
    });
    env.add_filter("tojson", |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
        with_small_numbers(state, "engine tojson", values, MAX_INDENT)
    });
    env.remove_filter("pprint");
    env.remove_filter("indent");
}

fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the result would be too large")
}

/// How many bytes a value takes when it is printed.
fn printed(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.to_string().len(), str::len)
}

/// `printf` with widths and precisions of at most three digits, none of them among the values.
fn format(state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let values = values.into_values();
    let text = values.first().and_then(Value::as_str).unwrap_or_default().as_bytes();
    if text.contains(&b'*') || text.windows(4).any(|four| four.iter().all(u8::is_ascii_digit)) {
        return Err(too_large());
    }
    state.apply_filter("engine format", &values)
}

fn replace(state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let values = values.into_values();
    if let [text, from, to, ..] = values.as_slice() {
        let (source, from) = (text.to_string(), from.to_string());
        let times = if from.is_empty() { source.len() + 1 } else { source.matches(&from).count() };
        if source.len().saturating_add(times.saturating_mul(printed(to))) > MAX_OUTPUT_BYTES {
            return Err(too_large());
        }
    }
    state.apply_filter("engine replace", &values)
}

fn join(state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut values = values.into_values();
    let between: usize = values.iter().skip(1).map(printed).sum();
    if let Some(list) = values.first_mut()
        && matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map)
    {
        // Some lists are made while they are read, so each item is read once.
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        for item in list.try_iter()? {
            bytes = bytes.saturating_add(printed(&item)).saturating_add(between);
            if bytes > MAX_OUTPUT_BYTES {
                return Err(too_large());
            }
            items.push(item);
        }
        *list = Value::from(items);
    }
    state.apply_filter("engine join", &values)
}

/// A filter of the engine whose numbers, by place or by name, are at most `most`.
fn with_small_numbers(
    state: &mut State<'_, '_>,
    filter: &str,
    values: Rest<ValueOrKwargs>,
    most: u64,
) -> Result<Value, Error> {
    let values = values.into_values();
    let is_small = |value: &Value| !value.is_integer() || u64::try_from(value.clone()).is_ok_and(|n| n <= most);
    for value in values.iter().skip(1) {
        let named: Vec<Value> = if value.kind() == ValueKind::Map {
            value.try_iter()?.filter_map(|key| value.get_item(&key).ok()).collect()
        } else {
            Vec::new()
        };
        if !is_small(value) || !named.iter().all(is_small) {
            return Err(too_large());
        }
    }
    state.apply_filter(filter, &values)
}
