//! The bytes of a message: those of its own, and those that it shares with all others of its campaign.

use std::sync::Arc;

/// The end of a message with the line end before it (RFC 5321 4.1.1.4). As long as one byte of it is missing, the relay
/// waits for more and cannot have accepted anything.
pub(super) const END: &[u8] = b"\r\n.\r\n";

/// What is sent after `DATA`: headers, body and the final dot, CRLF throughout. No line begins with another dot: a header's begins with its
/// name or a blank, a body's encodings have none there. So nothing has to be stuffed.
///
/// Files are not copied for each message: a megabyte on each of many connections would be their memory.
#[derive(Default)]
pub(super) struct Content {
    /// Bytes of its own, each with a file behind them.
    before: Vec<(Vec<u8>, Arc<str>)>,
    /// What comes after all of them.
    own: Vec<u8>,
}

impl Content {
    /// Where the message's own bytes go next.
    pub(super) fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Adds bytes that other messages have, too.
    pub(super) fn share(&mut self, text: &Arc<str>) {
        self.before.push((std::mem::take(&mut self.own), Arc::clone(text)));
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.before.iter().map(|(own, shared)| own.len() + shared.len()).sum::<usize>() + self.own.len()
    }

    /// The bytes, where they are in one piece.
    pub(super) fn in_one_piece(&self) -> Option<&[u8]> {
        self.before.is_empty().then_some(&self.own)
    }

    /// The pieces without the [`END`], which stands in the last one.
    pub(super) fn without_end(&self) -> impl Iterator<Item = &[u8]> {
        let before = self.before.iter().flat_map(|(own, shared)| [own.as_slice(), shared.as_bytes()]);
        let last = self.own.get(..self.own.len().saturating_sub(END.len())).unwrap_or_default();
        before.chain([last])
    }

    /// All bytes together.
    #[cfg(test)]
    pub(super) fn whole(&self) -> Vec<u8> {
        self.without_end().flatten().chain(END).copied().collect()
    }
}
