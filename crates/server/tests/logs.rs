//! What is logged, read from a subscriber of the whole process: so this test has a process of its own.

#[cfg(test)]
#[path = "it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the other tests")]
mod support;

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::support::{PASSWORD, Setup};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn names_are_escaped_and_passwords_never_written() {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        let house = Setup::default().start();
        let mut client = house.visit().await;
        client.expect("USER tide", "331").await;
        client.expect("PASS not-this-sesame", "530").await;
        client.send(b"USER a\x1b[2J\xffroot\r\n").await;
        let _ = client.reply().await;
        let _ = client.say("PASS nor-this-sesame").await;
        client.expect("USER tide", "331").await;
        client.expect(&format!("PASS {PASSWORD}"), "230").await;
        client.send([b"CLNT a\x1b[31m\xff client ".as_slice(), &b"c".repeat(300), b"\r\n"].concat()).await;
        client.hear("200").await;
        for number in 0..100 {
            client.expect(&format!("CSID Name=number{number};"), "200").await;
        }
        client.expect("TYPE I", "200").await;
        client.store("STOR a \u{e9}\"quoted\"", b"x").await;
        client.expect("QUIT", "221").await;
        assert_eq!(client.rest().await, "");
        house.end().await;

        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let ours: Vec<&str> = log.lines().filter(|line| line.contains("tidegate")).collect();
        let ours = ours.join("\n");
        for expected in [
            "login denied",
            "user=tide",
            "login session=1 account=tide",
            r#"/a é\"quoted\""#,
            "outcome=completed",
            r#"what="client" said=a\u{1b}[31m\xff client ccc"#,
            "said=Name=number6;",
        ] {
            assert!(ours.contains(expected), "{expected} is missing in\n{ours}");
        }
        assert!(!ours.contains(&"c".repeat(245)), "a long one is cut in\n{ours}");
        assert!(!ours.contains("said=Name=number7;"), "repeated without end in\n{ours}");
        assert!(!log.contains("sesame") && !log.contains(PASSWORD), "a password in\n{log}");
        assert!(log.chars().all(|c| c == '\n' || !c.is_control()), "a control character in\n{log}");
    }
}
