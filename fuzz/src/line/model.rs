//! What a control connection means, one byte at a time and without any bound on memory.

use tidegate_protocol::line::ENDLESS_BYTES;

use super::Said;

/// Returns what a reader with `limit` must say of `stream`.
pub(super) fn read(stream: &[u8], limit: usize) -> Vec<Said> {
    // A TLS handshake is no FTP, whatever follows.
    if stream.first() == Some(&0x16) {
        return vec![Said::Endless];
    }
    let mut said = Vec::new();
    let mut line = Vec::new();
    for byte in without_telnet(stream) {
        if byte != b'\n' {
            line.push(byte);
            if line.len() >= ENDLESS_BYTES {
                said.push(Said::Endless);
                return said;
            }
            continue;
        }
        let mut text = std::mem::take(&mut line);
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        said.push(if text.len() > limit { Said::TooLong } else { Said::Line(text) });
    }
    said
}

/// Returns the bytes that are no Telnet (RFC 854): FF FF is one FF, so is an FF before a byte that is no command, and a
/// line end ends every sequence.
fn without_telnet(stream: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let byte = stream[at];
        at += 1;
        if byte != 0xff {
            text.push(byte);
            continue;
        }
        // At the end of the stream an FF still waits for what follows.
        let Some(&command) = stream.get(at) else { break };
        match command {
            0xff => {
                text.push(0xff);
                at += 1;
            }
            0xf0..=0xf9 => at += 1,
            0xfa => at = behind_subnegotiation(stream, at + 1),
            0xfb..=0xfe if stream.get(at + 1) == Some(&b'\n') => at += 1,
            0xfb..=0xfe => at += 2,
            _ => text.push(0xff),
        }
    }
    text
}

/// Returns where IAC SB, whose content starts at `from`, is over: behind IAC SE, or at a line end.
fn behind_subnegotiation(stream: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        match stream.get(at..).unwrap_or_default() {
            [] => return stream.len(),
            [b'\n', ..] | [0xff, b'\n', ..] => return at + usize::from(stream[at] == 0xff),
            [0xff, 0xf0, ..] => return at + 2,
            [0xff, _, ..] => at += 2,
            [_, ..] => at += 1,
        }
    }
}
