//! What a client may do.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// A right that a route asks for. Every valid API key has all of them so far.
    Scope {
        /// See API keys, without their secrets.
        KeysRead = "keys:read",
        /// Make and revoke API keys.
        KeysWrite = "keys:write",
        /// See contacts, lists and imports.
        PeopleRead = "people:read",
        /// Change contacts and lists, and import contacts.
        PeopleWrite = "people:write",
        /// See templates and previews of them.
        ContentRead = "content:read",
        /// Change templates.
        ContentWrite = "content:write",
        /// See campaigns, their previews and their deliveries.
        CampaignsRead = "campaigns:read",
        /// Make, edit and delete campaigns.
        CampaignsWrite = "campaigns:write",
        /// Decide what goes out: launches, tests, pauses, stops, retries, resolutions.
        CampaignsSend = "campaigns:send",
        /// See instances, pools, dead letters and the state of the actors.
        OperationsRead = "operations:read",
        /// Suspend and resume pools, correct their pace, replay dead letters.
        OperationsWrite = "operations:write",
    }
}
