//! Messages to look at: some drawn evenly over the audience, and the worst cases.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::content::message::Message;
use crate::domain::ids::ContactId;

/// How many messages are drawn evenly.
const EVEN: usize = 6;

/// How many are the longest, and how many lack the most values.
const WORST: usize = 2;

/// The longest text and HTML that are kept, in characters.
const MOST_CHARACTERS: usize = 20_000;

/// Why a message was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// One of the longest.
    Longest,
    /// One of those that lack the most values.
    MostMissing,
    /// Drawn evenly over the audience.
    Even,
}

/// A message as its recipient would get it, but for the links that are the recipient's alone: who has one can refuse in their name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sample {
    /// Who would get it.
    pub contact_id: ContactId,
    /// Why it was chosen.
    pub chosen: Chosen,
    /// Empty on channels that have none.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML, where there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Who it is from, where the campaign says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where answers go, where the campaign or its template says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Headers of the campaign or its template, as this recipient would get them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How long subject, text and HTML are together, in characters.
    pub characters: usize,
    /// Whether text or HTML are cut off here, after 20,000 characters.
    pub shortened: bool,
    /// The placeholders for which the contact has no value.
    pub missing: Vec<String>,
}

/// A message that may be chosen.
#[derive(Debug, Clone)]
struct Candidate {
    contact: ContactId,
    message: Message,
    characters: usize,
    missing: Vec<String>,
}

/// Chooses messages while they are made one after the other. The same audience gives the same choice, and no more than some twenty
/// messages are kept at any time.
#[derive(Debug)]
pub struct Sampler {
    seen: usize,
    /// Every so manyth message is kept: doubled whenever too many are.
    stride: usize,
    even: Vec<Candidate>,
    longest: Vec<Candidate>,
    most_missing: Vec<Candidate>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { seen: 0, stride: 1, even: Vec::new(), longest: Vec::new(), most_missing: Vec::new() }
    }
}

impl Sampler {
    /// Takes a message into account. Where it is kept, `example` stands for it: the message without what is its recipient's alone.
    pub fn offer(
        &mut self,
        contact: ContactId,
        message: &Message,
        missing: Vec<String>,
        example: impl FnOnce() -> Option<Message>,
    ) {
        let characters = length(message);
        let is_even = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        let lacks_much = !missing.is_empty() && is_among(&self.most_missing, missing.len(), |one| one.missing.len());
        let is_long = is_among(&self.longest, characters, |one| one.characters);
        if !(is_even || lacks_much || is_long) {
            return;
        }
        let Some(message) = example() else { return };
        let candidate = Candidate { contact, message, characters, missing };
        if is_even {
            self.even.push(candidate.clone());
            if self.even.len() > EVEN * 2 {
                let mut at = 0_usize;
                self.even.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride *= 2;
            }
        }
        if lacks_much {
            keep(&mut self.most_missing, candidate.clone(), |one| one.missing.len());
        }
        if is_long {
            keep(&mut self.longest, candidate, |one| one.characters);
        }
    }

    /// The chosen ones, the worst first, each contact once.
    #[must_use]
    pub fn into_samples(self) -> Vec<Sample> {
        let mut samples: Vec<Sample> = Vec::with_capacity(EVEN + WORST * 2);
        let most = EVEN + WORST * 2;
        let mut add = |chosen: Chosen, candidates: Vec<Candidate>| {
            for candidate in candidates {
                if samples.len() < most && !samples.iter().any(|sample| sample.contact_id == candidate.contact) {
                    samples.push(candidate.into_sample(chosen));
                }
            }
        };
        add(Chosen::MostMissing, self.most_missing);
        add(Chosen::Longest, self.longest);
        // Spread over what is kept: the last ones may be closer together.
        let step = self.even.len().div_ceil(EVEN).max(1);
        let (first, rest): (Vec<_>, Vec<_>) =
            self.even.into_iter().enumerate().partition(|(at, _)| at.is_multiple_of(step));
        add(Chosen::Even, first.into_iter().chain(rest).map(|(_, candidate)| candidate).collect());
        samples
    }
}

