use std::ops::Range;
use std::path::{Path, PathBuf};

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
        error: std::io::Error,
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
    /// Reads the file at `path`. Errors: `SourceError::{Unreadable, NotText}`.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let name = crate::escape::for_people(&path.to_string_lossy());
        let bytes =
            std::fs::read(path).map_err(|error| SourceError::Unreadable { name: name.clone(), error })?;
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
