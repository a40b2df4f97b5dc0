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
#[cfg(test)]
mod gate_tests;
mod hashing;
mod house;
mod jobs;
mod login;
mod observer;
mod registry;
mod sampler;
mod server;
mod storing;
mod sync;
mod tally;
mod transfer;
pub mod view;
mod weather;

pub use config::{Extras, Limits, ListenerConfig, Rate, ServerConfig, Timeouts};
pub use server::{DrainError, Server, ServerHandle, StartError, Summary};
pub use tidegate_net::{PassiveAddress, PortChoice};
