use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{Environment, SocketChoice, instance_name};
use crate::bind::is_live;

/// Why the socket of a running server was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// The configuration says `admin.socket = "off"`.
    #[error("the configuration switches the control socket off")]
    Off,
    /// Nobody listens.
    #[error("no running server was found")]
    None {
        /// Where it was looked.
        folders: Vec<PathBuf>,
    },
    /// One of them has to be named.
    #[error("{} servers run here:\n  {}", .0.len(), listed(.0, "\n  "))]
    Several(Vec<PathBuf>),
}

impl FindError {
    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Off => "remove `socket = \"off\"` from [admin] and restart the server".to_owned(),
            Self::None { folders } => format!(
                "looked into {}; start a server with `tidegate serve`, or name its socket with --socket PATH or its \
                 configuration with --config FILE; the server of another user is asked with sudo",
                listed(folders, ", ")
            ),
            Self::Several(_) => {
                "name one of them with --socket PATH, or its configuration with --config FILE".to_owned()
            }
        }
    }
}

fn listed(paths: &[PathBuf], separator: &str) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(separator)
}

/// Returns the socket of the one running server that `choice` can mean. A path is taken as it is; with a configuration file
/// only servers of that file count; else any server of this user, and of the system.
///
/// Errors: [`FindError`].
pub fn find_socket(choice: &SocketChoice, environment: &Environment) -> Result<PathBuf, FindError> {
    let config = match choice {
        SocketChoice::Off => return Err(FindError::Off),
        SocketChoice::Path(path) => return Ok(path.clone()),
        SocketChoice::Auto { config } => config.as_deref(),
    };
    find_in(environment.folders(), config, environment.uid)
}

pub(super) fn find_in(folders: Vec<PathBuf>, config: Option<&Path>, uid: u32) -> Result<PathBuf, FindError> {
    let stem = config.map(instance_name);
    let mut live: Vec<PathBuf> = folders.iter().flat_map(|folder| sockets_in(folder, uid)).collect();
    live.retain(|path| stem.as_deref().is_none_or(|stem| is_named_after(path, stem)) && is_live(path));
    live.sort();
    match live.len() {
        0 => Err(FindError::None { folders }),
        1 => live.pop().ok_or(FindError::None { folders }),
        _ => Err(FindError::Several(live)),
    }
}

/// Returns the sockets in a folder that belongs to `uid` or to root; nobody else can put one there for us to talk to.
fn sockets_in(folder: &Path, uid: u32) -> Vec<PathBuf> {
    let is_ours = fs::symlink_metadata(folder).is_ok_and(|metadata| {
        metadata.is_dir() && (metadata.uid() == uid || metadata.uid() == 0) && metadata.mode() & 0o022 == 0
    });
    let Some(entries) = is_ours.then(|| fs::read_dir(folder).ok()).flatten() else { return Vec::new() };
    let sockets = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    sockets.map(|entry| entry.path()).filter(|path| path.extension() == Some(OsStr::new("sock"))).collect()
}

/// Returns whether this is `STEM.sock`, or `STEM-PID.sock`.
fn is_named_after(path: &Path, stem: &str) -> bool {
    let name = path.file_stem().map(OsStrExt::as_bytes).unwrap_or_default();
    match name.strip_prefix(stem.as_bytes()) {
        Some([]) => true,
        Some([b'-', pid @ ..]) => !pid.is_empty() && pid.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
