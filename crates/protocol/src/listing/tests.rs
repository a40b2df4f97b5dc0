use super::*;
use alloc::string::{String, ToString};
use proptest::prelude::*;
use tidegate_types::{Access, Unique};

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = at(1_700_000_000);
const DAY: i64 = 86_400;

const fn at(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 0 }
}

fn file(size: u64) -> Metadata {
    Metadata {
        kind: FileKind::File,
        size,
        modified: at(NOW.secs - DAY),
        mode: 0o644,
        uid: 1000,
        gid: 100,
        links: 1,
        unique: Unique { device: 0xfd01, file: 0x00ab_cdef },
        access: Access::ALL,
    }
}

fn directory() -> Metadata {
    Metadata { kind: FileKind::Directory, mode: 0o755, links: 2, ..file(4096) }
}

fn plan(format: ListFormat) -> ListPlan {
    ListPlan { format, hidden: false, dots: false, prefix: Vec::new(), recursive: false, rights: Rights::ALL }
}

fn entry(name: &[u8], metadata: Metadata) -> Entry {
    Entry { name: name.to_vec(), metadata }
}

/// What a listing of `entries` in a directory that may be written looks like.
fn list(plan: &ListPlan, entries: &[Entry]) -> Vec<u8> {
    let (writer, mut out) = (ListWriter::new(plan, Some(&directory()), NOW), Vec::new());
    writer.begin(&mut out);
    for entry in entries {
        writer.entry(entry, &mut out);
    }
    out
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn long_table() {
    let rows: [(Metadata, &str); 15] = [
        (
            Metadata { mode: 0o2755, ..directory() },
            "drwxr-sr-x   2 1000     100              4096 Nov 13 22:13 n",
        ),
        (
            Metadata { mode: 0o4711, ..file(0) },
            "-rws--x--x   1 1000     100                 0 Nov 13 22:13 n",
        ),
        (file(5), "-rw-r--r--   1 1000     100                 5 Nov 13 22:13 n"),
        (directory(), "drwxr-xr-x   2 1000     100              4096 Nov 13 22:13 n"),
        (file(5_000_000_000), "-rw-r--r--   1 1000     100        5000000000 Nov 13 22:13 n"),
        (file(u64::MAX), "-rw-r--r--   1 1000     100      18446744073709551615 Nov 13 22:13 n"),
        (
            Metadata { mode: 0o7777, ..file(0) },
            "-rwsrwsrwt   1 1000     100                 0 Nov 13 22:13 n",
        ),
        (
            Metadata { mode: 0o7000, ..file(0) },
            "---S--S--T   1 1000     100                 0 Nov 13 22:13 n",
        ),
        (
            Metadata { kind: FileKind::Symlink, mode: 0o777, ..file(7) },
            "lrwxrwxrwx   1 1000     100                 7 Nov 13 22:13 n",
        ),
        (
            Metadata { kind: FileKind::Other, mode: 0o666, ..file(7) },
            "----------   1 1000     100                 0 Nov 13 22:13 n",
        ),
        (
            Metadata { uid: u32::MAX, gid: u32::MAX, links: 12_345, ..file(1) },
            "-rw-r--r-- 12345 4294967295 4294967295            1 Nov 13 22:13 n",
        ),
        (Metadata { links: 0, ..file(1) }, "-rw-r--r--   1 1000     100                 1 Nov 13 22:13 n"),
        (
            Metadata { modified: at(NOW.secs + 5), ..file(1) },
            "-rw-r--r--   1 1000     100                 1 Nov 14  2023 n",
        ),
        (
            Metadata { modified: at(-1), ..file(1) },
            "-rw-r--r--   1 1000     100                 1 Dec 31  1969 n",
        ),
        (
            Metadata { modified: at(i64::MAX), ..file(1) },
            "-rw-r--r--   1 1000     100                 1 Dec 30  9999 n",
        ),
    ];
    for (metadata, expected) in rows {
        let line = text(list(&plan(ListFormat::Long), &[entry(b"n", metadata)]));
        assert_eq!(line, alloc::format!("{expected}\r\n"));
    }
}

#[test]
fn dots_and_hidden_names() {
    let entries = [entry(b".h", file(1)), entry(b"v", file(1))];
    let names = |format, hidden, dots| {
        let listed = text(list(&ListPlan { hidden, dots, ..plan(format) }, &entries));
        let names = listed.lines().map(|line| line.rsplit(' ').next().unwrap().to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(ListFormat::Long, false, false), "v");
    assert_eq!(names(ListFormat::Long, true, false), ".h v");
    assert_eq!(names(ListFormat::Long, true, true), ". .. .h v");
    assert_eq!(names(ListFormat::Names, true, true), ".h v");
    assert_eq!(names(ListFormat::Facts(FactSet::ALL), false, true), ".h v");
}

#[test]
fn a_named_file_is_never_hidden_and_has_no_dots() {
    for about in [None, Some(file(1))] {
        let plan = ListPlan { hidden: false, dots: true, ..plan(ListFormat::Long) };
        let (writer, mut out) = (ListWriter::new(&plan, about.as_ref(), NOW), Vec::new());
        writer.begin(&mut out);
        writer.entry(&entry(b".h", file(1)), &mut out);
        assert_eq!(text(out), "-rw-r--r--   1 1000     100                 1 Nov 13 22:13 .h\r\n");
    }
}

#[test]
fn names_carry_their_prefix() {
    let entries = [entry(b"a b", file(1)), entry(b"\xff\xe9", file(1)), entry(b" d", directory())];
    let plan = ListPlan { prefix: b"sub/".to_vec(), ..plan(ListFormat::Names) };
    assert_eq!(list(&plan, &entries), b"sub/a b\r\nsub/\xff\xe9\r\nsub/ d\r\n");
}

#[test]
fn control_bytes_never_make_a_second_line() {
    let bad = [entry(b"a\r\n-rw b\0\x7f\t", file(1))];
    for format in [ListFormat::Long, ListFormat::Names, ListFormat::Facts(FactSet::ALL)] {
        let listed = text(list(&plan(format), &bad));
        assert!(listed.ends_with("a??-rw b???\r\n"), "{listed}");
        assert_eq!(listed.lines().count(), 1);
    }
}

#[test]
fn facts_table() {
    let all = plan(ListFormat::Facts(FactSet::ALL));
    let listed = list(
        &all,
        &[
            entry(b"a; b=c", file(5_000_000_000)),
            entry(b"d", directory()),
            entry(b"l", Metadata { kind: FileKind::Symlink, mode: 0o777, ..file(3) }),
            entry(
                b"s",
                Metadata { kind: FileKind::Other, mode: 0o1777, modified: at(0), uid: 0, gid: 0, ..file(3) },
            ),
        ],
    );
    let expected = "\
type=file;size=5000000000;modify=20231113221320;perm=adfrw;unique=fd01gabcdef;UNIX.mode=0644;UNIX.owner=1000;UNIX.group=100; a; b=c\r
type=dir;modify=20231113221320;perm=cdeflmp;unique=fd01gabcdef;UNIX.mode=0755;UNIX.owner=1000;UNIX.group=100; d\r
type=OS.unix=symlink;modify=20231113221320;perm=df;unique=fd01gabcdef;UNIX.mode=0777;UNIX.owner=1000;UNIX.group=100; l\r
type=OS.unix=other;modify=19700101000000;perm=;unique=fd01gabcdef;UNIX.mode=1777;UNIX.owner=0;UNIX.group=0; s\r
";
    assert_eq!(text(listed), expected);
    let few = plan(ListFormat::Facts(FactSet::select(b"size;type")));
    assert_eq!(text(list(&few, &[entry(b" x", file(1))])), "type=file;size=1;  x\r\n");
    assert_eq!(text(list(&plan(ListFormat::Facts(FactSet::NONE)), &[entry(b"x", file(1))])), " x\r\n");
}

#[test]
fn one_files_facts() {
    let shown = |metadata: &Metadata, parent| {
        let mut out = Vec::new();
        write_facts(FactSet::select(b"type;perm"), metadata, parent, Rights::ALL, &mut out);
        text(out)
    };
    assert_eq!(shown(&file(1), None), "type=file;perm=adfrw;");
    assert_eq!(shown(&file(1), Some(NO_ACCESS)), "type=file;perm=arw;");
    assert_eq!(shown(&directory(), None), "type=dir;perm=cdeflmp;");
    assert_eq!(shown(&directory(), Some(NO_ACCESS)), "type=dir;perm=celmp;");
}

#[test]
fn perm_needs_right_and_access() {
    let none = NO_ACCESS;
    let no_search = Access { search: false, ..Access::ALL };
    let perm = |metadata: Metadata, access, rights, parent| {
        let mut out = Vec::new();
        write_facts(FactSet::PERM, &Metadata { access, ..metadata }, Some(parent), rights, &mut out);
        text(out)
    };
    let (all, every) = (Access::ALL, Rights::ALL);
    for (metadata, access, rights, parent, expected) in [
        (file(1), all, every, all, "adfrw"),
        (file(1), none, every, all, "df"),
        (file(1), all, every, none, "arw"),
        (file(1), all, every, no_search, "arw"),
        (file(1), all, Rights::READ_ONLY, all, "r"),
        (file(1), all, Rights::UPLOAD_ONLY, all, ""),
        (file(1), all, Rights::APPEND, all, "a"),
        (file(1), all, Rights::DELETE, all, "d"),
        (file(1), all, Rights::RENAME, all, "f"),
        (file(1), all, Rights::OVERWRITE, all, "w"),
        (directory(), all, every, all, "cdeflmp"),
        (directory(), none, every, all, "df"),
        (directory(), no_search, every, all, "dfl"),
        (directory(), Access { write: false, ..all }, every, all, "defl"),
        (directory(), Access { read: false, ..all }, every, all, "cdefmp"),
        (directory(), all, every, none, "celmp"),
        (directory(), all, Rights::READ_ONLY, all, "el"),
        (directory(), all, Rights::UPLOAD_ONLY, all, "ce"),
        (directory(), all, Rights::MKDIR, all, "em"),
        (directory(), all, Rights::DELETE, all, "dep"),
    ] {
        let case = alloc::format!("{:?} {access:?} {rights:?} {parent:?}", metadata.kind);
        assert_eq!(perm(metadata, access, rights, parent), alloc::format!("perm={expected};"), "{case}");
    }
}

#[test]
fn fact_selection() {
    let label = "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;";
    assert_eq!(FactSet::default().feat_label(), label);
    assert_eq!(FactSet::select(FactSet::ALL.words().as_bytes()), FactSet::ALL);
    for (list, words) in [
        ("type;size;", "type;size;"),
        ("SIZE;Type", "type;size;"),
        ("unix.MODE;frob;size;size;", "size;UNIX.mode;"),
        ("frob", ""),
        ("types;ype", ""),
        (";;;", ""),
        ("", ""),
    ] {
        assert_eq!(FactSet::select(list.as_bytes()).words(), words, "{list}");
    }
    let two = FactSet::select(b"type;perm;");
    assert_eq!(two.feat_label(), "MLST type*;size;modify;perm*;unique;UNIX.mode;UNIX.owner;UNIX.group;");
}

#[test]
fn an_entry_allocates_nothing_else() {
    let mut out = Vec::with_capacity(1024);
    let before = out.as_ptr();
    for format in [ListFormat::Long, ListFormat::Names, ListFormat::Facts(FactSet::ALL)] {
        ListWriter::new(&plan(format), None, NOW).entry(&entry(b"name", file(1)), &mut out);
    }
    assert_eq!((out.as_ptr(), out.capacity()), (before, 1024), "the output is enough");
}

/// What a client made of a line.
#[derive(Debug, PartialEq, Eq)]
struct Read<'a> {
    is_directory: bool,
    size: u64,
    time: Vec<&'a [u8]>,
    name: &'a [u8],
}

/// Splits off the first word and the blanks before it.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = &line[line.iter().position(|byte| *byte != b' ')?..];
    Some(line.split_at(line.iter().position(|byte| *byte == b' ')?))
}

