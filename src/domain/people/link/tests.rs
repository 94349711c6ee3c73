use proptest::prelude::*;

use super::*;

const LAUNCHED: UtcInstant = UtcInstant(1_800_000_000_123);

fn key(kid: &str, byte: u8) -> LinkKey {
    LinkKey::new(Kid::parse(kid).unwrap(), &[byte; 32])
}

fn unsubscribe() -> Link {
    Link::Unsubscribe { campaign: CampaignId(7), contact: ContactId(1_000_000) }
}

fn opened(key: &LinkKey, token: &str) -> Option<Link> {
    Token::parse(token).and_then(|token| key.open(&token))
}

#[test]
fn a_token_opens_to_its_link_and_is_about_forty_characters() {
    let key = key("Ab-_", 1);
    let links = [
        (unsubscribe(), 35),
        (Link::preferences(CampaignId(7), ContactId(1_000_000), LAUNCHED), 39),
        (Link::confirm(ListId(3), ContactId(1_000_000), key.mark("ann@example.com"), LAUNCHED), 55),
    ];
    for (link, longest) in links {
        let token = key.sign(&link);
        assert_eq!(opened(&key, &token), Some(link), "{token}");
        assert!(token.len() <= longest && token.starts_with("Ab-_"), "{token} has {} characters", token.len());
        assert_eq!(token, key.sign(&link), "the same link has the same token");
    }
}

#[test]
fn a_token_in_an_address_survives_a_change_of_case_and_the_former_spelling_is_read_too() {
    let opened = |key: &LinkKey, text: &str| {
        Token::parse_in_address(text).iter().filter_map(|token| key.open(token)).collect::<Vec<_>>()
    };
    let key = key("Ab-_", 1);
    for (campaign, contact, longest) in [(1, 1, 36), (7, 1_000_000, 40), (100_000, 999_999_999, 45)] {
        let link = Link::Returned { campaign: CampaignId(campaign), contact: ContactId(contact) };
        let token = key.sign_for_address(&link);
        assert!(token.len() <= longest && token.bytes().all(|byte| !byte.is_ascii_uppercase()), "{token}");
        for text in [&token, &token.to_ascii_uppercase(), &key.sign(&link)] {
            assert_eq!(opened(&key, text), [link], "{text}");
        }
        let changed = format!("{}{}", if token.starts_with('a') { 'b' } else { 'a' }, &token[1..]);
        assert!(opened(&key, &changed).is_empty() && Token::parse(&token).and_then(|token| key.open(&token)).is_none());
    }
    let large = Link::Returned { campaign: CampaignId(i64::MAX), contact: ContactId(i64::MAX) };
    let token = key.sign_for_address(&large);
    assert!(token.len() <= MOST_IN_ADDRESS, "{token}");
    assert_eq!(opened(&key, &token), [large]);
}

#[test]
fn another_secret_or_another_kid_opens_nothing() {
    let token = key("AAAA", 1).sign(&unsubscribe());
    assert_eq!(opened(&key("AAAA", 2), &token), None);
    // The kid is under the MAC, too.
    assert_eq!(opened(&key("AAAB", 1), &token.replacen("AAAA", "AAAB", 1)), None);
}

#[test]
fn a_token_of_one_purpose_is_none_of_another() {
    let key = key("AAAA", 1);
    let link = Link::preferences(CampaignId(7), ContactId(8), LAUNCHED);
    let bytes = URL_SAFE_NO_PAD.decode(&key.sign(&link)[4..]).unwrap();
    for purpose in [b'u', b'c', b'P', 0] {
        let mut swapped = bytes.clone();
        swapped[0] = purpose;
        assert_eq!(opened(&key, &format!("AAAA{}", URL_SAFE_NO_PAD.encode(swapped))), None);
    }
}

#[test]
fn the_end_of_a_token_counts_from_the_launch_in_whole_hours() {
    let day = 24 * HOUR_MS;
    let link = Link::preferences(CampaignId(7), ContactId(8), LAUNCHED);
    assert!(!link.is_expired(LAUNCHED.plus_ms(PREFERENCES_DAYS * day - 1)));
    assert!(link.is_expired(LAUNCHED.plus_ms(PREFERENCES_DAYS * day + HOUR_MS)));
    let link = Link::confirm(ListId(3), ContactId(8), key("AAAA", 1).mark("ann@example.com"), LAUNCHED);
    assert!(!link.is_expired(LAUNCHED.plus_ms(CONFIRM_DAYS * day - 1)));
    assert!(link.is_expired(LAUNCHED.plus_ms(CONFIRM_DAYS * day)), "it keeps the instant itself");
    assert!(!unsubscribe().is_expired(UtcInstant(i64::MAX)), "a refusal never expires");
}

