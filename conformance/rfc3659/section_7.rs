//! RFC 3659 §7: MLST and MLSD.

use std::collections::BTreeMap;

use crate::suite::prelude::*;

group! { "RFC 3659", "7", "rfc3659/section_7":
    Must mlst_form "MLST is answered by `250-`, one line with a blank, facts, a blank and a path, and `250 ` (7.2)";
    Must mlsd_form "Each line of MLSD is facts, each ended by a semicolon, one blank and a name (7.2)";
    Must mlsd_names_everything_once "MLSD names every file and directory exactly once (7.2.1)";
    Must mlsd_names_have_no_path "The names in MLSD have no path in front (7.2.1)";
    Must mlsd_of_a_file "MLSD of a file is refused, for MLSD lists directories only (7.2.1)";
    Must mlsd_of_nothing "MLST and MLSD of what does not exist are refused (7.2.1)";
    Must mlsd_whatever_the_type "MLSD sends the same bytes in TYPE A and in TYPE I (7.2)";
    Must mlst_without_a_path "MLST without a path tells about the current directory (7.3.1)";
    Must mlst_goes_over_the_control_connection "MLST needs no data connection (7.2)";
    Must names_come_whole "Names with blanks in front, semicolons and equals signs come whole (7.2)";
    Must type_fact "type is file for a file and dir for a directory (7.5.1)";
    Must size_fact "size is the size of the file (7.5.7)";
    Must modify_fact "modify is a time of 14 digits and equals MDTM (7.5.3)";
    Must unique_fact "unique is the same for one file by two paths and differs for two files (7.5.2)";
    Must perm_fact "perm has only letters of its list, and r for a file that can be retrieved (7.5.5)";
    Must mlst_and_mlsd_agree "MLST and MLSD tell the same facts about the same file (7.2)";
    Must feat_lists_the_facts "FEAT has one line MLST with every fact that comes, those that are on with an asterisk (7.8)";
    Must opts_mlst_selects "OPTS MLST selects facts: 200, the list, and then only those come (7.9)";
    Must opts_mlst_nothing "OPTS MLST without facts turns all facts off: the line begins with the blank (7.9)";
    Must opts_mlst_unknown "OPTS MLST with an unknown fact is 200 and leaves that one out (7.9)";
    Must no_data_in_the_listing_of_an_empty_directory "MLSD of an empty directory ends well, with no name but perhaps . and .. (7.2.1)";
    Should mlsd_of_a_file_is_501 "MLSD of a file is refused with 501 (7.2.1)";
}

type Facts = BTreeMap<String, String>;

/// Splits `fact=value;fact=value; name` (7.2).
fn entry(s: &Session, line: &str) -> Result<(Facts, String), Stop> {
    let (facts, name) = line.split_once(' ').ok_or_else(|| s.fail(format!("no blank: {line:?}")))?;
    s.check(facts.is_empty() || facts.ends_with(';'), format!("the last fact has no semicolon: {line:?}"))?;
    let mut found = Facts::new();
    for fact in facts.split_terminator(';') {
        let pair = fact.split_once('=').ok_or_else(|| s.fail(format!("not fact=value: {fact:?}")))?;
        found.insert(pair.0.to_ascii_lowercase(), pair.1.to_owned());
    }
    Ok((found, name.to_owned()))
}

fn mlst(s: &mut Session, path: &str) -> Result<(Facts, String), Stop> {
    let reply = s.optional("MLST", format!("MLST {path}").trim_end())?;
    s.among(b"MLST", &reply, &[250])?;
    let [first, line, last] = &reply.lines[..] else {
        return Err(s.fail(format!("not three lines: {:?}", reply.lines)));
    };
    s.check(first.starts_with("250-") && last.starts_with("250 "), "not `250-` first and `250 ` last")?;
    let line =
        line.strip_prefix(' ').ok_or_else(|| s.fail(format!("no blank in front of the facts: {line:?}")))?;
    entry(s, line)
}

