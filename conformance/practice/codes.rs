//! Codes that clients in wide use take literally: jlaffaye/ftp (rclone), suppaftp and aioftp compare with one number where RFC 959
//! lists several, Python's ftplib and curl look into the text.

use crate::suite::prelude::*;

group! { "practice", "codes", "practice/codes":
    Practice login_codes "USER 331 and PASS 230: rclone's and suppaftp's clients take no other";
    Practice directory_codes "CWD 250, CDUP 250, MKD 257, RMD 250, PWD 257: Go's client takes no other";
    Practice file_codes "DELE 250, RNFR 350, RNTO 250, SIZE 213, MDTM 213: Go's client takes no other";
    Practice parameter_codes "TYPE, MODE, STRU, NOOP and OPTS UTF8 ON are answered 200";
    Practice transfer_codes "RETR and STOR end with 226: Go's client takes no other";
    Practice listing_codes "LIST, NLST and MLSD of an empty directory are 150 or 125 and then 226";
    Practice abor_idle_is_225_or_226 "ABOR without a transfer is answered 225 or 226";
    Practice abor_is_426_then_226 "ABOR in a transfer is answered 426 and then 226: aioftp waits for the 226";
    Practice unknown_is_500_or_502 "What the server does not know is answered 500 or 502: only then does lftp stop asking";
    Practice bytes_in_150 "The 150 reply to RETR in TYPE I tells the size as `(N bytes)`, which curl and ftplib read";
    Practice missing_file_is_550 "RETR, SIZE, CWD and DELE of what does not exist are answered 550";
    Practice missing_data_port_is_425 "RETR without a data connection is answered 425";
    Practice epsv_all_is_200 "EPSV ALL is answered 200";
    Should pass_first_is_503 "PASS without USER is a bad sequence: 503";
}

fn login_codes(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want(format!("USER {}", t.place.user), &[331])?;
    s.want(format!("PASS {}", t.place.password), &[230]).map(drop)
}

fn all(s: &mut Session, lines: &[(&str, u16)]) -> Outcome {
    lines.iter().try_for_each(|(line, code)| s.want(line, &[*code]).map(drop))
}

fn directory_codes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    all(&mut s, &[("MKD d", 257), ("CWD d", 250), ("PWD", 257), ("CDUP", 250), ("RMD d", 250)])
}

fn file_codes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    all(&mut s, &[("SIZE a", 213), ("MDTM a", 213), ("RNFR a", 350), ("RNTO b", 250), ("DELE b", 250)])
}

fn parameter_codes(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let lines = ["TYPE A", "TYPE I", "MODE S", "STRU F", "NOOP", "OPTS UTF8 ON"];
    lines.iter().try_for_each(|line| s.want(line, &[200]).map(drop))
}

fn transfer_codes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let up = s.attempt("STOR a", Some(b"x"))?;
    s.among(b"STOR a", &up.last, &[226])?;
    let down = s.attempt("RETR a", None)?;
    s.among(b"RETR a", &down.last, &[226])
}

fn listing_codes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in ["LIST", "NLST", "MLSD"] {
        let tried = s.attempt(line, None)?;
        if line == "MLSD" && matches!(tried.last.code, 500 | 502) {
            continue;
        }
        s.check(tried.first.is_some(), format!("{line} of an empty directory is refused"))?;
        s.among(line.as_bytes(), &tried.last, &[226])?;
    }
    Ok(())
}

fn abor_idle_is_225_or_226(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("ABOR", &[225, 226]).map(drop)
}

fn abor_is_426_then_226(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR big", &vec![7; 12 << 20])?;
    let data = s.passive()?;
    s.want("RETR big", &[125, 150])?;
    s.send(b"ABOR\r\n")?;
    std::thread::sleep(std::time::Duration::from_millis(300)); // a client that closes its data connection soon after
    drop(data);
    let first = s.reply()?;
    s.among(b"ABOR", &first, &[426])?;
    let second = s.reply()?;
    s.among(b"ABOR", &second, &[226])
}

fn unknown_is_500_or_502(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["FROB", "XFROB a", "LPSV", "SITE FROB"] {
        s.want(line, &[500, 502])?;
    }
    Ok(())
}

fn bytes_in_150(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", &[1; 12_345])?;
    let tried = s.attempt("RETR a", None)?;
    let told = tried.first.map(|reply| reply.text().to_owned()).unwrap_or_default();
    s.check(told.contains("(12345 bytes)"), format!("the reply is {told:?}"))
}

fn missing_file_is_550(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    all(&mut s, &[("SIZE no", 550), ("CWD no", 550), ("DELE no", 550), ("MDTM no", 550), ("RNFR no", 550)])?;
    let tried = s.attempt("RETR no", None)?;
    s.among(b"RETR no", &tried.last, &[550])
}

fn missing_data_port_is_425(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let mut reply = s.say("RETR a")?;
    if reply.code < 200 {
        reply = s.reply()?;
    }
    s.among(b"RETR a", &reply, &[425])
}

fn epsv_all_is_200(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.optional("EPSV", "EPSV")?;
    s.want("EPSV ALL", &[200]).map(drop)
}

fn pass_first_is_503(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("PASS x", &[503]).map(drop)
}
