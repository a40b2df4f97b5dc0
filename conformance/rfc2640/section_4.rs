//! RFC 2640 §4: LANG.

use crate::suite::prelude::*;

group! { "RFC 2640", "4", "rfc2640/section_4":
    Must lang_default "LANG without argument goes back to the default language: 200";
    Must lang_announced "A server with LANG announces its languages in FEAT, the current one with an asterisk";
    Must lang_unknown "LANG with a language the server does not speak is refused with 504 and changes nothing";
    Must lang_syntax "LANG with something that is no language tag is refused";
    Must lang_of_the_list "LANG with a language from FEAT is answered 200";
}

fn lang_default(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.optional("LANG", "LANG")?;
    s.among(b"LANG", &reply, &[200])
}

/// Returns the languages in FEAT.
fn languages(s: &mut Session) -> Result<Vec<String>, Stop> {
    s.optional("LANG", "LANG")?;
    let line = s.features()?.into_iter().find(|line| line.to_ascii_uppercase().starts_with("LANG "));
    let line = line.ok_or_else(|| s.fail("LANG works and FEAT has no line LANG"))?;
    Ok(line[5..].split(';').map(str::to_owned).collect())
}

fn lang_announced(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let languages = languages(&mut s)?;
    let marked = languages.iter().filter(|tag| tag.ends_with('*')).count();
    s.check(marked == 1, format!("{marked} asterisks in {languages:?}"))
}

fn lang_unknown(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.optional("LANG", "LANG")?;
    s.want("LANG tlh", &[504, 501])?;
    s.in_step()
}

fn lang_syntax(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.optional("LANG", "LANG")?;
    s.want("LANG ???", &[501, 504]).map(drop)
}

fn lang_of_the_list(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for tag in languages(&mut s)? {
        s.want(format!("LANG {}", tag.trim_end_matches('*')), &[200])?;
    }
    Ok(())
}