/// The rules of Go's jlaffaye/ftp: a first field of exactly ten bytes, at least eight fields, the name behind one blank.
fn read_by_fields(line: &[u8]) -> Option<Read<'_>> {
    let (permissions, mut rest) = word(line)?;
    let mut fields = Vec::new();
    while fields.len() < 7 {
        let (field, tail) = word(rest)?;
        fields.push(field);
        rest = tail;
    }
    let size = core::str::from_utf8(fields[3]).ok()?.parse().ok()?;
    let (10, Some((b' ', name))) = (permissions.len(), rest.split_first()) else { return None };
    Some(Read { is_directory: permissions[0] == b'd', size, time: fields.split_off(4), name })
}

/// What the Unix regexes of FileZilla and basic-ftp ask: kind, nine permission letters, then links, owner, group, size,
/// month, day, and a time of day or a year, one blank, the name.
fn read_by_pattern(line: &[u8]) -> Option<Read<'_>> {
    let (permissions, rest) = line.split_at_checked(10)?;
    let in_set = |byte: &u8, set: &[u8]| set.contains(byte);
    let letters = permissions[1..]
        .chunks(3)
        .all(|three| in_set(&three[0], b"r-") && in_set(&three[1], b"w-") && in_set(&three[2], b"xsStT-"));
    if !in_set(&permissions[0], b"-dl") || !letters || rest.first() != Some(&b' ') {
        return None;
    }
    let read = read_by_fields(line)?;
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let [month, day, clock] = read.time[..] else { return None };
    let is_clock = match clock {
        [h1, h2, b':', m1, m2] => digits(&[*h1, *h2, *m1, *m2]),
        year => year.len() == 4 && digits(year),
    };
    (month.len() == 3 && month.is_ascii() && digits(day) && is_clock).then_some(read)
}

