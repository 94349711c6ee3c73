//! Which campaigns' deliveries were archived, in which file, and which instance has it.

use std::collections::HashMap;
use std::fmt;

use diesel::prelude::*;

use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;
use crate::store::engine::schema::archives;
use crate::store::{Conn, StoreError, engine};

/// How long who archives a campaign has for the next step, in milliseconds. After that another instance may go on.
const LEASE_MS: i64 = 600_000;

text_enum! {
    /// How far a campaign's deliveries are archived.
    ArchiveState {
        /// The file is being written.
        Writing = "writing",
        /// The file is complete, and rows are being removed.
        Deleting = "deleting",
        /// There are no rows any more.
        Archived = "archived",
    }
}

/// A complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its name in the folder `archive` of the data folder.
    pub file: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: i64,
    /// How many deliveries are in it.
    pub deliveries: i64,
}

/// Where the deliveries of a campaign are that have no rows any more, or will have none soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The campaign.
    pub campaign: CampaignId,
    /// The file that has them.
    pub sealed: Sealed,
    /// The machine of the instance that has the file in its data folder.
    pub host: String,
    /// When the file was complete.
    pub at: UtcInstant,
}

impl fmt::Display for Archived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { campaign, sealed, host, at } = self;
        write!(
            f,
            "the deliveries of campaign {campaign} were archived at {at}: they are in the file {} in the folder archive of the data \
             folder (sending.data_dir) of the instance on {host}",
            sealed.file
        )
    }
}

/// The right to archive one campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLease {
    /// The campaign.
    pub campaign: CampaignId,
    /// Random.
    pub token: i64,
}

type Row = (
    CampaignId,
    ArchiveState,
    String,
    String,
    UtcInstant,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<UtcInstant>,
);

/// Those of these campaigns whose deliveries are in a complete file.
///
/// # Errors
/// The query failed.
pub fn of(conn: &mut Conn, campaigns: &[CampaignId]) -> Result<HashMap<CampaignId, Archived>, StoreError> {
    if campaigns.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = read(conn, campaigns)?.into_iter();
    Ok(rows.filter_map(archived).map(|archived| (archived.campaign, archived)).collect())
}

/// Where the campaign's deliveries are, if they were archived.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, campaign: CampaignId) -> Result<Option<Archived>, StoreError> {
    Ok(of(conn, &[campaign])?.remove(&campaign))
}

fn read(conn: &mut Conn, campaigns: &[CampaignId]) -> Result<Vec<Row>, StoreError> {
    archives::table
        .filter(archives::campaign_id.eq_any(campaigns.to_vec()))
        .select((
            archives::campaign_id,
            archives::state,
            archives::slot,
            archives::host,
            archives::lease_until,
            archives::file,
            archives::sha256,
            archives::bytes,
            archives::deliveries,
            archives::archived_at,
        ))
        .load(conn)
        .map_err(StoreError::query("look for archives"))
}

fn archived((campaign, state, _, host, _, file, sha256, bytes, deliveries, at): Row) -> Option<Archived> {
    if state == ArchiveState::Writing {
        return None;
    }
    let sealed = Sealed { file: file?, sha256: sha256?, bytes: bytes?, deliveries: deliveries? };
    Some(Archived { campaign, sealed, host, at: at? })
}

/// The campaigns whose archive is not finished and that the instance in `slot` may go on with: its own, and those whose lease has ended.
///
/// # Errors
/// The query failed.
pub fn unfinished(conn: &mut Conn, slot: &str) -> Result<Vec<(CampaignId, ArchiveState)>, StoreError> {
    let now = engine::now(conn)?;
    archives::table
        .filter(archives::state.ne(ArchiveState::Archived))
        .filter(archives::slot.eq(slot).or(archives::lease_until.lt(now)))
        .order(archives::campaign_id)
        .select((archives::campaign_id, archives::state))
        .load(conn)
        .map_err(StoreError::query("look for unfinished archives"))
}

