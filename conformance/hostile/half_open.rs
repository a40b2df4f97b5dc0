//! Connections that are only half there: the client ended its sending side, or went away with a reset at an odd moment.

use std::io::Read;
use std::net::Shutdown;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

use crate::lab::survives;
use crate::peer::End;

#[test]
fn clients_that_ended_their_sending_side() {
    let subject = Subject::start();
    std::fs::write(subject.home.join("big"), vec![7; 8 << 20]).unwrap();
    survives(&subject, "300 clients that shut down their sending side", || {
        for round in 0..100 {
            // Before anything was said: the greeting, then an end without a reset.
            let mut silent = Client::connect(subject.address());
            silent.stream().shutdown(Shutdown::Write).unwrap();
            silent.expect(220);
            silent.expect_eof();
            // What was sent before the end is answered, all of it, then the end.
            let mut client = Client::logged_in(subject.address());
            client.send(b"NOOP\r\nSYST\r\nPWD\r\nCWD /\r\nNO");
            client.stream().shutdown(Shutdown::Write).unwrap();
            for code in [200, 215, 257, 250] {
                client.expect(code);
            }
            client.expect_eof();
            // Within a download: a transfer does not go on for nobody, but it ends with a reply.
            if round % 10 == 0 {
                let mut client = Client::logged_in(subject.address());
                let mut data = client.passive();
                client.command("RETR big", 150);
                client.stream().shutdown(Shutdown::Write).unwrap();
                let mut bytes = Vec::new();
                // Cut or whole, it ends.
                let _ = data.read_to_end(&mut bytes);
                assert!(bytes.len() <= 8 << 20);
                while let Ok(Some(line)) = client.try_line() {
                    assert!(line.starts_with("226 ") || line.starts_with("426 "), "{line}");
                }
            }
        }
    });
}

#[test]
fn clients_that_vanish_with_a_reset() {
    let subject = Subject::start();
    std::fs::write(subject.home.join("big"), vec![7; 8 << 20]).unwrap();
    survives(&subject, "500 clients that vanish with a reset", || {
        for _ in 0..100 {
            End::Reset.close_client(Client::connect(subject.address()));
            let mut asked = Client::greeted(subject.address());
            asked.command("USER tide", 331);
            asked.send(b"PASS secret\r\n");
            End::Reset.close_client(asked);
            let mut leased = Client::logged_in(subject.address());
            leased.passive_address();
            End::Reset.close_client(leased);
            let mut listing = Client::logged_in(subject.address());
            let data = listing.passive();
            listing.send(b"LIST\r\nMLSD\r\nRETR big\r\nNOOP\r\n");
            End::Reset.close_client(listing);
            End::Reset.close(data);
            let mut loading = Client::logged_in(subject.address());
            let data = loading.passive();
            loading.command("RETR big", 150);
            End::Reset.close(data);
            End::Reset.close_client(loading);
        }
    });
}
