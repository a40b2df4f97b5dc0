//! The side of the control socket that orders: the command line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::message::{ANSWER_BYTES_MAX, Failure, Reply, Request};

/// How long one answer may take: a reload checks a whole configuration.
const ANSWER_TIME: Duration = Duration::from_mins(1);

/// A connection to a running server; blocking, every wait bounded by 60 s.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

/// Why a running server did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no server answers at {}", .0.display())]
    NoServer(PathBuf),
    /// The socket belongs to somebody else.
    #[error("permission denied at {}", .0.display())]
    Permission(PathBuf),
    /// Something else is in the way.
    #[error("cannot connect to {}: {source}", path.display())]
    Connect {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
    /// The server went away or hangs.
    #[error("the server at {} did not answer: {source}", path.display())]
    Lost {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
    /// It speaks another language, or another version of it.
    #[error("what answers at {} does not speak as this program does: {detail}", path.display())]
    Protocol {
        /// Where.
        path: PathBuf,
        /// What.
        detail: String,
    },
    /// It answered that it will not or cannot.
    #[error(transparent)]
    Refused(#[from] Failure),
}

impl ClientError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoServer(_) => Some(
                "start one with `tidegate serve`, or name its socket with --socket PATH or its configuration with --config FILE"
                    .to_owned(),
            ),
            Self::Permission(_) => {
                Some("only the user that runs the server, and root, may give it orders: try with sudo".to_owned())
            }
            Self::Connect { .. } => Some("check that the path names the control socket of a server".to_owned()),
            Self::Lost { .. } => Some("if it still runs, its log tells more".to_owned()),
            Self::Protocol { .. } => {
                Some("check that the socket belongs to tidegate, and that both have the same version".to_owned())
            }
            Self::Refused(failure) => failure.hint.clone(),
        }
    }
}

impl Client {
    /// Connects to the server that listens at `path`.
    ///
    /// Errors: [`ClientError::NoServer`], [`ClientError::Permission`], [`ClientError::Connect`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ANSWER_TIME))?;
            stream.set_write_timeout(Some(ANSWER_TIME))?;
            Ok(stream)
        };
        let stream = connect().map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoServer(path.to_owned())
            }
            io::ErrorKind::PermissionDenied => ClientError::Permission(path.to_owned()),
            _ => ClientError::Connect { path: path.to_owned(), source },
        })?;
        Ok(Self { path: path.to_owned(), stream: BufReader::new(stream) })
    }

    /// Sends one request and returns its answer: the type that the request's documentation names.
    ///
    /// Errors: [`ClientError::Refused`] with what the server said; [`ClientError::Lost`], [`ClientError::Protocol`].
    pub fn call<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, ClientError> {
        let line = self.exchange(request).map_err(|source| {
            // What a socket with a time limit says when it is over.
            let is_late = source.kind() == io::ErrorKind::WouldBlock;
            let source =
                if is_late { io::Error::new(io::ErrorKind::TimedOut, "no answer in 60 s") } else { source };
            ClientError::Lost { path: self.path.clone(), source }
        })?;
        let reply: Reply<T> =
            serde_json::from_slice(&line).map_err(|error| self.misunderstood(error.to_string()))?;
        match reply {
            Reply { ok: true, result: Some(result), .. } => Ok(result),
            Reply { ok: false, error: Some(failure), .. } => Err(failure.into()),
            _ => Err(self.misunderstood("the answer is neither a result nor an error".to_owned())),
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        // A server that has too many guests answers before it is asked, and closes.
        let sent = self.stream.get_mut().write_all(&line);
        line.clear();
        let longest = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
        let read = (&mut self.stream).take(longest).read_until(b'\n', &mut line);
        if line.last() == Some(&b'\n') {
            return Ok(line);
        }
        sent.and(read).and(Err(io::ErrorKind::UnexpectedEof.into()))
    }

    fn misunderstood(&self, detail: String) -> ClientError {
        ClientError::Protocol { path: self.path.clone(), detail }
    }
}
