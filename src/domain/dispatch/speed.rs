//! How fast a campaign goes out: the limits that apply, which one binds, and when the campaign is expected to end.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::campaigns::CampaignStatus;
use crate::domain::instant::UtcInstant;
use crate::domain::shown::grouped;
use crate::domain::text_enum::text_enum;

/// A limit binds where at least this part of it is reached: tokens are taken in blocks, and minutes begin anywhere.
const BINDS_FROM: f64 = 0.85;

text_enum! {
    /// What limits how fast a campaign goes out.
    CeilingKind {
        /// Its own rate.
        Campaign = "campaign",
        /// The rate of its pool in the settings.
        Pool = "pool",
        /// What the provider takes, as the pool has found or an operator has decided.
        Provider = "provider",
        /// How many calls may be under way at once.
        Places = "places",
        /// Recipient domains that are throttled alone.
        Domains = "domains",
        /// The packing of its audience.
        Packing = "packing",
    }
}

text_enum! {
    /// What is known of a limit.
    CeilingState {
        /// It is so many a second.
        Rate = "rate",
        /// There is none.
        None = "none",
        /// There is one, and nobody keeps how many a second it is.
        Unknown = "unknown",
        /// Nothing passes.
        Holds = "holds",
        /// It holds back some recipients, and no others.
        Part = "part",
    }
}

text_enum! {
    /// Why it is not known when a campaign ends.
    EndUnknown {
        /// It is not being sent: a draft, scheduled, paused, or ended.
        NotSending = "not_sending",
        /// It cannot go on before something else happens.
        Held = "held",
        /// It was launched a few seconds ago, or resumed or reopened less than a minute ago.
        NotMeasured = "not_measured",
        /// Nothing came to an end in the last minute.
        StandsStill = "stands_still",
        /// Nobody is left but those who wait for another try, or all others will be done before them.
        WaitsForRetries = "waits_for_retries",
        /// Nobody is left: it ends in a moment.
        NobodyLeft = "nobody_left",
    }
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Ceiling {
    /// What limits.
    pub kind: CeilingKind,
    /// What is known of it.
    pub state: CeilingState,
    /// Hand-overs per second. `null`: see `state`.
    pub per_second: Option<f64>,
    /// Calls at once, where that is what is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<f64>,
    /// Whether it binds now.
    pub binds: bool,
    /// Where it comes from, in words for people.
    pub detail: String,
}

impl Ceiling {
    fn new(kind: CeilingKind, state: CeilingState, per_second: Option<f64>, detail: &str) -> Self {
        Self { kind, state, per_second, at_once: None, binds: false, detail: detail.to_owned() }
    }

    /// So many a second.
    #[must_use]
    pub fn rate(kind: CeilingKind, per_second: f64, detail: &str) -> Self {
        Self::new(kind, CeilingState::Rate, Some(per_second), detail)
    }

    /// No limit.
    #[must_use]
    pub fn none(kind: CeilingKind, detail: &str) -> Self {
        Self::new(kind, CeilingState::None, None, detail)
    }

    /// A limit of which nobody keeps how many a second it is.
    #[must_use]
    pub fn unknown(kind: CeilingKind, detail: &str) -> Self {
        Self::new(kind, CeilingState::Unknown, None, detail)
    }

    /// Nothing passes.
    #[must_use]
    pub fn holds(kind: CeilingKind, detail: &str) -> Self {
        Self::new(kind, CeilingState::Holds, Some(0.0), detail)
    }
}

/// What a campaign's pace is judged by.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Its status.
    pub status: CampaignStatus,
    /// The moment.
    pub at: UtcInstant,
    /// How many people are to come.
    pub left: i64,
    /// Whether the audience is being packed and everybody who is packed is settled.
    pub is_packing: bool,
    /// How many wait for another try, and when the first may be tried.
    pub waiting: Option<(i64, UtcInstant)>,
    /// What is the matter, as the instance that answers sees it.
    pub attention: Option<String>,
    /// Whether that lets nothing pass there.
    pub stops: bool,
    /// Hand-overs per second that ended in the last minute.
    pub measured: Option<f64>,
    /// The same with those that were put off for another try: each took its part of the limits.
    pub called: Option<f64>,
    /// The same of all campaigns that are sent through its pool.
    pub together: Option<f64>,
    /// How many other campaigns are sent through its pool.
    pub others: usize,
    /// The limits that apply.
    pub ceilings: Vec<Ceiling>,
}

