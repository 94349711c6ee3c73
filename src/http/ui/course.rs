//! The course of a campaign, drawn: what became of its messages minute by minute.

use askama::Template;

use super::words::{When, counted, grouped};
use crate::domain::dispatch::minutes::MinuteFigures;
use crate::domain::instant::UtcInstant;
use crate::http::api::campaigns::minutes::{CampaignMinute, CampaignMinutes};

/// Most columns: on a narrow screen each is two pixels wide.
pub(super) const MOST_COLUMNS: i64 = 120;

/// Fewest places for columns: one alone would look like a bar.
const FEWEST_PLACES: i64 = 30;

/// The part of the height that the highest column takes, in percent: the least heights below go on top of it.
const HIGHEST: f64 = 88.0;

/// The least height of a part that is there, in percent: 3 pixels.
const LEAST: f64 = 2.4;

/// The course of a campaign: one column for each step, and the same numbers as a table.
#[derive(Debug, Template)]
#[template(path = "ui/course.html")]
pub(super) struct Course {
    id: i64,
    columns: Vec<Column>,
    /// Where decisions stand, in percent.
    lines: Vec<String>,
    /// The decisions in words, oldest first.
    marks: Vec<(When, String)>,
    /// All of it in words.
    label: String,
    sentence: String,
    /// Where the axis of time begins and ends.
    ends: Option<(When, When)>,
    legend: Vec<(&'static str, &'static str, String)>,
    rows: Vec<Row>,
    /// What the picture does not show, and what is to be known of it.
    remarks: Vec<String>,
    /// When it was looked at, and the page to look again, while more may come.
    again: Option<(When, String)>,
}

/// A decision on the axis of time.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) at: UtcInstant,
    /// What was decided, and who decided it.
    pub(super) words: String,
}

/// A column. Places and lengths in percent.
#[derive(Debug, PartialEq)]
struct Column {
    parts: Vec<Part>,
}

/// A state in a column.
#[derive(Debug, PartialEq)]
struct Part {
    state: &'static str,
    x: String,
    y: String,
    width: String,
    height: String,
}

/// A step in the table.
#[derive(Debug)]
struct Row {
    at: When,
    numbers: [String; 7],
}

/// What stands in a column, from below, with the token of its colour and its word.
const LAYERS: [(&str, &str); 5] = [
    ("sent", "sent"),
    ("failed", "failed"),
    ("skipped", "skipped"),
    ("uncertain", "uncertain"),
    ("pending", "put off"),
];

const fn layers(figures: &MinuteFigures) -> [i64; 5] {
    [figures.sent, figures.failed, figures.skipped, figures.uncertain, figures.deferred]
}

fn height(figures: &MinuteFigures) -> i64 {
    layers(figures).into_iter().map(|count| count.max(0)).sum()
}

fn number(count: i64) -> f64 {
    u32::try_from(count.clamp(0, i64::from(u32::MAX))).map_or(0.0, f64::from)
}

impl Course {
    /// The course of the campaign with this id. `again`: when it was looked at and where it is looked at again, as long as it goes on.
    pub(super) fn of(id: i64, course: &CampaignMinutes, marks: &[Mark], again: Option<(UtcInstant, String)>) -> Self {
        let highest =
            course.data.iter().max_by_key(|step| height(&step.figures)).filter(|step| height(&step.figures) > 0);
        let totals = layers(&course.total);
        let words: Vec<String> = LAYERS
            .iter()
            .zip(totals)
            .filter(|(_, count)| *count > 0)
            .map(|((_, word), count)| format!("{} {word}", grouped(count)))
            .collect();
        Self {
            id,
            columns: columns(course),
            lines: lines(course, marks),
            marks: marks.iter().map(|mark| (When::of(mark.at), mark.words.clone())).collect(),
            label: format!("Course of the campaign: {}", words.join(", ")),
            sentence: highest.map_or_else(String::new, |highest| sentence(course, highest)),
            ends: places(course).map(|(begin, places, step)| {
                (When::of(UtcInstant(begin)), When::of(UtcInstant(begin + places * step)))
            }),
            legend: LAYERS.iter().zip(totals).map(|((state, word), count)| (*state, *word, grouped(count))).collect(),
            rows: course.data.iter().map(Row::of).collect(),
            remarks: remarks(course),
            again: again.map(|(at, path)| (When::of(at), path)),
        }
    }
}

impl Row {
    fn of(step: &CampaignMinute) -> Self {
        let MinuteFigures { sent, failed, skipped, uncertain, deferred, retried, resolved } = step.figures;
        let numbers = [sent, failed, skipped, uncertain, deferred, retried, resolved].map(grouped);
        Self { at: When::of(step.at), numbers }
    }
}

fn sentence(course: &CampaignMinutes, highest: &CampaignMinute) -> String {
    let step = match course.step {
        1 => "one minute".to_owned(),
        step => format!("{step} minutes"),
    };
    let people = counted(height(&highest.figures), "outcome", "outcomes");
    format!("At most {people} in {step}.")
}

