use std::os::fd::{AsFd, BorrowedFd};
use tidegate_types::Shown;

use rustix::fs::{
    Gid, Mode, OFlags, Statx, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, openat,
};
use rustix::io::{self, Errno};

use crate::facts;

/// The longest list of attribute names and the longest value; what Linux allows.
const XATTR_BYTES_MAX: usize = 64 * 1024;
/// They speak about the content that is being replaced.
const CONTENT_BOUND: [&[u8]; 3] = [b"security.capability", b"security.ima", b"security.evm"];

/// Gives `fresh` what belongs to the file `name` in `dir` rather than to its content: owner and group, access list and
/// extended attributes as far as permitted, then the mode without set-user-ID and set-group-ID. Returns whether there is
/// such a file.
pub(crate) fn carry_over(dir: impl AsFd, name: &[u8], fresh: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let old = match openat(&dir, name, flags | OFlags::RDONLY, Mode::empty()) {
        Ok(old) => Some(old),
        // Write-only files still have an owner and a mode; their attributes stay behind.
        Err(Errno::ACCESS | Errno::PERM) => None,
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    let about = match &old {
        Some(old) => facts::of_fd(old)?,
        None => facts::of_name(&dir, name)?,
    };
    let now = facts::of_fd(fresh)?;
    carry_owner(&about, &now, fresh);
    if let Some(old) = &old {
        carry_attributes(old.as_fd(), fresh);
    }
    let mode = u32::from(about.stx_mode) & 0o1777;
    if u32::from(now.stx_mode) & 0o7777 != mode {
        fchmod(fresh, Mode::from_raw_mode(mode))?;
    }
    Ok(true)
}

/// Only root may give files away; a group the process is in may be kept alone.
fn carry_owner(about: &Statx, now: &Statx, fresh: BorrowedFd<'_>) {
    let group = (about.stx_gid != now.stx_gid).then(|| Gid::from_raw(about.stx_gid));
    let owner = (about.stx_uid != now.stx_uid).then(|| Uid::from_raw(about.stx_uid));
    if (owner.is_some() || group.is_some()) && fchown(fresh, owner, group).is_err() && group.is_some() {
        let _kept_where_permitted = fchown(fresh, None, group);
    }
}

fn carry_attributes(old: BorrowedFd<'_>, fresh: BorrowedFd<'_>) {
    let mut small = [0_u8; 1024];
    let mut large = Vec::new();
    let names: &[u8] = match flistxattr(old, &mut small[..]) {
        Ok(0) => return,
        Ok(length) => small.get(..length).unwrap_or_default(),
        Err(Errno::RANGE) => {
            large.resize(XATTR_BYTES_MAX, 0);
            match flistxattr(old, &mut large[..]) {
                Ok(length) => large.get(..length).unwrap_or_default(),
                Err(_) => return,
            }
        }
        Err(_) => return,
    };
    let mut value = vec![0_u8; XATTR_BYTES_MAX];
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if CONTENT_BOUND.contains(&name) {
            continue;
        }
        if let Ok(length) = fgetxattr(old, name, &mut value[..])
            && let Err(errno) =
                fsetxattr(fresh, name, value.get(..length).unwrap_or_default(), XattrFlags::empty())
        {
            tracing::debug!(attribute = %Shown(name), %errno, "an extended attribute was not carried over");
        }
    }
}
