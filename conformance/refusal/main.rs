//! The refusal contract (DESIGN §2), over real sockets: who is refused reads why, whole, and then the end.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

mod bans;
mod delivery;
mod descriptors;
mod drain;
mod explain;
mod house;
mod limits;
mod operator;
mod order;
mod overload;
mod places;
mod reload;
mod sessions;
mod timings;
mod visitor;

/// Returns `TIDEGATE_SEED`, else a seed of this moment; a test prints it.
fn seed() -> u64 {
    let named =
        std::env::var("TIDEGATE_SEED").ok().map(|seed| seed.parse().expect("TIDEGATE_SEED is a number"));
    let seed = named.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        u64::from(since.subsec_nanos()) ^ since.as_secs()
    });
    eprintln!("TIDEGATE_SEED={seed}");
    seed
}
