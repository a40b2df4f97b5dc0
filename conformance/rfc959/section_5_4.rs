//! RFC 959 §5.4: the replies that each command may have, after success, after failure and before login. To the lists of the
//! document are added 530 before login, and what all servers in wide use send: 250 to CDUP, 550 where a path is wrong.

use crate::suite::prelude::*;

group! { "RFC 959", "5.4", "rfc959/section_5_4":
    Must user "USER is answered 230, 232, 331, 332 or a refusal of its list";
    Must pass "PASS is answered 230, 202, 332 or a refusal of its list";
    Must cwd "CWD is answered 250 or a refusal of its list";
    Must cdup "CDUP is answered 200 or 250, or a refusal of its list";
    Must pasv "PASV is answered 227 or a refusal of its list";
    Must type_ "TYPE is answered 200 or a refusal of its list";
    Must stru "STRU is answered 200 or a refusal of its list";
    Must mode "MODE is answered 200 or a refusal of its list";
    Must allo "ALLO is answered 200, 202 or a refusal of its list";
    Must rest "REST is answered 350 or a refusal of its list";
    Must rnfr "RNFR is answered 350 or a refusal of its list";
    Must rnto "RNTO is answered 250 or a refusal of its list";
    Must dele "DELE is answered 250 or a refusal of its list";
    Must rmd "RMD is answered 250 or a refusal of its list";
    Must mkd "MKD is answered 257 or a refusal of its list";
    Must pwd "PWD is answered 257 or a refusal of its list";
    Must syst "SYST is answered 215 or a refusal of its list";
    Must stat "STAT is answered 211, 212, 213 or a refusal of its list";
    Must help "HELP is answered 211, 214 or a refusal of its list";
    Must noop "NOOP is answered 200 or a refusal of its list";
    Must site "SITE is answered 200, 202 or a refusal";
    Must abor "ABOR is answered 225, 226 or a refusal of its list";
    Must retr "RETR is answered 125 or 150 and then a reply of its list, or refused by one";
    Must stor "STOR is answered 125 or 150 and then a reply of its list, or refused by one";
    Must appe "APPE is answered 125 or 150 and then a reply of its list, or refused by one";
    Must list "LIST is answered 125 or 150 and then a reply of its list, or refused by one";
    Must nlst "NLST is answered 125 or 150 and then a reply of its list, or refused by one";
}

/// Sends each line before login, and after it where `file` and `dir` exist; each reply must be among `codes`.
fn permitted(t: &Stage<'_>, lines: &[&str], codes: &[u16]) -> Outcome {
    let mut s = t.greeted()?;
    let early = [codes, &[530, 503]].concat();
    for line in lines {
        s.want(line, &early)?;
    }
    let mut s = t.work()?;
    s.put("STOR file", b"x")?;
    s.done("MKD dir")?;
    for line in lines {
        s.want(line, codes)?;
    }
    s.in_step()
}

/// As [`permitted`], with a data connection, after login only.
fn permitted_transfer(t: &Stage<'_>, lines: &[&str], codes: &[u16]) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR file", b"x")?;
    s.done("MKD dir")?;
    for line in lines {
        let upload =
            if line.starts_with("STOR") || line.starts_with("APPE") { Some(&b"x"[..]) } else { None };
        let tried = s.attempt(line, upload)?;
        if let Some(first) = &tried.first {
            s.among(line.as_bytes(), first, &[125, 150])?;
        }
        s.among(line.as_bytes(), &tried.last, codes)?;
    }
    s.in_step()
}

fn user(t: &Stage<'_>) -> Outcome {
    for line in ["USER", "USER some body"] {
        let mut s = t.greeted()?;
        s.want(line, &[331, 332, 500, 501, 530])?;
    }
    let mut s = t.greeted()?;
    s.want(format!("USER {}", t.place.user), &[230, 232, 331, 332]).map(drop)
}

fn pass(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("PASS", &[202, 332, 500, 501, 503, 530])?;
    t.login(&mut s)?;
    s.want("PASS again", &[202, 230, 500, 501, 503, 530]).map(drop)
}

fn cwd(t: &Stage<'_>) -> Outcome {
    permitted(t, &["CWD .", "CWD dir", "CWD nowhere", "CWD /"], &[200, 250, 450, 500, 501, 502, 550, 553])
}

fn cdup(t: &Stage<'_>) -> Outcome {
    permitted(t, &["CDUP", "CDUP", "CDUP"], &[200, 250, 500, 501, 502, 550])
}

fn pasv(t: &Stage<'_>) -> Outcome {
    permitted(t, &["PASV", "PASV"], &[227, 425, 500, 501, 502])
}

fn type_(t: &Stage<'_>) -> Outcome {
    permitted(
        t,
        &["TYPE A", "TYPE I", "TYPE L 8", "TYPE E", "TYPE X", "TYPE A N", "TYPE A T", "TYPE"],
        &[200, 500, 501, 504],
    )
}

