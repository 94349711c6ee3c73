//! Whose word about a client's address is believed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Addresses and networks of proxies: an array of texts, or one text with commas, as a variable has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came from `peer`. `forwarded` are the values of the `X-Forwarded-For` headers, in their
    /// order. From the right, each entry is believed that a trusted proxy has written; the first that is no trusted proxy is
    /// the client.
    #[must_use]
    pub fn client<'h>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'h str>) -> IpAddr {
        let mut client = peer.to_canonical();
        for entry in forwarded.rev().flat_map(|value| value.rsplit(',')) {
            if !self.contains(client) {
                break;
            }
            match entry.trim().parse::<IpAddr>() {
                Ok(address) => client = address.to_canonical(),
                Err(_) => break,
            }
        }
        client
    }
}

/// An address stands for the network of itself.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let parsed = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())).or_else(|_| text.parse());
    parsed.map_err(|_unreadable| format!("{text:?} is not an address or a network such as 10.0.0.1 or 10.0.0.0/8"))
}

impl Serialize for Proxies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Proxies;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("addresses or networks such as [\"10.0.0.0/8\"]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Proxies, E> {
                let parts = text.split(',').filter(|part| !part.trim().is_empty());
                parts.map(network).collect::<Result<_, _>>().map(Proxies).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Proxies, A::Error> {
                let mut networks = Vec::new();
                while let Some(text) = seq.next_element::<String>()? {
                    networks.push(network(&text).map_err(de::Error::custom)?);
                }
                Ok(Proxies(networks))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(text: &str) -> Proxies {
        serde_json::from_value(serde_json::json!(text)).unwrap()
    }

    fn client(proxies: &Proxies, peer: &str, forwarded: &[&str]) -> String {
        proxies.client(peer.parse().unwrap(), forwarded.iter().copied()).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_named() {
        assert_eq!(client(&Proxies::default(), "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client(&proxies("10.0.0.1"), "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_client_is_the_last_entry_that_no_trusted_proxy_has() {
        let ours = proxies("10.0.0.0/8, 2001:db8::/32");
        assert_eq!(client(&ours, "10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        // What the client itself has written stands to the left, and is not believed.
        assert_eq!(client(&ours, "10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.2.3.4"]), "198.51.100.7");
        assert_eq!(client(&ours, "10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&ours, "::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&ours, "2001:db8::1", &["nonsense"]), "2001:db8::1");
        assert_eq!(client(&ours, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn an_array_and_a_text_mean_the_same() {
        let array: Proxies = serde_json::from_value(serde_json::json!(["10.0.0.0/8", "192.0.2.1"])).unwrap();
        assert_eq!(array, proxies("10.0.0.0/8,192.0.2.1"));
        let refused = serde_json::from_value::<Proxies>(serde_json::json!(["10.0.0.0/33"])).unwrap_err().to_string();
        assert!(refused.contains("10.0.0.0/33") && refused.contains("10.0.0.0/8"), "{refused}");
    }
}
