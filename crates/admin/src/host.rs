//! What the program around the server knows and does on an operator's word.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The program around the server.
pub trait Host: Send + Sync + 'static {
    /// Reads the configuration again and takes over what changed, or changes nothing and says why.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<ReloadReport, ReloadError>> + Send + '_>>;

    /// Returns every key in force with where it came from, in the order of the manual.
    fn limits(&self) -> Vec<LimitRow>;

    /// Returns what the program is.
    fn about(&self) -> About;

    /// Returns what a drain gets when nobody names a deadline: `timeouts.shutdown` in force.
    fn drain_deadline(&self) -> Duration;
}

/// One key in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRow {
    /// As in the manual: `limits.connections`.
    pub key: String,
    /// As it would stand in the file; `none` when it is absent.
    pub value: String,
    /// `default`, `tidegate.toml:12`, or how it was derived.
    pub origin: String,
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Keys whose value is another one now: key, old value, new value.
    pub changed: Vec<(String, String, String)>,
    /// What is worth knowing although it was taken over.
    pub warnings: Vec<String>,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReloadError {
    /// The whole report for a person, several lines.
    pub message: String,
}

/// What the program is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Of the program.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// The configuration file; `None`: it was started without one.
    pub config: Option<PathBuf>,
    /// What cannot be done although it is configured, one sentence each: bans that will be forgotten, say.
    pub complaints: Vec<String>,
}
