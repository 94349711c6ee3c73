//! Whose pages may call the API from a browser.

use serde::{Deserialize, Serialize};
use url::Url;

use super::texts;

/// The most origins.
const MOST: usize = 100;

/// Origins such as `https://app.example.com`, as browsers write them. None: no page of another origin may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct CorsOrigins(#[serde(deserialize_with = "texts::read")] Vec<String>);

impl CorsOrigins {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// What is wrong with an entry. Browsers compare origins letter by letter, and so does the answer.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.0.len() > MOST {
            return Err(format!("{} origins, and at most {MOST} are taken", self.0.len()));
        }
        self.iter().try_for_each(check_one)
    }
}

impl From<Vec<String>> for CorsOrigins {
    fn from(all: Vec<String>) -> Self {
        Self(all)
    }
}

fn check_one(given: &str) -> Result<(), String> {
    let form = "name each as scheme://host or scheme://host:port, such as https://app.example.com";
    if given == "*" {
        return Err(format!("\"*\" would let the pages of everybody in: {form}"));
    }
    let url = Url::parse(given).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match url.map(|url| url.origin().ascii_serialization()) {
        Some(origin) if origin == given => Ok(()),
        Some(origin) => Err(format!("{given:?} is not how a browser writes it: {origin}")),
        None => Err(format!("{given:?} is no origin: {form}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(all: &[&str]) -> Result<(), String> {
        CorsOrigins::from(all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()).check()
    }

    #[test]
    fn only_origins_as_browsers_write_them_are_taken() {
        assert_eq!(checked(&[]), Ok(()));
        assert_eq!(checked(&["https://app.example.com", "http://localhost:3000", "http://[::1]:8081"]), Ok(()));
        for (given, instead) in [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://App.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://app.example.com/path", "https://app.example.com"),
        ] {
            let reason = checked(&[given]).unwrap_err();
            assert!(reason.ends_with(&format!("writes it: {instead}")), "{reason}");
        }
        for given in
            ["*", "null", "", "app.example.com", "ftp://app.example.com", "https://*.example.com:x", "file:///x"]
        {
            assert!(checked(&[given]).unwrap_err().contains("https://app.example.com"), "{given}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("https://a{n}.example.com")).collect();
        assert!(CorsOrigins::from(many).check().unwrap_err().contains("at most 100"));
    }
}
