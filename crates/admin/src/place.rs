//! Where the control socket is: the same rules for the server that binds it and for the command that looks for it.

use std::path::{Path, PathBuf};

mod find;

pub use find::{FindError, find_socket};

/// The longest path of a socket, in bytes: what the kernel's address holds, less the zero at its end.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// How much of the name of a configuration file names its socket.
const STEM_BYTES_MAX: usize = 32;

/// Which control socket: `admin.socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketChoice {
    /// None.
    Off,
    /// One in the usual folder, named after the configuration file (its canonical path); `None`: there is no such file.
    Auto {
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// This one.
    Path(PathBuf),
}

/// What the usual folder depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `$XDG_RUNTIME_DIR`; counts when it is absolute.
    pub runtime_dir: Option<PathBuf>,
    /// The effective user.
    pub uid: u32,
    /// The process: it names the socket of a second server without a configuration file.
    pub pid: u32,
}

impl Environment {
    /// Returns what holds for this process.
    pub fn of_process() -> Self {
        Self {
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            uid: rustix::process::geteuid().as_raw(),
            pid: std::process::id(),
        }
    }

    /// Returns the folders a server may put its socket in, the first that can be had: `$XDG_RUNTIME_DIR/tidegate`, then
    /// `/run/tidegate` for root and `/tmp/tidegate-UID` for others.
    pub(crate) fn candidates(&self) -> Vec<PathBuf> {
        let session = self.runtime_dir.as_deref().filter(|folder| folder.is_absolute());
        let system = if self.uid == 0 {
            PathBuf::from("/run/tidegate")
        } else {
            PathBuf::from(format!("/tmp/tidegate-{}", self.uid))
        };
        session.map(|folder| folder.join("tidegate")).into_iter().chain([system]).collect()
    }

    /// Returns the folders in which a command looks: that of this environment, and those that a server which was started in
    /// another one (by the system, without a login session) would take.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders = self.candidates();
        for other in [PathBuf::from("/run/tidegate"), PathBuf::from(format!("/tmp/tidegate-{}", self.uid))] {
            if !folders.contains(&other) {
                folders.push(other);
            }
        }
        folders
    }
}

/// Returns the name of what belongs to a server with this configuration file and to no other: its stem (32 bytes of it, other
/// bytes than letters, digits, `.`, `_`, `-` replaced) and eight hexadecimal digits that tell equal stems apart. Give the
/// canonical path.
pub fn instance_name(config: &Path) -> String {
    let stem = config.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let stem: String = stem
        .bytes()
        .take(STEM_BYTES_MAX)
        .map(|byte| if plain(byte) { char::from(byte) } else { '_' })
        .collect();
    format!("{stem}-{:08x}", digest(config.as_os_str().as_encoded_bytes()))
}

/// Returns the name of the socket in the usual folder, and the one to take when a live server has that.
pub(crate) fn socket_names(config: Option<&Path>, pid: u32) -> [String; 2] {
    let stem = config.map_or_else(|| "tidegate".to_owned(), instance_name);
    [format!("{stem}.sock"), format!("{stem}-{pid}.sock")]
}

/// FNV-1a, folded to 32 bits: names that stay the same from version to version. Two files that meet in one name are still told
/// apart, because a live server keeps its socket.
fn digest(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    u32::try_from(folded).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
