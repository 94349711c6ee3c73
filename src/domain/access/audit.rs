//! The words of the audit log: what was done, to which kind of thing.

use crate::domain::text_enum::text_enum;

text_enum! {
    /// Who acted.
    Actor {
        /// A client with a stored API key.
        ApiKey = "api_key",
        /// A client with the root key of the settings.
        RootKey = "root_key",
        /// A person at the command line.
        CommandLine = "command_line",
        /// The start of an instance.
        Start = "start",
        /// The scheduler: a campaign's time had come.
        Scheduler = "scheduler",
        /// A recipient, by a signed link.
        Recipient = "recipient",
        /// A message of the broker.
        Broker = "broker",
        /// Volley itself: a campaign should not go on as it was.
        Engine = "engine",
    }
}

text_enum! {
    /// What was done.
    Action {
        /// It was made.
        Created = "created",
        /// Some of its fields were set.
        Updated = "updated",
        /// It was deleted.
        Deleted = "deleted",
        /// An API key was made void.
        Revoked = "revoked",
        /// Contacts were put on a list.
        MembersAdded = "members_added",
        /// Contacts were taken off a list.
        MembersRemoved = "members_removed",
        /// A campaign was launched.
        Launched = "launched",
        /// The scheduled launch of a campaign was impossible.
        LaunchFailed = "launch_failed",
        /// A launch time was set or moved.
        Scheduled = "scheduled",
        /// The launch time was removed.
        Unscheduled = "unscheduled",
        /// A campaign was paused.
        Paused = "paused",
        /// A campaign or a pool goes on.
        Resumed = "resumed",
        /// A campaign was stopped.
        Stopped = "stopped",
        /// What had failed is tried again: recipients of a campaign, or reactions.
        Retried = "retried",
        /// Uncertain deliveries were resolved.
        Resolved = "resolved",
        /// A test was sent.
        Tested = "tested",
        /// A pool was suspended.
        Suspended = "suspended",
        /// The provider of a pool was asked whether it answers.
        Checked = "checked",
        /// A pool's pace was corrected.
        PaceChanged = "pace_changed",
        /// A dead letter was published again, or a callback read again.
        Replayed = "replayed",
        /// Everybody is evaluated anew for a segment.
        Recomputed = "recomputed",
        /// Personal data was read.
        Read = "read",
        /// A key was refused that lacks the scope of a route.
        Denied = "denied",
    }
}

text_enum! {
    /// The kind of thing that something was done to.
    Object {
        /// An API key.
        Key = "key",
        /// The session of a person who has signed in with an API key.
        Session = "session",
        /// A key that signs links; its id is its name.
        LinkKey = "link_key",
        /// A contact. Without an id: several, read one by one or as a list.
        Contact = "contact",
        /// A list. Read: its members.
        List = "list",
        /// What addresses and contacts refuse, and what keeps them from being written to.
        Suppression = "suppression",
        /// What contacts did. Without an id: several, one by one or in batches.
        Event = "event",
        /// A segment. Read: its members.
        Segment = "segment",
        /// A reaction of a segment, or an event of a campaign for a target; its id is `several` where many are tried again.
        Reaction = "reaction",
        /// An import.
        Import = "import",
        /// A file that emails have attached or show.
        File = "file",
        /// A template.
        Template = "template",
        /// A campaign. Read: its deliveries.
        Campaign = "campaign",
        /// A sender pool; its id is its name.
        Pool = "pool",
        /// A message of the broker that could not be read.
        DeadLetter = "dead_letter",
        /// What a provider reported, as it came.
        Callback = "callback",
        /// A route of the API; its id is its method and path.
        Route = "route",
    }
}
