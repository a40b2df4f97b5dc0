//! Fuzz targets: each takes any bytes and panics when a promise of the product is broken, not only when something else
//! panics. `cargo xtask fuzz` drives them with libFuzzer; `cargo xtask test` replays the corpus on stable Rust.
//!
//! Nothing here is product code: a broken promise is a panic that says which.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a finding is a panic, with what was expected"
)]

mod address;
mod command;
mod line;
mod listing_options;
mod pattern;
mod proxy_header;
mod script;
mod session_events;
mod session_world;

pub use address::address;
pub use command::command;
pub use line::line;
pub use listing_options::listing_options;
pub use pattern::pattern;
pub use proxy_header::proxy_header;
pub use session_events::session_events;
pub use session_world::session_world;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its folder in `corpus/` and of its file in `libfuzzer/fuzz_targets/`.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 8] = [
    Target { name: "line", run: line },
    Target { name: "command", run: command },
    Target { name: "address", run: address },
    Target { name: "listing_options", run: listing_options },
    Target { name: "pattern", run: pattern },
    Target { name: "proxy_header", run: proxy_header },
    Target { name: "session_events", run: session_events },
    Target { name: "session_world", run: session_world },
];

/// The longest input that is worth a run, in bytes.
pub const INPUT_BYTES_MAX: usize = 4096;

/// Takes the first `N` bytes off an input; those that are missing are 0.
fn split_head<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let (head, body) = data.split_at(data.len().min(N));
    let mut filled = [0; N];
    filled[..head.len()].copy_from_slice(head);
    (filled, body)
}