fn stru(t: &Stage<'_>) -> Outcome {
    permitted(t, &["STRU F", "STRU P", "STRU X", "STRU R", "STRU", "STRU F"], &[200, 500, 501, 504])
}

fn mode(t: &Stage<'_>) -> Outcome {
    permitted(t, &["MODE S", "MODE B", "MODE C", "MODE X", "MODE", "MODE S"], &[200, 500, 501, 504])
}

fn allo(t: &Stage<'_>) -> Outcome {
    permitted(t, &["ALLO 1", "ALLO 10 R 5", "ALLO x", "ALLO"], &[200, 202, 452, 500, 501, 502, 504, 552])
}

fn rest(t: &Stage<'_>) -> Outcome {
    permitted(t, &["REST 0", "REST 5", "REST x", "REST"], &[350, 500, 501, 502, 504, 554])
}

fn rnfr(t: &Stage<'_>) -> Outcome {
    permitted(t, &["RNFR file", "RNFR dir", "RNFR nowhere", "RNFR"], &[350, 450, 500, 501, 502, 550, 553])
}

fn rnto(t: &Stage<'_>) -> Outcome {
    let codes = [250, 451, 500, 501, 502, 503, 532, 550, 553];
    permitted(t, &["RNTO a", "RNTO"], &codes)?;
    let mut s = t.work()?;
    for line in ["RNTO nowhere/b", "RNTO dir", "RNTO renamed"] {
        s.want("RNFR file", &[350])?;
        s.want(line, &codes)?;
        s.put("STOR file", b"x")?;
    }
    Ok(())
}

fn dele(t: &Stage<'_>) -> Outcome {
    permitted(
        t,
        &["DELE file", "DELE nowhere", "DELE dir", "DELE"],
        &[200, 250, 450, 500, 501, 502, 550, 553],
    )
}

fn rmd(t: &Stage<'_>) -> Outcome {
    permitted(t, &["RMD dir", "RMD nowhere", "RMD file", "RMD"], &[200, 250, 450, 500, 501, 502, 550, 553])
}

fn mkd(t: &Stage<'_>) -> Outcome {
    permitted(
        t,
        &["MKD new", "MKD new", "MKD nowhere/x", "MKD file", "MKD"],
        &[257, 500, 501, 502, 521, 550, 553],
    )
}

fn pwd(t: &Stage<'_>) -> Outcome {
    permitted(t, &["PWD"], &[257, 500, 501, 502, 550])
}

fn syst(t: &Stage<'_>) -> Outcome {
    permitted(t, &["SYST"], &[215, 500, 501, 502])
}

fn stat(t: &Stage<'_>) -> Outcome {
    permitted(
        t,
        &["STAT", "STAT file", "STAT dir", "STAT nowhere"],
        &[211, 212, 213, 450, 500, 501, 502, 550],
    )
}

fn help(t: &Stage<'_>) -> Outcome {
    permitted(t, &["HELP", "HELP USER", "HELP FROB"], &[211, 214, 500, 501, 502, 504])
}

fn noop(t: &Stage<'_>) -> Outcome {
    permitted(t, &["NOOP", "NOOP"], &[200, 500])
}

fn site(t: &Stage<'_>) -> Outcome {
    permitted(t, &["SITE", "SITE FROB", "SITE HELP"], &[200, 202, 211, 214, 250, 500, 501, 502, 504, 550])
}

fn abor(t: &Stage<'_>) -> Outcome {
    permitted(t, &["ABOR"], &[225, 226, 500, 501, 502])
}

fn retr(t: &Stage<'_>) -> Outcome {
    let codes = [226, 250, 425, 426, 450, 451, 500, 501, 550, 553];
    permitted_transfer(t, &["RETR file", "RETR dir", "RETR nowhere", "RETR"], &codes)
}

const UPLOAD: [u16; 15] = [226, 250, 425, 426, 450, 451, 452, 500, 501, 521, 532, 550, 551, 552, 553];

fn stor(t: &Stage<'_>) -> Outcome {
    permitted_transfer(t, &["STOR file", "STOR dir", "STOR nowhere/x", "STOR"], &UPLOAD)
}

fn appe(t: &Stage<'_>) -> Outcome {
    permitted_transfer(
        t,
        &["APPE file", "APPE dir", "APPE nowhere/x", "APPE"],
        &[&UPLOAD[..], &[502]].concat(),
    )
}

fn list(t: &Stage<'_>) -> Outcome {
    let codes = [226, 250, 425, 426, 450, 451, 500, 501, 502, 550];
    permitted_transfer(t, &["LIST", "LIST dir", "LIST file", "LIST nowhere"], &codes)
}

fn nlst(t: &Stage<'_>) -> Outcome {
    let codes = [226, 250, 425, 426, 450, 451, 500, 501, 502, 550];
    permitted_transfer(t, &["NLST", "NLST dir", "NLST file", "NLST nowhere"], &codes)
}
