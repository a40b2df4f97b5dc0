//! A file over 4 GiB: its size is right wherever it is shown, and its tail can be fetched.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

use crate::run::run_well;

const SIZE: u64 = (5 << 30) + 17;
const TAIL: &[u8] = b"the very end";

#[test]
fn over_four_gib() {
    let subject = Subject::start();
    let file = File::create(subject.home.join("huge")).unwrap();
    file.write_all_at(TAIL, SIZE - TAIL.len() as u64).unwrap();
    let size = SIZE.to_string();
    let mut client = Client::logged_in(subject.address());
    assert_eq!(client.command("SIZE huge", 213).text(), format!("213 {size}"));
    let list = String::from_utf8(client.download("LIST")).unwrap();
    assert_eq!(list.split_whitespace().nth(4), Some(size.as_str()), "{list}");
    let facts = String::from_utf8(client.download("MLSD")).unwrap();
    assert!(facts.contains(&format!("size={size};")), "{facts}");
    assert!(client.command("MLST huge", 250).lines[1].contains(&format!("size={size};")));
    assert!(client.command("STAT huge", 213).lines[1].contains(&size));
    client.command(format!("REST {}", SIZE - TAIL.len() as u64), 350);
    assert_eq!(client.download("RETR huge"), TAIL);
    let range = format!("{}-", SIZE - TAIL.len() as u64);
    let url = format!("{}/huge", subject.url());
    let tail = run_well(Duration::from_secs(30), "curl", &["-sS", "--disable", "-r", &range, &url]);
    assert_eq!(tail.as_bytes(), TAIL);
    let head = run_well(Duration::from_secs(30), "curl", &["-sS", "--disable", "-I", &url]);
    assert!(head.contains(&format!("Content-Length: {size}")), "{head}");
}
