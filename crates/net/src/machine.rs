//! What this machine has left: descriptors, memory, processor time; and whether a peer still answers.
//!
//! Each reading costs a handful of small files of `/proc` and `/sys`: 3 µs for descriptors, 60 for the processor, 100 for memory,
//! most of it in the kernel. None waits, none panics.

mod cgroup;
mod memory;
mod peer;

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use cgroup::Membership;
pub use memory::MemoryReading;
pub use peer::is_peer_unreachable;

/// The most open descriptors that are counted one by one, on kernels that do not tell their number.
const COUNTED_MAX: usize = 1 << 20;

/// The descriptors of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorReading {
    /// How many are open.
    pub open: u64,
    /// How many may be open: the soft limit; `u64::MAX` for none.
    pub limit: u64,
}

/// The machine as this process sees it.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Returns this machine.
    pub fn new() -> Self {
        Self::at(Path::new("/"))
    }

    /// Returns the machine whose `proc` and `sys` are below `root`.
    fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Reads how many descriptors this process has open, and how many it may.
    ///
    /// Errors: the kernel's, when `/proc` is not there.
    pub fn descriptors(&self) -> io::Result<DescriptorReading> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let folder = self.root.join("proc/self/fd");
        // Since Linux 6.2 the size of the folder is the number of its entries; before it was zero. Asking for it needs no descriptor.
        let open = match std::fs::metadata(&folder)?.len() {
            0 => count(&folder, limit)?,
            entries => entries,
        };
        Ok(DescriptorReading { open, limit })
    }

    /// Reads how much memory is in use: of the control group that is fullest among this process's group and those above it, where
    /// one has a limit (version 2 or 1); else of the machine. What files can be read again from disk for does not count.
    ///
    /// Errors: the kernel's, when `/proc/meminfo` cannot be read; `InvalidData` when it does not tell what is available.
    pub fn memory(&self) -> io::Result<MemoryReading> {
        let text = std::fs::read_to_string(self.root.join("proc/meminfo"))?;
        let all = memory::of_machine(&text).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "/proc/meminfo does not tell how much memory is available",
            )
        })?;
        Ok(self.membership().tightest_memory(all.limit_bytes).unwrap_or(all))
    }

    /// Reads the part of the last ten seconds in which some task waited for a processor, in percent (PSI `some avg10`): of the
    /// closest control group that tells, else of the machine. `None` where the kernel does not keep it.
    pub fn cpu_pressure(&self) -> Option<f64> {
        let of_group =
            self.membership().unified_levels().find_map(|level| pressure(&level.join("cpu.pressure")));
        of_group.or_else(|| pressure(&self.root.join("proc/pressure/cpu")))
    }

    /// Reads anew each time: a process may be moved.
    fn membership(&self) -> Membership {
        let text = std::fs::read_to_string(self.root.join("proc/self/cgroup")).unwrap_or_default();
        Membership::parse(&self.root, &text)
    }
}

fn count(folder: &Path, limit: u64) -> io::Result<u64> {
    match std::fs::read_dir(folder) {
        // One of them is that of the folder itself.
        Ok(entries) => Ok((entries.take(COUNTED_MAX).count() as u64).saturating_sub(1)),
        Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => Ok(limit),
        Err(error) => Err(error),
    }
}

fn pressure(file: &Path) -> Option<f64> {
    some_avg10(&std::fs::read_to_string(file).ok()?)
}

/// Returns `12.5` for `some avg10=12.50 avg60=…`.
fn some_avg10(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let number = line.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    number.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent >= 0.0)
}

#[cfg(test)]
mod tests;
