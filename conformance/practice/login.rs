//! What may be asked before login, and the opening words of clients in wide use.

use crate::suite::prelude::*;

group! { "practice", "login", "practice/login":
    Practice feat_before_login "FEAT works before login: lftp, FileZilla and WinSCP ask there";
    Practice opts_utf8_before_login "OPTS UTF8 ON is answered 200 before login: Windows Explorer believes no other";
    Practice syst_before_login "SYST is answered 215 before login";
    Practice noop_before_login "NOOP is answered 200 before login";
    Practice unknown_before_login "An unknown command before login is answered without closing the session";
    Practice type_before_login "TYPE before login is answered 200 or 530";
    Practice clnt_is_harmless "CLNT is answered 200, or unknown, before and after login";
    Practice explorer "What Windows Explorer says when it opens a folder works, word for word";
    Practice filezilla "What FileZilla says when it connects works, word for word";
    Practice lftp "What lftp says when it connects works, word for word";
    Practice opts_utf8_forms "OPTS UTF8 ON in any case is 200, and OPTS UTF8 OFF does no harm";
    Practice user_is_331_for_all "USER is answered 331 for every name";
}

fn feat_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    let reply = s.optional("FEAT", "FEAT")?;
    s.among(b"FEAT", &reply, &[211])
}

fn opts_utf8_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("OPTS UTF8 ON", &[200]).map(drop)
}

fn syst_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("SYST", &[215]).map(drop)
}

fn noop_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("NOOP", &[200]).map(drop)
}

fn unknown_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("FROB", &[500, 502, 530])?;
    t.login(&mut s)?;
    s.in_step()
}

fn type_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("TYPE I", &[200, 530, 503])?;
    t.login(&mut s)
}

fn clnt_is_harmless(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("CLNT conformance", &[200, 500, 501, 502, 530])?;
    t.login(&mut s)?;
    s.want("CLNT conformance", &[200, 500, 501, 502])?;
    s.in_step()
}

fn explorer(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want(format!("USER {}", t.place.user), &[331])?;
    s.want(format!("PASS {}", t.place.password), &[230])?;
    s.want("opts utf8 on", &[200])?;
    s.want("syst", &[215])?;
    // Explorer only needs an answer here.
    s.want("site help", &[200, 202, 211, 214, 500, 501, 502, 504, 550])?;
    s.want("PWD", &[257])?;
    s.want("noop", &[200])?;
    s.want("CWD /", &[250])?;
    s.want("TYPE A", &[200])?;
    s.lines("LIST").map(drop)
}

fn filezilla(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("AUTH TLS", &[234, 500, 501, 502, 503, 504, 530, 534])?;
    let mut s = t.greeted()?;
    t.login(&mut s)?;
    s.want("SYST", &[215])?;
    s.want("FEAT", &[211, 500, 502])?;
    s.want("CLNT FileZilla", &[200, 500, 501, 502])?;
    s.want("OPTS UTF8 ON", &[200])?;
    s.want("PWD", &[257])?;
    s.want("TYPE I", &[200])?;
    let tried = s.attempt("MLSD", None)?;
    if !tried.succeeded() {
        s.among(b"MLSD", &tried.last, &[500, 502])?;
        s.lines("LIST")?;
    }
    Ok(())
}

fn lftp(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("FEAT", &[211, 500, 502, 530])?;
    t.login(&mut s)?;
    s.want("FEAT", &[211, 500, 502])?;
    s.want("PWD", &[257])?;
    s.want("TYPE I", &[200])?;
    let reply = s.say("OPTS MLST type;size;modify;UNIX.mode;")?;
    s.among(b"OPTS MLST", &reply, &[200, 500, 501, 502])?;
    s.lines("LIST -a").map(drop)
}

fn opts_utf8_forms(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["OPTS UTF8 ON", "opts utf8 on", "OPTS utf8 On"] {
        s.want(line, &[200])?;
    }
    s.want("OPTS UTF8 OFF", &[200, 451, 501, 502, 504])?;
    s.in_step()
}

fn user_is_331_for_all(t: &Stage<'_>) -> Outcome {
    for name in [t.place.user.as_str(), "nobody-has-this-name", "root"] {
        let mut s = t.greeted()?;
        s.want(format!("USER {name}"), &[331])?;
    }
    Ok(())
}