/// What binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is not being sent, or nobody is left who could be sent to now.
    Nothing,
    /// This limit.
    By(CeilingKind),
    /// Something that is not among the known limits.
    Unknown,
}

/// How a campaign's pace is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// The limits, with the one marked that binds.
    pub ceilings: Vec<Ceiling>,
    /// What binds.
    pub bound: Bound,
    /// When the campaign is expected to end.
    pub ends_at: Option<UtcInstant>,
    /// Why that is not known.
    pub end_unknown: Option<EndUnknown>,
    /// Why it is not faster.
    pub why: String,
}

impl Situation {
    /// Why it cannot go on. What goes out all the same is not held: another instance sends it.
    fn held(&self) -> Option<&str> {
        let goes = self.called.is_some_and(|rate| rate > 0.0);
        self.attention.as_deref().filter(|_| self.stops && !goes)
    }

    /// How much of what a limit is for goes through, per second.
    fn load(&self, kind: CeilingKind) -> Option<f64> {
        if kind == CeilingKind::Campaign { self.called } else { self.together }
    }
}

/// How many calls a pool may have under way at once: what it has found, if the settings allow it; one, where nothing was accepted lately.
#[must_use]
pub fn calls_at_once(found: Option<f64>, of_settings: Option<f64>, is_on_tiptoe: bool) -> Option<f64> {
    let most = found.into_iter().chain(of_settings).reduce(f64::min);
    if is_on_tiptoe { Some(1.0) } else { most }
}

impl Speed {
    /// Judges a campaign's pace.
    #[must_use]
    pub fn of(situation: &Situation) -> Self {
        let bound = bound(situation);
        let mut ceilings = situation.ceilings.clone();
        for ceiling in &mut ceilings {
            ceiling.binds = bound == Bound::By(ceiling.kind);
        }
        let end = end(situation);
        Self { ceilings, bound, ends_at: end.ok(), end_unknown: end.err(), why: why(situation, bound) }
    }
}

fn smallest<'c>(ceilings: impl IntoIterator<Item = &'c Ceiling>) -> Option<(&'c Ceiling, f64)> {
    let rates = ceilings.into_iter().filter_map(|ceiling| Some((ceiling, ceiling.per_second?)));
    rates.min_by(|one, other| one.1.total_cmp(&other.1))
}

/// Whether nobody is left but those who wait for another try.
fn only_waits(situation: &Situation) -> bool {
    situation.waiting.is_some_and(|(count, _)| situation.left > 0 && count >= situation.left)
}

fn bound(situation: &Situation) -> Bound {
    if situation.status != CampaignStatus::Sending || situation.left == 0 || only_waits(situation) {
        return Bound::Nothing;
    }
    let holding = situation.ceilings.iter().find(|ceiling| ceiling.state == CeilingState::Holds);
    if let Some(holding) = holding {
        return Bound::By(holding.kind);
    }
    if situation.held().is_some() {
        return Bound::Unknown;
    }
    if situation.is_packing {
        return Bound::By(CeilingKind::Packing);
    }
    let is_reached =
        |ceiling: &Ceiling, rate: f64| situation.load(ceiling.kind).is_none_or(|load| load >= rate * BINDS_FROM);
    let reached = situation.ceilings.iter().filter(|one| one.per_second.is_some_and(|rate| is_reached(one, rate)));
    smallest(reached).map_or(Bound::Unknown, |(ceiling, _)| Bound::By(ceiling.kind))
}

