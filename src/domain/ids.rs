//! One newtype per identifier, so that a page id can never stand where a contact id is meant.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            diesel_derive_newtype::DieselNewType, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A file that emails have attached or show.
    FileId;
    /// A person.
    ContactId;
    /// A consent topic.
    ListId;
    /// A tag that contacts may have.
    TagId;
    /// A segment: the contacts that a rule takes at present.
    SegmentId;
    /// A template, whatever its version.
    TemplateId;
    /// One revision of a template's content; campaigns pin it at launch.
    TemplateVersionId;
    /// One broadcast and its single execution.
    CampaignId;
    /// A link of a campaign's HTML, by its place among them: 1 is the first.
    LinkNumber;
    /// Some recipients of a campaign, by default up to 1000: the unit of fan-out, lease and progress.
    PageId;
    /// A CSV import.
    ImportId;
    /// An API key.
    ApiKeyId;
    /// The session of a person in the operators' pages.
    SessionId;
    /// An event of a contact.
    EventId;
    /// What a provider reported, as it came.
    CallbackId;
    /// Something that follows from a transition of a segment, or from an event of a campaign, until it is done.
    ReactionId;
    /// A line of the audit log.
    AuditEntryId;
    /// One incarnation of a running process. A restart is a new instance.
    InstanceId;
}
