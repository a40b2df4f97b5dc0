//! XCRC, XMD5 and their kin: no document, many servers. The reply is 250, or 213, and the digest in hexadecimal.

use crate::suite::prelude::*;

group! { "practice", "checksums", "practice/checksums":
    Practice xcrc "XCRC tells the CRC-32 of a file";
    Practice xmd5 "XMD5 tells the MD5 digest of a file";
    Practice xsha1 "XSHA1 tells the SHA-1 digest of a file";
    Practice xsha "XSHA tells the SHA-1 digest of a file";
    Practice xsha256 "XSHA256 tells the SHA-256 digest of a file";
    Practice xsha512 "XSHA512 tells the SHA-512 digest of a file";
    Practice quoted_names "A name with blanks is taken between double quotes";
    Practice missing_files "The checksum of a file that does not exist is refused";
}

fn digest(s: &mut Session, verb: &str, name: &str, digest: &str) -> Outcome {
    let reply = s.optional(verb, format!("{verb} {name}"))?;
    s.among(verb.as_bytes(), &reply, &[250, 213])?;
    s.check(reply.text().to_ascii_lowercase().contains(digest), format!("{verb} tells another digest"))
}

fn abc(t: &Stage<'_>, verb: &str, expected: &str) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"abc")?;
    digest(&mut s, verb, "a", expected)
}

fn xcrc(t: &Stage<'_>) -> Outcome {
    abc(t, "XCRC", "352441c2")
}

fn xmd5(t: &Stage<'_>) -> Outcome {
    abc(t, "XMD5", "900150983cd24fb0d6963f7d28e17f72")
}

const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

fn xsha1(t: &Stage<'_>) -> Outcome {
    abc(t, "XSHA1", SHA1)
}

fn xsha(t: &Stage<'_>) -> Outcome {
    abc(t, "XSHA", SHA1)
}

fn xsha256(t: &Stage<'_>) -> Outcome {
    abc(t, "XSHA256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

fn xsha512(t: &Stage<'_>) -> Outcome {
    abc(
        t,
        "XSHA512",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd",
    )
}

fn quoted_names(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR two words", b"abc")?;
    digest(&mut s, "XCRC", "\"two words\"", "352441c2")
}

fn missing_files(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let reply = s.optional("XCRC", "XCRC nothing-here")?;
    s.check(reply.code >= 400, "a success")
}