fn remarks(course: &CampaignMinutes) -> Vec<String> {
    let MinuteFigures { retried, resolved, .. } = course.total;
    let missing = (!course.complete).then(|| {
        "A part of this campaign went out before Volley counted minutes, and is not in this picture.".to_owned()
    });
    let resolved = (resolved > 0).then(|| {
        format!(
            "{} uncertain and no longer so: counted as uncertain in the minute in which it became unknown, and again in the minute in \
             which it was resolved.",
            counted(resolved, "message was", "messages were")
        )
    });
    let retried = (retried > 0).then(|| {
        format!(
            "{} put back after having failed: it counts as failed in the minute in which it failed.",
            counted(retried, "message was", "messages were")
        )
    });
    [missing, resolved, retried].into_iter().flatten().collect()
}

/// Where the places for columns begin, how many there are, and how long each is in milliseconds.
pub(super) fn places(course: &CampaignMinutes) -> Option<(i64, i64, i64)> {
    let step = course.step * 60_000;
    let (first, last) = (course.first?.0, course.last?.0);
    let begin = first - first.rem_euclid(step);
    Some((begin, ((last - begin) / step + 1).max(FEWEST_PLACES), step))
}

/// Where decisions stand. One before the first outcome, as a launch mostly is, stands at the edge.
fn lines(course: &CampaignMinutes, marks: &[Mark]) -> Vec<String> {
    let Some((begin, places, step)) = places(course) else { return Vec::new() };
    let whole = places * step;
    let place = |mark: &Mark| {
        let after = (mark.at.0 - begin).clamp(0, whole);
        format!("{:.3}", (100.0 * number(after / 1_000) / number(whole / 1_000)).clamp(0.1, 99.9))
    };
    marks.iter().map(place).collect()
}

fn columns(course: &CampaignMinutes) -> Vec<Column> {
    let Some((begin, places, step)) = places(course) else { return Vec::new() };
    let highest = course.data.iter().map(|step| height(&step.figures)).max().unwrap_or(0);
    let place = 100.0 / number(places);
    let column = |one: &CampaignMinute| {
        let x = number((one.at.0 - begin) / step) * place;
        let mut top = 100.0;
        let mut parts = Vec::new();
        for ((state, _), count) in LAYERS.iter().zip(layers(&one.figures)).filter(|(_, count)| *count > 0) {
            let height = (HIGHEST * number(count) / number(highest)).max(LEAST);
            top -= height;
            parts.push(Part {
                state,
                x: format!("{:.3}", x + place * 0.08),
                y: format!("{top:.3}"),
                width: format!("{:.3}", place * 0.84),
                height: format!("{height:.3}"),
            });
        }
        Column { parts }
    };
    course.data.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::page::Counts;

    fn course(steps: &[(i64, MinuteFigures)], complete: bool) -> CampaignMinutes {
        let mut total = MinuteFigures::default();
        steps.iter().for_each(|(_, figures)| total.add(figures));
        let at = |minute: &i64| UtcInstant(minute * 60_000);
        CampaignMinutes {
            step: 1,
            data: steps
                .iter()
                .map(|(minute, figures)| CampaignMinute { at: at(minute), instance_id: None, figures: *figures })
                .collect(),
            total,
            complete,
            first: steps.first().map(|(minute, _)| at(minute)),
            last: steps.last().map(|(minute, _)| at(minute)),
            stats: Counts::default(),
            next_cursor: None,
        }
    }

    #[test]
    fn columns_stay_in_the_picture_and_one_failure_among_thousands_is_seen() {
        let some = |sent, failed| MinuteFigures { sent, failed, uncertain: 1, ..MinuteFigures::default() };
        let steps: Vec<_> = (0..120).map(|minute| (minute, some(10_000, 1))).collect();
        for column in columns(&course(&steps, true)) {
            let number = |text: &str| text.parse::<f64>().unwrap();
            let [sent, failed, uncertain] = column.parts.as_slice() else { panic!("{column:?}") };
            assert!(number(&failed.height) >= LEAST && number(&uncertain.y) >= 0.0, "{column:?}");
            assert!(number(&sent.x) + number(&sent.width) <= 100.0, "{column:?}");
            assert!((number(&failed.y) + number(&failed.height) - number(&sent.y)).abs() < 0.01, "{column:?}");
        }
        assert!(columns(&course(&[], true)).is_empty());
    }

    #[test]
    fn decisions_stand_where_they_were_made_on_the_same_axis() {
        let some = MinuteFigures { sent: 1, ..MinuteFigures::default() };
        let course = course(&[(0, some), (59, some)], true);
        let at = |ms: i64| Mark { at: UtcInstant(ms), words: String::new() };
        let found = lines(&course, &[at(-5), at(1_800_000), at(9_000_000)]);
        assert_eq!(found, ["0.100", "50.000", "99.900"]);
    }

    #[test]
    fn what_the_picture_does_not_show_is_said() {
        let figures = MinuteFigures { sent: 1, uncertain: 2, resolved: 1, ..MinuteFigures::default() };
        let said = remarks(&course(&[(1, figures)], false));
        assert!(
            said[0].starts_with("A part of this campaign") && said[1].starts_with("1 message was uncertain"),
            "{said:?}"
        );
        assert!(remarks(&course(&[(1, MinuteFigures { sent: 1, ..MinuteFigures::default() })], true)).is_empty());
    }
}
