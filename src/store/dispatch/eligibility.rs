//! What `domain::dispatch::eligibility` judges by, in SQL: why a contact cannot be reached, what is held against its address, and
//! how it stands on the topics of a campaign. One text for the claim, which asks it of every recipient.

use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::dispatch::eligibility::{Consent, Held, OnTopic};
use crate::domain::ids::{CampaignId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Source;
use crate::domain::people::standing::Standing;
use crate::store::StoreError;
use crate::store::engine::sql::Pieces;

/// An expression over a row `c` of `contacts`: the reason why it cannot be reached by `channel`, or NULL. It reads the same on
/// both databases.
#[must_use]
pub fn skip_reason(channel: ChannelKind) -> String {
    let reachable = match channel {
        ChannelKind::Email => "c.email IS NOT NULL",
        ChannelKind::Sms | ChannelKind::Whatsapp => "c.phone IS NOT NULL",
        ChannelKind::Http => "(c.email IS NOT NULL OR c.phone IS NOT NULL OR c.external_id IS NOT NULL)",
    };
    format!(
        "CASE WHEN c.deleted_at IS NOT NULL THEN '{}' WHEN {reachable} THEN NULL ELSE '{}' END",
        SkipReason::ContactDeleted.as_str(),
        SkipReason::NoAddress.as_str()
    )
}

/// Where a standing comes from that is the person's own act, as a list in SQL.
fn own_acts() -> String {
    format!("('{}')", Source::OWN_ACTS.join("', '"))
}

/// What the two databases spell differently.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Spelling {
    /// Behind a text that is compared byte by byte, as the keys of `suppressions` are.
    pub(in crate::store) bytewise: &'static str,
    /// Behind the address of a suppression: as the index spells it that finds it soonest. PostgreSQL goes by a hash: addresses come in
    /// no order, so each way down a tree of a million meets other blocks, which costs it more than the rest of the look.
    pub(in crate::store) hashed: &'static str,
    /// The domain of the address `c.email`.
    pub(in crate::store) domain: &'static str,
    /// The function that joins text.
    pub(in crate::store) join: &'static str,
}

/// At most so many topics are looked up one by one.
pub(in crate::store) const FEW: usize = 3;

/// A topic that a campaign asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Topic {
    pub(in crate::store) list: ListId,
    pub(in crate::store) default_opt_in: bool,
}

/// The topics that a campaign asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Topics {
    /// None, or up to [`FEW`].
    Few(Vec<Topic>),
    /// More: the campaign's included lists, looked for in `audience_lists`.
    Many,
}

/// What a campaign asks of its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Asked {
    pub(in crate::store) channel: ChannelKind,
    pub(in crate::store) category: Category,
    topics: Topics,
}

impl Asked {
    /// An expression over a row `c` of `campaigns`: its topics as text, `12,15+`, where a plus stands behind one with
    /// `default_opt_in`; one more than [`FEW`] at most.
    pub(in crate::store) fn topics_of_campaign(spelling: Spelling) -> String {
        let (most, aggregate) = (FEW + 1, spelling.join);
        format!(
            "(SELECT {aggregate}(CAST(t.list_id AS TEXT) || CASE WHEN l.default_opt_in THEN '+' ELSE '' END, ',') FROM \
             (SELECT c.topic_id AS list_id WHERE c.topic_id IS NOT NULL UNION ALL SELECT f.list_id FROM (SELECT a.list_id \
             FROM audience_lists AS a WHERE a.campaign_id = c.id AND NOT a.excluded AND c.topic_id IS NULL ORDER BY a.list_id \
             LIMIT {most}) AS f) AS t LEFT JOIN lists AS l ON l.id = t.list_id)"
        )
    }

    /// What a campaign asks, with its topics as [`Asked::topics_of_campaign`] gives them. A transactional one asks for none.
    ///
    /// # Errors
    /// The text is not such a list.
    pub(in crate::store) fn new(
        channel: ChannelKind,
        category: Category,
        topics: Option<&str>,
    ) -> Result<Self, StoreError> {
        let topics = match category {
            Category::Transactional => Vec::new(),
            Category::Marketing => {
                topics.map(|text| text.split(',').map(topic).collect()).transpose()?.unwrap_or_default()
            }
        };
        let topics = if topics.len() > FEW { Topics::Many } else { Topics::Few(topics) };
        Ok(Self { channel, category, topics })
    }

    /// What a campaign about at most [`FEW`] topics asks.
    pub(in crate::store) fn of_few(channel: ChannelKind, category: Category, topics: &[Topic]) -> Self {
        Self { channel, category, topics: Topics::Few(topics.to_vec()) }
    }

    /// What a campaign about these topics asks, however many they are. Of more than [`FEW`] a statement finds them in `audience_lists`.
    pub(in crate::store) fn of(channel: ChannelKind, category: Category, topics: Vec<Topic>) -> Self {
        let topics = match category {
            Category::Transactional => Topics::Few(Vec::new()),
            Category::Marketing if topics.len() > FEW => Topics::Many,
            Category::Marketing => Topics::Few(topics),
        };
        Self { channel, category, topics }
    }