#[test]
fn a_mark_tells_addresses_and_keys_apart() {
    let key_one = key("AAAA", 1);
    assert_eq!(key_one.mark("ann@example.com"), key_one.mark("ann@example.com"));
    assert_ne!(key_one.mark("ann@example.com"), key_one.mark("bob@example.com"));
    assert_ne!(key_one.mark("ann@example.com"), key("AAAA", 2).mark("ann@example.com"));
}

#[test]
fn a_number_has_one_spelling() {
    for bytes in [&[0x80, 0x00][..], &[0xff; 10], &[0xff; 11], &[0x80], &[]] {
        assert_eq!(read_number(&mut &*bytes), None, "{bytes:?}");
    }
}

#[test]
fn the_mac_is_that_of_the_standard() {
    // RFC 4231, test case 2 has a short key; here the same computation with our 32 bytes, by the one-shot interface.
    let key = key("AAAA", 0x0b);
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&[0x0b; 32]).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&key.sign(&unsubscribe())[4..]).unwrap();
    let (content, found) = bytes.split_at(bytes.len() - MAC_BYTES);
    mac.update(b"AAAA");
    mac.update(content);
    assert_eq!(found, &mac.finalize().into_bytes()[..MAC_BYTES]);
}

#[test]
fn a_key_does_not_show_its_secret() {
    assert_eq!(format!("{:?}", key("AAAA", 7)), "LinkKey(AAAA)");
}

fn any_link() -> impl Strategy<Value = Link> {
    let (id, hour) = (any::<i64>(), any::<i64>());
    prop_oneof![
        (id, id).prop_map(|(campaign, contact)| Link::Returned {
            campaign: CampaignId(campaign),
            contact: ContactId(contact)
        }),
        (id, id).prop_map(|(campaign, contact)| Link::Unsubscribe {
            campaign: CampaignId(campaign),
            contact: ContactId(contact)
        }),
        (id, id, hour).prop_map(|(campaign, contact, hour)| Link::Preferences {
            campaign: CampaignId(campaign),
            contact: ContactId(contact),
            expires: Hour(hour)
        }),
        (id, id, any::<[u8; MARK_BYTES]>(), hour).prop_map(|(list, contact, mark, hour)| Link::Confirm {
            list: ListId(list),
            contact: ContactId(contact),
            address: AddressMark(mark),
            asked_at: UtcInstant(hour)
        }),
    ]
}

proptest! {
    #[test]
    fn every_link_survives_its_token(link in any_link(), byte in any::<u8>()) {
        let key = key("kid1", byte);
        prop_assert_eq!(opened(&key, &key.sign(&link)), Some(link));
    }

    #[test]
    fn a_token_with_any_other_character_opens_nothing(link in any_link(), at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_=~-]") {
        let key = key("kid1", 1);
        let token = key.sign(&link);
        let at = at.index(token.len());
        let mut forged = token.clone();
        forged.replace_range(at..=at, &other);
        prop_assert_eq!(opened(&key, &forged).is_some(), forged == token);
    }

    #[test]
    fn a_cut_or_lengthened_token_opens_nothing(link in any_link(), cut in any::<prop::sample::Index>(), more in "[A-Za-z0-9_-]{1,8}") {
        let key = key("kid1", 1);
        let token = key.sign(&link);
        prop_assert_eq!(opened(&key, &token[..cut.index(token.len())]), None);
        prop_assert_eq!(opened(&key, &format!("{token}{more}")), None);
    }

    #[test]
    fn two_tokens_spliced_open_nothing(one in any_link(), other in any_link(), at in any::<prop::sample::Index>()) {
        let key = key("kid1", 1);
        let (one, other) = (key.sign(&one), key.sign(&other));
        let at = at.index(one.len().min(other.len()));
        let spliced = format!("{}{}", &one[..at], &other[at..]);
        prop_assert_eq!(opened(&key, &spliced).is_some(), spliced == one || spliced == other);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,120}") {
        prop_assert_eq!(opened(&key("kid1", 1), &text), None);
    }
}
