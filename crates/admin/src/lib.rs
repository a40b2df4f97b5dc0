//! Looks into a running server and steers it: control socket, health, metrics, agent check.
//!
//! The server's side is [`Admin::start`]. The side of the command line is [`find_socket`], then [`Client`] with the types of
//! [`message`]. What is said on the socket is documented in `docs/control.md`, what is measured in `docs/metrics.md`.

mod admin;
mod agent;
mod bind;
mod client;
mod clock;
mod control;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod fake;
mod guests;
mod host;
mod http;
pub mod message;
mod metrics;
mod orders;
mod place;
#[cfg(test)]
mod real;
mod rows;
mod running;
mod status;

pub use admin::{Admin, AdminConfig, AdminError, AdminHandle};
pub use bind::SocketError;
pub use client::{Client, ClientError};
pub use host::{About, Host, LimitRow, ReloadError, ReloadReport};
pub use place::{Environment, FindError, SOCKET_PATH_BYTES_MAX, SocketChoice, find_socket, instance_name};
