//! The look at one contact: what previews and test messages ask of it, as a claim would.

use diesel::prelude::*;

use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::dispatch::eligibility::{Consent, Held, may_send};
use crate::domain::dispatch::why::facts::Against;
use crate::domain::ids::{ContactId, ListId};
use crate::store::dispatch::dialect;
use crate::store::dispatch::eligibility::{Asked, FEW, Topic};
use crate::store::engine::schema::lists;
use crate::store::{Conn, StoreError, engine};

/// Whether a campaign of this channel and category, about these lists, may be sent to a contact now. `Ok` says nothing of an
/// address: whether there is one, [`address_for`](crate::domain::dispatch::eligibility::address_for) says.
///
/// # Errors
/// A query failed.
pub fn may_send_to(
    conn: &mut Conn,
    contact: ContactId,
    channel: ChannelKind,
    category: Category,
    topics: &[ListId],
) -> Result<Result<(), SkipReason>, StoreError> {
    Ok(against(conn, contact, channel, category, topics)?.may_send)
}

/// The same with what it rests on. Where the last change of that came from is not among it.
///
/// # Errors
/// A query failed.
pub fn against(
    conn: &mut Conn,
    contact: ContactId,
    channel: ChannelKind,
    category: Category,
    topics: &[ListId],
) -> Result<Against, StoreError> {
    let topics = match category {
        Category::Marketing => with_defaults(conn, topics)?,
        Category::Transactional => Vec::new(),
    };
    let now = engine::now(conn)?;
    let nothing = Against { may_send: Ok(()), held: Held::default(), source: None, topics: Vec::new() };
    let (mut first, mut on_topics, mut own_act_at) = (None, Vec::with_capacity(topics.len()), None);
    let asks = match topics.as_slice() {
        [] => vec![Asked::of_few(channel, category, &[])],
        some => some.chunks(FEW).map(|few| Asked::of_few(channel, category, few)).collect(),
    };
    for asked in asks {
        let Some(look) = dialect::look_at(conn, &asked, contact)? else {
            return Ok(Against { may_send: Err(SkipReason::ContactDeleted), ..nothing });
        };
        on_topics.extend(asked.on_topics(&look));
        own_act_at = own_act_at.max(look.own_act_at);
        first.get_or_insert(look);
    }
    let Some(look) = first else { return Ok(nothing) };
    let consent = Consent { own_act_at, ..look.consent(&on_topics) };
    Ok(Against {
        may_send: may_send(category, &consent, now),
        held: consent.held,
        topics: topics.iter().zip(&on_topics).map(|(topic, on)| (topic.list, on.standing)).collect(),
        ..nothing
    })
}

/// The topics, each with whether it counts everybody. A list that is gone counts nobody.
pub(super) fn with_defaults(conn: &mut Conn, ids: &[ListId]) -> Result<Vec<Topic>, StoreError> {
    let counting: Vec<ListId> = lists::table
        .filter(lists::id.eq_any(ids.to_vec()).and(lists::default_opt_in.eq(true)))
        .select(lists::id)
        .load(conn)
        .map_err(StoreError::query("look lists up"))?;
    Ok(ids.iter().map(|list| Topic { list: *list, default_opt_in: counting.contains(list) }).collect())
}
