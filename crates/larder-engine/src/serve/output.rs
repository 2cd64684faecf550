//! What one client is yet to be written: replies and pushes, in order.

/// Sent bytes beyond this are given back, as is a buffer beyond this once it is empty.
const KEPT_MAX: usize = 256 << 10;

/// Bytes for one client, the first of which are on their way.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    /// The buffer to append to.
    pub(super) const fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What the socket has yet to take.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Forgets what comes after the first so many unsent bytes.
    pub(super) fn keep_unsent(&mut self, bytes: usize) {
        self.bytes.truncate(self.sent + bytes);
    }

    /// Takes note that the socket took so many more bytes.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            if self.bytes.capacity() > KEPT_MAX {
                self.bytes = Vec::new();
            }
        } else if self.sent > KEPT_MAX && self.sent * 2 >= self.bytes.len() {
            // A client that always lags a little never comes to the end. What moves is never more than what was
            // sent since the last time, so moving costs less than sending.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_MAX, Output};

    #[test]
    fn a_backlog_that_never_drains_keeps_only_what_is_unsent() {
        const BACKLOG: usize = 100_000;
        let message: Vec<u8> = (0..=u8::MAX).cycle().take(50_021).collect();
        let mut stream = Output::default();
        let mut taken = 0_usize;
        stream.bytes().resize(BACKLOG, 0);
        for _ in 0..2_000 {
            stream.bytes().extend_from_slice(&message);
            stream.note_sent(message.len());
            taken += message.len();
            assert_eq!(stream.unsent().len(), BACKLOG);
        }
        assert!(taken > 90_000_000, "much was sent: {taken}");
        let held = stream.bytes().capacity();
        assert!(
            held < 4 * (KEPT_MAX + BACKLOG),
            "{held} bytes held for {BACKLOG} unsent ones"
        );
    }

    #[test]
    fn what_is_unsent_stays_in_order() {
        let all: Vec<u8> = (0..3 * KEPT_MAX).map(|n| (n % 251) as u8).collect();
        let mut stream = Output::default();
        stream.bytes().extend_from_slice(&all);
        for step in [1, 1_000, KEPT_MAX, KEPT_MAX, 7].into_iter().cycle() {
            let at = all.len() - stream.unsent().len();
            assert_eq!(stream.unsent(), &all[at..]);
            if stream.unsent().is_empty() {
                break;
            }
            stream.note_sent(step.min(all.len() - at));
        }
        assert!(stream.bytes().capacity() <= KEPT_MAX, "given back when all is sent");
    }
}
