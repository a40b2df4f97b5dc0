//! draft-bryan-ftpext-hash §3: HASH.

use crate::suite::prelude::*;

group! { "draft-bryan-ftpext-hash", "3", "drafts/hash":
    Must hash_form "HASH is answered 213 with algorithm, range, digest and the path";
    Must hash_is_right "HASH with SHA-256 tells the right digest";
    Must hash_of_nothing "HASH of a file that does not exist or of a directory is refused";
    Must hash_announced "FEAT has a line HASH with the algorithms, the current one with an asterisk";
    Must opts_hash "OPTS HASH tells and selects the algorithm, and an unknown one is refused with 501";
    Must hash_of_a_range "RANG before HASH selects the bytes";
}

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Returns the words of the reply behind the code: algorithm, range, digest, path.
fn hash(s: &mut Session, file: &str) -> Result<[String; 4], Stop> {
    let reply = s.optional("HASH", format!("HASH {file}"))?;
    s.among(b"HASH", &reply, &[213])?;
    let words: Vec<String> = reply.text()[4..].splitn(4, ' ').map(str::to_owned).collect();
    words.try_into().map_err(|words| s.fail(format!("not four words: {words:?}")))
}

fn with_sha256(t: &Stage<'_>, content: &[u8]) -> Result<Session, Stop> {
    let mut s = t.work()?;
    s.put("STOR a", content)?;
    hash(&mut s, "a")?;
    s.want("OPTS HASH SHA-256", &[200])?;
    Ok(s)
}

fn hash_form(t: &Stage<'_>) -> Outcome {
    let mut s = with_sha256(t, b"abc")?;
    let [algorithm, range, digest, path] = hash(&mut s, "a")?;
    let numbers = range.split_once('-').is_some_and(|(from, to)| from == "0" && to.parse::<u64>().is_ok());
    let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let good = algorithm == "SHA-256" && numbers && hex && path.ends_with('a');
    s.check(good, format!("{algorithm} {range} {digest} {path}"))
}

fn hash_is_right(t: &Stage<'_>) -> Outcome {
    let mut s = with_sha256(t, b"abc")?;
    let [_, _, digest, _] = hash(&mut s, "a")?;
    s.check(digest.eq_ignore_ascii_case(ABC), format!("the digest is {digest}"))
}

fn hash_of_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = with_sha256(t, b"abc")?;
    s.done("MKD dir")?;
    s.want("HASH nothing-here", &[550])?;
    s.want("HASH dir", &[550, 553]).map(drop)
}

fn hash_announced(t: &Stage<'_>) -> Outcome {
    let mut s = with_sha256(t, b"abc")?;
    let line = s.features()?.into_iter().find(|line| line.to_ascii_uppercase().starts_with("HASH "));
    let line = line.ok_or_else(|| s.fail("FEAT has no line HASH"))?;
    let marked: Vec<&str> = line[5..].split(';').filter(|name| name.ends_with('*')).collect();
    s.check(marked == ["SHA-256*"], format!("after OPTS HASH SHA-256: {line}"))
}

fn opts_hash(t: &Stage<'_>) -> Outcome {
    let mut s = with_sha256(t, b"abc")?;
    let told = s.want("OPTS HASH", &[200])?;
    s.check(told.text() == "200 SHA-256", "OPTS HASH does not tell the current algorithm alone")?;
    s.want("OPTS HASH NO-SUCH", &[501, 504])?;
    let told = s.want("OPTS HASH SHA-1", &[200])?;
    s.check(told.text() == "200 SHA-1", "OPTS HASH does not tell the new algorithm alone")?;
    let [algorithm, ..] = hash(&mut s, "a")?;
    s.check(algorithm == "SHA-1", format!("the algorithm is {algorithm}"))
}

fn hash_of_a_range(t: &Stage<'_>) -> Outcome {
    let mut s = with_sha256(t, b"xxabcyy")?;
    let reply = s.optional("RANG", "RANG 2 4")?;
    s.among(b"RANG 2 4", &reply, &[350])?;
    let [_, _, digest, _] = hash(&mut s, "a")?;
    s.check(digest.eq_ignore_ascii_case(ABC), format!("the digest is {digest}"))
}