fn end(situation: &Situation) -> Result<UtcInstant, EndUnknown> {
    if situation.status != CampaignStatus::Sending {
        return Err(EndUnknown::NotSending);
    }
    if situation.left == 0 {
        return Err(EndUnknown::NobodyLeft);
    }
    let is_held = situation.ceilings.iter().any(|ceiling| ceiling.state == CeilingState::Holds);
    if is_held || situation.held().is_some() {
        return Err(EndUnknown::Held);
    }
    if only_waits(situation) {
        return Err(EndUnknown::WaitsForRetries);
    }
    let rate = situation.measured.ok_or(EndUnknown::NotMeasured)?;
    let done = |left: i64| after(situation.at, left, rate).ok_or(EndUnknown::StandsStill);
    if let Some((count, next)) = situation.waiting
        && done(situation.left - count)? <= next
    {
        return Err(EndUnknown::WaitsForRetries);
    }
    done(situation.left)
}

/// The moment at which so many are done at a rate. `None`: at no moment that could be told.
fn after(at: UtcInstant, left: i64, rate: f64) -> Option<UtcInstant> {
    let left = f64::from(u32::try_from(left).ok()?);
    let span = std::time::Duration::try_from_secs_f64((left / rate).ceil()).ok()?;
    let ms = i64::try_from(span.as_millis()).ok()?;
    at.0.checked_add(ms).map(UtcInstant)
}

fn per_second(rate: f64) -> String {
    if rate >= 10.0 || rate.fract() == 0.0 { format!("{rate:.0}/s") } else { format!("{rate:.1}/s") }
}

const fn called(kind: CeilingKind) -> &'static str {
    match kind {
        CeilingKind::Campaign => "the campaign's own rate",
        CeilingKind::Pool => "the rate of its pool",
        CeilingKind::Provider => "what the provider takes",
        CeilingKind::Places => "the number of calls at once",
        CeilingKind::Domains => "the throttled recipient domains",
        CeilingKind::Packing => "the packing of its audience",
    }
}

/// What has to do with its pace and does not bind it, each in a sentence with a space before it.
fn besides(situation: &Situation, is_alone: bool) -> String {
    let put_off = situation.called.unwrap_or_default() - situation.measured.unwrap_or_default();
    let mut all = String::new();
    if put_off >= 0.05 {
        all += &format!(" {} of its calls are put off for another try.", per_second(put_off));
    }
    let together = situation.together.map(|rate| format!(": all together go at {}", per_second(rate)));
    let together = together.unwrap_or_default();
    match situation.others {
        _ if is_alone => {}
        0 => {}
        1 => all += &format!(" One other campaign is sent through the same pool and takes its part{together}."),
        others => {
            all += &format!(" {others} other campaigns are sent through the same pool and take their part{together}.");
        }
    }
    if let Some(attention) = &situation.attention {
        all += &format!(" The instance that answers says: {}.", attention.trim_end_matches('.'));
    }
    all
}

/// Why it is not faster, in a sentence.
fn why(situation: &Situation, bound: Bound) -> String {
    match bound {
        Bound::Nothing => nothing(situation),
        Bound::By(CeilingKind::Packing) => {
            "Its audience is still being packed, and everybody who is packed is done or under way.".to_owned()
        }
        Bound::By(kind) => {
            let besides = besides(situation, kind == CeilingKind::Campaign);
            let Some(ceiling) = situation.ceilings.iter().find(|ceiling| ceiling.kind == kind) else {
                return besides.trim_start().to_owned();
            };
            let rate = ceiling.per_second.unwrap_or_default();
            if ceiling.state == CeilingState::Holds {
                return format!("Nothing goes out: {}.", ceiling.detail.trim_end_matches([' ', ':', '.']));
            }
            let next = smallest(
                situation.ceilings.iter().filter(|other| other.kind != kind && other.per_second >= Some(rate)),
            )
            .map(|(next, rate)| format!(" Without it, {} would bind at {}.", called(next.kind), per_second(rate)));
            format!("Bound by {}, {}.{}{besides}", called(kind), per_second(rate), next.unwrap_or_default())
        }
        Bound::Unknown => unknown(situation),
    }
}