    /// The address by which suppressions are asked, over a row `c` of `contacts`. What is held against an address of another
    /// channel is written for channel `http`, too, so that one look is enough.
    fn address(&self) -> &'static str {
        match self.channel {
            ChannelKind::Email => "c.email",
            ChannelKind::Sms | ChannelKind::Whatsapp => "c.phone",
            ChannelKind::Http => "coalesce(c.email, c.phone, c.external_id)",
        }
    }

    /// What is joined to a row `c` of `contacts`: what is held against its address.
    pub(in crate::store) fn joins(&self, spelling: Spelling) -> String {
        format!(
            " LEFT JOIN suppressions AS s ON s.address{} = {}{} AND s.channel = '{}' AND s.topic = 0",
            spelling.hashed,
            self.address(),
            spelling.bytewise,
            self.channel.as_str()
        )
    }

    /// Adds the columns of a [`Look`] to a statement that has a row `c` of `contacts` and the [`Asked::joins`].
    ///
    /// Each look-up is a scalar subquery: PostgreSQL may turn an `EXISTS` into a hash of the whole table. What is not there at
    /// all (blocked domains, refusals of single topics) is asked for once for the whole statement.
    pub(in crate::store) fn columns(&self, statement: &mut Pieces<i64>, campaign: CampaignId, spelling: Spelling) {
        statement
            .push("c.introduced_at, s.unsubscribed_at, s.stopped_at, s.complained_at, s.bounced_at, s.soft_until, s.blocked_at, ");
        match self.channel {
            ChannelKind::Email | ChannelKind::Http => statement.push(&format!(
                "CASE WHEN (SELECT EXISTS (SELECT 1 FROM blocked_domains)) THEN (SELECT b.blocked_at FROM blocked_domains AS b \
                 WHERE b.domain = {}{}) END, ",
                spelling.domain, spelling.bytewise
            )),
            ChannelKind::Sms | ChannelKind::Whatsapp => statement.push("CAST(NULL AS BIGINT), "),
        };
        match &self.topics {
            Topics::Few(topics) => self.few(statement, topics, spelling),
            Topics::Many => self.many(statement, campaign, spelling),
        }
    }

    fn few(&self, statement: &mut Pieces<i64>, topics: &[Topic], spelling: Spelling) {
        if topics.is_empty() {
            statement.push("CAST(NULL AS BIGINT)");
        } else {
            statement.push(&own_act()).push("m.list_id IN (");
            for (n, topic) in topics.iter().enumerate() {
                statement.push(if n == 0 { "" } else { ", " }).bind(topic.list.0);
            }
            statement.push(")) END");
        }
        for n in 0..FEW {
            let Some(topic) = topics.get(n) else {
                statement.push(", CAST(NULL AS TEXT)");
                continue;
            };
            let standing = |statement: &mut Pieces<i64>| {
                statement
                    .push("(SELECT m.status FROM list_members AS m WHERE m.list_id = ")
                    .bind(topic.list.0)
                    .push(" AND m.contact_id = c.id)");
            };
            statement
                .push(", CASE WHEN (SELECT EXISTS (SELECT 1 FROM suppressions AS x WHERE x.topic <> 0 AND x.topic = ")
                .bind(topic.list.0)
                .push(")) THEN coalesce((SELECT 'unsubscribed' FROM suppressions AS x WHERE ")
                .push(&self.refused(spelling))
                .push(" AND x.topic + 0 = ")
                .bind(topic.list.0)
                .push(&format!(
                    " AND x.unsubscribed_at >= coalesce((SELECT m.status_at FROM list_members AS m WHERE m.list_id = x.topic \
                     AND m.contact_id = c.id AND m.status = 'subscribed' AND m.source IN {}), x.unsubscribed_at)), ",
                    own_acts()
                ));
            standing(statement);
            statement.push(") ELSE ");
            standing(statement);
            statement.push(" END");
        }
    }

    /// More topics than are looked up one by one come to one answer, as if they were one topic.
    fn many(&self, statement: &mut Pieces<i64>, campaign: CampaignId, spelling: Spelling) {
        statement
            .push(&own_act())
            .push("(SELECT a.list_id FROM audience_lists AS a WHERE a.campaign_id = ")
            .bind(campaign.0)
            .push(" AND a.list_id = m.list_id AND NOT a.excluded) = m.list_id) END");
        let refused = |list: &str| {
            format!(
                "CASE WHEN (SELECT EXISTS (SELECT 1 FROM suppressions AS x WHERE x.topic <> 0)) THEN (SELECT x.unsubscribed_at \
                 FROM suppressions AS x WHERE {} AND x.topic + 0 = {list}) END",
                self.refused(spelling)
            )
        };
        let own = own_acts();
        // Among lists that count everybody, one is enough that has not been refused.
        statement
            .push(
                ", coalesce(CASE WHEN c.introduced_at IS NOT NULL AND (SELECT EXISTS (SELECT 1 FROM audience_lists AS a JOIN \
                 lists AS l ON l.id = a.list_id WHERE l.default_opt_in AND NOT a.excluded AND a.campaign_id = ",
            )
            .bind(campaign.0)
            .push(
                ")) THEN (SELECT 'subscribed' FROM audience_lists AS a JOIN lists AS l ON l.id = a.list_id WHERE \
                 l.default_opt_in AND NOT a.excluded AND a.campaign_id = ",
            )
            .bind(campaign.0)
            .push(&format!(
                " AND coalesce((SELECT m.status FROM list_members AS m WHERE m.list_id = a.list_id AND m.contact_id = c.id), \
                 '') <> 'unsubscribed' AND {} IS NULL LIMIT 1) END, ",
                refused("a.list_id")
            ))
            .push(&format!(
                "(SELECT CASE max(CASE WHEN m.status = 'moved' THEN 0 WHEN m.status = 'unconfirmed' THEN 1 \
                 WHEN m.status = 'unsubscribed' OR {} >= CASE WHEN m.source IN {own} THEN m.status_at ELSE 0 END THEN 2 \
                 ELSE 3 END) WHEN 3 THEN 'subscribed' WHEN 2 THEN 'unsubscribed' WHEN 1 THEN 'unconfirmed' END FROM \
                 list_members AS m JOIN audience_lists AS a ON a.list_id = m.list_id AND NOT a.excluded AND a.campaign_id = ",
                refused("m.list_id")
            ))
            .bind(campaign.0)
            .push(" WHERE m.contact_id = c.id)), CAST(NULL AS TEXT), CAST(NULL AS TEXT)");
    }

    /// The refusals of single topics by the address; which topic follows as `x.topic + 0`, because an index on the topic would find
    /// everybody who has refused it, again for each recipient.
    fn refused(&self, spelling: Spelling) -> String {
        format!(
            "x.address{} = {}{} AND x.channel = '{}' AND x.unsubscribed_at IS NOT NULL",
            spelling.hashed,
            self.address(),
            spelling.bytewise,
            self.channel.as_str()
        )
    }

    /// What the topics come to for a contact that was looked at.
    pub(in crate::store) fn on_topics(&self, look: &Look) -> Vec<OnTopic> {
        let standings = [look.first, look.second, look.third];
        match &self.topics {
            Topics::Few(topics) => topics
                .iter()
                .zip(standings)
                .map(|(topic, standing)| OnTopic { default_opt_in: topic.default_opt_in, standing })
                .collect(),
            Topics::Many => vec![OnTopic { default_opt_in: false, standing: look.first }],
        }
    }
}