/// Lists by MLSD, without the directory itself and its parent.
fn mlsd(s: &mut Session, path: &str) -> Result<BTreeMap<String, Facts>, Stop> {
    s.optional("MLST", "MLST")?;
    let mut found = BTreeMap::new();
    for line in s.lines(format!("MLSD {path}").trim_end())? {
        let (facts, name) = entry(s, &line)?;
        let kind = facts.get("type").map_or("", String::as_str).to_ascii_lowercase();
        if !matches!(kind.as_str(), "cdir" | "pdir") && !matches!(name.as_str(), "." | "..") {
            s.check(found.insert(name, facts).is_none(), "one name twice")?;
        }
    }
    Ok(found)
}

fn filled(t: &Stage<'_>) -> Result<Session, Stop> {
    let mut s = t.work()?;
    s.put("STOR file", b"1234567")?;
    s.done("MKD dir")?;
    s.put("STOR dir/inner", b"x")?;
    s.optional("MLST", "MLST")?;
    Ok(s)
}

fn mlst_form(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let (_, path) = mlst(&mut s, "file")?;
    s.check(path.ends_with("file"), format!("the path is {path:?}"))
}

fn mlsd_form(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let found = mlsd(&mut s, "")?;
    let good = found.values().all(|facts| facts.keys().all(|fact| !fact.is_empty() && fact.is_ascii()));
    s.check(good, "a fact without a name")
}

fn mlsd_names_everything_once(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let names: Vec<String> = mlsd(&mut s, "")?.into_keys().collect();
    s.check(names == ["dir", "file"], format!("the names are {names:?}"))
}

fn mlsd_names_have_no_path(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let names: Vec<String> = mlsd(&mut s, "dir")?.into_keys().collect();
    s.check(names == ["inner"], format!("the names are {names:?}"))
}

fn mlsd_of_a_file(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let tried = s.attempt("MLSD file", None)?;
    s.check(tried.refused(), "not refused")
}

fn mlsd_of_a_file_is_501(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let tried = s.attempt("MLSD file", None)?;
    s.among(b"MLSD file", &tried.last, &[501])
}

fn mlsd_of_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    s.want("MLST nothing-here", &[450, 501, 550, 553])?;
    let tried = s.attempt("MLSD nothing-here", None)?;
    s.check(tried.refused(), "not refused")
}

fn mlsd_whatever_the_type(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let image = s.sorted("MLSD")?;
    s.done("TYPE A")?;
    let ascii = s.sorted("MLSD")?;
    s.check(image == ascii, "the listings differ")
}

fn mlst_without_a_path(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let (facts, path) = mlst(&mut s, "")?;
    let kind = facts.get("type").map_or("", String::as_str).to_ascii_lowercase();
    s.check(matches!(kind.as_str(), "dir" | "cdir"), format!("type={kind}"))?;
    s.check(path.ends_with(&t.folder) || path == ".", format!("the path is {path:?}"))
}

fn mlst_goes_over_the_control_connection(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    mlst(&mut s, "dir/inner")?;
    s.in_step()
}

fn names_come_whole(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    for name in [" leading", "a;b=c", "x y z", "type=dir; name"] {
        s.put(format!("STOR {name}"), b"x")?;
        let found = mlsd(&mut s, "")?;
        s.check(found.contains_key(name), format!("{name:?} is not among {:?}", found.keys()))?;
    }
    Ok(())
}

fn type_fact(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let found = mlsd(&mut s, "")?;
    let kind = |name: &str| {
        found.get(name).and_then(|facts| facts.get("type")).map(|kind| kind.to_ascii_lowercase())
    };
    s.check(kind("file").as_deref() == Some("file"), "the file is no type=file")?;
    s.check(kind("dir").as_deref() == Some("dir"), "the directory is no type=dir")
}

/// Returns a fact of `file`. Errors: not offered, when the server has no such fact.
fn fact(s: &mut Session, path: &str, name: &str) -> Result<String, Stop> {
    let (mut facts, _) = mlst(s, path)?;
    facts.remove(name).ok_or_else(|| Stop::NotOffered(format!("no fact {name}")))
}

