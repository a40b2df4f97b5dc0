//! Starts and ends everything of this room.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use tidegate_server::ServerHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::bind::{BoundSocket, SocketError, SocketFile};
use crate::host::Host;
use crate::metrics::Identity;
use crate::orders::Orders;
use crate::place::{Environment, SocketChoice};
use crate::running::Running;
use crate::{agent, clock, control, http};

/// Starts what looks into a server.
#[derive(Debug)]
pub struct Admin;

/// What is started, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// `admin.socket`.
    pub socket: SocketChoice,
    /// `admin.http`: health and metrics; `None`: off. Port 0 lets the kernel choose.
    pub http: Option<SocketAddr>,
    /// `admin.agent`: the HAProxy agent check; `None`: off. Port 0 lets the kernel choose.
    pub agent: Option<SocketAddr>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The control socket was named, and cannot be had there.
    #[error("admin.socket: {0}")]
    Socket(#[from] SocketError),
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {address}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It was called outside of a tokio runtime.
    #[error("no tokio runtime: {0}")]
    NoRuntime(#[from] tokio::runtime::TryCurrentError),
}

impl AdminError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Socket(error) => Some(error.hint()),
            Self::Listen { source, .. } => Some(match source.kind() {
                io::ErrorKind::AddrInUse => "another program listens there: choose another port",
                io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
                io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose another port",
                _ => "choose another address, or leave the key out",
            }),
            Self::NoRuntime(_) => None,
        }
    }
}

/// What was started; it ends when this drops.
#[derive(Debug)]
pub struct AdminHandle {
    stop: CancellationToken,
    tasks: TaskTracker,
    socket: Option<SocketFile>,
    complaint: Option<String>,
    http: Option<SocketAddr>,
    agent: Option<SocketAddr>,
}

impl Admin {
    /// Opens the control socket, the HTTP port and the agent port, and answers on them until the handle is stopped or dropped: also
    /// while the server drains. Call it inside a tokio runtime with time and IO enabled.
    ///
    /// A control socket that was not named and cannot be had is no error: [`AdminHandle::complaint`] tells.
    ///
    /// Errors: [`AdminError`]; nothing is left listening then.
    pub fn start(
        config: AdminConfig,
        server: ServerHandle,
        host: Arc<dyn Host>,
    ) -> Result<AdminHandle, AdminError> {
        Self::start_with(config, Arc::new(server), host, &Environment::of_process())
    }

    pub(crate) fn start_with(
        config: AdminConfig,
        running: Arc<dyn Running>,
        host: Arc<dyn Host>,
        environment: &Environment,
    ) -> Result<AdminHandle, AdminError> {
        let runtime = tokio::runtime::Handle::try_current()?;
        let AdminConfig { socket, http, agent } = config;
        let http = http.map(|address| listen("admin.http", address)).transpose()?;
        let agent = agent.map(|address| listen("admin.agent", address)).transpose()?;
        let (socket, complaint) = open_socket(&socket, environment)?;
        let identity = Identity {
            version: host.about().version,
            started_at: clock::wall().saturating_sub(running.snapshot().uptime).as_secs(),
        };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let socket = socket.map(|(listener, file)| {
            let orders = Orders { running: Arc::clone(&running), host };
            tasks.spawn_on(control::serve(listener, orders, stop.clone()), &runtime);
            info!(path = %file.path().display(), "control socket");
            file
        });
        let http = http.map(|(listener, address)| {
            tasks.spawn_on(http::serve(listener, Arc::clone(&running), identity, stop.clone()), &runtime);
            info!(%address, "health and metrics over HTTP");
            address
        });
        let agent = agent.map(|(listener, address)| {
            tasks.spawn_on(agent::serve(listener, running, stop.clone()), &runtime);
            info!(%address, "agent check");
            address
        });
        tasks.close();
        Ok(AdminHandle { stop, tasks, socket, complaint, http, agent })
    }
}

type OpenSocket = (tokio::net::UnixListener, SocketFile);

/// Opens the control socket; one that was not named and cannot be had is a complaint.
fn open_socket(
    choice: &SocketChoice,
    environment: &Environment,
) -> Result<(Option<OpenSocket>, Option<String>), AdminError> {
    let opened = match BoundSocket::bind(choice, environment) {
        Err(error) if matches!(choice, SocketChoice::Auto { .. }) => {
            let complaint = format!("there is no control socket: {error}; {}", error.hint());
            warn!("{complaint}");
            return Ok((None, Some(complaint)));
        }
        opened => opened?,
    };
    let Some(bound) = opened else { return Ok((None, None)) };
    let (listener, file) = bound.into_parts();
    let listener = tokio::net::UnixListener::from_std(listener).map_err(|source| SocketError::Io {
        action: "listen at",
        path: file.path().to_owned(),
        source,
    })?;
    Ok((Some((listener, file)), None))
}

fn listen(
    key: &'static str,
    address: SocketAddr,
) -> Result<(tokio::net::TcpListener, SocketAddr), AdminError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(|source| AdminError::Listen { key, address, source })
}

impl AdminHandle {
    /// Returns where the control socket is; `None`: there is none.
    pub fn socket_path(&self) -> Option<&Path> {
        self.socket.as_ref().map(SocketFile::path)
    }

    /// Returns why there is no control socket although nobody switched it off.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Returns where health and metrics are, with the port the kernel chose; `None`: nowhere.
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Returns where the agent check is, likewise.
    pub const fn agent_address(&self) -> Option<SocketAddr> {
        self.agent
    }

    /// Ends everything, removes the socket file, and waits until nothing of it runs any more.
    pub async fn stop(mut self) {
        self.socket = None;
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for AdminHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
