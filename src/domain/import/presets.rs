//! The exports of other tools: which columns they have, and what those mean here.
//!
//! A file is taken for one of them where its header shows it clearly, or where a client says so. Columns that are not named here are read by
//! their names, as in every file.

use super::statuses::{Consent, Meaning};
use crate::domain::people::contact::BuiltIn;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// A tool whose export is known.
    Preset {
        /// listmonk's export of subscribers: `uuid,email,name,attributes,status,created_at,updated_at`
        /// (<https://listmonk.app/docs/apis/subscribers/>; the states: <https://listmonk.app/docs/concepts/>).
        Listmonk = "listmonk",
        /// Mailchimp's export of an audience: files of subscribed, unsubscribed, cleaned and non-subscribed contacts
        /// (<https://mailchimp.com/help/view-export-contacts/>).
        Mailchimp = "mailchimp",
        /// Brevo's export of contacts (<https://help.brevo.com/hc/en-us/articles/5310065850642>; the names of what is blocked:
        /// <https://developers.brevo.com/reference/get-contact-info>).
        Brevo = "brevo",
        /// HubSpot's exports of contacts, and of unsubscribes and bounces
        /// (<https://knowledge.hubspot.com/properties/hubspots-default-contact-properties>,
        /// <https://knowledge.hubspot.com/marketing-email/export-unsubscribes-and-bounces>).
        Hubspot = "hubspot",
        /// Google Contacts, in its own CSV (<https://support.google.com/contacts/answer/7199294>).
        Google = "google",
        /// Outlook's contacts (<https://support.microsoft.com/office/4518d70d-8fe9-46ad-94fa-1494247193c7>).
        Outlook = "outlook",
    }
}

/// What a column of an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// A field.
    Field(BuiltIn),
    /// The first of several values in the cell.
    First(BuiltIn),
    /// A phone number that may lack its plus sign.
    Digits(BuiltIn),
    /// A field whose values are often not usable: these are passed over.
    Perhaps(BuiltIn),
    /// First and last name in one.
    Name,
    /// A JSON object of attributes.
    Attributes,
    /// Tags in double quotes.
    QuotedTags,
    /// Tags between `:::` or `;`.
    Labels,
    /// Whether the person agrees.
    Consent(Consent),
    /// Since when it is said.
    At,
    /// Nothing of use here.
    Nothing,
}

/// Which columns must say something of every row, so that it shows consent or a refusal.
pub(super) const fn proofs(preset: Preset) -> &'static [&'static [&'static str]] {
    match preset {
        // Unsubscribed and cleaned contacts have files of their own, and non-subscribed ones have no time of confirmation.
        Preset::Mailchimp => &[&["unsub_time", "clean_time"], &["confirm_time"]],
        Preset::Listmonk | Preset::Brevo | Preset::Hubspot | Preset::Google | Preset::Outlook => &[],
    }
}

/// The tool whose export has these columns, if it is clear.
pub(super) fn recognise(names: &[&str]) -> Option<Preset> {
    let has = |name: &str| names.contains(&name);
    let all = |wanted: &[&str]| wanted.iter().all(|name| has(name));
    let any = |wanted: &[&str]| wanted.iter().any(|name| has(name));
    if all(&["uuid", "email", "name", "attributes", "status", "created_at", "updated_at"]) {
        return Some(Preset::Listmonk);
    }
    if all(&["member_rating", "optin_time"]) && any(&["confirm_time", "leid", "euid"]) {
        return Some(Preset::Mailchimp);
    }
    if all(&["email", "portal_unsubscribe"])
        || any(&["unsubscribed_from_all_email"])
        || all(&["record_id", "email"])
            && any(&["lifecycle_stage", "contact_owner", "marketing_contact_status", "lead_status"])
    {
        return Some(Preset::Hubspot);
    }
    if has("e_mail_1_value") || all(&["phone_1_value", "labels"]) || all(&["phone_1_value", "group_membership"]) {
        return Some(Preset::Google);
    }
    if all(&["e_mail_address", "e_mail_2_address"]) {
        return Some(Preset::Outlook);
    }
    let is_brevo = all(&["email", "sms"])
        && (any(&["added_time", "email_blacklisted", "email_blocklisted"])
            || all(&["contact_id", "landline_number", "whatsapp"]));
    is_brevo.then_some(Preset::Brevo)
}

/// What a column is in an export, by its normalised name. `None`: what it is everywhere.
pub(super) fn known(preset: Preset, name: &str) -> Option<Known> {
    match preset {
        Preset::Listmonk => listmonk(name),
        Preset::Mailchimp => mailchimp(name),
        Preset::Brevo => brevo(name),
        Preset::Hubspot => hubspot(name),
        Preset::Google => google(name),
        Preset::Outlook => outlook(name),
    }
}

