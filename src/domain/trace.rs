//! What a request is a part of, across services: W3C Trace Context, the header `traceparent`.

use uuid::Uuid;

/// A trace: everything that one request has caused, here and elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: Uuid,
    is_recorded: bool,
}

impl Trace {
    /// A trace of our own, which nobody asked for and nobody records.
    #[must_use]
    pub const fn own(id: Uuid) -> Self {
        Self { id, is_recorded: false }
    }

    /// The trace that a `traceparent` names. `None`: it is malformed, which means that there is none.
    #[must_use]
    pub fn of_header(text: &str) -> Option<Self> {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let is_some = |text: &str| text.bytes().any(|byte| byte != b'0');
        let mut parts = text.split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version, id, span, flags].map(str::len);
        let is_whole = lengths == [2, 32, 16, 2] && [version, id, span, flags].iter().all(|part| is_hex(part));
        // Later versions may have more behind it.
        let has_its_version = version != "ff" && (version != "00" || parts.next().is_none());
        if !is_whole || !has_its_version || !is_some(id) || !is_some(span) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { id: Uuid::parse_str(id).ok()?, is_recorded: flags & 1 == 1 })
    }

    /// What a campaign keeps as its `correlation_id`: the id in hexadecimal, and with the dashes of a UUID where nobody records the
    /// trace.
    #[must_use]
    pub fn as_correlation(self) -> String {
        if self.is_recorded { self.id() } else { self.id.to_string() }
    }

    /// The trace that a campaign has kept.
    #[must_use]
    pub fn of_correlation(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(|id| Self { id, is_recorded: !text.contains('-') })
    }

    /// Its id in hexadecimal.
    #[must_use]
    pub fn id(self) -> String {
        self.id.simple().to_string()
    }

    /// The `traceparent` of a call that is made as part of the trace. `span` names the call, and is not 0.
    #[must_use]
    pub fn header(self, span: u64) -> String {
        format!("00-{}-{span:016x}-{:02x}", self.id.simple(), u8::from(self.is_recorded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_passed_on_with_another_span() {
        let trace = Trace::of_header(GOOD).unwrap();
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.header(0xab), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01");
        let unrecorded = Trace::of_header(&GOOD.replace("-01", "-00")).unwrap();
        assert!(unrecorded.header(1).ends_with("-0000000000000001-00"));
        // Other flags are not ours to pass on.
        assert_eq!(Trace::of_header(&GOOD.replace("-01", "-ff")), Some(trace));
        assert_eq!(Trace::of_header(&format!("{}-more", GOOD.replacen("00", "cc", 1))), Some(trace));
    }

    #[test]
    fn what_is_malformed_is_no_trace() {
        for wrong in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &format!("{GOOD}-more"),
            &format!(" {GOOD}"),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("4bf9", "0bf"),
            &GOOD.replace("4bf9", "xbf9"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("-01", "-1"),
            &GOOD.replace("-01", "-+1"),
        ] {
            assert_eq!(Trace::of_header(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_campaign_keeps_it() {
        let own = Trace::own(Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef));
        let given = Trace::of_header(GOOD).unwrap();
        let unrecorded = Trace::of_header(&GOOD.replace("-01", "-00")).unwrap();
        for trace in [own, given, unrecorded] {
            assert_eq!(Trace::of_correlation(&trace.as_correlation()), Some(trace));
        }
        assert_eq!(given.as_correlation(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(own.as_correlation(), "12345678-9abc-4def-8123-456789abcdef");
        assert_eq!(Trace::of_correlation("what an earlier system left"), None);
    }
}
