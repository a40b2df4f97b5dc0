//! A client that vanishes in mid-upload (DESIGN §6.2): what was there stays whole, what is new is kept for its account only,
//! nothing else is left.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};
use tidegate_conformance::tree::Noise;

use crate::lab::{survives, wait_until};
use crate::peer::End;

const OLD: &[u8] = b"the old file, whole";

/// What is uploaded, or would have been.
fn content() -> Vec<u8> {
    Noise(99).bytes(400_000)
}

/// One way to vanish.
#[derive(Clone, Copy, Debug)]
struct Vanishing {
    control: End,
    data: End,
    data_first: bool,
    /// How much is sent before.
    sent: usize,
    exists: bool,
}

impl Vanishing {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for control in [End::Fin, End::Reset] {
            for data in [End::Fin, End::Reset] {
                for data_first in [false, true] {
                    for sent in [0, 300_000] {
                        all.extend([false, true].map(|exists| Self {
                            control,
                            data,
                            data_first,
                            sent,
                            exists,
                        }));
                    }
                }
            }
        }
        all
    }

    fn name(self) -> String {
        format!("{:?}-{:?}-{}-{}-{}", self.control, self.data, self.data_first, self.sent, self.exists)
    }

    /// A data connection that ended in order while the control connection stood is a complete file: nothing tells it from one
    /// that was cut, without TLS.
    fn may_be_complete(self) -> bool {
        self.data_first && self.data == End::Fin
    }

    fn happen(self, subject: &Subject) {
        let mut client = Client::logged_in(subject.address());
        let mut data: TcpStream = client.passive();
        client.command(format!("STOR {}", self.name()), 150);
        data.write_all(&content()[..self.sent]).unwrap();
        // Not before the server has all of it: a reset would take back what it has not read.
        let taken = format!(" Receiving file ({} bytes", self.sent);
        wait_until("the server has read what was sent", || {
            client.command("STAT", 211).lines.iter().any(|line| line.starts_with(&taken))
        });
        if self.data_first {
            self.data.close(data);
            self.control.close_client(client);
        } else {
            self.control.close_client(client);
            self.data.close(data);
        }
    }
}

fn vanish_in_every_way(subject: &Subject, what: &str) {
    for way in Vanishing::all().into_iter().filter(|way| way.exists) {
        fs::write(subject.home.join(way.name()), OLD).unwrap();
    }
    survives(subject, what, || {
        for way in Vanishing::all() {
            way.happen(subject);
        }
    });
}

/// Returns the hidden temps that lie in the home.
fn temps(subject: &Subject) -> Vec<String> {
    let names =
        fs::read_dir(&subject.home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".tidegate-") && name.contains(".tmp")).collect()
}

#[test]
fn partials_of_new_files_are_kept_and_resumed() {
    let subject = Subject::start();
    vanish_in_every_way(&subject, "32 clients that vanish in mid-upload");
    let mut anonymous = Client::greeted(subject.address());
    anonymous.login("anonymous", "me@");
    anonymous.command("TYPE I", 200);
    let seen = String::from_utf8(anonymous.download("NLST -a")).unwrap();
    let mut client = Client::logged_in(subject.address());
    let (mut kept, mut whole) = (0, 0);
    for way in Vanishing::all() {
        let (path, name) = (subject.home.join(way.name()), way.name());
        if way.exists {
            let found = fs::read(&path).unwrap();
            let complete = way.may_be_complete() && found == content()[..way.sent];
            assert!(found == OLD || complete, "{name}: {} bytes", found.len());
            continue;
        }
        if path.exists() {
            assert!(way.may_be_complete(), "{name}: it was cut, and is there");
            assert!(fs::read(&path).unwrap() == content()[..way.sent], "{name}");
            whole += 1;
            continue;
        }
        assert!(!seen.contains(&name), "{name}: others see it");
        anonymous.command(format!("SIZE {name}"), 550);
        let reply = client.say(format!("SIZE {name}"));
        if way.sent == 0 {
            assert_eq!(reply.code, 550, "{name}: nothing came, nothing is kept");
            continue;
        }
        assert_eq!(reply.text(), format!("213 {}", way.sent), "{name}");
        kept += 1;
        client.command(format!("REST {}", way.sent), 350);
        client.upload(&format!("STOR {name}"), &content()[way.sent..]);
        assert!(fs::read(&path).unwrap() == content(), "{name}: what was resumed is not whole");
    }
    println!(
        "{kept} partials kept and resumed; {whole} ended their data first: complete, as far as a server can tell"
    );
    assert!(
        kept >= 6,
        "of 8 new files that were cut with bytes in them, 6 ended their data with a reset or last"
    );
    assert_eq!(temps(&subject), Vec::<String>::new(), "after all partials were resumed");
}

#[test]
fn without_partials_nothing_is_left() {
    let subject = Setup::with("[files]\nkeep_partial = false\n").start();
    vanish_in_every_way(&subject, "32 clients that vanish in mid-upload, keep_partial = false");
    assert_eq!(temps(&subject), Vec::<String>::new());
    let mut client = Client::logged_in(subject.address());
    for way in Vanishing::all() {
        let (path, name) = (subject.home.join(way.name()), way.name());
        if way.exists {
            let found = fs::read(&path).unwrap();
            assert!(found == OLD || (way.may_be_complete() && found == content()[..way.sent]), "{name}");
        } else if !(way.may_be_complete() && path.exists()) {
            client.command(format!("SIZE {name}"), 550);
            assert!(!path.exists(), "{name}");
        }
    }
}