/// Python's `line.split(None, 8)`, the way most scripts do it: blanks before the name are lost.
fn read_by_split(line: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut fields, mut rest) = (Vec::new(), line);
    while fields.len() < 8 {
        let (field, tail) = word(rest)?;
        fields.push(field);
        rest = tail;
    }
    fields.push(rest.trim_ascii_start());
    Some(fields)
}

/// A fact's name and its value.
type Fact<'a> = (&'a [u8], &'a [u8]);

/// RFC 3659 §7.2: facts up to the first blank, each `name=value;`, then the name to the end.
fn read_facts(line: &[u8]) -> Option<(Vec<Fact<'_>>, &[u8])> {
    let (facts, name) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
    let facts = facts.split_inclusive(|byte| *byte == b';').map(|fact| {
        let fact = fact.strip_suffix(b";")?;
        let (key, value) = fact.split_at(fact.iter().position(|byte| *byte == b'=')?);
        Some((key, &value[1..]))
    });
    Some((facts.collect::<Option<_>>()?, &name[1..]))
}

#[test]
fn odd_names_are_read_back_by_every_client() {
    let names: [&[u8]; 12] = [
        b"plain",
        b" leading",
        b"   three",
        b"trailing ",
        b"a b  c",
        b"\"quoted\" 'name'",
        b"a;b=c;",
        b"type=dir; x",
        b"a -> b",
        "\u{65e5}\u{672c}\u{8a9e} \u{e9}".as_bytes(),
        b"latin-1 \xe9\xff\x80",
        b"-rw-r--r-- 1 a b 5 Jan 01 00:00 fake",
    ];
    let times = [NOW.secs, NOW.secs + 400 * DAY, NOW.secs - 213 * DAY, -200_000_000, i64::MAX, i64::MIN];
    for name in names {
        for secs in times {
            for size in [0, 4096, u64::from(u32::MAX) + 1, u64::MAX] {
                let metadata = Metadata { modified: at(secs), ..file(size) };
                let line = list(&plan(ListFormat::Long), &[entry(name, metadata)]);
                let line = line.strip_suffix(b"\r\n").unwrap();
                let read = read_by_pattern(line).expect("a Unix line");
                assert_eq!((read.name, read.size, read.is_directory), (name, size, false));
                assert_eq!(read_by_fields(line), Some(read));
                assert_eq!(read_by_split(line).unwrap()[8], name.trim_ascii_start());

                let line = list(&plan(ListFormat::Facts(FactSet::ALL)), &[entry(name, metadata)]);
                let (facts, found) = read_facts(line.strip_suffix(b"\r\n").unwrap()).expect("facts");
                assert_eq!((found, facts.len()), (name, 8));
                assert_eq!(facts[1], (&b"size"[..], size.to_string().as_bytes()));
            }
        }
    }
}

