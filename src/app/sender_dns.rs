//! Looks up what the domain name system says of a sender's domain; `domain::sender_dns` judges it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record};

use crate::domain::sender_dns::{dkim, dkim_name, dmarc, dmarc_names, no_dmarc, spf};

/// The port of name servers (RFC 1035 4.2).
const DNS_PORT: u16 = 53;

/// Which resolver is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolverChoice {
    /// The one that this machine uses.
    System,
    /// The one at an address.
    At(SocketAddr),
}

impl FromStr for ResolverChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "system" {
            return Ok(Self::System);
        }
        let with_port = text.parse::<SocketAddr>();
        let address = with_port.or_else(|_no_port| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT)));
        address
            .map(Self::At)
            .map_err(|_invalid| format!("\"{text}\" is neither \"system\" nor an IP address, with or without a port"))
    }
}

/// What was found about one of the three, or what is wrong and how to correct it.
pub type Found = (String, Result<String, String>);

/// Looks at SPF, DMARC and the keys of DKIM selectors of a domain.
///
/// # Errors
/// The resolver cannot be used at all.
pub async fn look_at_sender(choice: ResolverChoice, domain: &str, selectors: &[String]) -> Result<Vec<Found>, String> {
    let resolver = resolver(choice)?;
    let spf_found = texts(&resolver, domain).await.and_then(|texts| spf(&texts));
    let mut found = vec![(format!("SPF of {domain}"), spf_found)];
    found.push((format!("DMARC of {domain}"), look_for_dmarc(&resolver, domain).await));
    for selector in selectors {
        let name = dkim_name(selector, domain);
        let key = texts(&resolver, &name).await.and_then(|texts| dkim(&texts));
        found.push((format!("DKIM key {name}"), key));
    }
    Ok(found)
}

async fn look_for_dmarc(resolver: &TokioResolver, domain: &str) -> Result<String, String> {
    for name in dmarc_names(domain) {
        if let Some(found) = dmarc(&texts(resolver, &name).await?) {
            return found;
        }
    }
    Err(no_dmarc(domain))
}

fn resolver(choice: ResolverChoice) -> Result<TokioResolver, String> {
    let builder = match choice {
        ResolverChoice::System => TokioResolver::builder_tokio()
            .map_err(|error| format!("the resolver of this machine is not known ({error}); name one by its address"))?,
        ResolverChoice::At(addr) => {
            let mut server = NameServerConfig::udp_and_tcp(addr.ip());
            server.connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
                .map(|mut connection| {
                    connection.port = addr.port();
                    connection
                })
                .into();
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    builder.build().map_err(|error| format!("the resolver cannot be used: {error}"))
}

/// The texts at a name; none where the name or its texts do not exist.
async fn texts(resolver: &TokioResolver, name: &str) -> Result<Vec<String>, String> {
    // The final dot: the name is whole, and no search list of this machine is tried.
    match resolver.txt_lookup(format!("{name}.")).await {
        Ok(lookup) => {
            // A record longer than 255 bytes comes in parts (RFC 7208 3.3, RFC 6376 3.6.2.2). CNAMEs on the way are no texts.
            let text = |record: &Record| {
                let RData::TXT(text) = &record.data else { return None };
                Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
            };
            Ok(lookup.answers().iter().filter_map(text).collect())
        }
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(format!("the resolver gives no answer about {name}: {error}")),
    }
}
