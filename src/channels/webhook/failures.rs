//! 2xx answers that mean that the message was not accepted, by the pool's own rules.

use serde_json::Value;

use crate::channels::Unusable;
use crate::config::pools::WebhookConfig;
use crate::config::pools::webhook::FailureRule;

/// The rules of a pool.
pub(super) struct Failures(Vec<FailureRule>);

impl Failures {
    /// # Errors
    /// [`Unusable`] when a pointer is none.
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, Unusable> {
        if config.failures.iter().any(|rule| !rule.pointer.starts_with('/')) {
            return Err(Unusable::new("failures: pointer must begin with / (RFC 6901)"));
        }
        Ok(Self(config.failures.clone()))
    }

    /// Whether every 2xx is an acceptance.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first rule that calls this answer a failure, and what it found: `/status error`.
    pub(super) fn find(&self, answer: &Value) -> Option<(&FailureRule, String)> {
        self.0.iter().find_map(|rule| {
            let found = answer.pointer(&rule.pointer)?;
            is_failure(rule, found).then(|| (rule, format!("{} {}", rule.pointer, text(found))))
        })
    }
}

fn is_failure(rule: &FailureRule, found: &Value) -> bool {
    if rule.values.is_empty() {
        return !is_nothing(found);
    }
    let found = text(found).to_lowercase();
    rule.values.iter().any(|value| text(value).to_lowercase() == found)
}

/// What providers write where there is no error.
fn is_nothing(found: &Value) -> bool {
    match found {
        Value::Null => true,
        Value::Bool(said) => !said,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fails(rule: Value, answer: Value) -> bool {
        let rule: FailureRule = serde_json::from_value(rule).unwrap();
        Failures(vec![rule]).find(&answer).is_some()
    }

    #[test]
    fn values_are_compared_as_text_whatever_their_type_and_case() {
        let rule = json!({"pointer": "/a/0/code", "values": ["Error", 5, false]});
        for code in [json!("error"), json!("ERROR"), json!(5), json!("5"), json!(false), json!("False")] {
            assert!(fails(rule.clone(), json!({"a": [{"code": code}]})), "{code}");
        }
        for code in [json!("ok"), json!(6), json!(true), json!(null), json!(["error"])] {
            assert!(!fails(rule.clone(), json!({"a": [{"code": code}]})), "{code}");
        }
        for answer in [json!({}), json!([]), json!("error"), json!({"a": {"code": "error"}})] {
            assert!(!fails(rule.clone(), answer.clone()), "{answer}");
        }
    }

    #[test]
    fn a_rule_without_values_takes_anything_that_says_something_for_a_failure() {
        let rule = json!({"pointer": "/error"});
        for nothing in [json!(null), json!(false), json!(0), json!(""), json!([]), json!({})] {
            assert!(!fails(rule.clone(), json!({"error": nothing})), "{nothing}");
        }
        for something in [json!("no credit"), json!(true), json!(7), json!([1]), json!({"code": 0})] {
            assert!(fails(rule.clone(), json!({"error": something})), "{something}");
        }
    }
}
