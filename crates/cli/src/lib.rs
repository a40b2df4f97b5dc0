//! The command line and the configuration of tidegate; assembles the other rooms.

pub mod args;
pub mod assemble;
pub mod check_config;
pub mod clock;
pub mod config;
pub mod console;
pub mod demo;
pub mod escape;
pub mod hash_password;
pub mod keys;
pub mod logging;
pub mod operator;
pub mod plan;
pub mod screen;
pub mod serve;
pub mod world;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use world::Machine;

/// How the program ends (DESIGN §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// It could not.
    Failed,
    /// What was typed is not a command.
    Usage,
    /// A server refused with 421 until the last try.
    Refused,
    /// The configuration file has errors.
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::BadConfig => 4,
        })
    }
}

/// Does what the command line says. A line that is no command ends the process with code 2 and its help.
pub fn main() -> Exit {
    tidegate_net::return_large_blocks();
    match Cli::parse().command {
        Command::Serve(args) => on_machine(|machine| serve::command(args, machine)),
        Command::CheckConfig(args) => on_machine(|machine| check_config::run(&args, &machine)),
        Command::HashPassword => hash_password::run(),
        command => operator::run(&command, &mut operator::Terminal),
    }
}

fn on_machine(work: impl FnOnce(Machine) -> Exit) -> Exit {
    match Machine::prepare() {
        Ok(machine) => work(machine),
        Err(error) => {
            console::complain(&format!("error: cannot raise the limit of open files: {error}\n"));
            Exit::Failed
        }
    }
}
