use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::parse_duration;

/// The longest message of a drain, in bytes: a reply must stay one line.
const MESSAGE_BYTES_MAX: usize = tidegate_admission::DRAIN_MESSAGE_BYTES_MAX;
/// The longest wait a kicked client is told, in seconds: a day.
const RETRY_SECS_MAX: u64 = 86_400;

/// Which running server is meant, and for whom its answer is.
#[derive(Clone, Debug, Default, Args)]
pub struct ServerArgs {
    /// The control socket of the server; usually found by itself
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub socket: Option<PathBuf>,
    /// The server that was started with this configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// What `status`, `limits`, `bans`, `reload` and `resume` take.
#[derive(Clone, Debug, Default, Args)]
pub struct JustServerArgs {
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `sessions` takes.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:\n  \
        tidegate sessions\n  \
        tidegate sessions --watch           live, full screen: q quits, k ends the selected session\n  \
        tidegate sessions --watch --json    one document a line, each second")]
pub struct SessionsArgs {
    /// Show them live, until q is pressed
    #[arg(long)]
    pub watch: bool,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `why` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
        tidegate why 192.0.2.7                      its next connection\n  \
        tidegate why alice                          the next login of this account\n  \
        tidegate why alice --from 192.0.2.7         bans of the name from there count too\n  \
        tidegate why anonymous                      the next anonymous login\n\n\
        The answer comes from the code that decides, and changes nothing. What parses as an IP address is one.")]
pub struct WhyArgs {
    /// Whom to ask about: an IP address, the name of an account, or `anonymous`
    #[arg(value_name = "ADDRESS|ACCOUNT")]
    pub subject: String,
    /// Where the account would log in from
    #[arg(long, value_name = "ADDR")]
    pub from: Option<IpAddr>,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `ban` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
        tidegate ban 192.0.2.7\n  \
        tidegate ban 2001:db8::7 --for 1d           an IPv6 address stands for its /64\n\n\
        Who is inside stays: `tidegate sessions` and `tidegate kick` end sessions. Trusted and reserved networks \
        are never banned.")]
pub struct BanArgs {
    /// The address; of an IPv6 address its /64
    #[arg(value_name = "ADDR")]
    pub address: IpAddr,
    /// How long, such as 90s, 15m, 1d
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = span)]
    pub length: Duration,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `unban` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate unban 192.0.2.7")]
pub struct UnbanArgs {
    /// The address; of an IPv6 address its /64
    #[arg(value_name = "ADDR")]
    pub address: IpAddr,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `kick` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
        tidegate kick 41\n  \
        tidegate kick 41 --retry 60s        its client is asked to stay away for a minute\n\n\
        `tidegate sessions` shows the numbers. To keep somebody out: tidegate ban ADDR.")]
pub struct KickArgs {
    /// The number of the session
    #[arg(value_name = "ID")]
    pub id: u64,
    /// When its client is asked to come back
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = retry)]
    pub retry: u32,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What `drain` takes.
#[derive(Clone, Debug, Args)]
#[command(
    long_about = "Lets nobody in any more, sends idle sessions away with a 421 that tells when to come back, lets \
        transfers finish until the deadline, cuts what is left, and ends the server.\n\n\
        Stays and shows how far it is; Ctrl-C ends only the showing, not the drain. `tidegate resume` ends the drain.",
    after_help = "Examples:\n  \
        tidegate drain\n  \
        tidegate drain --deadline 5m --message 'Disks are replaced'\n  \
        tidegate drain --at 22:30 --deadline 10m --stay    a maintenance window\n  \
        tidegate drain --at +10m --no-wait\n\n\
        TIME of --at: 22:30, '2026-11-23 22:30' (this machine's time zone), 2026-11-23T22:30:00Z, or +10m.\n\
        Exit codes: 0 the server has ended (with --no-wait: the drain has begun), 1 it failed or was resumed."
)]
pub struct DrainArgs {
    /// How long transfers may go on; default: `timeouts.shutdown` of the server
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub deadline: Option<Duration>,
    /// What clients are told: printable ASCII, one line
    #[arg(long, value_name = "TEXT", value_parser = message)]
    pub message: Option<String>,
    /// When it begins; default: now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Keep saying 421 until the deadline, also when nobody is inside any more
    #[arg(long)]
    pub stay: bool,
    /// Do not stay to show how far it is
    #[arg(long)]
    pub no_wait: bool,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Reads a time span such as `1h30m`, at least one second.
fn span(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| match error.meant {
        Some(meant) => format!("is no time span: did you mean {meant}?"),
        None => "is no time span: write a number with a unit, such as 30s, 5m or 1h30m".to_owned(),
    })?;
    if duration < Duration::from_secs(1) { Err("is shorter than 1s".into()) } else { Ok(duration) }
}

/// Reads a time span as whole seconds, rounded up.
fn retry(text: &str) -> Result<u32, String> {
    let secs = span(text)?.as_millis().div_ceil(1000);
    u32::try_from(secs)
        .ok()
        .filter(|secs| u64::from(*secs) <= RETRY_SECS_MAX)
        .ok_or_else(|| "is longer than 1d".to_owned())
}

/// Reads what clients are told; the server looks at it again.
fn message(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty".into());
    }
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("must be printable ASCII on one line: it becomes part of an FTP reply".into());
    }
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(format!("is longer than {MESSAGE_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}