/// When the person has last agreed by an act of their own, up to the condition on the list. Asked only where everything was
/// refused.
fn own_act() -> String {
    format!(
        "CASE WHEN s.unsubscribed_at IS NOT NULL THEN (SELECT max(m.status_at) FROM list_members AS m WHERE m.contact_id = c.id \
         AND m.status = 'subscribed' AND m.source IN {} AND ",
        own_acts()
    )
}

fn topic(text: &str) -> Result<Topic, StoreError> {
    let (id, default_opt_in) = text.strip_suffix('+').map_or((text, false), |id| (id, true));
    let corrupt =
        |error: std::num::ParseIntError| StoreError::Corrupt { what: "topics", detail: format!("{text:?}: {error}") };
    let id = id.parse().map_err(corrupt)?;
    Ok(Topic { list: ListId(id), default_opt_in })
}

/// What a look at a contact finds, in the order of [`Asked::columns`].
#[derive(Debug, Clone, Copy, diesel::Queryable)]
pub(in crate::store) struct Look {
    introduced_at: Option<UtcInstant>,
    unsubscribed_at: Option<UtcInstant>,
    stopped_at: Option<UtcInstant>,
    complained_at: Option<UtcInstant>,
    bounced_at: Option<UtcInstant>,
    soft_until: Option<UtcInstant>,
    blocked_at: Option<UtcInstant>,
    domain_blocked_at: Option<UtcInstant>,
    pub(in crate::store) own_act_at: Option<UtcInstant>,
    first: Option<Standing>,
    second: Option<Standing>,
    third: Option<Standing>,
}

impl Look {
    /// As the domain judges it.
    pub(in crate::store) fn consent<'a>(&self, topics: &'a [OnTopic]) -> Consent<'a> {
        Consent {
            held: Held {
                unsubscribed_at: self.unsubscribed_at,
                stopped_at: self.stopped_at,
                complained_at: self.complained_at,
                bounced_at: self.bounced_at,
                soft_until: self.soft_until,
                blocked_at: self.blocked_at,
                domain_blocked_at: self.domain_blocked_at,
            },
            is_introduced: self.introduced_at.is_some(),
            own_act_at: self.own_act_at,
            topics,
        }
    }
}
