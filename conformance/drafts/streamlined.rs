//! draft-peterson-streamlined-ftp-command-extensions: AVBL, CSID and what else is asked by its clients.

use crate::suite::prelude::*;

group! { "draft-peterson-streamlined-ftp-command-extensions", "4", "drafts/streamlined":
    Must avbl_form "AVBL is answered 213 and digits alone";
    Must avbl_of_a_directory "AVBL takes a directory, and refuses a file and what does not exist";
    Must csid_names_the_server "CSID is answered 200 with `Name=`";
}

fn avbl_form(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let reply = s.optional("AVBL", "AVBL")?;
    s.among(b"AVBL", &reply, &[213])?;
    let digits = reply.text().get(4..).unwrap_or_default();
    s.check(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "not digits alone")
}

fn avbl_of_a_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.optional("AVBL", "AVBL")?;
    s.done("MKD dir")?;
    s.put("STOR file", b"x")?;
    s.want("AVBL dir", &[213])?;
    s.want("AVBL file", &[550, 501])?;
    s.want("AVBL nothing-here", &[550, 501]).map(drop)
}

fn csid_names_the_server(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.optional("CSID", "CSID Name=conformance; Version=1;")?;
    s.among(b"CSID", &reply, &[200])?;
    s.check(reply.text().contains("Name=") && reply.text().contains(';'), "no `Name=…;`")
}
