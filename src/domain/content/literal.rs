//! Texts of a content that go out as they are written, though they look like placeholders.

use crate::domain::people::contact::FieldError;

/// The most that one content has.
pub const MAX_LITERALS: usize = 20;

/// The longest one, in characters.
const MAX_CHARS: usize = 200;

/// Checks the texts that a content names.
///
/// # Errors
/// What is wrong; each field is a JSON pointer (RFC 6901): `/literal/0`.
pub fn check_literal(all: &[String]) -> Result<(), Vec<FieldError>> {
    const CODE: &str = "literal_invalid";
    if all.len() > MAX_LITERALS {
        let reason = format!("has {} texts, the most is {MAX_LITERALS}", all.len());
        return Err(vec![FieldError::new("/literal", CODE, reason)]);
    }
    let wrong = |text: &String| {
        if text.trim().is_empty() || text.chars().count() > MAX_CHARS {
            return Some(format!("must have 1 to {MAX_CHARS} characters"));
        }
        if text.chars().any(char::is_control) {
            return Some("is one line, without control characters".to_owned());
        }
        // It would end the block that keeps it as it is.
        text.contains("{%").then(|| "cannot have {% in it: write {% raw %} in the content".to_owned())
    };
    let errors: Vec<FieldError> = all
        .iter()
        .enumerate()
        .filter_map(|(place, text)| Some(FieldError::new(format!("/literal/{place}"), CODE, wrong(text)?)))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::content::template::{Compiled, Content};
    use crate::domain::people::contact::Profile;

    #[test]
    fn what_cannot_stand_as_it_is_is_refused_at_its_place() {
        let one = |text: &str| check_literal(&[text.to_owned()]).err().map(|errors| errors[0].field.clone());
        for text in ["[Email]", "{id}", "{{ x }}", "%PATH%", "a b", &"x".repeat(200)] {
            assert_eq!(one(text), None, "{text}");
        }
        for text in ["", " ", "a\nb", "{% endraw %}", &"x".repeat(201)] {
            assert_eq!(one(text), Some("/literal/0".to_owned()), "{text}");
        }
        assert_eq!(check_literal(&vec!["a".to_owned(); 21]).unwrap_err()[0].field, "/literal");
    }

    #[test]
    fn what_is_named_goes_out_as_it_is_written() {
        let known = BTreeSet::new();
        let mut ann = Profile::default();
        ann.fields.first_name = Some("Ann".to_owned());
        let literal = ["{first_name}", "*|FNAME|*", "{{ x }}", "[First Name]"].map(str::to_owned).to_vec();
        let rendered = |body: &str| {
            let html =
                Some(format!("<p title=\"*|FNAME|*\">{body} <a href=\"https://a.example/{{first_name}}\">x</a></p>"));
            let content = Content { subject: body.to_owned(), text: body.to_owned(), html, literal: literal.clone() };
            assert_eq!(content.check_placeholders(&known), Ok(()), "{body}");
            let message = Compiled::compile(&content, &known).unwrap().render(&ann).unwrap();
            assert_eq!(message.subject, message.text);
            let inside = message.html.unwrap().strip_prefix("<p title=\"*|FNAME|*\">").unwrap().to_owned();
            assert_eq!(
                inside.strip_suffix(" <a href=\"https://a.example/{first_name}\">x</a></p>").unwrap(),
                message.text
            );
            message.text
        };
        for (source, text) in [
            ("Dear {first_name}: {phone|none}", "Dear {first_name}: none"),
            ("[First Name] {{ x }} *|FNAME|*", "[First Name] {{ x }} *|FNAME|*"),
            ("{% if first_name %}*|FNAME|* {{ x }}{% endif %}", "*|FNAME|* {{ x }}"),
        ] {
            assert_eq!(rendered(source), text);
        }
        let other = Content { text: "*|LNAME|*".to_owned(), literal, ..Content::default() };
        assert!(other.check_placeholders(&known).is_err(), "what is not named is refused");
    }
}
