//! Headers of an email in a form: one in each line, name and value.

use std::collections::BTreeMap;

use crate::http::web::problem::ApiError;

/// The headers as lines: `X-Campaign: spring`.
pub(super) fn written(headers: &BTreeMap<String, String>) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// Reads the lines. Blank ones are nothing.
///
/// # Errors
/// 422 of `headers`: a line without a colon, or a name that is there twice.
pub(super) fn read(lines: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let mut headers = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            let reason = "a line is a name, a colon and a value: X-Campaign: spring";
            return Err(ApiError::field("/headers", "header_line", reason));
        };
        if headers.insert(name.trim().to_owned(), value.trim().to_owned()).is_some() {
            return Err(ApiError::field("/headers", "header_twice", format!("{} is there twice", name.trim())));
        }
    }
    Ok(headers)
}
