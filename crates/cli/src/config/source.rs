use std::fs::OpenOptions;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A configuration file as it was read: its text, where it stands, and a copy that may be shown.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name to show, as the user wrote it.
    pub name: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The text.
    pub text: String,
}

/// Why a configuration file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file system said no.
    #[error("cannot read {name}: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// A pipe, a device, a folder: reading it could take for ever.
    #[error("cannot read {name}: it is no regular file")]
    NotAFile {
        /// The file.
        name: String,
    },
    /// Longer than any configuration.
    #[error("cannot read {name}: it is larger than 16 MiB")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// Not UTF-8, which TOML must be.
    #[error("{name}:{line}: the file is not UTF-8 text; save it as UTF-8")]
    NotText {
        /// The file.
        name: String,
        /// The line with the first bad byte.
        line: usize,
    },
}

impl Source {
    /// Reads the file at `path`. Errors: `SourceError::{Unreadable, NotAFile, TooLarge, NotText}`.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let name = crate::escape::for_people(&path.to_string_lossy());
        let bytes = read_regular(path, &name)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            SourceError::NotText { name: name.clone(), line: 1 + good.filter(|byte| **byte == b'\n').count() }
        })?;
        let folder = std::path::absolute(path).ok().and_then(|path| Some(path.parent()?.to_path_buf()));
        Ok(Self { name, folder: folder.unwrap_or_default(), text })
    }

    /// Returns a source that stands in no file, for defaults and tests.
    pub fn from_text(name: &str, folder: &Path, text: &str) -> Self {
        Self { name: name.into(), folder: folder.into(), text: text.into() }
    }

    /// Returns line and column, both from 1, of a byte offset.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    /// Returns the text with secrets masked and terminal controls replaced; every byte keeps its place.
    ///
    /// Masked are `secrets` and, on each line that names a password, hash or secret, all that follows the `=`.
    pub fn showable(&self, secrets: &[Range<usize>]) -> String {
        let mut masked: Vec<Range<usize>> = secrets.to_vec();
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            if let Some((name, _)) = line.split_once('=')
                && is_secret_name(name)
            {
                masked.push(start + name.len() + 1..start + line.len());
            }
            start += line.len();
        }
        let mut shown = String::with_capacity(self.text.len());
        for (offset, letter) in self.text.char_indices() {
            let secret = !letter.is_whitespace() && masked.iter().any(|range| range.contains(&offset));
            let control = letter.is_control() && !matches!(letter, '\n' | '\t');
            match (secret, control) {
                (true, _) => shown.extend(std::iter::repeat_n('*', letter.len_utf8())),
                (_, true) => shown.extend(std::iter::repeat_n(' ', letter.len_utf8())),
                _ => shown.push(letter),
            }
        }
        shown
    }
}

/// Reads a regular file whole; never waits for somebody to write into a pipe.
fn read_regular(path: &Path, name: &str) -> Result<Vec<u8>, SourceError> {
    let unreadable = |error: io::Error| SourceError::Unreadable { name: name.to_owned(), error };
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(SourceError::NotAFile { name: name.to_owned() });
    }
    let mut bytes = Vec::new();
    let count = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if count as u64 > FILE_BYTES_MAX {
        return Err(SourceError::TooLarge { name: name.to_owned() });
    }
    Ok(bytes)
}

/// Returns whether a key of this name may hold something that must not be shown.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    // `passive_ports` and its like are no passwords.
    !name.starts_with("passive")
        && ["pass", "pasw", "pwd", "hash", "secret"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from_text("t.toml", Path::new("/"), text)
    }

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let large = folder.path().join("large");
        std::fs::File::create(&large).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        for (path, part) in [
            (pipe.as_path(), "pipe: it is no regular file"),
            (folder.path(), "it is no regular file"),
            (Path::new("/dev/zero"), "/dev/zero: it is no regular file"),
            (&large, "large: it is larger than 16 MiB"),
            (Path::new("/nonexistent"), "cannot read /nonexistent: No such file"),
        ] {
            let error = Source::read(path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        std::fs::write(&large, "a = 1").unwrap();
        assert_eq!(Source::read(&large).unwrap().text, "a = 1");
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let source = source("a = 1\nü = 2\n");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(5), (1, 6));
        assert_eq!(source.line_and_column(6), (2, 1));
        assert_eq!(source.line_and_column(9), (2, 3));
        assert_eq!(source.line_and_column(999), (3, 1));
    }

    #[test]
    fn secrets_and_controls_are_never_shown() {
        let text = "name = \"a\"\npassword_hash = \"$argon2id$x\"\npasswrd=\"clear ü\"\nh = \"\u{1b}[2J\"\n";
        let shown = source(text).showable(&[]);
        assert_eq!(shown.len(), text.len());
        assert!(
            !shown.contains("argon2id") && !shown.contains("clear") && !shown.contains('\u{1b}'),
            "{shown}"
        );
        assert!(shown.contains("name = \"a\"\npassword_hash = ***"), "{shown}");
    }
}
