//! Binding the control socket: nobody else's file is touched, and nobody else can connect before its mode is right.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::place::{Environment, SOCKET_PATH_BYTES_MAX, SocketChoice, socket_names};

/// Who may connect: the user that runs the server, and root.
const MODE: u32 = 0o600;
/// Connections that wait to be accepted; the listener accepts at once.
const BACKLOG: i32 = 16;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The kernel's address is too short for it.
    #[error("the path of the control socket has {bytes} bytes, and {SOCKET_PATH_BYTES_MAX} fit: {}", path.display())]
    TooLong {
        /// Where.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
    /// Another server answers there.
    #[error("another server listens at {}", .0.display())]
    Taken(PathBuf),
    /// Something that is no socket is there; it stays.
    #[error("{} exists and is {what}, not a socket", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The usual folder belongs to somebody else.
    #[error("the folder {} belongs to user {owner}, not to {uid} who runs the server", path.display())]
    Owner {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this is.
        uid: u32,
    },
    /// The usual folder is a link or a file.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl SocketError {
    fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.to_owned(), source: source.into() }
    }

    /// Returns what to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "set a shorter admin.socket",
            Self::Taken(_) => "stop that server, or set another admin.socket",
            Self::NotASocket { .. } => "move it away, or set another admin.socket",
            Self::Owner { .. } | Self::NotAFolder(_) => "set admin.socket to a path in a folder of your own",
            Self::Io { .. } => {
                "set admin.socket to a path in a folder the server may write to, or to \"off\""
            }
        }
    }
}

/// A socket that listens; its file goes when it drops, unless another server has put its own there.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    listener: OwnedFd,
    file: SocketFile,
}

/// The file of a socket, known by device and inode.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| identity(&there) == self.identity) {
            // Nothing is lost when it stays: the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl BoundSocket {
    /// Listens where `choice` says; `None`: nowhere. With [`SocketChoice::Auto`] a second server takes a name of its own.
    ///
    /// Errors: [`SocketError`]; nothing was changed then, but a folder may have been made.
    pub(crate) fn bind(
        choice: &SocketChoice,
        environment: &Environment,
    ) -> Result<Option<Self>, SocketError> {
        match choice {
            SocketChoice::Off => Ok(None),
            SocketChoice::Path(path) => Self::at(path).map(Some),
            SocketChoice::Auto { config } => {
                let names = socket_names(config.as_deref(), environment.pid);
                Self::in_first_of(&environment.candidates(), &names, environment.uid)
            }
        }
    }

    /// Listens in the first folder that can be had; the error is that of the first.
    fn in_first_of(folders: &[PathBuf], names: &[String; 2], uid: u32) -> Result<Option<Self>, SocketError> {
        let mut first_error = None;
        for folder in folders {
            match Self::in_folder(folder, names, uid) {
                Ok(bound) => return Ok(Some(bound)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Listens in `folder`, which is made if it is missing, under the first name that no live server has.
    fn in_folder(folder: &Path, names: &[String; 2], uid: u32) -> Result<Self, SocketError> {
        let opened = own_folder(folder, uid)?;
        // Until `opened` drops: of two servers that start at once, one finds the other listening.
        rustix::fs::flock(&opened, FlockOperation::LockExclusive)
            .map_err(|error| SocketError::io("lock", folder, error))?;
        let [first, second] = names;
        match Self::at(&folder.join(first)) {
            Err(SocketError::Taken(_)) => Self::at(&folder.join(second)),
            other => other,
        }
    }

    /// Listens at `path`; a socket nobody answers at is replaced.
    fn at(path: &Path) -> Result<Self, SocketError> {
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(SocketError::TooLong { path: path.to_owned(), bytes });
        }
        make_room(path)?;
        let failed = |action| move |error: Errno| SocketError::io(action, path, error);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(failed("open a socket for"))?;
        // The file gets the mode of the socket, less the umask: it is never wider than this, not for a moment.
        rustix::fs::fchmod(&listener, Mode::from_raw_mode(MODE)).map_err(failed("set the mode of"))?;
        let address = SocketAddrUnix::new(path).map_err(failed("name"))?;
        rustix::net::bind(&listener, &address).map_err(|error| match error {
            Errno::ADDRINUSE => SocketError::Taken(path.to_owned()),
            other => SocketError::io("listen at", path, other),
        })?;
        let there = fs::symlink_metadata(path).map_err(|error| SocketError::io("look at", path, error))?;
        let file = SocketFile { path: path.to_owned(), identity: identity(&there) };
        if there.mode() & 0o777 != MODE {
            // A umask took bits away.
            fs::set_permissions(path, PermissionsExt::from_mode(MODE))
                .map_err(|error| SocketError::io("set the mode of", path, error))?;
        }
        // Nobody could connect until here.
        rustix::net::listen(&listener, BACKLOG).map_err(failed("listen at"))?;
        Ok(Self { listener, file })
    }

    /// Returns the listener for the runtime, and the file that goes with it.
    pub(crate) fn into_parts(self) -> (std::os::unix::net::UnixListener, SocketFile) {
        (self.listener.into(), self.file)
    }

    #[cfg(test)]
    fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Returns whether a server answers at `path`: one that has no time to accept just now counts.
pub(crate) fn is_live(path: &Path) -> bool {
    !matches!(try_connect(path), Err(Errno::CONNREFUSED | Errno::NOENT))
}

/// Connects without waiting.
fn try_connect(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

/// Removes a socket that nobody answers at; everything else that is there is an error and stays.
fn make_room(path: &Path) -> Result<(), SocketError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::io("look at", path, error)),
    };
    let kind = there.file_type();
    if !kind.is_socket() {
        let what = if kind.is_symlink() {
            "a symbolic link"
        } else if kind.is_dir() {
            "a folder"
        } else {
            "a file"
        };
        return Err(SocketError::NotASocket { path: path.to_owned(), what });
    }
    match try_connect(path) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        Ok(()) | Err(Errno::AGAIN) => return Err(SocketError::Taken(path.to_owned())),
        Err(error) => return Err(SocketError::io("connect to", path, error)),
    }
    // What was asked is what is removed.
    if fs::symlink_metadata(path).is_ok_and(|now| identity(&now) == identity(&there)) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SocketError::io("replace", path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens the folder, made with mode 0700 if it is missing; it must be ours, and others may not write to it.
fn own_folder(folder: &Path, uid: u32) -> Result<File, SocketError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(SocketError::io("make the folder", folder, error));
        }
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => SocketError::NotAFolder(folder.to_owned()),
        other => SocketError::io("open the folder", folder, other),
    })?;
    let opened = File::from(opened);
    let there = opened.metadata().map_err(|error| SocketError::io("look at", folder, error))?;
    if there.uid() != uid {
        return Err(SocketError::Owner { path: folder.to_owned(), owner: there.uid(), uid });
    }
    if there.mode() & 0o022 != 0 {
        opened
            .set_permissions(PermissionsExt::from_mode(0o700))
            .map_err(|error| SocketError::io("set the mode of", folder, error))?;
    }
    Ok(opened)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests;
