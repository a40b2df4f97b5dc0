//! The IO shell: drives the protocol with sockets, the gate and storage.
//!
//! [`Server::start`] opens the doors; the [`ServerHandle`] it returns looks inside, drains and tells when all is over. One task a
//! session owns everything of that session (`ControlLoop`); a transfer is polled inside it and only its
//! steps that may block on a disk run on other threads.

mod clock;
mod config;
mod control;
mod copying;
mod crowd;
mod door;
mod gate;
mod hashing;
mod house;
mod jobs;
mod login;
mod sampler;
mod server;
mod stage;
mod storing;
mod tally;
mod transfer;

pub use config::{Extras, Limits, ListenerConfig, ServerConfig, Timeouts};
pub use server::{Server, ServerHandle, Snapshot, StartError, Summary};
pub use tidegate_net::{PassiveAddress, PortChoice};
