use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, makedev, statx};
use tidegate_types::{Access, FileKind, Metadata, Timestamp, Unique};

/// What replies and listings need, and nothing that a network file system would have to ask for besides.
const MASK: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::NLINK)
    .union(StatxFlags::UID)
    .union(StatxFlags::GID)
    .union(StatxFlags::MTIME)
    .union(StatxFlags::INO)
    .union(StatxFlags::SIZE);

/// A file for as long as somebody holds it open: device and inode.
pub(crate) type FileId = (u64, u64);

/// Returns the facts of an open descriptor.
pub(crate) fn of_fd(fd: impl AsFd) -> rustix::io::Result<Statx> {
    statx(fd, c"", AtFlags::EMPTY_PATH, MASK)
}

/// Returns the facts of `name` in `dir`, a link itself when it is one.
pub(crate) fn of_name(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<Statx> {
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, MASK)
}

/// Returns what `facts` identifies.
pub(crate) fn id(facts: &Statx) -> FileId {
    (makedev(facts.stx_dev_major, facts.stx_dev_minor), facts.stx_ino)
}

/// Returns what `facts` is about.
pub(crate) fn kind(facts: &Statx) -> FileKind {
    match FileType::from_raw_mode(facts.stx_mode.into()) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// Whose rights the process acts with.
#[derive(Debug)]
pub(crate) struct Identity {
    uid: u32,
    groups: Vec<u32>,
}

impl Identity {
    /// Returns the effective user, group and supplementary groups of the process.
    pub(crate) fn current() -> Self {
        let mut groups: Vec<u32> = rustix::process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(rustix::fs::Gid::as_raw)
            .collect();
        groups.push(rustix::process::getegid().as_raw());
        Self { uid: rustix::process::geteuid().as_raw(), groups }
    }

    /// Returns the identity of somebody in no group.
    #[cfg(test)]
    pub(crate) const fn of(uid: u32) -> Self {
        Self { uid, groups: Vec::new() }
    }

    /// Returns whether `facts` is about something of this process.
    pub(crate) const fn is_owner(&self, facts: &Statx) -> bool {
        facts.stx_uid == self.uid
    }

    /// Returns what mode bits permit this process; access lists and capabilities are the kernel's to apply.
    fn access(&self, facts: &Statx, read_only: bool) -> Access {
        let mode = u32::from(facts.stx_mode);
        let is_directory = kind(facts) == FileKind::Directory;
        let (read, write, search) = if self.uid == 0 {
            (true, true, is_directory || mode & 0o111 != 0)
        } else {
            let shift = if facts.stx_uid == self.uid {
                6
            } else if self.groups.contains(&facts.stx_gid) {
                3
            } else {
                0
            };
            let bits = mode >> shift;
            (bits & 4 != 0, bits & 2 != 0, bits & 1 != 0)
        };
        Access { read, write: write && !read_only, search }
    }

    /// Returns `facts` as replies use them; `read_only`: the file system is mounted so.
    pub(crate) fn metadata(&self, facts: &Statx, read_only: bool) -> Metadata {
        let (device, file) = id(facts);
        Metadata {
            kind: kind(facts),
            size: facts.stx_size,
            modified: Timestamp { secs: facts.stx_mtime.tv_sec, nanos: facts.stx_mtime.tv_nsec },
            mode: u32::from(facts.stx_mode) & 0o7777,
            uid: facts.stx_uid,
            gid: facts.stx_gid,
            links: facts.stx_nlink.into(),
            unique: Unique { device, file },
            access: self.access(facts, read_only),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_with(mode: u32) -> Statx {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        of_fd(file.as_file()).unwrap()
    }

    #[test]
    fn access_follows_the_class_the_process_is_in() {
        let facts = facts_with(0o640);
        let see = |uid, groups: Vec<u32>| {
            let access = Identity { uid, groups }.access(&facts, false);
            (access.read, access.write, access.search)
        };
        let (uid, gid) = (facts.stx_uid.wrapping_add(1000), facts.stx_gid);
        assert_eq!(see(uid, vec![gid]), (true, false, false));
        assert_eq!(see(uid, vec![gid.wrapping_add(1)]), (false, false, false));
        assert_eq!(see(0, vec![]), (true, true, false), "root executes only what has an x bit");
        assert!(!Identity { uid: 0, groups: vec![] }.access(&facts, true).write);
    }
}
