//! How a world is furnished, and who may log in.

use core::time::Duration;

use tidegate_admission::Limits;
use tidegate_protocol::session::{Settings, Timeouts};
use tidegate_types::{AccountName, Profile, Rights, UploadStyle, VirtualPath};

/// Somebody who may log in.
#[derive(Clone, Debug)]
pub struct FakeAccount {
    /// The password; `None`: any will do (anonymous).
    pub password: Option<Vec<u8>>,
    /// What the session learns.
    pub profile: Profile,
    /// Where the home is in the tree.
    pub home: VirtualPath,
}

impl FakeAccount {
    /// Returns an account that may do `rights` in the whole tree.
    pub fn new(name: &str, password: &str, rights: Rights) -> Self {
        Self {
            password: Some(password.as_bytes().to_vec()),
            profile: Profile {
                account: Some(AccountName(name.to_owned())),
                rights,
                upload: UploadStyle::Atomic,
                connections_max: None,
            },
            home: VirtualPath::root(),
        }
    }

    /// Returns the anonymous user.
    pub fn anonymous(rights: Rights) -> Self {
        let profile = Profile { account: None, rights, upload: UploadStyle::Atomic, connections_max: None };
        Self { password: None, profile, home: VirtualPath::root() }
    }
}

/// How a world is furnished.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// What sessions need to know.
    pub settings: Settings,
    /// The gate's limits.
    pub limits: Limits,
    /// Answers take up to this long, as the seed decides; zero: they come at once.
    pub latency_max: Duration,
    /// Decides delays and the gate's jitter.
    pub seed: u64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            settings: Settings::new(
                "tidegate ready".to_owned(),
                Timeouts {
                    login: Duration::from_secs(30),
                    idle: Duration::from_mins(5),
                    data_open: Duration::from_secs(20),
                    data_stall: Duration::from_mins(1),
                },
            ),
            limits: Limits::new(100),
            latency_max: Duration::ZERO,
            seed: 0,
        }
    }
}

/// What is held back until the test lets go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Answers of storage, of the gate, of the password check and of the passive ports.
    pub answers: bool,
    /// Bytes on data connections.
    pub data: bool,
    /// The news that a transfer is over.
    pub ends: bool,
}
