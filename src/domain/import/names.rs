//! A whole name in two: what is in a column `name` becomes a first and a last name.
//!
//! The rule, in this order:
//! 1. With a comma, the last name stands before it and the first name behind it: `Lee, Ann`. A suffix such as `Jr.` behind a comma belongs
//!    to the last name instead.
//! 2. One word is a first name.
//! 3. Else the last word is the last name, together with a suffix behind it and the particles right before it (`van`, `von`, `de`, `da`,
//!    `di`, `del`, `la`, `le`, `bin`, `al` …): `Ana de la Cruz` is Ana, de la Cruz. The first word always stays with the first name.

/// Words that belong to the last name behind them.
const PARTICLES: &[&str] = &[
    "van", "von", "vom", "zu", "zum", "zur", "der", "den", "ter", "ten", "te", "'t", "de", "du", "des", "da", "das",
    "do", "dos", "di", "del", "della", "dello", "dei", "degli", "la", "le", "las", "los", "lo", "el", "al", "bin",
    "bint", "ibn", "ben", "af", "av", "st", "st.", "saint",
];

/// Words that belong to the last name before them.
const SUFFIXES: &[&str] = &["jr", "jr.", "sr", "sr.", "ii", "iii", "iv", "md", "m.d.", "phd", "ph.d.", "esq", "esq."];

/// The two parts of a name; empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Name {
    pub(super) first: String,
    pub(super) last: String,
}

/// Splits a whole name by the rule above.
pub(super) fn split(name: &str) -> Name {
    let (before, behind) = match name.split_once(',') {
        Some((before, behind)) => (words(before), words(behind)),
        None => (words(name), Vec::new()),
    };
    let is_suffix = !behind.is_empty() && behind.iter().all(|word| is_of(SUFFIXES, word));
    if !behind.is_empty() && !is_suffix {
        return Name { first: behind.join(" "), last: before.join(" ") };
    }
    let all: Vec<&str> = before.into_iter().chain(behind).collect();
    let suffixes = all.iter().rev().take_while(|word| is_of(SUFFIXES, word)).count();
    let core = all.len().saturating_sub(suffixes);
    let Some(last) = core.checked_sub(1) else { return Name { first: all.join(" "), last: String::new() } };
    if last == 0 {
        let (first, rest) = all.split_at(1);
        return Name { first: first.join(" "), last: rest.join(" ") };
    }
    let mut start = last;
    while start > 1 && start.checked_sub(1).and_then(|at| all.get(at)).is_some_and(|word| is_of(PARTICLES, word)) {
        start -= 1;
    }
    let (first, last) = all.split_at(start);
    Name { first: first.join(" "), last: last.join(" ") }
}

/// The last name in a column that has whole names or last names, beside a first name of its own.
pub(super) fn last_beside<'n>(first: &str, name: &'n str) -> &'n str {
    let is_first = |part: &str| !first.is_empty() && part.trim().to_lowercase() == first.trim().to_lowercase();
    if is_first(name) {
        return "";
    }
    if let Some((before, behind)) = name.split_once(',')
        && is_first(behind)
    {
        return before.trim();
    }
    let ends = name.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let cut = ends.filter_map(|at| name.split_at_checked(at)).find(|(before, _)| is_first(before));
    cut.map_or(name, |(_, rest)| rest).trim()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn is_of(words: &[&str], word: &str) -> bool {
    words.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_by_the_stated_rule() {
        for (name, first, last) in [
            ("Ann Lee", "Ann", "Lee"),
            ("  Ann   Maria  Lee ", "Ann Maria", "Lee"),
            ("Lee, Ann", "Ann", "Lee"),
            ("de la Cruz, Ana Maria", "Ana Maria", "de la Cruz"),
            ("Lee,", "Lee", ""),
            (", Ann", "Ann", ""),
            ("Ann", "Ann", ""),
            ("", "", ""),
            (",", "", ""),
            ("Vincent van Gogh", "Vincent", "van Gogh"),
            ("Ludwig von der Heide", "Ludwig", "von der Heide"),
            ("Ana De La Cruz", "Ana", "De La Cruz"),
            ("Salman bin Abdulaziz", "Salman", "bin Abdulaziz"),
            ("Al Pacino", "Al", "Pacino"),
            ("Van Morrison", "Van", "Morrison"),
            ("Ann Lee Jr.", "Ann", "Lee Jr."),
            ("Ann Lee, PhD", "Ann", "Lee PhD"),
            ("Jr.", "Jr.", ""),
            ("Zoë Ångström", "Zoë", "Ångström"),
        ] {
            let expected = Name { first: first.to_owned(), last: last.to_owned() };
            assert_eq!(split(name), expected, "{name:?}");
        }
    }

    #[test]
    fn beside_a_first_name_the_rest_is_the_last_name() {
        for (first, name, last) in [
            ("Ann", "Lee", "Lee"),
            ("Ann", "Ann Lee", "Lee"),
            ("Ann Maria", "ann maria Lee", "Lee"),
            ("Ann", "Lee, Ann", "Lee"),
            ("Ann", "Ann", ""),
            ("", "Ann Lee", "Ann Lee"),
            ("Ann", "Anna Lee", "Anna Lee"),
        ] {
            assert_eq!(last_beside(first, name), last, "{first:?} {name:?}");
        }
    }
}
