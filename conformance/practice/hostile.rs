//! Clients that are not FTP clients, or mean harm.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "practice", "hostile clients", "practice/hostile":
    Safety http_is_not_echoed "An HTTP request is refused, and no reply repeats its words: a browser would run them as a page";
    Safety http_is_cut_off "After an HTTP request line the connection is closed: what follows was written by a stranger";
    Safety unknown_words_are_not_echoed "The argument of an unknown command before login is not repeated";
    Safety nothing_by_table "Before login no command that takes a path is a success, known or not";
    Safety half_a_login_has_no_rights "Between USER and PASS no command that takes a path is a success";
    Safety silent_clients_do_not_block "A hundred connections that say nothing keep nobody out";
    Safety deep_directories "Directories nested a hundred deep can be made, left and listed";
    Safety vanished_client "A client that vanishes in an upload leaves no file that looks complete to its successor by another size";
    Safety many_noops "Ten thousand commands in one write are answered all, while another session is served";
}

fn http_is_not_echoed(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.send(b"GET /<script>unmistakable</script> HTTP/1.1\r\nHost: unmistakable\r\n\r\n")?;
    while let Answer::Reply(reply) = s.reply_within(Duration::from_millis(500))? {
        s.check(
            !reply.lines.iter().any(|line| line.contains("unmistakable")),
            "the words of the request came back",
        )?;
    }
    Ok(())
}

fn http_is_cut_off(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.send(b"POST / HTTP/1.1\r\n")?;
    let first = s.reply_within(Duration::from_secs(3))?;
    s.check(matches!(first, Answer::Reply(_) | Answer::Closed), "neither a reply nor the end")?;
    if first != Answer::Closed {
        s.check(first.code() >= 400, "not a refusal")?;
        s.closed()?;
    }
    Ok(())
}

fn unknown_words_are_not_echoed(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    let reply = s.say("FROB <b>unmistakable</b>")?;
    s.check(!reply.lines.iter().any(|line| line.contains("unmistakable")), "the argument came back")
}

/// Every command that takes a path, standard, draft or de facto.
const PATHS: [&str; 45] = [
    "CWD /",
    "CDUP",
    "XCWD /",
    "XCUP",
    "SMNT /",
    "PWD",
    "XPWD",
    "RETR a",
    "STOR a",
    "STOU",
    "APPE a",
    "RNFR a",
    "RNTO a",
    "DELE a",
    "RMD a",
    "XRMD a",
    "MKD a",
    "XMKD a",
    "LIST",
    "NLST",
    "MLSD",
    "MLST /",
    "STAT /",
    "SIZE a",
    "MDTM a",
    "MFMT 20200101000000 a",
    "MFCT 20200101000000 a",
    "MFF modify=20200101000000; a",
    "HASH a",
    "XCRC a",
    "XMD5 a",
    "XSHA1 a",
    "XSHA256 a",
    "MD5 a",
    "AVBL /",
    "DSIZ /",
    "RMDA a",
    "COMB \"a\" \"b\"",
    "THMB a",
    "SITE CHMOD 777 a",
    "SITE UTIME 20200101000000 a",
    "SITE CPFR a",
    "SITE CPTO b",
    "SITE MKDIR a",
    "SITE RMDIR a",
];

fn nothing_by_table(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    PATHS.iter().try_for_each(|line| s.refused(line).map(drop))
}

fn half_a_login_has_no_rights(t: &Stage<'_>) -> Outcome {
    for lines in PATHS.chunks(15) {
        let mut s = t.greeted()?;
        s.want(format!("USER {}", t.place.user), &[331])?;
        for line in lines {
            s.refused(line)?;
        }
    }
    Ok(())
}

fn silent_clients_do_not_block(t: &Stage<'_>) -> Outcome {
    let mut silent = Vec::new();
    for _ in 0..100 {
        // A server may refuse some of them: that is its right.
        silent.extend(t.connect());
    }
    let mut s = t.greeted()?;
    t.login(&mut s)?;
    s.in_step()
}

fn deep_directories(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for _ in 0..100 {
        s.done("MKD deep")?;
        s.done("CWD deep")?;
    }
    s.lines("LIST")?;
    for _ in 0..100 {
        s.done("CDUP")?;
    }
    let names = s.lines("LIST")?;
    s.check(names.len() == 1, format!("LIST shows {names:?}"))
}

fn vanished_client(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"the old and complete file")?;
    let mut data = s.passive()?;
    s.want("STOR b", &[125, 150])?;
    std::io::Write::write_all(&mut data, b"half").map_err(|error| s.fail(error.to_string()))?;
    drop(s);
    drop(data);
    let mut s = t.work()?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"the old and complete file", "another file was touched")?;
    let tried = s.attempt("RETR b", None)?;
    // A partial that the server keeps out of listings would stand in the way of tidying up.
    s.say("DELE b")?;
    s.check(tried.data.is_empty() || tried.data == b"half", "the cut upload holds other bytes")
}

fn many_noops(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let mut other = t.logged_in()?;
    let mut writer = s.stream().try_clone().map_err(|error| s.fail(error.to_string()))?;
    let flood =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, &b"NOOP\r\n".repeat(10_000)));
    other.in_step()?;
    for _ in 0..10_000 {
        let reply = s.reply()?;
        s.check(reply.code == 200, "not 200")?;
    }
    let sent = flood.join().is_ok_and(|sent| sent.is_ok());
    s.check(sent, "the server did not take all")
}