fn unknown(situation: &Situation) -> String {
    let besides = besides(situation, false);
    match (situation.held(), smallest(&situation.ceilings), situation.called) {
        (Some(held), ..) => format!("It cannot go on: {}.", held.trim_end_matches('.')),
        (None, Some((_, smallest)), Some(rate)) => format!(
            "It goes at {} and no known limit binds: the smallest is {}. How long calls, claims and the database take is not kept \
             here.{besides}",
            per_second(rate),
            per_second(smallest)
        ),
        (None, ..) => format!(
            "No rate limits it: how many calls are under way at once, and how long each takes, decides.{besides}"
        ),
    }
}

fn nothing(situation: &Situation) -> String {
    match situation.status {
        CampaignStatus::Sending => match situation.waiting.filter(|_| only_waits(situation)) {
            Some((1, _)) => "Only one person is left, who waits for another try.".to_owned(),
            Some((count, _)) => format!("Only {} people are left, who wait for another try.", grouped(count)),
            None => "Nobody is left.".to_owned(),
        },
        CampaignStatus::Draft | CampaignStatus::Scheduled => "Nothing goes out before it is launched.".to_owned(),
        CampaignStatus::Paused => "Nothing goes out while it is paused.".to_owned(),
        CampaignStatus::Sent | CampaignStatus::Failed | CampaignStatus::Stopped => "It has ended.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(measured: Option<f64>, ceilings: Vec<Ceiling>) -> Situation {
        Situation {
            status: CampaignStatus::Sending,
            at: UtcInstant(1_000_000),
            left: 1_000,
            is_packing: false,
            waiting: None,
            attention: None,
            stops: false,
            measured,
            called: measured,
            together: measured,
            others: 0,
            ceilings,
        }
    }

    fn rates() -> Vec<Ceiling> {
        vec![
            Ceiling::rate(CeilingKind::Campaign, 20.0, "own"),
            Ceiling::rate(CeilingKind::Pool, 200.0, "pool"),
            Ceiling::none(CeilingKind::Provider, "nothing"),
        ]
    }

    #[test]
    fn the_smallest_rate_binds_where_it_is_reached() {
        let speed = Speed::of(&sending(Some(19.0), rates()));
        assert_eq!(speed.bound, Bound::By(CeilingKind::Campaign));
        assert_eq!(speed.ceilings.iter().map(|one| one.binds).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(
            speed.why,
            "Bound by the campaign's own rate, 20/s. Without it, the rate of its pool would bind at 200/s."
        );
        assert_eq!((speed.ends_at, speed.end_unknown), (Some(UtcInstant(1_053_000)), None));
    }

    #[test]
    fn where_no_known_limit_is_reached_that_is_said() {
        let slow = Speed::of(&Situation { others: 2, together: Some(15.0), ..sending(Some(5.0), rates()) });
        assert_eq!(slow.bound, Bound::Unknown);
        assert!(slow.why.starts_with("It goes at 5/s and no known limit binds: the smallest is 20/s."), "{}", slow.why);
        assert!(
            slow.why.ends_with(
                "2 other campaigns are sent through the same pool and take their part: all together go at 15/s."
            ),
            "{}",
            slow.why
        );
        let free = Speed::of(&sending(Some(5.0), vec![Ceiling::none(CeilingKind::Campaign, "none")]));
        assert!(free.why.starts_with("No rate limits it"), "{}", free.why);
    }

    #[test]
    fn what_lets_nothing_pass_binds_before_everything_and_the_end_is_unknown() {
        let mut ceilings = rates();
        ceilings.push(Ceiling::holds(CeilingKind::Provider, "the provider asked for a pause"));
        let speed = Speed::of(&sending(Some(20.0), ceilings));
        assert_eq!(speed.bound, Bound::By(CeilingKind::Provider));
        assert_eq!((speed.ends_at, speed.end_unknown), (None, Some(EndUnknown::Held)));
    }

    #[test]
    fn an_end_is_told_only_where_it_is_known() {
        let at = |change: fn(&mut Situation)| {
            let mut situation = sending(Some(20.0), rates());
            change(&mut situation);
            Speed::of(&situation).end_unknown
        };
        assert_eq!(at(|one| one.status = CampaignStatus::Paused), Some(EndUnknown::NotSending));
        assert_eq!(at(|one| one.left = 0), Some(EndUnknown::NobodyLeft));
        assert_eq!(at(|one| one.measured = None), Some(EndUnknown::NotMeasured));
        assert_eq!(at(|one| one.measured = Some(0.0)), Some(EndUnknown::StandsStill));
        assert_eq!(at(|one| one.waiting = Some((1_000, UtcInstant(0)))), Some(EndUnknown::WaitsForRetries));
        assert_eq!(at(|one| one.waiting = Some((1, UtcInstant(0)))), None);
        assert_eq!(at(|one| one.waiting = Some((1, UtcInstant(2_000_000)))), Some(EndUnknown::WaitsForRetries));
    }

    #[test]
    fn only_what_lets_nothing_pass_holds_and_not_while_something_goes_out() {
        let judged = |stops: bool, measured: Option<f64>| {
            let attention = Some("no pool named main.".to_owned());
            Speed::of(&Situation { attention, stops, ..sending(measured, rates()) })
        };
        let held = judged(true, Some(0.0));
        assert_eq!(
            (held.why.as_str(), held.end_unknown),
            ("It cannot go on: no pool named main.", Some(EndUnknown::Held))
        );
        for goes in [judged(false, Some(20.0)), judged(true, Some(20.0))] {
            assert_eq!((goes.bound, goes.end_unknown), (Bound::By(CeilingKind::Campaign), None));
            assert!(goes.why.ends_with("The instance that answers says: no pool named main."), "{}", goes.why);
        }
        assert_eq!(judged(false, Some(0.0)).end_unknown, Some(EndUnknown::StandsStill));
    }

    #[test]
    fn a_shared_pools_rate_binds_all_its_campaigns_together() {
        let shared = Situation { others: 1, together: Some(198.0), ..sending(Some(5.0), rates()) };
        let speed = Speed::of(&shared);
        assert_eq!(speed.bound, Bound::By(CeilingKind::Pool));
        assert!(speed.why.starts_with("Bound by the rate of its pool, 200/s. One other campaign"), "{}", speed.why);
    }

    #[test]
    fn calls_that_are_put_off_take_their_part_of_the_limits_but_bring_the_end_no_nearer() {
        let greylisted = Situation { called: Some(20.0), together: Some(20.0), ..sending(Some(0.0), rates()) };
        let speed = Speed::of(&greylisted);
        assert_eq!((speed.bound, speed.end_unknown), (Bound::By(CeilingKind::Campaign), Some(EndUnknown::StandsStill)));
        assert!(speed.why.ends_with("20/s of its calls are put off for another try."), "{}", speed.why);
    }

    #[test]
    fn who_is_under_way_while_an_audience_is_packed_is_not_called_done() {
        let speed = Speed::of(&Situation { is_packing: true, ..sending(Some(5.0), rates()) });
        assert_eq!(speed.bound, Bound::By(CeilingKind::Packing));
        assert!(speed.why.ends_with("done or under way."), "{}", speed.why);
    }

    #[test]
    fn calls_at_once_are_no_more_than_the_settings_allow_and_one_on_tiptoe() {
        assert_eq!(calls_at_once(Some(50.0), Some(14.0), false), Some(14.0));
        assert_eq!(calls_at_once(Some(3.0), Some(14.0), false), Some(3.0));
        assert_eq!(calls_at_once(None, Some(14.0), false), Some(14.0));
        assert_eq!(calls_at_once(None, Some(14.0), true), Some(1.0));
    }
}
