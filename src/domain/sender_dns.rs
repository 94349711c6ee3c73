//! What the domain name system says of a sender's domain: who may send for it (SPF, RFC 7208), what receivers do with mail
//! that fails (DMARC, RFC 7489), and the keys of signatures (DKIM, RFC 6376). Mailbox providers ask bulk senders for all
//! three.

/// The SPF record among the texts of a domain.
///
/// # Errors
/// There is none, there are several, or it lets everybody send; with what to do.
pub fn spf(texts: &[String]) -> Result<String, String> {
    let is_spf = |text: &&String| {
        let lower = text.to_ascii_lowercase();
        lower == "v=spf1" || lower.starts_with("v=spf1 ")
    };
    let records: Vec<&String> = texts.iter().filter(is_spf).collect();
    match records.as_slice() {
        [] => {
            Err("no SPF record; publish a TXT record that begins with v=spf1 and names the relay, as its provider says"
                .to_owned())
        }
        [record] => {
            let lets_all = |term: &str| matches!(term.to_ascii_lowercase().as_str(), "all" | "+all");
            if record.split_ascii_whitespace().any(lets_all) {
                return Err(format!(
                    "{record}: with +all everybody may send for this domain; end it with ~all or -all"
                ));
            }
            Ok((*record).clone())
        }
        several => Err(format!(
            "{} SPF records, which receivers take for an error (RFC 7208 4.5); join them into one",
            several.len()
        )),
    }
}

/// Where a DMARC record that holds for a domain may stand: at the domain, else at the nearest domain above it.
#[must_use]
pub fn dmarc_names(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let last = labels.len().saturating_sub(1).max(1);
    (0..last).filter_map(|from| labels.get(from..)).map(|rest| format!("_dmarc.{}", rest.join("."))).collect()
}

/// The DMARC record among the texts of one of [`dmarc_names`]. `None`: it stands elsewhere, or nowhere.
#[must_use]
pub fn dmarc(texts: &[String]) -> Option<Result<String, String>> {
    let is_dmarc = |text: &&String| tags(text).first().is_some_and(|first| *first == ("v", "DMARC1"));
    let records: Vec<&String> = texts.iter().filter(is_dmarc).collect();
    match records.as_slice() {
        [] => None,
        [record] => {
            let policy = tags(record).into_iter().find(|(name, _)| *name == "p").map(|(_, value)| value);
            Some(match policy {
                Some("none" | "quarantine" | "reject") => Ok((*record).clone()),
                _ => Err(format!("{record}: p= must be none, quarantine or reject (RFC 7489 6.3)")),
            })
        }
        several => Some(Err(format!("{} DMARC records, so receivers use none (RFC 7489 6.6.3)", several.len()))),
    }
}

/// What to say where no DMARC record holds for a domain.
#[must_use]
pub fn no_dmarc(domain: &str) -> String {
    format!("no DMARC record; publish a TXT record at _dmarc.{domain} that begins with \"v=DMARC1; p=none\"")
}

/// Where the key of a selector stands.
#[must_use]
pub fn dkim_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// The key among the texts of a [`dkim_name`].
///
/// # Errors
/// There is none, or it is withdrawn; with what to do.
pub fn dkim(texts: &[String]) -> Result<String, String> {
    let key = |text: &String| tags(text).into_iter().find(|(name, _)| *name == "p").map(|(_, key)| key.to_owned());
    match texts.iter().find_map(key) {
        None => {
            Err("no key; publish the TXT or CNAME record that the relay's provider gives for this selector".to_owned())
        }
        Some(key) if key.is_empty() => Err("the key is withdrawn (p= is empty, RFC 6376 3.6.1)".to_owned()),
        Some(_) => Ok("a key is published".to_owned()),
    }
}

/// The tags of a record of the form `name=value; name=value`.
fn tags(text: &str) -> Vec<(&str, &str)> {
    text.split(';').filter_map(|tag| tag.split_once('=')).map(|(name, value)| (name.trim(), value.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn one_spf_record_that_does_not_let_everybody_send_is_wanted() {
        assert!(spf(&texts(&["google-site-verification=x", "v=spf1 include:relay.example -all"])).is_ok());
        assert!(spf(&texts(&["V=SPF1 ip4:192.0.2.1 ~all"])).is_ok());
        for (wrong, word) in [
            (&[][..], "no SPF record"),
            (&["v=spf10 -all"][..], "no SPF record"),
            (&["v=spf1 -all", "v=spf1 mx -all"][..], "2 SPF records"),
            (&["v=spf1 mx +all"][..], "everybody"),
            (&["v=spf1 all"][..], "everybody"),
        ] {
            let said = spf(&texts(wrong)).unwrap_err();
            assert!(said.contains(word), "{wrong:?}: {said}");
        }
    }

    #[test]
    fn the_nearest_dmarc_record_with_a_policy_is_wanted() {
        assert_eq!(dmarc_names("news.shop.example"), ["_dmarc.news.shop.example", "_dmarc.shop.example"]);
        assert_eq!(dmarc_names("localhost"), ["_dmarc.localhost"]);
        assert!(dmarc(&texts(&["v=DMARC1; p=reject; rua=mailto:d@example.com"])).unwrap().is_ok());
        assert!(dmarc(&texts(&["v=DMARC1;p=none"])).unwrap().is_ok());
        assert!(dmarc(&texts(&["v=spf1 -all"])).is_none());
        assert!(dmarc(&texts(&["v=DMARC1; rua=mailto:d@example.com"])).unwrap().is_err());
        assert!(dmarc(&texts(&["v=DMARC1; p=none", "v=DMARC1; p=none"])).unwrap().is_err());
    }

    #[test]
    fn a_key_that_is_withdrawn_is_none() {
        assert!(dkim(&texts(&["v=DKIM1; k=rsa; p=MIIB"])).is_ok());
        assert!(dkim(&texts(&["p=MIIB"])).is_ok());
        assert!(dkim(&texts(&["v=DKIM1; p="])).unwrap_err().contains("withdrawn"));
        assert!(dkim(&[]).unwrap_err().contains("no key"));
    }
}
