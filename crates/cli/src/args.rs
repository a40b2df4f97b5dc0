//! What may be typed.

mod operator;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::ListenAddress;
pub use operator::{
    BanArgs, DrainArgs, JustServerArgs, KickArgs, ServerArgs, SessionsArgs, UnbanArgs, WhyArgs,
};

/// An FTP server that says 200 and 421 rightly.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    about = "An FTP server that says 200 and 421 rightly",
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  \
        tidegate serve demo                    try it: makes a small folder and serves it\n  \
        tidegate serve /srv/ftp                serve a folder to this machine\n  \
        tidegate serve --config tidegate.toml  serve what a file describes\n  \
        tidegate status                        how the server of this machine is\n  \
        tidegate sessions --watch              who is inside, live\n  \
        tidegate why 192.0.2.7                 would it be admitted now, and if not, why\n\n\
        Exit codes: 0 done, 1 failed, 2 usage, 3 refused by the server, 4 configuration error."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a folder over FTP
    #[command(long_about = "Serves a folder over FTP.\n\n\
            With DIR alone no configuration is needed: tidegate listens on 127.0.0.1:2121, anonymous may read, and the \
            account `tide` with a fresh password, printed at start, may do everything. `serve demo` makes its folder \
            if it is missing.")]
    Serve(ServeArgs),
    /// Check a configuration file and show every value in force with where it came from
    CheckConfig(CheckConfigArgs),
    /// Read a password and print its hash for a configuration file
    #[command(
        long_about = "Reads one line from the terminal (twice, hidden) or from standard input, and prints its argon2id \
            hash for the `password_hash` of an [[account]].",
        after_help = "Examples:\n  tidegate hash-password\n  printf '%s\\n' \"$PASSWORD\" | tidegate hash-password"
    )]
    HashPassword,
    /// Show how a running server is: ready or not, how full, whom it refused and why
    #[command(after_help = "Examples:\n  \
            tidegate status\n  \
            tidegate status --config /etc/tidegate.toml\n  \
            tidegate status --json | jq .ready")]
    Status(JustServerArgs),
    /// Show who is inside, from where, doing what, how fast
    Sessions(SessionsArgs),
    /// Tell whether an address or an account would be admitted now, by which rule, and who holds the places
    Why(WhyArgs),
    /// Show every limit and key in force in a running server, with where it came from
    #[command(after_help = "Examples:\n  tidegate limits\n  tidegate limits | grep timeouts")]
    Limits(JustServerArgs),
    /// Show who is banned, why, and for how long
    #[command(after_help = "Examples:\n  tidegate bans\n  tidegate bans --json")]
    Bans(JustServerArgs),
    /// Ban an address
    Ban(BanArgs),
    /// End the bans of an address, and of every name from it
    Unban(UnbanArgs),
    /// End one session, its transfer included
    Kick(KickArgs),
    /// Read the configuration file again: nobody is sent away
    #[command(
        long_about = "Makes the server read its configuration file again. Limits, accounts, texts and timeouts change \
            and nobody is sent away. A file with errors, or a change that needs a restart, changes nothing, \
            and the whole report is shown. SIGHUP does the same.",
        after_help = "Examples:\n  tidegate check-config tidegate.toml && tidegate reload"
    )]
    Reload(JustServerArgs),
    /// Let nobody in any more, let transfers finish, and end the server
    Drain(DrainArgs),
    /// End a drain that is planned or under way: newcomers are let in again
    #[command(after_help = "Examples:\n  tidegate resume")]
    Resume(JustServerArgs),
}

/// What `serve` takes.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:\n  \
        tidegate serve demo\n  \
        tidegate serve /srv/ftp --listen 0.0.0.0:2121     reachable from other machines\n  \
        tidegate serve --config /etc/tidegate.toml\n\n\
        Stop it with Ctrl-C or SIGTERM: transfers under way may finish. SIGHUP reads the file of --config again.\n\
        Look into it with `tidegate status`, `tidegate sessions`, `tidegate why`.\n\
        Logs go to standard error; TIDEGATE_LOG or RUST_LOG chooses what is logged (default: info).")]
pub struct ServeArgs {
    /// The folder to serve; with --config it replaces `root`
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Read the configuration from this file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen on this address and port instead; may be given several times
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    pub listen: Vec<SocketAddr>,
}

/// What `check-config` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
        tidegate check-config tidegate.toml\n  \
        tidegate check-config tidegate.toml --json\n\n\
        Exit codes: 0 the file is good, 4 it has errors.")]
pub struct CheckConfigArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    ListenAddress::parse(text).map(|address| address.0)
}

#[cfg(test)]
mod tests;