fn size_fact(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let size = fact(&mut s, "file", "size")?;
    s.check(size == "7", format!("size={size}"))
}

fn modify_fact(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let modify = fact(&mut s, "file", "modify")?;
    let digits = modify.get(..14).is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    s.check(digits, format!("modify={modify}"))?;
    let told = s.say("MDTM file")?;
    let same = told.code != 213 || told.text().get(4..18) == modify.get(..14);
    s.check(same, format!("modify={modify}, MDTM {}", told.text()))
}

fn unique_fact(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let one = fact(&mut s, "file", "unique")?;
    let again = fact(&mut s, "dir/../file", "unique")?;
    let other = fact(&mut s, "dir/inner", "unique")?;
    s.check(one == again, format!("one file is {one} and {again}"))?;
    s.check(one != other, format!("two files are {one}"))
}

fn perm_fact(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    for (path, needed) in [("file", 'r'), ("dir", 'e')] {
        let perm = fact(&mut s, path, "perm")?.to_ascii_lowercase();
        s.check(perm.chars().all(|letter| "acdeflmprw".contains(letter)), format!("perm={perm}"))?;
        s.check(perm.contains(needed), format!("{path}: no {needed} in perm={perm}"))?;
    }
    Ok(())
}

fn mlst_and_mlsd_agree(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let found = mlsd(&mut s, "")?;
    for name in ["file", "dir"] {
        let (facts, _) = mlst(&mut s, name)?;
        s.check(found.get(name) == Some(&facts), format!("{name}: {:?} and {facts:?}", found.get(name)))?;
    }
    Ok(())
}

/// Returns the facts in FEAT, each with whether it is on.
fn known(s: &mut Session) -> Result<BTreeMap<String, bool>, Stop> {
    let lines: Vec<String> =
        s.features()?.into_iter().filter(|line| line.to_ascii_uppercase().starts_with("MLST")).collect();
    s.check(lines.len() == 1, format!("not one line MLST in FEAT: {lines:?}"))?;
    let facts = lines[0].get(5..).unwrap_or_default().split_terminator(';');
    Ok(facts.map(|fact| (fact.trim_end_matches('*').to_ascii_lowercase(), fact.ends_with('*'))).collect())
}

fn feat_lists_the_facts(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let known = known(&mut s)?;
    let (facts, _) = mlst(&mut s, "file")?;
    for fact in facts.keys() {
        s.check(known.get(fact) == Some(&true), format!("{fact} comes and is not on in FEAT: {known:?}"))?;
    }
    Ok(())
}

fn opts_mlst_selects(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    let reply = s.want("OPTS MLST size;type;", &[200])?;
    let text = reply.text().to_ascii_lowercase();
    s.check(
        text.contains("mlst opts") && text.contains("type;") && text.contains("size;"),
        "not `MLST OPTS` and the facts",
    )?;
    let (facts, _) = mlst(&mut s, "file")?;
    let names: Vec<&String> = facts.keys().collect();
    s.check(names == ["size", "type"], format!("{names:?} came"))?;
    let on: Vec<String> = known(&mut s)?.into_iter().filter(|(_, on)| *on).map(|(fact, _)| fact).collect();
    s.check(on == ["size", "type"], format!("FEAT has asterisks at {on:?}"))
}

fn opts_mlst_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    s.want("OPTS MLST", &[200])?;
    let (facts, path) = mlst(&mut s, "file")?;
    s.check(facts.is_empty() && path.ends_with("file"), format!("{facts:?} came"))
}

fn opts_mlst_unknown(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    s.want("OPTS MLST frob;type;", &[200])?;
    let (facts, _) = mlst(&mut s, "file")?;
    let names: Vec<&String> = facts.keys().collect();
    s.check(names == ["type"], format!("{names:?} came"))
}

fn no_data_in_the_listing_of_an_empty_directory(t: &Stage<'_>) -> Outcome {
    let mut s = filled(t)?;
    s.done("MKD empty")?;
    let found = mlsd(&mut s, "empty")?;
    s.check(found.is_empty(), format!("{found:?}"))
}
