//! Inputs that are scripts: one step a line, so that a file of the corpus can be read and written by hand.

/// The most steps of one script that are performed.
pub(crate) const STEPS_MAX: usize = 400;

/// Returns the steps of `data`, without their line ends.
pub(crate) fn steps(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    data.split(|byte| *byte == b'\n').take(STEPS_MAX)
}

/// Returns the byte at `at` of a step's argument, 0 when it is missing. A digit stands for its value, so that scripts
/// stay readable.
pub(crate) fn number(argument: &[u8], at: usize) -> u8 {
    match argument.get(at) {
        None => 0,
        Some(digit @ b'0'..=b'9') => digit - b'0',
        Some(byte) => *byte,
    }
}