/// Takes the right to archive a campaign, for the instance in `slot` on `host`: a new row, or one that its owner has left. `None`: another
/// instance archives it, or it is archived. Belongs in a write transaction under the campaign's exclusive lock.
///
/// # Errors
/// A query failed.
pub fn take(
    conn: &mut Conn,
    campaign: CampaignId,
    slot: &str,
    host: &str,
) -> Result<Option<(ArchiveLease, ArchiveState)>, StoreError> {
    let now = engine::now(conn)?;
    let (token, _) = uuid::Uuid::new_v4().as_u64_pair();
    let lease = ArchiveLease { campaign, token: token.cast_signed() };
    let until = now.plus_ms(LEASE_MS);
    let Some((_, state, owner, _, lease_until, ..)) = read(conn, &[campaign])?.pop() else {
        diesel::insert_into(archives::table)
            .values((
                archives::campaign_id.eq(campaign),
                archives::state.eq(ArchiveState::Writing),
                archives::token.eq(lease.token),
                archives::slot.eq(slot),
                archives::host.eq(host),
                archives::lease_until.eq(until),
            ))
            .execute(conn)
            .map_err(StoreError::query("begin an archive"))?;
        return Ok(Some((lease, ArchiveState::Writing)));
    };
    if state == ArchiveState::Archived || owner != slot && lease_until >= now {
        return Ok(None);
    }
    let row = archives::table.find(campaign).filter(archives::state.eq(state));
    diesel::update(row)
        .set((archives::token.eq(lease.token), archives::lease_until.eq(until)))
        .execute(conn)
        .map_err(StoreError::query("go on with an archive"))?;
    if state == ArchiveState::Writing {
        // The file will be written here. A complete one stays where it is.
        diesel::update(archives::table.find(campaign))
            .set((archives::slot.eq(slot), archives::host.eq(host)))
            .execute(conn)
            .map_err(StoreError::query("go on with an archive"))?;
    }
    Ok(Some((lease, state)))
}

/// Keeps the right for another while. False: it was lost.
///
/// # Errors
/// The query failed.
pub fn renew(conn: &mut Conn, lease: ArchiveLease, state: ArchiveState) -> Result<bool, StoreError> {
    let until = engine::now(conn)?.plus_ms(LEASE_MS);
    let own =
        archives::table.find(lease.campaign).filter(archives::token.eq(lease.token).and(archives::state.eq(state)));
    let kept = diesel::update(own).set(archives::lease_until.eq(until)).execute(conn);
    kept.map(|kept| kept == 1).map_err(StoreError::query("keep the lease of an archive"))
}

/// Notes that the file is complete: from here on the rows may go. False: the right was lost.
///
/// # Errors
/// The query failed.
pub fn seal(conn: &mut Conn, lease: ArchiveLease, sealed: &Sealed) -> Result<bool, StoreError> {
    let now = engine::now(conn)?;
    let own = archives::token.eq(lease.token).and(archives::state.eq(ArchiveState::Writing));
    let noted = diesel::update(archives::table.find(lease.campaign).filter(own))
        .set((
            archives::state.eq(ArchiveState::Deleting),
            archives::lease_until.eq(now.plus_ms(LEASE_MS)),
            archives::file.eq(&sealed.file),
            archives::sha256.eq(&sealed.sha256),
            archives::bytes.eq(sealed.bytes),
            archives::deliveries.eq(sealed.deliveries),
            archives::archived_at.eq(now),
        ))
        .execute(conn);
    noted.map(|noted| noted == 1).map_err(StoreError::query("note an archive"))
}

/// Notes that there are no rows any more.
///
/// # Errors
/// The query failed.
pub fn finish(conn: &mut Conn, lease: ArchiveLease) -> Result<(), StoreError> {
    let own = archives::token.eq(lease.token).and(archives::state.eq(ArchiveState::Deleting));
    diesel::update(archives::table.find(lease.campaign).filter(own))
        .set(archives::state.eq(ArchiveState::Archived))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("end an archive"))
}

/// Gives an archive up whose file is not complete: the campaign goes on as if it had never begun. Whose it is does not matter: the owner
/// notices that its right is lost.
///
/// # Errors
/// The query failed.
pub fn give_up(conn: &mut Conn, campaign: CampaignId) -> Result<(), StoreError> {
    diesel::delete(archives::table.find(campaign).filter(archives::state.eq(ArchiveState::Writing)))
        .execute(conn)
        .map(drop)
        .map_err(StoreError::query("give an archive up"))
}
