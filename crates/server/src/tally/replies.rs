use std::sync::atomic::AtomicU64;

use super::{add, read};

const FIRST: u16 = 100;
const LAST: u16 = 599;

/// How often each reply code was said. Fixed size: 4 KiB.
#[derive(Debug)]
pub(crate) struct Replies([AtomicU64; (LAST - FIRST + 1) as usize]);

impl Default for Replies {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Replies {
    /// Counts the last lines of the replies in `wire`, which holds whole lines.
    pub(crate) fn count(&self, wire: &[u8]) {
        for line in wire.split_inclusive(|byte| *byte == b'\n') {
            if let Some(counter) = code_of(line).and_then(|code| self.0.get(usize::from(code - FIRST))) {
                add(counter, 1);
            }
        }
    }

    /// Returns the codes that were said, with how often.
    pub(crate) fn view(&self) -> Vec<(u16, u64)> {
        (FIRST..=LAST).zip(self.0.iter().map(read)).filter(|(_, count)| *count > 0).collect()
    }
}

/// Returns the code of the last line of a reply; `None` for any other line (RFC 959 §4.2).
fn code_of(line: &[u8]) -> Option<u16> {
    let [a, b, c, b' ', ..] = line else { return None };
    let digits = [a, b, c].map(|byte| byte.is_ascii_digit().then(|| u16::from(byte - b'0')));
    let [Some(a), Some(b), Some(c)] = digits else { return None };
    let code = a * 100 + b * 10 + c;
    (FIRST..=LAST).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_counted_and_others_are_not() {
        let replies = Replies::default();
        replies.count(
            b"220 ready\r\n211-Features:\r\n UTF8\r\n 200 is no reply\r\n211 End\r\n200 Done\r\n200 Done\r\n",
        );
        assert_eq!(replies.view(), [(200, 2), (211, 1), (220, 1)]);
        replies.count(b"099 no\r\n600 no\r\n20x no\r\n421");
        assert_eq!(replies.view(), [(200, 2), (211, 1), (220, 1)]);
    }
}
