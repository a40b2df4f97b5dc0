use super::*;
use alloc::string::String;
use proptest::prelude::*;

const fn at(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 0 }
}

fn shown(time: Timestamp) -> String {
    let mut out = Vec::new();
    format_time(time, &mut out);
    String::from_utf8(out).unwrap()
}

fn listed(time: i64, now: i64) -> String {
    let mut out = Vec::new();
    format_list_time(at(time), at(now), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn parse_table() {
    for (arg, secs, nanos) in [
        ("19700101000000", 0, 0),
        ("19691231235959", -1, 0),
        ("20000229120000", 951_825_600, 0),
        ("20240229235959", 1_709_251_199, 0),
        ("20380119031408", 2_147_483_648, 0),
        ("00000101000000", YEAR_0_SECS, 0),
        ("19700101000001.5", 1, 500_000_000),
        ("19700101000001.000000001", 1, 1),
        ("19700101000001.1234567899", 1, 123_456_789),
    ] {
        assert_eq!(parse_time(arg.as_bytes()), Some(Timestamp { secs, nanos }), "{arg}");
    }
}

#[test]
fn parse_refuses() {
    for arg in [
        "",
        "1970010100000",
        "197001010000000",
        "20210229000000",
        "19000229000000",
        "20210431000000",
        "20211301000000",
        "20210001000000",
        "20210100000000",
        "20210101240000",
        "20210101006000",
        "20210101000060",
        "20210101000000.",
        "20210101000000.x",
        "20210101000000.5 ",
        "20210101000000,5",
        " 20210101000000",
        "20210101000000 ",
        "+2021010100000",
        "-2021010100000",
        "2021010100000x",
        "99991231235959",
    ] {
        assert_eq!(parse_time(arg.as_bytes()), None, "{arg}");
    }
}

#[test]
fn format_table() {
    for (secs, text) in [
        (0, "19700101000000"),
        (-1, "19691231235959"),
        (2_147_483_648, "20380119031408"),
        (951_825_600, "20000229120000"),
        (YEAR_0_SECS, "00000101000000"),
        (YEAR_0_SECS - 1, "00000101000000"),
        (i64::MIN, "00000101000000"),
        (253_402_300_800, "99991230220000"),
        (i64::MAX, "99991230220000"),
    ] {
        assert_eq!(shown(at(secs)), text, "{secs}");
    }
    assert_eq!(shown(Timestamp { secs: 1, nanos: 999_999_999 }), "19700101000001");
}

#[test]
fn list_time_table() {
    const NOW: i64 = 1_700_000_000; // 2023-11-14T22:13:20Z
    const DAY: i64 = 86_400;
    for (time, text) in [
        (NOW, "Nov 14 22:13"),
        (NOW + 1, "Nov 14  2023"),
        (NOW + 400 * DAY, "Dec 18  2024"),
        (NOW - DAY, "Nov 13 22:13"),
        (NOW - 182 * DAY, "May 16 22:13"),
        (NOW - 182 * DAY - 1, "May 16  2023"),
        (NOW - 213 * DAY, "Apr 15  2023"),
        (0, "Jan 01  1970"),
        (-1, "Dec 31  1969"),
        (i64::MIN, "Jan 01  0000"),
        (i64::MAX, "Dec 30  9999"),
    ] {
        assert_eq!(listed(time, NOW), text, "{time}");
    }
    // A clock without sense is no reason to panic.
    assert_eq!(listed(0, i64::MIN), "Jan 01  1970");
    assert_eq!(listed(i64::MIN, i64::MIN), "Jan 01 00:00");
    assert_eq!(listed(0, i64::MAX), "Jan 01  1970");
}

proptest! {
    #[test]
    fn shown_times_are_read_back(secs in YEAR_0_SECS..253_402_207_200_i64) {
        prop_assert_eq!(parse_time(shown(at(secs)).as_bytes()), Some(at(secs)));
    }

    #[test]
    fn any_time_has_its_width(secs: i64, now: i64, nanos: u32) {
        prop_assert_eq!(shown(Timestamp { secs, nanos }).len(), 14);
        prop_assert_eq!(listed(secs, now).len(), 12);
    }

    #[test]
    fn any_bytes_are_answered(arg: Vec<u8>, digits in "[0-9]{14}(\\.[0-9]{0,12})?") {
        let _ = parse_time(&arg);
        let _ = parse_time(digits.as_bytes());
    }
}
