//! Tests of one value: an attribute, a field, or a property of an event.

use std::hash::{Hash, Hasher};

use serde_json::Value;

use super::decision::Decision;
use super::moment::Moment;
use crate::domain::instant::UtcInstant;
use crate::domain::span::Span;

/// A number as criteria compare them: 64-bit floating point (IEEE 754), never NaN. Whole numbers above 2^53 lose their last digits.
#[derive(Debug, Clone, Copy)]
pub struct Number(f64);

impl Number {
    /// The number of a JSON value, where it is one.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        // Adding zero makes -0 and 0 the same.
        value.as_f64().filter(|number| !number.is_nan()).map(|number| Self(number + 0.0))
    }

    /// As a floating-point number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// A value that criteria compare with. Types are strict: the number 1 is not the text `1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// True or false.
    Bool(bool),
}

impl Scalar {
    /// The value, where it is a text, a number, true or false.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Bool(is_true) => Some(Self::Bool(*is_true)),
            Value::Number(_) => Number::of(value).map(Self::Number),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn is(&self, value: &Value, case: Case) -> bool {
        match (self, value) {
            (Self::Text(text), Value::String(value)) => *case.of(value) == **text,
            (Self::Number(number), Value::Number(_)) => Number::of(value) == Some(*number),
            (Self::Bool(is_true), Value::Bool(value)) => is_true == value,
            _ => false,
        }
    }
}

/// Whether upper and lower case differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Case {
    /// They do: texts compare exactly.
    #[default]
    Exact,
    /// They do not. The text that is compared with is in lower case.
    Ignored,
}

impl Case {
    fn of(self, text: &str) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Exact => text.into(),
            Self::Ignored => text.to_lowercase().into(),
        }
    }
}

/// What is asked of a value. A value that is missing or null makes [`Test::Differs`] and [`Test::NotExists`] true, and every other
/// test false.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// There is a value.
    Exists,
    /// There is none.
    NotExists,
    /// It is this one.
    Equals(Scalar),
    /// It is another one, or there is none.
    Differs(Scalar),
    /// It is one of these.
    In(Vec<Scalar>),
    /// It is a number above this one.
    Above(Number),
    /// It is a number, this one or above.
    AtLeast(Number),
    /// It is a number below this one.
    Below(Number),
    /// It is a number, this one or below.
    AtMost(Number),
    /// It is a text with this text in it, or a list with this value in it.
    Contains(Scalar),
    /// It is a text that begins so.
    StartsWith(String),
    /// It is a text that ends so.
    EndsWith(String),
    /// It is a time or a day, and over when this begins.
    Before(Moment),
    /// It is a time or a day that begins when this is over.
    After(Moment),
    /// It is a time or a day that is over.
    Past,
    /// It is a time or a day that has not begun.
    Future,
    /// It is a time or a day that began, less than this long ago.
    WithinLast(Span),
    /// It is a time or a day that begins later, this long from now at most.
    WithinNext(Span),
}

/// A test, and how it takes upper and lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// What is asked.
    pub test: Test,
    /// For texts.
    pub case: Case,
}

impl Comparison {
    /// Whether the answer can change because time passes.
    #[must_use]
    pub const fn depends_on_time(&self) -> bool {
        matches!(self.test, Test::Past | Test::Future | Test::WithinLast(_) | Test::WithinNext(_))
    }

    /// Whether it can hold of a value that is missing.
    #[must_use]
    pub const fn takes_missing(&self) -> bool {
        matches!(self.test, Test::Differs(_) | Test::NotExists)
    }

    /// The answer for a value, and when time alone changes it.
    #[must_use]
    pub fn decide(&self, value: Option<&Value>, now: UtcInstant) -> Decision {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Decision::fixed(self.takes_missing());
        };
        let moment = || value.as_str().and_then(Moment::parse);
        let case = self.case;
        Decision::fixed(match &self.test {
            Test::Exists => true,
            Test::NotExists => false,
            Test::Equals(wanted) => wanted.is(value, case),
            Test::Differs(unwanted) => !unwanted.is(value, case),
            Test::In(wanted) => wanted.iter().any(|wanted| wanted.is(value, case)),
            Test::Above(bound) => Number::of(value).is_some_and(|number| number > *bound),
            Test::AtLeast(bound) => Number::of(value).is_some_and(|number| number >= *bound),
            Test::Below(bound) => Number::of(value).is_some_and(|number| number < *bound),
            Test::AtMost(bound) => Number::of(value).is_some_and(|number| number <= *bound),
            Test::Contains(wanted) => contains(value, wanted, case),
            Test::StartsWith(start) => value.as_str().is_some_and(|text| case.of(text).starts_with(start.as_str())),
            Test::EndsWith(end) => value.as_str().is_some_and(|text| case.of(text).ends_with(end.as_str())),
            Test::Before(bound) => moment().is_some_and(|moment| moment.is_before(*bound)),
            Test::After(bound) => moment().is_some_and(|moment| bound.is_before(moment)),
            Test::Past => return moment().map_or(Decision::NO, |moment| Decision::from(moment.until, now)),
            Test::Future => return moment().map_or(Decision::NO, |moment| Decision::from(moment.from, now).not()),
            Test::WithinLast(span) => {
                let end = |moment: Moment| moment.from.plus_ms(span.as_ms());
                return moment().map_or(Decision::NO, |moment| Decision::between(moment.from, end(moment), now));
            }
            Test::WithinNext(span) => {
                let begin = |moment: Moment| moment.from.plus_ms(-span.as_ms());
                return moment().map_or(Decision::NO, |moment| Decision::between(begin(moment), moment.from, now));
            }
        })
    }
}

