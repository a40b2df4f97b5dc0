//! The line of LIST, which no RFC describes and every client parses (PROTOCOL §3.9).

use alloc::vec::Vec;

use tidegate_types::{FileKind, Metadata, Timestamp};

use crate::number::{push_left, push_right};
use crate::time::format_list_time;

/// Appends `drwxr-xr-x   2 1000     1000             4096 Jan 02 15:04 `: everything up to the name. The first field is
/// ten bytes, the link count at least 1, owner and group are numbers (names with blanks break parsers).
///
/// A link that was not followed is `l`, without a target that would show the host's paths. What is never served, such
/// as a socket, is an empty file without permissions: other letters confuse parsers.
pub(super) fn write_long(metadata: &Metadata, now: Timestamp, out: &mut Vec<u8>) {
    out.extend(permissions(metadata));
    out.push(b' ');
    push_right(metadata.links.max(1), 3, out);
    out.push(b' ');
    push_left(metadata.uid.into(), 8, out);
    out.push(b' ');
    push_left(metadata.gid.into(), 8, out);
    out.push(b' ');
    push_right(if metadata.kind == FileKind::Other { 0 } else { metadata.size }, 12, out);
    out.push(b' ');
    format_list_time(metadata.modified, now, out);
    out.push(b' ');
}

fn permissions(metadata: &Metadata) -> [u8; 10] {
    let (kind, mode) = match metadata.kind {
        FileKind::File => (b'-', metadata.mode),
        FileKind::Directory => (b'd', metadata.mode),
        FileKind::Symlink => return *b"lrwxrwxrwx",
        FileKind::Other => return *b"----------",
    };
    let letter = |bit: u32, letter: u8| if mode & bit == 0 { b'-' } else { letter };
    // The execute bit shares its letter with setuid, setgid or sticky: a capital without it.
    let special = |bit: u32, special: u32, letters: [u8; 4]| {
        let [none, plain, both, alone] = letters;
        match (mode & bit != 0, mode & special != 0) {
            (false, false) => none,
            (true, false) => plain,
            (true, true) => both,
            (false, true) => alone,
        }
    };
    [
        kind,
        letter(0o400, b'r'),
        letter(0o200, b'w'),
        special(0o100, 0o4000, *b"-xsS"),
        letter(0o040, b'r'),
        letter(0o020, b'w'),
        special(0o010, 0o2000, *b"-xsS"),
        letter(0o004, b'r'),
        letter(0o002, b'w'),
        special(0o001, 0o1000, *b"-xtT"),
    ]
}
