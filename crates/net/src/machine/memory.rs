//! How much memory is in use, from what the kernel writes about it.

use std::fs::read_to_string;
use std::path::Path;

/// Memory in use and how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReading {
    /// In use, without what files can be read again from disk for.
    pub used_bytes: u64,
    /// How much there is, or may be used.
    pub limit_bytes: u64,
}

impl MemoryReading {
    /// Returns the part in use, in millionths.
    pub(super) fn fullness_ppm(&self) -> u128 {
        (u128::from(self.used_bytes) * 1_000_000)
            .checked_div(u128::from(self.limit_bytes))
            .unwrap_or(u128::MAX)
    }
}

/// How a version of control groups names what it knows.
#[derive(Debug)]
pub(super) struct Names {
    limits: &'static [&'static str],
    usage: &'static str,
    clean: [&'static str; 2],
    unwritten: [&'static str; 2],
}

/// Above `memory.high` the kernel slows the group down until it can free something: as good as full.
pub(super) const V2: Names = Names {
    limits: &["memory.max", "memory.high"],
    usage: "memory.current",
    clean: ["inactive_file", "active_file"],
    unwritten: ["file_dirty", "file_writeback"],
};

/// `total_` counts the groups below, as the usage does.
pub(super) const V1: Names = Names {
    limits: &["memory.limit_in_bytes"],
    usage: "memory.usage_in_bytes",
    clean: ["total_inactive_file", "total_active_file"],
    unwritten: ["total_dirty", "total_writeback"],
};

/// Reads `text`, the contents of `/proc/meminfo`.
pub(super) fn of_machine(text: &str) -> Option<MemoryReading> {
    let kib = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let (total, available) = (kib("MemTotal")?, kib("MemAvailable")?);
    let used_bytes = total.saturating_sub(available).saturating_mul(1024);
    Some(MemoryReading { used_bytes, limit_bytes: total.saturating_mul(1024) })
}

/// Reads the group whose files are in `folder`; `None` when it has no limit below `total_bytes` (version 1 writes a huge number
/// for none) or is not there.
pub(super) fn of_group(folder: &Path, names: &Names, total_bytes: u64) -> Option<MemoryReading> {
    let limits = names.limits.iter().filter_map(|name| number(&folder.join(name)));
    let limit_bytes = limits.min().filter(|limit| *limit < total_bytes)?;
    let usage = number(&folder.join(names.usage))?;
    let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
    Some(MemoryReading { used_bytes: usage.saturating_sub(freeable(&stat, names)), limit_bytes })
}

/// Returns the bytes of `memory.stat` that the kernel can free at once: files of which the disk has the same. Inactive or
/// active makes no difference: a server of files fills whatever it is given with active ones, and is not short of memory for it.
fn freeable(stat: &str, names: &Names) -> u64 {
    let sum = |keys: &[&str]| keys.iter().filter_map(|key| value(stat, key)).fold(0, u64::saturating_add);
    sum(&names.clean).saturating_sub(sum(&names.unwritten))
}

fn value(stat: &str, key: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?.trim().parse().ok()
}

/// Reads one number; `None` also for `max`.
fn number(file: &Path) -> Option<u64> {
    read_to_string(file).ok()?.trim().parse().ok()
}