fn listmonk(name: &str) -> Option<Known> {
    Some(match name {
        "name" => Known::Name,
        "attributes" | "attribs" => Known::Attributes,
        // `enabled`, `disabled` and `blocklisted` of a subscriber; `confirmed`, `unconfirmed` and `unsubscribed` of a subscription.
        "status" | "subscription_status" => Known::Consent(Consent::Word),
        "id" | "uuid" | "created_at" | "updated_at" => Known::Nothing,
        _ => return None,
    })
}

/// Whether a column of an export says whether the person may be written to by email, though it is called as addresses are elsewhere:
/// Mailchimp has the address in `Email Address`, and a permission of its GDPR fields in `Email`
/// (<https://mailchimp.com/help/collect-consent-with-gdpr-forms/>).
pub(super) fn is_permission(preset: Preset, name: &str, names: &[&str]) -> bool {
    preset == Preset::Mailchimp && name == "email" && names.contains(&"email_address")
}

fn mailchimp(name: &str) -> Option<Known> {
    Some(match name {
        "fname" => Known::Field(BuiltIn::FirstName),
        "lname" => Known::Field(BuiltIn::LastName),
        "status" => Known::Consent(Consent::Word),
        "unsub_time" => Known::Consent(Consent::Filled(Meaning::Refuses)),
        "clean_time" => Known::Consent(Consent::Filled(Meaning::Bounced)),
        "confirm_time" => Known::At,
        // Guessed by the tool from an address on the net.
        "timezone" => Known::Perhaps(BuiltIn::Timezone),
        "language" => Known::Perhaps(BuiltIn::Locale),
        "tags" => Known::QuotedTags,
        "optin_time"
        | "optin_ip"
        | "confirm_ip"
        | "latitude"
        | "longitude"
        | "gmtoff"
        | "dstoff"
        | "last_changed"
        | "leid"
        | "euid"
        | "unsub_campaign_title"
        | "unsub_campaign_id"
        | "unsub_reason"
        | "unsub_reason_other"
        | "clean_campaign_title"
        | "clean_campaign_id" => Known::Nothing,
        _ => return None,
    })
}

fn brevo(name: &str) -> Option<Known> {
    Some(match name {
        "sms" => Known::Digits(BuiltIn::Phone),
        "ext_id" => Known::Field(BuiltIn::ExternalId),
        // What it blocks are unsubscribes, complaints and bounces alike.
        "email_blacklisted" | "email_blocklisted" | "email_blacklist" | "email_blocklist" | "emailblacklisted"
        | "blacklisted" | "blocklisted" | "blacklist" | "blocklist" => {
            Known::Consent(Consent::Marked(Meaning::RefusesAll))
        }
        "sms_blacklisted" | "sms_blocklisted" | "sms_blacklist" | "sms_blocklist" | "smsblacklisted" => {
            Known::Consent(Consent::Marked(Meaning::StoppedTexts))
        }
        // Attributes that every account has, and most leave empty.
        "opt_in" | "double_opt_in" | "optin" => Known::Consent(Consent::Perhaps),
        "contact_id" | "added_time" | "modified_time" | "list_ids" => Known::Nothing,
        _ => return None,
    })
}

fn hubspot(name: &str) -> Option<Known> {
    Some(match name {
        "unsubscribed_from_all_email" | "opted_out_of_all_email" | "portal_unsubscribe" => {
            Known::Consent(Consent::Marked(Meaning::RefusesAll))
        }
        "portal_bounce" | "global_bounce" | "email_hard_bounce_reason" => {
            Known::Consent(Consent::Filled(Meaning::Bounced))
        }
        "invalid_email_address" => Known::Consent(Consent::Marked(Meaning::Bounced)),
        "portal_spam_report" => Known::Consent(Consent::Filled(Meaning::Complained)),
        "email_address_quarantined" => Known::Consent(Consent::Marked(Meaning::Blocked)),
        // A kind of mail that the person does not want: which list that is here cannot be known.
        _ if name.starts_with("opted_out_of_email") => Known::Consent(Consent::Marked(Meaning::Refuses)),
        "time_zone" => Known::Perhaps(BuiltIn::Timezone),
        "preferred_language" => Known::Perhaps(BuiltIn::Locale),
        _ => return None,
    })
}

