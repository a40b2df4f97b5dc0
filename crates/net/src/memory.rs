//! How this process gives memory back.

/// The smallest block that is given back to the system as soon as it is freed.
#[cfg(target_env = "gnu")]
const LARGE_BLOCK_BYTES: libc::c_int = 1024 * 1024;

/// Has blocks of 1 MiB and more given back to the system as soon as they are freed. Call it before the first of them.
///
/// A password check takes 19 MiB for a moment. Left to itself, glibc learns from the first one that such blocks are common and
/// keeps one in the arena of each thread: 30 logins cost 250 MiB for good. Elsewhere than on glibc it does nothing.
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    set_threshold();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator has no safe setting")]
fn set_threshold() {
    // SAFETY: mallopt takes two integers and may be called at any time; a setting it does not know changes nothing.
    let _known = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES) };
    // Without bins of small blocks that stay unmerged: `malloc_trim` would merge them into the top of a thread's arena, and that
    // is the one free block which it gives back of the main arena only.
    // SAFETY: as above.
    let _known = unsafe { libc::mallopt(libc::M_MXFAST, 0) };
}

/// Gives what was freed back to the system, as far as whole pages are free; milliseconds for tens of megabytes. Call it on a
/// thread that may block, after many things were freed at once.
///
/// Left to itself, glibc keeps what lies below the last block in use: 5,000 sessions that are gone cost 15 MiB for good.
/// Elsewhere than on glibc it does nothing.
pub fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    trim();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator has no safe way to be asked")]
fn trim() {
    // SAFETY: malloc_trim takes an integer and may be called at any time from any thread; it touches free blocks only.
    let _was_any = unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the resident memory of this process in KiB.
    fn resident_kib() -> usize {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    #[cfg(target_env = "gnu")] // only glibc is asked to give memory back
    fn what_was_freed_below_a_block_in_use_goes_back() {
        let many: Vec<Box<[u8]>> = (0..64 * 1024).map(|_| vec![1; 1024].into_boxed_slice()).collect();
        let last = vec![1_u8; 1024];
        drop(many);
        let before = resident_kib();
        return_freed_memory();
        let after = resident_kib();
        assert!(after + 32 * 1024 < before, "{before} KiB, then {after}");
        assert_eq!(last.len(), 1024);
    }
}
