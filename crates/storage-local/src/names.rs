/// What every hidden name starts with, whatever its case: some file systems fold it.
const PREFIX: &[u8] = b".tidegate-";

/// Returns the hidden name of the temp `id`: fixed and short, so that no target's name is too long for one.
pub(crate) fn temp_name(id: u64) -> String {
    format!(".tidegate-{id:016x}.tmp")
}

/// Returns which temp has the hidden name `name`; `None` when it is not the name of one.
pub(crate) fn temp_id(name: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(name).ok()?.strip_prefix(".tidegate-")?.strip_suffix(".tmp")?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (temp_name(id).as_bytes() == name).then_some(id)
}

/// Returns where `path` lies once `old` has become `new`; `None` when it is neither `old` nor below it.
pub(crate) fn moved(path: &[u8], old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(old)?;
    (rest.is_empty() || rest.starts_with(b"/")).then(|| [new, rest].concat())
}

/// Returns the name of the journal in `slot` of a home.
pub(crate) fn journal_name(slot: u32) -> String {
    format!(".tidegate-journal-{slot}")
}

/// Returns whether clients never see or touch `name`.
pub(crate) fn is_reserved(name: &[u8]) -> bool {
    name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

/// Returns whether `name` may stand in a listing: no control characters, not reserved, not `.` or `..`.
pub(crate) fn is_listed(name: &[u8]) -> bool {
    name != b"." && name != b".." && !is_reserved(name) && !name.iter().any(u8::is_ascii_control)
}

/// Returns the `n`th candidate for a unique name made from `base`: itself, then `base.1`, `base.2` and so on; cut to
/// 255 bytes without splitting a UTF-8 character.
pub(crate) fn candidate(base: &[u8], n: u64) -> Vec<u8> {
    if n == 0 {
        return base.to_vec();
    }
    let suffix = format!(".{n}");
    let mut end = base.len().min(tidegate_types::COMPONENT_BYTES_MAX.saturating_sub(suffix.len()));
    while end > 0 && end < base.len() && base.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    let mut name = base.get(..end).unwrap_or_default().to_vec();
    name.extend_from_slice(suffix.as_bytes());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temps_and_journals_are_reserved_in_any_case() {
        for name in [temp_name(7), journal_name(0), ".TIDEGATE-x".into()] {
            assert!(is_reserved(name.as_bytes()), "{name}");
            assert!(!is_listed(name.as_bytes()), "{name}");
        }
        assert!(!is_reserved(b".tidegate"));
        assert!(is_listed(b"tidegate-x") && !is_listed(b"a\nb") && !is_listed(b"a\x7f") && !is_listed(b".."));
    }

    #[test]
    fn only_the_names_of_temps_name_temps() {
        assert_eq!(temp_id(temp_name(7).as_bytes()), Some(7));
        assert_eq!(temp_id(temp_name(u64::MAX).as_bytes()), Some(u64::MAX));
        for name in [&b".tidegate-7.tmp"[..], b".tidegate-journal-0", b".tidegate-+00000000000007.tmp", b"x"]
        {
            assert_eq!(temp_id(name), None, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn a_way_moves_with_what_it_leads_through() {
        assert_eq!(moved(b"a/b", b"a/b", b"c"), Some(b"c".to_vec()));
        assert_eq!(moved(b"a/b/c", b"a", b"x/y"), Some(b"x/y/b/c".to_vec()));
        assert_eq!(moved(b"ab/c", b"a", b"x"), None);
        assert_eq!(moved(b"", b"a", b"x"), None);
    }

    #[test]
    fn candidates_fit_and_keep_characters_whole() {
        assert_eq!(candidate(b"a.txt", 0), b"a.txt");
        assert_eq!(candidate(b"a.txt", 12), b"a.txt.12");
        let long = candidate("\u{e9}".repeat(127).as_bytes(), 1);
        assert!(long.len() <= 255 && std::str::from_utf8(&long).is_ok());
    }
}
