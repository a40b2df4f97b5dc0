//! Where something of the server's own stands: found by itself, nowhere, or at a path.

use std::path::{Path, PathBuf};

use tidegate_admin::SOCKET_PATH_BYTES_MAX;
use toml::de::DeValue;

use super::{Mismatch, Value, suggest, text_of};
use crate::keys::Kind;

/// Where a socket or a folder of the server stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Where the system has its place for such things.
    #[default]
    Auto,
    /// Nowhere: there is none.
    Off,
    /// Here; absolute.
    At(PathBuf),
}

impl Value for Place {
    fn read(found: &DeValue<'_>, kind: Kind, folder: &Path) -> Result<Self, Mismatch> {
        match found {
            DeValue::Boolean(true) => {
                return Err(Mismatch::new("is no place").hint("write \"auto\""));
            }
            DeValue::Boolean(false) => return Err(Mismatch::new("is no place").hint("write \"off\"")),
            _ => {}
        }
        let text = text_of(found, "a place")?;
        match text {
            "auto" => return Ok(Self::Auto),
            "off" => return Ok(Self::Off),
            // A slip of the finger must not become a file of that name.
            _ if !text.is_empty() && !text.contains(['/', '.', '~']) => {
                let mismatch = Mismatch::new("is neither one of the words nor a path");
                return Err(match (suggest(text, ["auto", "off"].into_iter()), text) {
                    (Some(close), _) => mismatch.hint(format!("did you mean \"{close}\"?")),
                    (None, "on" | "yes" | "true" | "default") => mismatch.hint("write \"auto\""),
                    (None, "no" | "none" | "false") => mismatch.hint("write \"off\""),
                    _ => mismatch.hint(format!("for a path beside this file write \"./{text}\"")),
                });
            }
            _ => {}
        }
        let path = PathBuf::read(found, Kind::Folder, folder)?;
        if kind == Kind::Socket && path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(Mismatch::new(format!(
                "is longer than the path of a socket may be, {SOCKET_PATH_BYTES_MAX} bytes"
            ))
            .hint("choose a shorter one, such as \"/run/tidegate/tidegate.sock\""));
        }
        Ok(Self::At(path))
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".into(),
            Self::Off => "off".into(),
            Self::At(path) => path.show(),
        }
    }

    fn fits(kind: Kind) -> bool {
        matches!(kind, Kind::Socket | Kind::StateFolder)
    }
}
