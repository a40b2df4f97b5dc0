//! The largest file, ranges, patterns, directories below directories, digests and copies, over real sockets.

use std::fs;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;

use crate::support::{Client, House, Setup, soon};

async fn refuse(client: &mut Client, command: &str, bytes: &[u8], reply: &str) {
    let mut data = client.transfer(command).await;
    // The server may hang up before it has everything.
    let _ = soon("room for data", data.0.write_all(bytes)).await;
    drop(data);
    client.hear(reply).await;
}

/// The same house with and without descriptors, in which no file may be larger than 1,000,000 bytes.
fn small_houses() -> [House; 2] {
    [false, true].map(|kernel| Setup { kernel, file_bytes_max: Some(1_000_000), ..Setup::default() }.start())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_may_be_as_large_as_allowed_and_no_byte_larger() {
    for house in small_houses() {
        let mut client = house.enter().await;
        client.store("STOR whole", &vec![1; 1_000_000]).await;
        assert_eq!(house.files.get("/whole").unwrap().len(), 1_000_000);
        assert!(!house.files.broken.load(Ordering::Relaxed));
        refuse(&mut client, "STOR new", &vec![2; 1_000_001], "552").await;
        assert_eq!(house.files.get("/new"), None);
        assert!(house.files.broken.swap(false, Ordering::Relaxed), "a partial would be kept");
        refuse(&mut client, "STOR whole", &vec![2; 3_000_000], "552").await;
        assert!(house.files.get("/whole").unwrap() == vec![1; 1_000_000], "the old file is whole");
        refuse(&mut client, "APPE whole", b"x", "552").await;
        client.store("APPE whole", b"").await;
        client.store("APPE other", b"fine").await;
        assert_eq!(house.files.get("/whole").unwrap().len(), 1_000_000);
        client.expect("TYPE A", "200").await;
        client.store("STOR lines", &b"\r\n".repeat(1_000_000)).await;
        assert_eq!(house.files.get("/lines").unwrap().len(), 1_000_000, "what is written counts");
        refuse(&mut client, "STOR lines", &b"\r\n".repeat(1_000_001), "552").await;
        client.expect("ALLO 1000001", "552").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_beyond_the_largest_file_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    fs::write(&file, vec![1; 900_000]).unwrap();
    let house = Setup { file_bytes_max: Some(1_000_000), ..Setup::default() }.start_in(folder.path());
    let mut client = house.enter().await;
    refuse(&mut client, "APPE log", &vec![2; 200_000], "552").await;
    assert!(fs::read(&file).unwrap() == vec![1; 900_000], "as it was");
    client.expect("REST 500000", "350").await;
    refuse(&mut client, "STOR log", &vec![3; 600_000], "552").await;
    let left = fs::read(&file).unwrap();
    assert!(left.len() == 900_000 && left[..500_000] == vec![1; 500_000], "what it grew by is gone");
    client.store("APPE log", &vec![1; 100_000]).await;
    refuse(&mut client, "APPE log", b"x", "552").await;
    assert_eq!(fs::metadata(&file).unwrap().len(), 1_000_000, "no byte came, no byte went");
    refuse(&mut client, "STOR new", &vec![2; 1_000_001], "552").await;
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| name == "log" || name.to_string_lossy().starts_with(".tidegate")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_converted_on_its_way_is_taken_back_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    fs::write(&file, vec![1; 900_000]).unwrap();
    let house = Setup { file_bytes_max: Some(1_000_000), ..Setup::default() }.start_in(folder.path());
    let mut client = house.enter().await;
    let lines = b"a line\r\n".repeat(20_000);
    client.expect("TYPE A", "200").await;
    // Bytes that reached the file and bytes that still wait in memory; and those alone.
    let mut data = client.transfer("APPE log").await;
    for part in [&lines[..40_000], &lines[40_000..60_000], &lines[60_000..]] {
        let _ = soon("room for data", data.0.write_all(part)).await;
        tokio::task::yield_now().await;
    }
    drop(data);
    client.hear("552").await;
    assert!(fs::read(&file).unwrap() == vec![1; 900_000], "as it was");
    client.expect("TYPE I", "200").await;
    client.expect("MODE Z", "200").await;
    refuse(&mut client, "APPE log", &crate::mode_z::deflate(&vec![2; 200_000]), "552").await;
    assert!(fs::read(&file).unwrap() == vec![1; 900_000], "as it was");
    // A REST cannot lead there: it needs TYPE I and MODE S.
    client.expect("REST 500000", "501").await;
    client.expect("MODE S", "200").await;
    client.expect("TYPE A", "200").await;
    client.expect("REST 500000", "501").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_few_matches_leaves_before_all_names_were_looked_at() {
    let house = Setup::default().start();
    house.files.put_directory("/slow");
    for number in 0..4000 {
        house.files.put(&format!("/slow/{number:04}"), "");
    }
    let mut client = house.enter().await;
    // 40 of 4,000 match, and storage gives 3,000 names only.
    let mut data = client.transfer("NLST slow/*00").await;
    let mut first = [0; 11];
    soon("the first match", tokio::io::AsyncReadExt::read_exact(&mut data.0, &mut first)).await.unwrap();
    assert_eq!(&first, b"slow/0000\r\n");
    house.files.commits.add_permits(1);
    let rest = String::from_utf8(data.rest().await).unwrap();
    client.hear("226").await;
    assert_eq!(rest.lines().count(), 39);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_ends_inside_the_file() {
    for house in small_houses() {
        house.files.put("/a", "0123456789");
        let mut client = house.enter().await;
        client.expect("RANG 2 5", "350").await;
        assert_eq!(client.fetch("RETR a").await, b"2345");
        client.expect("RANG 8 99", "350").await;
        assert_eq!(client.fetch("RETR a").await, b"89");
        assert_eq!(client.fetch("RETR a").await, b"0123456789");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_and_trees_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", "b.txt", "c.bin", "d/one.txt", "d/e/deep.txt", ".hidden/x.txt", "f/two.txt"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    std::os::unix::fs::symlink("..", folder.path().join("d/up")).unwrap();
    let house = Setup::default().start_in(folder.path());
    let mut client = house.enter().await;
    let mut lines = async |command: &str| -> Vec<String> {
        let text = String::from_utf8(client.fetch(command).await).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
        text.lines().map(ToOwned::to_owned).collect()
    };
    assert_eq!(lines("NLST *.txt").await, ["a.txt", "b.txt"]);
    assert_eq!(lines("NLST */*.txt").await, ["d/one.txt", "f/two.txt"]);
    let long = lines("LIST d/*.txt").await;
    assert!(long.len() == 1 && long[0].ends_with(" one.txt"), "{long:?}");
    assert_eq!(
        lines("NLST -R").await,
        ["a.txt", "b.txt", "c.bin", "d", "f", "d/e", "d/one.txt", "d/up", "d/e/deep.txt", "f/two.txt"]
    );
    let tree = lines("LIST -R").await;
    let headers: Vec<&str> = tree.iter().map(String::as_str).filter(|line| line.ends_with(':')).collect();
    assert_eq!(headers, ["d:", "d/e:", "f:"], "{tree:?}");
    client.epsv().await;
    client.expect("NLST *.none", "550").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_beyond_its_bound_ends_with_whole_lines_and_says_so() {
    let house = Setup::default().start();
    for number in 0..100_001 {
        house.files.put(&format!("/{number}"), "");
    }
    let mut client = house.enter().await;
    for (command, lines, said) in [("NLST -R", 100_000, "bound"), ("NLST", 100_001, "complete")] {
        let mut data = client.transfer(command).await;
        let text = data.rest().await;
        assert!(client.hear("226").await.contains(said), "{command}");
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with("\r\n"), "{command}");
        assert_eq!(text.lines().count(), lines, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_copies_and_joins() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "123456789").unwrap();
    fs::write(folder.path().join("b"), "tail").unwrap();
    let house = Setup::default().start_in(folder.path());
    let mut client = house.enter().await;
    client.expect("XCRC a", "250 CBF43926").await;
    let sha = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
    client.expect("HASH a", &format!("213 SHA-256 0-9 {sha} a")).await;
    client.expect("SITE COPY a c", "200").await;
    assert_eq!(fs::read(folder.path().join("c")).unwrap(), b"123456789");
    client.expect("COMB c a b", "250").await;
    assert_eq!(fs::read(folder.path().join("c")).unwrap(), b"123456789123456789tail");
    assert!(!folder.path().join("a").exists() && !folder.path().join("b").exists());
    client.expect("RMDA none", "550").await;
    client.expect("MKD tree", "257").await;
    client.expect("RMDA tree", "250").await;
    assert!(!folder.path().join("tree").exists());
    client.expect("SITE TIME", "200").await;
    client.expect("CLNT a program", "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abor_ends_a_digest() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("huge")).unwrap();
    // Sparse: nothing on the disk, minutes to digest.
    file.set_len(1 << 40).unwrap();
    let house = Setup::default().start_in(folder.path());
    let mut client = house.enter().await;
    client.send("HASH huge\r\n").await;
    client.send("ABOR\r\n").await;
    client.hear("450").await;
    client.hear("226").await;
    client.expect("NOOP", "200").await;
}
