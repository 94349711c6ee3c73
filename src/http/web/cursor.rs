//! Cursors of lists that have no ids: the key of the last row, which only this list reads.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::extract::{Params, bad_parameter};
use super::problem::ApiError;

/// The key behind which the list goes on.
///
/// # Errors
/// The parameter `cursor` is not one of this list's.
pub(in crate::http) fn read<K: DeserializeOwned>(params: &Params, list: &str) -> Result<Option<K>, ApiError> {
    let Some(text) = params.text("cursor") else { return Ok(None) };
    decode(text, list).map(Some).ok_or_else(|| {
        let reason = "this cursor is damaged, or belongs to another list".to_owned();
        bad_parameter("cursor", "cursor_invalid", reason)
    })
}

/// How JSON writes the character NUL.
const NUL: &[u8] = b"\\u0000";

fn decode<K: DeserializeOwned>(text: &str, list: &str) -> Option<K> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2));
    let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<_>>()?;
    // No text in the database has one, and PostgreSQL takes none.
    if bytes.windows(NUL.len()).any(|part| part == NUL) {
        return None;
    }
    let (of, key): (String, K) = serde_json::from_slice(&bytes).ok()?;
    (of == list).then_some(key)
}

/// The cursor behind a row.
pub(in crate::http) fn write<K: Serialize>(list: &str, last: &K) -> String {
    serde_json::json!((list, last)).to_string().bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Cuts rows of which one more than `limit` was asked for; the last one that stays, where more follow.
pub(in crate::http) fn cut<T>(rows: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_to_its_own_list_only() {
        let cursor = write("suppressions", &("ann@example.com", 7));
        assert_eq!(decode::<(String, i64)>(&cursor, "suppressions"), Some(("ann@example.com".to_owned(), 7)));
        let nul = write("suppressions", &("ann\0", 7));
        assert_eq!(decode::<(String, i64)>(&nul, "suppressions"), None);
        for (text, list) in [(cursor.as_str(), "domains"), (&cursor[1..], "suppressions"), ("", "suppressions")] {
            assert_eq!(decode::<(String, i64)>(text, list), None, "{text}");
        }
    }
}
