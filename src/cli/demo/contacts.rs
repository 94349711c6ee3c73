//! The people of the demo. All of them are made up.

use futures_util::stream;

/// The contacts that ship with Volley, with the mess of a real export.
const SHIPPED: &str = include_str!("../../../config/demo/contacts.csv");

const HEADER: &str = "external_id,email,first_name,last_name,location,preferred_product\n";
const ROWS_PER_CHUNK: u32 = 1_000;
/// Some have no first name, so that the template's fallback shows.
const FIRST_NAMES: [&str; 8] = ["Ada", "Béla", "Chloé", "", "Emil", "Fatima", "Grace", "Jörg"];
const LAST_NAMES: [&str; 7] = ["Ångström", "Byron", "Curie", "Dijkstra", "Erdős", "Franklin", "Müller"];
const LOCATIONS: [&str; 6] = ["Berlin", "Lisboa", "", "Oslo", "Paris", "Zürich"];
const PRODUCTS: [&str; 5] = ["coffee", "tea", "cocoa", "juice", "water"];

/// A CSV document to upload: the shipped one, or `count` generated people, made as they are sent.
pub(super) fn csv(count: Option<u32>) -> reqwest::Body {
    let Some(count) = count else { return SHIPPED.into() };
    let chunks = (0..count.div_ceil(ROWS_PER_CHUNK)).map(move |chunk| {
        let first = chunk * ROWS_PER_CHUNK;
        let mut text = if chunk == 0 { HEADER.to_owned() } else { String::new() };
        text.extend((first..count.min(first + ROWS_PER_CHUNK)).map(row));
        Ok::<_, std::convert::Infallible>(text)
    });
    reqwest::Body::wrap_stream(stream::iter(chunks))
}

fn row(number: u32) -> String {
    let [first, last, location, product] =
        [&FIRST_NAMES[..], &LAST_NAMES[..], &LOCATIONS[..], &PRODUCTS[..]].map(|words| pick(words, number));
    format!("demo-{number},person{number}@example.com,{first},{last},{location},{product}\n")
}

fn pick<'a>(words: &[&'a str], number: u32) -> &'a str {
    words
        .iter()
        .copied()
        .cycle()
        .nth(usize::try_from(number).unwrap_or_default() % words.len().max(1))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_people_are_distinct_and_some_lack_a_name() {
        let rows: std::collections::BTreeSet<_> = (0..100).map(row).collect();
        assert_eq!(rows.len(), 100);
        assert!(rows.iter().any(|row| row.contains("@example.com,,")));
    }
}
