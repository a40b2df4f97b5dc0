//! MODE Z over real sockets: one zlib stream a data connection (RFC 1950; draft-preston-ftpext-deflate).

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::support::{Client, House, Setup};

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(9));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let (mut decoder, mut out) = (ZlibDecoder::new(bytes), Vec::new());
    decoder.read_to_end(&mut out).expect("a whole zlib stream");
    assert_eq!(decoder.total_in(), bytes.len() as u64, "bytes behind the stream");
    out
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 31 + at / 251) % 251).unwrap()).collect()
}

async fn squeezed(house: &House) -> Client {
    let mut client = house.enter().await;
    client.expect("MODE Z", "200").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_and_go_compressed() {
    for kernel in [false, true] {
        let house = Setup { kernel, ..Setup::default() }.start();
        let mut client = squeezed(&house).await;
        for size in [0, 1, 1000, 3_000_000] {
            let bytes = content(size);
            let wire = deflate(&bytes);
            client.store("STOR a", &wire).await;
            assert!(house.files.get("/a").unwrap() == bytes, "{size} bytes up");
            let back = client.fetch("RETR a").await;
            assert!(inflate(&back) == bytes, "{size} bytes down");
            assert!(size < 1_000_000 || back.len() < size / 10, "{} of {size}", back.len());
        }
        client.expect("TYPE A", "200").await;
        client.store("STOR text", &deflate(b"one\r\ntwo\r\n")).await;
        assert_eq!(house.files.get("/text").unwrap(), b"one\ntwo\n");
        assert_eq!(inflate(&client.fetch("RETR text").await), b"one\r\ntwo\r\n");
        let listed = inflate(&client.fetch("NLST").await);
        assert_eq!(listed, b"a\r\ntext\r\n");
        client.expect("MODE S", "200").await;
        assert_eq!(client.fetch("NLST").await, b"a\r\ntext\r\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_level_is_a_zlib_stream() {
    let house = Setup::default().start();
    let bytes = content(300_000);
    house.files.put("/a", bytes.clone());
    let mut client = squeezed(&house).await;
    for level in 1..=9 {
        client.expect(&format!("OPTS MODE Z LEVEL {level}"), "200").await;
        assert!(inflate(&client.fetch("RETR a").await) == bytes, "level {level}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_or_broken_is_never_committed() {
    let house = Setup::default().start();
    let mut client = squeezed(&house).await;
    let wire = deflate(&content(500_000));
    let corrupt = |at: usize| {
        let mut wire = wire.clone();
        wire[at] ^= 0x55;
        wire
    };
    let more = [&wire[..], b"x"].concat();
    for (what, sent, reply) in [
        ("a byte", wire[..1].to_vec(), "426"),
        ("half", wire[..wire.len() / 2].to_vec(), "426"),
        ("all but the checksum", wire[..wire.len() - 4].to_vec(), "426"),
        ("all but a byte", wire[..wire.len() - 1].to_vec(), "426"),
        ("a wrong checksum", corrupt(wire.len() - 1), "451"),
        ("a wrong header", corrupt(0), "451"),
        ("bytes behind the end", more, "451"),
        ("no zlib at all", b"plain text".to_vec(), "451"),
    ] {
        let ended = tokio::time::timeout(Duration::from_secs(5), async {
            let mut data = client.transfer("STOR a").await;
            data.send(&sent).await;
            drop(data);
            client.hear(reply).await;
        });
        ended.await.unwrap_or_else(|_| panic!("{what}"));
        assert_eq!(house.files.get("/a"), None, "{what}");
    }
    client.store("STOR a", &wire).await;
    client.store("STOR empty", b"").await;
    assert_eq!(house.files.get("/empty"), Some(Vec::new()), "nothing at all is an empty file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_stops_where_there_is_no_largest_file() {
    for kernel in [false, true] {
        let house = Setup { kernel, ..Setup::default() }.start();
        house.files.put("/old", b"content".to_vec());
        let mut client = squeezed(&house).await;
        for command in ["STOR bomb", "STOR old", "APPE old", "STOU"] {
            let mut data = client.transfer(command).await;
            data.send(&deflate(&vec![0; 10 << 20])).await;
            client.hear("552").await;
        }
        let listed = inflate(&client.fetch("NLST").await);
        assert_eq!((listed, house.files.get("/old")), (b"old\r\n".to_vec(), Some(b"content".to_vec())));
        client.store("STOR fits", &deflate(&vec![0; 4 << 20])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_stops_at_the_largest_file() {
    let house = Setup { file_bytes_max: Some(1 << 20), ..Setup::default() }.start();
    let mut client = squeezed(&house).await;
    let wire = deflate(&vec![0; 10 << 20]);
    assert!(wire.len() * 900 < 10 << 20, "{} bytes", wire.len());
    let mut data = client.transfer("STOR bomb").await;
    data.send(&wire).await;
    client.hear("552").await;
    assert_eq!(house.files.get("/bomb"), None);
    client.store("STOR fits", &deflate(&vec![0; 1 << 20])).await;
    assert_eq!(house.files.get("/fits").unwrap().len(), 1 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abor_ends_a_compressed_transfer() {
    let house = Setup::default().start();
    house.files.put("/big", content(64 << 20));
    let mut client = squeezed(&house).await;
    let data = client.transfer("RETR big").await;
    client.send("ABOR\r\n").await;
    // It is a race with the end only in theory: nobody reads.
    client.hear("426").await;
    client.hear("226").await;
    drop(data);
    let mut data = client.transfer("STOR new").await;
    let wire = deflate(&content(100_000));
    data.send(&wire[..wire.len() / 2]).await;
    client.send("ABOR\r\n").await;
    client.hear("426").await;
    client.hear("226").await;
    assert_eq!(house.files.get("/new"), None);
    client.expect("NOOP", "200").await;
}
