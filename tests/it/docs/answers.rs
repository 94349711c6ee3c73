//! docs/provider-answers.md says what the table of answers and `settle` say.

use std::collections::BTreeSet;
use std::time::Duration;

use volley::domain::campaigns::OnUncertain;
use volley::domain::dispatch::answer::{AnswerClass, Refusal};
use volley::domain::dispatch::delivery::ErrorCategory;
use volley::domain::dispatch::outcome::{NotBegun, Outcome};
use volley::domain::dispatch::retries::Retries;
use volley::domain::dispatch::settlement::{Attempt, settle};
use volley::domain::dispatch::trouble::Trouble;

use super::{page, quoted, table};

#[test]
fn the_page_of_answers_shows_every_row_of_the_table_and_no_other() {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rows = volley::domain::dispatch::answers::rows().iter().map(|row| {
        vec![
            row.way.to_string(),
            row.provider.to_string(),
            or_dash(row.code.map(|code| code.to_string())),
            or_dash(row.enhanced.map(|code| code.to_string())),
            or_dash((!row.words.is_empty()).then(|| format!("`{}`", row.words))),
            format!("`{}`", row.class),
            if row.permanent { "yes" } else { "no" }.to_owned(),
            or_dash(row.wait.map(|wait| wait.as_secs().to_string())),
            row.standing.to_string(),
            format!("<{}>", row.source),
        ]
    });
    let shown = table(&page("docs/provider-answers.md"), "answer");
    assert_eq!(shown, rows.collect::<Vec<_>>());
}

#[test]
fn the_page_of_answers_explains_every_class_and_no_other() {
    let explained: Vec<_> =
        table(&page("docs/provider-answers.md"), "class").into_iter().map(|row| row[0].clone()).collect();
    let classes: Vec<_> = AnswerClass::ALL.iter().map(|class| format!("`{class}`")).collect();
    assert_eq!(explained, classes);
}

fn trouble() -> Trouble {
    Trouble::new(ErrorCategory::ProviderError, "no")
}

fn refused(classes: &[AnswerClass], permanent: &[bool]) -> Vec<Outcome> {
    let all = classes.iter().flat_map(|class| permanent.iter().map(|permanent| (*class, *permanent)));
    all.map(|(class, permanent)| {
        let refusal = Refusal { class, permanent, wait: None, signature: String::new(), trouble: trouble() };
        Outcome::Refused(refusal)
    })
    .collect()
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "Accepted",
        Outcome::Refused(_) => "Refused",
        Outcome::Unknown(_) => "Unknown",
        Outcome::KeySeen { .. } => "KeySeen",
        Outcome::Unsendable(_) => "Unsendable",
        Outcome::NotBegun(_) => "NotBegun",
    }
}

/// The states that an outcome can lead to: at the first attempt and at one too many, with and without a key.
fn states(outcome: &Outcome) -> BTreeSet<String> {
    let retries = Retries::new(vec![Duration::from_secs(1)], Duration::from_secs(10), 0);
    let attempts = [0, 100].into_iter().flat_map(|before| [(before, true), (before, false)]);
    attempts
        .map(|(attempts_before, key_honoured)| {
            let attempt = Attempt {
                attempts_before,
                retries: &retries,
                retry_for: None,
                was_ambiguous: false,
                key_honoured,
                on_uncertain: OnUncertain::Hold,
                jitter: 0.0,
            };
            settle(outcome, attempt).state.to_string()
        })
        .collect()
}

#[test]
fn the_page_of_answers_leads_from_each_outcome_to_the_states_of_the_code() {
    use AnswerClass::{Address, Content, Policy, Recipient, Sender, Unsure};
    let relay: Vec<AnswerClass> = AnswerClass::ALL.iter().copied().filter(|class| class.is_relay()).collect();
    let mut unclear = refused(&[Unsure], &[true, false]);
    unclear.extend(refused(&[Content, Policy, Sender], &[false]));
    // A row each, in the order of the page.
    let rows = [
        vec![Outcome::Accepted { provider_id: None }],
        refused(&[Address, Recipient, Content, Policy, Sender], &[true]),
        refused(&[Recipient], &[false]),
        refused(&relay, &[true, false]),
        unclear,
        vec![Outcome::Unknown(trouble())],
        vec![Outcome::KeySeen { trouble: trouble(), retry_after: None }],
        vec![Outcome::Unsendable(trouble())],
        vec![Outcome::NotBegun(NotBegun::Paused)],
    ];
    let told = rows.iter().map(|outcomes| {
        let names: BTreeSet<String> = outcomes.iter().map(|outcome| name(outcome).to_owned()).collect();
        (names, outcomes.iter().flat_map(states).collect::<BTreeSet<_>>())
    });
    let shown = table(&page("docs/provider-answers.md"), "the provider's answer");
    let shown = shown.iter().map(|row| (quoted(&row[1]), quoted(&row[2])));
    assert_eq!(shown.collect::<Vec<_>>(), told.collect::<Vec<_>>());
}
