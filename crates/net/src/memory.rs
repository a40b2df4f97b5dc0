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
}
