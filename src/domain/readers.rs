//! Who opens a message or follows its links: a person, or a machine that opens everything.
//!
//! Told by the request alone. A scanner that calls itself a browser is told by the time: see `tracking.machine_within_ms`.

use crate::domain::reports::Reader;

/// What a request says of who makes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signs<'a> {
    /// The method is HEAD: nobody sees the answer.
    pub is_head: bool,
    /// `User-Agent`.
    pub agent: Option<&'a str>,
    /// `Sec-Purpose` (Fetch), `Purpose` and `X-Moz` (older browsers), `X-Purpose` (Safari): why it is made.
    pub purposes: [Option<&'a str>; 4],
}

/// What browsers say of a request for what nobody has asked for yet.
const IN_ADVANCE: &[&str] = &["prefetch", "prerender", "preview"];

/// Words in the names of robots, scanners, image proxies and programs, in lower case. Taken from
/// [isbot](https://github.com/omrilotan/isbot) and
/// [crawler-user-agents](https://github.com/monperrus/crawler-user-agents), and from what the providers of image proxies say.
const MACHINES: &[&str] = &[
    // Generic words.
    "bot",
    "crawl",
    "spider",
    "slurp",
    "scrap",
    "scan",
    "archiv",
    "headless",
    "monitor",
    "validator",
    "checker",
    "link check",
    // Proxies that load images for a mailbox, often before anybody reads.
    "googleimageproxy",
    "yahoomailproxy",
    "duckduckgo image proxy",
    "protonmail image proxy",
    // Scanners in front of mailboxes.
    "barracuda",
    "proofpoint",
    "mimecast",
    "messagelabs",
    "symantec",
    "trendmicro",
    "sophos",
    "fireeye",
    "cloudmark",
    "forcepoint",
    "safelinks",
    "safebrowsing",
    "urldefense",
    // Previews in messengers and mail programs.
    "bingpreview",
    "google web preview",
    "skypeuripreview",
    "facebookexternalhit",
    "facebookcatalog",
    "whatsapp/",
    "embedly",
    "vkshare",
    "snap url preview",
    "google-pagerenderer",
    "google favicon",
    "feedfetcher",
    "mediapartners",
    // Programs.
    "curl/",
    "wget/",
    "python",
    "go-http-client",
    "java/",
    "okhttp",
    "apache-httpclient",
    "axios/",
    "node-fetch",
    "undici",
    "libwww",
    "lwp::",
    "ruby",
    "php/",
    "guzzle",
    "httpie",
    "http_request",
    "phantomjs",
    "selenium",
    "puppeteer",
    "playwright",
    "postman",
    "insomnia",
    "reqwest",
    "hyper/",
    "aiohttp",
    "winhttp",
    "urlgrabber",
];

/// Names that have such a word in them and are none of these.
const TELEPHONES: &[&str] = &["cubot"];

/// Apple Mail loads all images in advance by a proxy that gives this name alone
/// ([Mail Privacy Protection](https://support.apple.com/guide/mail/mlhl3adb1d1a/mac)).
const APPLE_PROXY: &str = "mozilla/5.0";

/// Who makes such a request.
#[must_use]
pub fn reader_of(signs: Signs<'_>) -> Reader {
    let is_in_advance = signs.purposes.into_iter().flatten().any(|purpose| {
        let purpose = purpose.to_ascii_lowercase();
        IN_ADVANCE.iter().any(|word| purpose.contains(word))
    });
    if signs.is_head || is_in_advance || is_machine(signs.agent.unwrap_or_default()) {
        Reader::Machine
    } else {
        Reader::Person
    }
}

fn is_machine(agent: &str) -> bool {
    let mut agent = agent.trim().to_ascii_lowercase();
    for telephone in TELEPHONES {
        agent = agent.replace(telephone, "");
    }
    agent.is_empty() || agent == APPLE_PROXY || MACHINES.iter().any(|word| agent.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_from_people_by_their_names() {
        for (agent, reader) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                Reader::Person,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
                Reader::Person,
            ),
            ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Thunderbird/140.2.1", Reader::Person),
            ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", Reader::Person),
            (
                "Mozilla/5.0 (Linux; Android 12; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
                Reader::Person,
            ),
            (
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                Reader::Machine,
            ),
            ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", Reader::Machine),
            ("Mozilla/5.0", Reader::Machine),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Reader::Machine),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
                Reader::Machine,
            ),
            ("facebookexternalhit/1.1", Reader::Machine),
            ("curl/8.5.0", Reader::Machine),
            ("python-requests/2.32.3", Reader::Machine),
            ("", Reader::Machine),
        ] {
            assert_eq!(reader_of(Signs { agent: Some(agent), ..Signs::default() }), reader, "{agent}");
        }
        assert_eq!(reader_of(Signs::default()), Reader::Machine, "a browser gives its name");
    }

    #[test]
    fn what_is_loaded_in_advance_or_without_a_body_is_a_machines_doing() {
        let person = Signs { agent: Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0"), ..Signs::default() };
        assert_eq!(reader_of(person), Reader::Person);
        assert_eq!(reader_of(Signs { is_head: true, ..person }), Reader::Machine);
        for purpose in ["prefetch", "prefetch;prerender", "Prefetch", "preview"] {
            assert_eq!(
                reader_of(Signs { purposes: [Some(purpose), None, None, None], ..person }),
                Reader::Machine,
                "{purpose}"
            );
        }
        assert_eq!(reader_of(Signs { purposes: [Some("navigate"), None, None, None], ..person }), Reader::Person);
    }
}
