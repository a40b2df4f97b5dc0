use super::*;
use proptest::prelude::*;

fn at(cwd: &str, arg: &[u8]) -> Result<VirtualPath, PathError> {
    let cwd = VirtualPath::resolve(&VirtualPath::root(), cwd.as_bytes()).unwrap();
    VirtualPath::resolve(&cwd, arg)
}

#[test]
fn table() {
    for (cwd, arg, expected) in [
        ("/", "a", "/a"),
        ("/d", "a", "/d/a"),
        ("/d", "/a", "/a"),
        ("/d", "..", "/"),
        ("/d", "../..", "/"),
        ("/d", "../../../etc/passwd", "/etc/passwd"),
        ("/d/e", ".././x//y/.", "/d/x/y"),
        ("/", ".", "/"),
        ("/", "//", "/"),
        ("/", "a/", "/a"),
        ("/", " a ", "/ a "),
        ("/", "%2e%2e", "/%2e%2e"),
        ("/", "..\\..", "/..\\.."),
        ("/", "...", "/..."),
        ("/", "a.", "/a."),
        ("/", "~", "/~"),
    ] {
        assert_eq!(at(cwd, arg.as_bytes()).unwrap().as_bytes(), expected.as_bytes(), "{cwd} {arg}");
    }
}

#[test]
fn refuses() {
    assert_eq!(at("/", b""), Err(PathError::Empty));
    for byte in (0..0x20).chain([0x7f]) {
        assert_eq!(at("/", &[b'a', byte]), Err(PathError::ForbiddenByte), "{byte}");
    }
    assert!(at("/", &[b'a'; COMPONENT_BYTES_MAX]).is_ok());
    assert_eq!(at("/", &[b'a'; COMPONENT_BYTES_MAX + 1]), Err(PathError::TooLong));
    assert_eq!(at("/", &[b'/'; PATH_BYTES_MAX + 1]), Err(PathError::TooLong));
    let deep = b"/a".repeat(PATH_BYTES_MAX / 2);
    assert!(at("/", &deep).is_ok());
    assert_eq!(at("/b", &deep[1..]), Err(PathError::TooLong));
}

#[test]
fn bytes_survive() {
    assert_eq!(at("/", b"\xe9\xff").unwrap().as_bytes(), b"/\xe9\xff");
    assert_eq!(at("/", b"z\xff").unwrap().file_name(), Some(&b"z\xff"[..]));
}

#[test]
fn parts() {
    let path = at("/d", b"e/f").unwrap();
    assert_eq!(path.file_name(), Some(&b"f"[..]));
    assert_eq!(path.parent().as_bytes(), b"/d/e");
    assert_eq!(path.relative(), b"d/e/f");
    assert_eq!(path.components().count(), 3);
    assert!(VirtualPath::root().file_name().is_none());
    assert!(VirtualPath::root().parent().is_root());
    assert_eq!(VirtualPath::root().components().count(), 0);
    assert!(path.is_within(&path.parent()));
    assert!(path.is_within(&VirtualPath::root()));
    assert!(!at("/", b"de").unwrap().is_within(&at("/", b"d").unwrap()));
}

proptest! {
    #[test]
    fn normal_form_is_stable(cwd in "(/[a-c.]{0,3}){0,4}", arg in "[/.a-c ]{1,20}") {
        let cwd = VirtualPath::resolve(&VirtualPath::root(), if cwd.is_empty() { b"/" } else { cwd.as_bytes() }).unwrap();
        let path = VirtualPath::resolve(&cwd, arg.as_bytes()).unwrap();
        prop_assert_eq!(&VirtualPath::resolve(&VirtualPath::root(), path.as_bytes()).unwrap(), &path);
        prop_assert!(path.as_bytes().starts_with(b"/"));
        prop_assert!(path.components().all(|part| !part.is_empty() && part != b"." && part != b".."));
        prop_assert!(path.is_root() || !path.as_bytes().ends_with(b"/"));
    }
}
