//! What a client may do and how often, and the words for what was done.

pub mod audit;
pub mod limit;

use crate::domain::instant::UtcInstant;
use crate::domain::text_enum::text_enum;

text_enum! {
    /// What an API key allows. Every route asks for one of them.
    ///
    /// `admin` includes all. `operate` includes `ingest` and `read`: an operator imports people, looks at them, and decides
    /// what they get. `ingest` and `read` include nothing else: the key of a web shop can put people in and read nobody, and
    /// the key of a dashboard can change nothing.
    Scope {
        /// Put in what other systems know: contacts, imports, who is on which list.
        Ingest = "ingest",
        /// See everything but keys and the audit log.
        Read = "read",
        /// Change templates, lists and campaigns, and decide what goes out.
        Operate = "operate",
        /// Everything: keys, pools, the audit log.
        Admin = "admin",
    }
}

impl Scope {
    /// Whether a key of this scope may do what a route of scope `asked` does.
    #[must_use]
    pub const fn includes(self, asked: Self) -> bool {
        match self {
            Self::Ingest => matches!(asked, Self::Ingest),
            Self::Read => matches!(asked, Self::Read),
            Self::Operate => matches!(asked, Self::Ingest | Self::Read | Self::Operate),
            Self::Admin => true,
        }
    }
}

/// What a caller may do, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// What the caller may do.
    pub scope: Scope,
    /// When that ends. `None`: it does not.
    pub expires_at: Option<UtcInstant>,
}

impl Rights {
    /// Everything, without end.
    pub const ALL: Self = Self { scope: Scope::Admin, expires_at: None };

    /// Whether these rights reach as far as `other`, and last as long: only then may their holder give `other` away.
    #[must_use]
    pub fn cover(self, other: Self) -> bool {
        let lasts = match (self.expires_at, other.expires_at) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(given)) => given <= own,
        };
        lasts && self.scope.includes(other.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_itself_and_what_its_definition_says() {
        let included = |scope: Scope| -> Vec<&str> {
            Scope::ALL.iter().filter(|asked| scope.includes(**asked)).map(|asked| asked.as_str()).collect()
        };
        assert_eq!(included(Scope::Ingest), ["ingest"]);
        assert_eq!(included(Scope::Read), ["read"]);
        assert_eq!(included(Scope::Operate), ["ingest", "read", "operate"]);
        assert_eq!(included(Scope::Admin), ["ingest", "read", "operate", "admin"]);
    }

    #[test]
    fn nobody_gives_away_more_than_they_have_or_for_longer() {
        let rights = |scope, expires: Option<i64>| Rights { scope, expires_at: expires.map(UtcInstant) };
        assert!(Rights::ALL.cover(Rights::ALL));
        assert!(Rights::ALL.cover(rights(Scope::Read, Some(5))));
        assert!(rights(Scope::Admin, Some(5)).cover(rights(Scope::Admin, Some(5))));
        assert!(!rights(Scope::Admin, Some(5)).cover(rights(Scope::Read, Some(6))));
        assert!(!rights(Scope::Admin, Some(5)).cover(rights(Scope::Read, None)));
        assert!(!rights(Scope::Operate, None).cover(rights(Scope::Admin, Some(5))));
        assert!(!rights(Scope::Ingest, None).cover(rights(Scope::Read, None)));
    }
}
