//! Fields of machine-readable reports (RFC 3464 2.1, RFC 5965 3): lines like those of a head, in groups with an empty line between them.

/// A group of fields.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The groups of a text. Lines that are no fields are left out.
    pub(super) fn groups(text: &str) -> Vec<Self> {
        let mut groups = vec![Self(Vec::new())];
        for line in text.lines() {
            let Some(Self(group)) = groups.last_mut() else { break };
            if line.trim().is_empty() {
                if !group.is_empty() {
                    groups.push(Self(Vec::new()));
                }
            } else if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = group.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        groups.retain(|Self(group)| !group.is_empty());
        groups
    }

    /// The first field of this name, which is in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The first word of a field, in lower case: what follows may be a comment.
    pub(super) fn word(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|value| value.split([' ', '\t', ';', '(']).next()).map(str::to_ascii_lowercase)
    }

    /// An address whose kind stands before it: `rfc822; ann@example.com`. `None`: it is of another kind, or there are several, of which
    /// nobody says which one is meant.
    pub(super) fn address(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        if self.0.iter().filter(|(other, _)| other == name).count() > 1 {
            return None;
        }
        let address = match value.split_once(';') {
            Some((kind, address))
                if ["rfc822", "utf-8"].iter().any(|known| kind.trim().eq_ignore_ascii_case(known)) =>
            {
                address
            }
            Some(_) => return None,
            None => value,
        };
        let address = address.trim().trim_start_matches('<').trim_end_matches('>');
        (!address.is_empty()).then_some(address)
    }
}
