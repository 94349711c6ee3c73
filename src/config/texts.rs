//! Several texts in one setting: an array, or one text with commas, as a variable has it.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged, expecting = "texts such as [\"a\", \"b\"], or one with commas")]
enum Given {
    Array(Vec<String>),
    Text(String),
}

/// Reads either. Empty texts between commas are left out.
///
/// # Errors
/// It is neither.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Given::deserialize(deserializer)? {
        Given::Array(all) => all,
        Given::Text(text) => {
            text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(ToOwned::to_owned).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::tracking::Tracking;

    #[test]
    fn an_array_and_a_text_with_commas_are_read_alike() {
        let hosts =
            |hosts: &Value| serde_json::from_value::<Tracking>(json!({ "hosts": hosts })).map(|read| read.hosts);
        for given in [json!(["a.example", "b.example"]), json!("a.example, b.example,")] {
            assert_eq!(hosts(&given).unwrap(), ["a.example", "b.example"]);
        }
        assert_eq!(hosts(&json!("")).unwrap(), Vec::<String>::new());
        assert!(hosts(&json!(7)).unwrap_err().to_string().contains("one with commas"));
    }
}
