use std::fmt::Write;

use tidegate_types::AccountName;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A temp is about to exist.
    Temp { temp: u64, dir_path: Vec<u8> },
    /// A temp is kept as a partial.
    Kept { temp: u64, expires_at_secs: u64, account: AccountName, name: Vec<u8>, dir_path: Vec<u8> },
}

impl Record {
    /// Returns which temp it is about.
    pub(crate) fn temp(&self) -> u64 {
        match self {
            Self::Temp { temp, .. } | Self::Kept { temp, .. } => *temp,
        }
    }

    /// Returns the way to the directory it is in.
    pub(crate) fn dir_path(&self) -> &[u8] {
        match self {
            Self::Temp { dir_path, .. } | Self::Kept { dir_path, .. } => dir_path,
        }
    }

    /// Returns the same record with its directory in another place.
    pub(crate) fn with_dir_path(mut self, new: Vec<u8>) -> Self {
        match &mut self {
            Self::Temp { dir_path, .. } | Self::Kept { dir_path, .. } => *dir_path = new,
        }
        self
    }

    /// Returns the line, its end included.
    pub(crate) fn line(&self) -> Vec<u8> {
        match self {
            Self::Temp { temp, dir_path } => format!("t {temp:016x} {}\n", escape(dir_path)),
            Self::Kept { temp, expires_at_secs, account, name, dir_path } => format!(
                "k {temp:016x} {expires_at_secs} {} {} {}\n",
                escape(account.0.as_bytes()),
                escape(name),
                escape(dir_path)
            ),
        }
        .into_bytes()
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["t", temp, dir] => Some(Self::Temp { temp: parse_temp(temp)?, dir_path: unescape(dir)? }),
            ["k", temp, expiry, account, name, dir] => Some(Self::Kept {
                temp: parse_temp(temp)?,
                expires_at_secs: expiry.parse().ok()?,
                account: AccountName(String::from_utf8(unescape(account)?).ok()?),
                name: unescape(name)?,
                dir_path: unescape(dir)?,
            }),
            _ => None,
        }
    }
}

/// Returns the records in `text`; what is no record (a line torn by a crash) is passed over.
pub(super) fn parse_all(text: &[u8]) -> impl Iterator<Item = Record> {
    text.split(|byte| *byte == b'\n').filter_map(|line| Record::parse(std::str::from_utf8(line).ok()?))
}

fn parse_temp(word: &str) -> Option<u64> {
    (word.len() == 16).then(|| u64::from_str_radix(word, 16).ok())?
}

/// Writes bytes as one word: what is not plain ASCII, and `%`, as `%XX`. A leading `/` marks the word, also an empty one.
fn escape(bytes: &[u8]) -> String {
    let mut word = String::with_capacity(bytes.len() + 1);
    word.push('/');
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' {
            word.push(char::from(*byte));
        } else {
            let _written = write!(word, "%{byte:02X}");
        }
    }
    word
}

fn unescape(word: &str) -> Option<Vec<u8>> {
    let mut rest = word.strip_prefix('/')?.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (code, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_with_any_bytes() {
        let name: Vec<u8> = (1..=255).collect();
        for record in [
            Record::Temp { temp: u64::MAX, dir_path: Vec::new() },
            Record::Temp { temp: 0, dir_path: name.clone() },
            Record::Kept {
                temp: 9,
                expires_at_secs: 77,
                account: AccountName("al ice%".into()),
                name,
                dir_path: b"a b/../c".to_vec(),
            },
        ] {
            assert_eq!(parse_all(&record.line()).collect::<Vec<_>>(), [record]);
        }
    }

    #[test]
    fn torn_and_foreign_lines_are_passed_over() {
        let text =
            b"t 00000000000000\nt 0000000000000007 /a\nk 0000000000000001 x /a /b /c\nt zz /\n\xff\nk 00";
        assert_eq!(parse_all(text).collect::<Vec<_>>(), [Record::Temp { temp: 7, dir_path: b"a".to_vec() }]);
    }
}