fn kinds() -> impl Strategy<Value = FileKind> {
    prop::sample::select(&[FileKind::File, FileKind::Directory, FileKind::Symlink, FileKind::Other][..])
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    let bits = any::<(bool, bool, bool)>().prop_map(|(read, write, search)| Access { read, write, search });
    (kinds(), any::<(u64, i64, u32, u32, u32, u64, u64, u64)>(), bits).prop_map(|(kind, numbers, access)| {
        let (size, secs, mode, uid, gid, links, device, file) = numbers;
        let unique = Unique { device, file };
        Metadata { kind, size, modified: at(secs), mode, uid, gid, links, unique, access }
    })
}

proptest! {
    #[test]
    fn any_entry_is_one_line_that_clients_read(
        metadata in any_metadata(),
        name in prop::collection::vec(prop::num::u8::ANY.prop_filter("no control", |byte| !byte.is_ascii_control() && *byte != b'/'), 1..20),
        now: i64,
    ) {
        let entry = entry(&name, metadata);
        let mut out = Vec::new();
        ListWriter::new(&plan(ListFormat::Long), None, at(now)).entry(&entry, &mut out);
        let read = read_by_pattern(out.strip_suffix(b"\r\n").unwrap()).expect("a Unix line");
        prop_assert_eq!(read.name, &name[..]);
        prop_assert_eq!(read.is_directory, metadata.kind == FileKind::Directory);
        out.clear();
        ListWriter::new(&plan(ListFormat::Facts(FactSet::ALL)), None, at(now)).entry(&entry, &mut out);
        let (facts, found) = read_facts(out.strip_suffix(b"\r\n").unwrap()).expect("facts");
        prop_assert_eq!(found, &name[..]);
        prop_assert_eq!(facts.len(), if metadata.kind == FileKind::File { 8 } else { 7 });
    }
}

#[test]
fn below_the_listed_directory() {
    let about = directory();
    let entry = entry(b"x", file(1));
    let write = |format, dots| {
        let plan = ListPlan { prefix: b"top/".to_vec(), dots, recursive: true, ..plan(format) };
        let mut writer = ListWriter::new(&plan, Some(&about), Timestamp::default());
        let mut out = Vec::new();
        writer.subdirectory(b"d/e\n", &about, &mut out);
        writer.entry(&entry, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(write(ListFormat::Names, false), "top/d/e?/x\r\n");
    let long = write(ListFormat::Long, false);
    assert!(
        long.starts_with("\r\nd/e?:\r\n") && long.ends_with(" x\r\n") && long.lines().count() == 3,
        "{long}"
    );
    assert_eq!(write(ListFormat::Long, true).lines().count(), 5);
}