impl Candidate {
    fn into_sample(self, chosen: Chosen) -> Sample {
        let Message { subject, text, html, from, reply_to, headers, .. } = self.message;
        let (text, is_text_cut) = cut(text);
        let (html, is_html_cut) = html.map_or((None, false), |html| {
            let (html, is_cut) = cut(html);
            (Some(html), is_cut)
        });
        Sample {
            contact_id: self.contact,
            chosen,
            subject,
            text,
            html,
            from,
            reply_to,
            headers: headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            characters: self.characters,
            shortened: is_text_cut || is_html_cut,
            missing: self.missing,
        }
    }
}

fn length(message: &Message) -> usize {
    let html = message.html.as_deref().unwrap_or_default();
    [message.subject.as_str(), &message.text, html].into_iter().map(|part| part.chars().count()).sum()
}

fn cut(text: String) -> (String, bool) {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((at, _)) => (text.chars().take(MOST_CHARACTERS).collect(), at < text.len()),
        None => (text, false),
    }
}

fn is_among(kept: &[Candidate], size: usize, size_of: impl Fn(&Candidate) -> usize) -> bool {
    kept.len() < WORST || kept.iter().any(|one| size_of(one) < size)
}

fn keep(kept: &mut Vec<Candidate>, candidate: Candidate, size_of: impl Fn(&Candidate) -> usize) {
    kept.push(candidate);
    kept.sort_by_key(|one| std::cmp::Reverse(size_of(one)));
    kept.truncate(WORST);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen_of(count: i64) -> Vec<(i64, Chosen)> {
        let mut sampler = Sampler::default();
        for id in 1..=count {
            let text = if id == 777 { "x".repeat(30_000) } else { format!("Dear {id}") };
            let missing = if id % 500 == 0 { vec!["city".to_owned()] } else { Vec::new() };
            let message = Message { text, ..Message::default() };
            sampler.offer(ContactId(id), &message, missing, || Some(message.clone()));
        }
        sampler.into_samples().into_iter().map(|sample| (sample.contact_id.0, sample.chosen)).collect()
    }

    #[test]
    fn ten_messages_are_the_worst_cases_and_some_from_everywhere() {
        let chosen = chosen_of(10_000);
        assert_eq!(chosen.len(), 10);
        assert_eq!(chosen[..2], [(500, Chosen::MostMissing), (1_000, Chosen::MostMissing)]);
        assert_eq!(chosen[2], (777, Chosen::Longest));
        let even: Vec<i64> = chosen.iter().filter(|(_, why)| *why == Chosen::Even).map(|(id, _)| *id).collect();
        assert_eq!(even.len(), 6);
        for part in 0..4 {
            let part = part * 2_500..(part + 1) * 2_500;
            assert!(even.iter().any(|id| part.contains(id)), "none of {part:?} in {even:?}");
        }
        assert_eq!(chosen, chosen_of(10_000), "the same audience gives the same choice");
    }

    #[test]
    fn of_few_all_are_shown_once() {
        for count in [0, 1, 7, 10] {
            let mut ids: Vec<i64> = chosen_of(count).into_iter().map(|(id, _)| id).collect();
            ids.sort_unstable();
            assert_eq!(ids, (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_long_message_is_cut_off_and_says_how_long_it_is() {
        let mut sampler = Sampler::default();
        let message = Message { text: "ä".repeat(25_000), html: Some("<p>".to_owned()), ..Message::default() };
        sampler.offer(ContactId(1), &message, Vec::new(), || Some(message.clone()));
        let sample = sampler.into_samples().pop().unwrap();
        assert_eq!((sample.text.chars().count(), sample.characters, sample.shortened), (20_000, 25_003, true));
        assert_eq!(sample.html.as_deref(), Some("<p>"));
    }
}
