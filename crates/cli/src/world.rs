//! The machine the program runs on.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};
use rustix::fs::Mode;
use rustix::process::{Gid, getegid, geteuid, getgroups, umask};
use rustix::thread::{CapabilitySet, capabilities};

use crate::config::{PathKind, Secret, Users};
use crate::plan::{FreshPassword, World};

/// The machine as it is.
#[derive(Debug)]
pub struct Machine {
    descriptor_limit: u64,
    umask: u32,
    process: Process,
}

/// Who this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    uid: u32,
    /// Its effective group and the others it is in.
    gids: Vec<u32>,
    /// Whether it has `CAP_CHOWN`.
    may_chown: bool,
}

impl Machine {
    /// Raises the descriptor limit to its hard maximum and looks around. To be called before there is a second thread: the
    /// umask is read by setting it. Errors: the kernel's.
    pub fn prepare() -> io::Result<Self> {
        // The strictest one, so that a file made meanwhile would be readable by nobody else.
        let own = umask(Mode::RWXG | Mode::RWXO);
        umask(own);
        Ok(Self {
            descriptor_limit: tidegate_net::raise_descriptor_limit()?,
            umask: own.bits() & 0o777,
            process: Process::current()?,
        })
    }
}

impl Process {
    fn current() -> io::Result<Self> {
        let others = getgroups()?.into_iter().map(Gid::as_raw);
        Ok(Self {
            uid: geteuid().as_raw(),
            gids: [getegid().as_raw()].into_iter().chain(others).collect(),
            may_chown: capabilities(None)?.effective.contains(CapabilitySet::CHOWN),
        })
    }

    fn may_give(&self, uid: Option<u32>, gid: Option<u32>) -> bool {
        self.may_chown
            || (uid.is_none_or(|uid| uid == self.uid) && gid.is_none_or(|gid| self.gids.contains(&gid)))
    }
}

impl Users for Machine {
    fn user(&self, name: &str) -> Result<Option<u32>, String> {
        let user = User::from_name(name).map_err(|errno| errno.desc().to_owned())?;
        Ok(user.map(|user| user.uid.as_raw()))
    }

    fn group(&self, name: &str) -> Result<Option<u32>, String> {
        let group = Group::from_name(name).map_err(|errno| errno.desc().to_owned())?;
        Ok(group.map(|group| group.gid.as_raw()))
    }

    fn may_give(&self, uid: Option<u32>, gid: Option<u32>) -> bool {
        self.process.may_give(uid, gid)
    }
}

impl World for Machine {
    fn descriptor_limit(&self) -> u64 {
        self.descriptor_limit
    }

    fn umask(&self) -> u32 {
        self.umask
    }

    fn kind_of(&self, path: &Path) -> PathKind {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => PathKind::Folder,
            Ok(_) => PathKind::Other,
            Err(_) => PathKind::Missing,
        }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn fresh_password(&self) -> Result<FreshPassword, String> {
        let password = tidegate_accounts::random_password().map_err(|error| error.to_string())?;
        let hash =
            tidegate_accounts::hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
        Ok(FreshPassword { password: Secret::new(password), hash: Secret::new(hash) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_capability_only_what_is_its_own_is_given() {
        let plain = Process { uid: 1000, gids: vec![1000, 33], may_chown: false };
        for (uid, gid, expected) in [
            (None, None, true),
            (Some(1000), None, true),
            (Some(1000), Some(33), true),
            (None, Some(33), true),
            (None, Some(34), false),
            (Some(0), None, false),
            (Some(1001), Some(33), false),
        ] {
            assert_eq!(plain.may_give(uid, gid), expected, "{uid:?} {gid:?}");
            assert!(Process { may_chown: true, ..plain.clone() }.may_give(uid, gid));
        }
    }

    #[test]
    fn the_process_may_give_to_itself_and_the_database_is_read() {
        // Not `prepare`: other tests create files meanwhile.
        let process = Process::current().unwrap();
        assert!(process.may_give(Some(process.uid), process.gids.first().copied()));
        let machine = Machine { descriptor_limit: 64, umask: 0o022, process };
        assert_eq!((machine.user("root"), machine.group("root")), (Ok(Some(0)), Ok(Some(0))));
        assert_eq!(machine.user("no-such-user-of-tidegate"), Ok(None));
        assert_eq!(machine.group("no-such-group-of-tidegate"), Ok(None));
        assert_eq!(machine.user("a\0b"), Ok(None));
    }
}
