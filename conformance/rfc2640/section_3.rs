//! RFC 2640 §3: pathnames in UTF-8.

use crate::suite::prelude::*;

group! { "RFC 2640", "3", "rfc2640/section_3":
    Must utf8_names "Names in UTF-8 are kept byte for byte in STOR, NLST and RETR";
    Must utf8_in_replies "A directory with a name in UTF-8 is told in 257 byte for byte";
    Must names_are_not_normalised "Two spellings of one letter, composed and decomposed, stay two names";
    Should utf8_is_announced "FEAT announces UTF8 where names in UTF-8 work";
    Should other_bytes_are_kept_or_refused "A name that is not UTF-8 is kept as it is or refused, not changed";
}

fn shown(name: &str) -> String {
    name.bytes().map(char::from).collect()
}

fn utf8_names(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for name in ["grüße", "日本語", "🌊 tide", "Ελλάδα", "שלום"] {
        s.put(format!("STOR {name}"), name.as_bytes())?;
        let names = s.names("NLST")?;
        s.check(names.contains(&shown(name)), format!("NLST shows {names:?}"))?;
        let bytes = s.get(format!("RETR {name}"))?;
        s.check(bytes == name.as_bytes(), "not the file")?;
    }
    Ok(())
}

fn utf8_in_replies(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let told = s.want("MKD 日本語", &[257])?;
    s.check(told.text().contains(&shown("日本語")), "MKD tells another name")?;
    s.done("CWD 日本語")?;
    let told = s.want("PWD", &[257])?;
    s.check(told.text().contains(&shown("日本語")), "PWD tells another name")
}

fn names_are_not_normalised(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR \u{e9}", b"composed")?;
    s.put("STOR e\u{301}", b"decomposed")?;
    let names = s.names("NLST")?;
    s.check(names.len() == 2, format!("NLST shows {names:?}"))?;
    let bytes = s.get("RETR \u{e9}")?;
    s.check(bytes == b"composed", "not the file")
}

fn utf8_is_announced(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR grüße", b"x")?;
    let announced = s.announces("UTF8")?;
    s.check(announced, "FEAT does not announce UTF8")
}

fn other_bytes_are_kept_or_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let tried = s.attempt(b"STOR latin \xe9\xe8", Some(b"x"))?;
    if tried.succeeded() {
        let names = s.names("NLST")?;
        s.check(names == ["latin \u{e9}\u{e8}"], format!("NLST shows {names:?}"))?;
    }
    Ok(())
}