fn contains(value: &Value, wanted: &Scalar, case: Case) -> bool {
    match (value, wanted) {
        (Value::Array(items), wanted) => items.iter().any(|item| wanted.is(item, case)),
        (Value::String(text), Scalar::Text(part)) => case.of(text).contains(part.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(test: Test, value: &Value) -> bool {
        Comparison { test, case: Case::Exact }.decide(Some(value), UtcInstant(0)).matches
    }

    fn number(of: f64) -> Scalar {
        Scalar::Number(Number(of))
    }

    #[test]
    fn one_is_not_the_text_one_and_a_whole_number_is_its_fraction() {
        assert!(holds(Test::Equals(number(1.0)), &json!(1)) && holds(Test::Equals(number(1.0)), &json!(1.0)));
        assert!(!holds(Test::Equals(number(1.0)), &json!("1")) && !holds(Test::Equals(number(1.0)), &json!(true)));
        assert!(holds(Test::Differs(number(1.0)), &json!("1")));
        assert!(holds(Test::Equals(number(0.0)), &json!(-0.0)));
        assert!(!holds(Test::Above(Number(0.0)), &json!("5")));
    }

    #[test]
    fn a_missing_value_is_another_value_and_nothing_else() {
        let missing = |test| Comparison { test, case: Case::Exact }.decide(None, UtcInstant(0)).matches;
        assert!(missing(Test::Differs(number(1.0))) && missing(Test::NotExists));
        for test in [Test::Exists, Test::Equals(number(0.0)), Test::AtMost(Number(9.0)), Test::Past, Test::Future] {
            assert!(!missing(test.clone()), "{test:?}");
            assert!(!holds(test.clone(), &Value::Null), "{test:?}");
        }
    }

    #[test]
    fn a_list_contains_a_value_and_a_text_a_text() {
        let red = || Scalar::Text("red".to_owned());
        assert!(
            holds(Test::Contains(red()), &json!(["blue", "red"])) && !holds(Test::Contains(red()), &json!(["reddish"]))
        );
        assert!(holds(Test::Contains(red()), &json!("reddish")) && holds(Test::Contains(number(2.0)), &json!([1, 2])));
        assert!(!holds(Test::Contains(number(2.0)), &json!("12")));
    }

    #[test]
    fn upper_and_lower_case_are_alike_when_that_is_said() {
        let test = Comparison { test: Test::Equals(Scalar::Text("größe".to_owned())), case: Case::Ignored };
        assert!(test.decide(Some(&json!("GRÖßE")), UtcInstant(0)).matches);
        assert!(!Comparison { case: Case::Exact, ..test }.decide(Some(&json!("GRÖßE")), UtcInstant(0)).matches);
    }

    #[test]
    fn a_time_passes_at_its_end_and_a_window_closes_at_its_edge() {
        let at = UtcInstant(1_000);
        let value = json!(at.to_string());
        let decide = |test, now| {
            let decision = Comparison { test, case: Case::Exact }.decide(Some(&value), UtcInstant(now));
            (decision.matches, decision.timer.map(|timer| timer.0))
        };
        assert_eq!(decide(Test::Past, 1_000), (false, Some(1_001)));
        assert_eq!(decide(Test::Past, 1_001), (true, None));
        assert_eq!(decide(Test::Future, 999), (true, Some(1_000)));
        assert_eq!(decide(Test::Future, 1_000), (false, None));
        let last = || Test::WithinLast(Span::from_ms(10));
        assert_eq!(decide(last(), 999), (false, Some(1_000)));
        assert_eq!(decide(last(), 1_000), (true, Some(1_010)));
        assert_eq!(decide(last(), 1_010), (false, None));
        let next = || Test::WithinNext(Span::from_ms(10));
        assert_eq!(decide(next(), 989), (false, Some(990)));
        assert_eq!(decide(next(), 990), (true, Some(1_000)));
        assert_eq!(decide(next(), 1_000), (false, None));
    }
}