fn google(name: &str) -> Option<Known> {
    Some(match name {
        "e_mail_1_value" => Known::First(BuiltIn::Email),
        "phone_1_value" => Known::First(BuiltIn::Phone),
        "labels" | "group_membership" => Known::Labels,
        "language" => Known::Perhaps(BuiltIn::Locale),
        "name"
        | "additional_name"
        | "file_as"
        | "photo"
        | "initials"
        | "name_prefix"
        | "name_suffix"
        | "middle_name"
        | "short_name"
        | "maiden_name"
        | "yomi_name"
        | "given_name_yomi"
        | "additional_name_yomi"
        | "family_name_yomi"
        | "priority"
        | "sensitivity" => Known::Nothing,
        _ if name.starts_with("phonetic_") => Known::Nothing,
        _ if name.ends_with("_label") || name.ends_with("_type") => Known::Nothing,
        _ => return None,
    })
}

fn outlook(name: &str) -> Option<Known> {
    Some(match name {
        "e_mail_address" => Known::Field(BuiltIn::Email),
        "mobile_phone" => Known::Field(BuiltIn::Phone),
        "categories" => Known::Labels,
        "language" => Known::Perhaps(BuiltIn::Locale),
        "e_mail_type"
        | "e_mail_display_name"
        | "e_mail_2_type"
        | "e_mail_2_display_name"
        | "e_mail_3_type"
        | "e_mail_3_display_name"
        | "given_name_yomi"
        | "family_name_yomi"
        | "initials"
        | "priority"
        | "private"
        | "sensitivity"
        | "middle_name"
        | "suffix"
        | "directory_server"
        | "internet_free_busy" => Known::Nothing,
        _ => return None,
    })
}

/// What a cell of an export is here, where it is written in a way of its own.
pub(super) mod cell {
    use crate::domain::people::spelling::trim;

    /// The first of several values: `a@b.example ::: c@d.example`.
    pub(in crate::domain::import) fn first(text: &str) -> &str {
        trim(text.split(":::").next().unwrap_or_default())
    }

    /// A number in international form without its plus sign.
    pub(in crate::domain::import) fn with_plus(text: &str) -> String {
        let is_bare = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        if is_bare { format!("+{text}") } else { text.to_owned() }
    }

    /// Tags as `"VIP","Blog"`.
    pub(in crate::domain::import) fn unquoted(text: &str) -> String {
        text.replace('"', "")
    }

    /// Labels as `* myContacts ::: Friends`: those with a star are the tool's own.
    pub(in crate::domain::import) fn labels(text: &str) -> String {
        let own = |label: &&str| !label.is_empty() && !label.starts_with('*');
        let labels = text.split(":::").flat_map(|part| part.split(';')).map(trim).filter(own);
        labels.map(|label| label.replace(['|', ','], " ")).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::people::contact::normalised_name;

    fn recognised(header: &str) -> Option<Preset> {
        let names: Vec<String> = header.split(',').map(normalised_name).collect();
        recognise(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn exports_are_recognised_by_their_headers_and_other_files_are_not() {
        for (header, expected) in [
            ("uuid,email,name,attributes,status,created_at,updated_at", Some(Preset::Listmonk)),
            (
                "Email Address,First Name,Last Name,Phone Number,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LEID,EUID,NOTES,TAGS",
                Some(Preset::Mailchimp),
            ),
            ("CONTACT ID,EMAIL,FIRSTNAME,LASTNAME,SMS,LANDLINE_NUMBER,WHATSAPP,INTERESTS", Some(Preset::Brevo)),
            ("Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Lead Status", Some(Preset::Hubspot)),
            ("Email,Unsubscribed from all email", Some(Preset::Hubspot)),
            (
                "First Name,Last Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value",
                Some(Preset::Google),
            ),
            ("Name,Given Name,Family Name,Group Membership,E-mail 1 - Type,E-mail 1 - Value", Some(Preset::Google)),
            ("First Name,Last Name,E-mail Address,E-mail 2 Address,Mobile Phone", Some(Preset::Outlook)),
            ("email,name,attributes", None),
            ("email,sms", None),
            ("email,first_name,status,created_at", None),
            ("record_id,email", None),
        ] {
            assert_eq!(recognised(header), expected, "{header}");
        }
    }

    #[test]
    fn cells_of_exports_are_read_as_they_are_meant() {
        assert_eq!(cell::first("a@b.example ::: c@d.example"), "a@b.example");
        assert_eq!(cell::with_plus("33612345678"), "+33612345678");
        assert_eq!(cell::with_plus("0612345678"), "0612345678");
        assert_eq!(cell::unquoted("\"VIP\",\"Blog\""), "VIP,Blog");
        assert_eq!(cell::labels("* myContacts ::: Friends ::: Choir, alto"), "Friends,Choir  alto");
        assert_eq!(cell::labels("Red;Blue Category"), "Red,Blue Category");
    }
}
