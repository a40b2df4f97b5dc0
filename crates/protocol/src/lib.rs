//! The FTP language: lines, commands, replies, listings and the server's session machine.
//!
//! Pure: the machine takes events and the time, and returns replies and actions; a shell performs them. Nothing here
//! owns a socket, a clock, a thread or a random source.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[macro_use]
#[cfg(test)]
extern crate std;

pub mod address;
pub mod ascii;
pub mod command;
pub mod line;
pub mod listing;
mod number;
pub mod reply;
pub mod session;
pub mod time;
