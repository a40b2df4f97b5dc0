//! Takes Telnet sequences (RFC 854) out of the control connection.

const IAC: u8 = 0xff;
const SE: u8 = 0xf0;
const SB: u8 = 0xfa;
const WILL: u8 = 0xfb;
const DONT: u8 = 0xfe;

const LITERAL_IAC: &[u8] = &[IAC];
const NOTHING: &[u8] = &[];

/// Where in a Telnet sequence the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Telnet {
    /// In none.
    #[default]
    Text,
    /// Behind an IAC.
    Command,
    /// Behind IAC WILL, WONT, DO or DONT: one option byte.
    Option,
    /// Within IAC SB ... IAC SE.
    Subnegotiation,
    /// Behind an IAC within it.
    SubnegotiationCommand,
}

impl Telnet {
    /// Returns the next run of text in `bytes`, perhaps empty, and the bytes behind it. While `bytes` is not empty, each
    /// call uses up a byte or changes the state.
    ///
    /// Dropped: IAC with a command (F0 to F9), with WILL to DONT and an option, and IAC SB up to IAC SE. IAC IAC is one
    /// FF; so is an FF before a byte below F0, which is no Telnet but a raw name. A line end always ends a sequence: FTP
    /// clients negotiate no option 10, and no bytes may swallow the commands that follow them.
    pub(super) fn step<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let Some((&byte, tail)) = bytes.split_first() else { return (NOTHING, NOTHING) };
        let (next, text, rest) = match (*self, byte) {
            (Self::Text, IAC) => (Self::Command, NOTHING, tail),
            (Self::Text, _) => {
                let (text, rest) = split_before(bytes, |byte| byte == IAC);
                (Self::Text, text, rest)
            }
            (Self::Command, IAC) => (Self::Text, LITERAL_IAC, tail),
            (Self::Command, WILL..=DONT) => (Self::Option, NOTHING, tail),
            (Self::Command, SB) => (Self::Subnegotiation, NOTHING, tail),
            (Self::Command, SE..SB) => (Self::Text, NOTHING, tail),
            (Self::Command, _) => (Self::Text, LITERAL_IAC, bytes),
            (Self::Option | Self::Subnegotiation | Self::SubnegotiationCommand, b'\n') => {
                (Self::Text, NOTHING, bytes)
            }
            (Self::Option, _) | (Self::SubnegotiationCommand, SE) => (Self::Text, NOTHING, tail),
            (Self::Subnegotiation, IAC) => (Self::SubnegotiationCommand, NOTHING, tail),
            (Self::Subnegotiation, _) => {
                let (_, rest) = split_before(bytes, |byte| byte == IAC || byte == b'\n');
                (Self::Subnegotiation, NOTHING, rest)
            }
            (Self::SubnegotiationCommand, _) => (Self::Subnegotiation, NOTHING, tail),
        };
        *self = next;
        (text, rest)
    }
}

fn split_before(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let length = bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len());
    bytes.split_at(length)
}
