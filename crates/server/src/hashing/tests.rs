use tidegate_testkit::{FakeFs, FakeHome, Operation};

use super::*;
use crate::jobs::Jobs;

fn house(content: &[u8]) -> (FakeFs, FakeHome) {
    let fs = FakeFs::new();
    fs.put("/file", content);
    fs.make_directories("/dir");
    let home = fs.home(&VirtualPath::root(), None).unwrap();
    (fs, home)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

async fn digest(
    home: &FakeHome,
    path: &str,
    algorithm: HashAlgorithm,
    range: (u64, Option<u64>),
) -> Result<(String, u64, u64), StorageErrorKind> {
    let path = VirtualPath::resolve(&VirtualPath::root(), path.as_bytes()).unwrap();
    let (jobs, pulse) = (Jobs::new().of("tide"), Pulse::default());
    match hash(home, (&jobs, &pulse), &path, algorithm, range).await {
        Ok(StorageDone::Hashed { digest, from, to }) => {
            assert_eq!(digest.len(), algorithm.digest_bytes());
            Ok((hex(&digest), from, to))
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind),
    }
}

#[tokio::test]
async fn known_digests() {
    let (fs, home) = house(b"123456789");
    for (algorithm, expected) in [
        (HashAlgorithm::Crc32, "cbf43926"),
        (HashAlgorithm::Md5, "25f9e794323b453885f5181f1b624d0b"),
        (HashAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (HashAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ] {
        let told = digest(&home, "file", algorithm, (0, None)).await;
        assert_eq!(told, Ok((expected.to_owned(), 0, 9)), "{algorithm:?}");
    }
    fs.put("/abc", b"abc");
    let long = digest(&home, "abc", HashAlgorithm::Sha512, (0, None)).await.unwrap().0;
    assert!(
        long.starts_with("ddaf35a193617abacc417349ae204131") && long.ends_with("2a9ac94fa54ca49f"),
        "{long}"
    );
    assert_eq!(fs.handles_open(), 0);
}

#[tokio::test]
async fn ranges_are_clipped_and_an_empty_one_is_fine() {
    let (_fs, home) = house(b"xx123456789yy");
    let crc = |range| digest(&home, "file", HashAlgorithm::Crc32, range);
    assert_eq!(crc((2, Some(11))).await, Ok(("cbf43926".to_owned(), 2, 11)));
    assert_eq!(crc((13, None)).await, Ok(("00000000".to_owned(), 13, 13)));
    assert_eq!(crc((2, Some(u64::MAX))).await.unwrap().2, 13);
    assert_eq!(crc((5, Some(2))).await.unwrap(), ("00000000".to_owned(), 5, 5));
    assert_eq!(crc((14, None)).await, Err(StorageErrorKind::BadOffset));
    assert_eq!(
        digest(&home, "dir", HashAlgorithm::Md5, (0, None)).await,
        Err(StorageErrorKind::IsADirectory)
    );
    assert_eq!(digest(&home, "none", HashAlgorithm::Md5, (0, None)).await, Err(StorageErrorKind::NotFound));
}

#[tokio::test]
async fn many_chunks_are_one_digest_and_tell_of_their_progress() {
    let content: Vec<u8> = (0..2_000_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let (fs, home) = house(&content);
    let expected = hex(&crc32fast::hash(&content).to_be_bytes());
    assert_eq!(digest(&home, "file", HashAlgorithm::Crc32, (0, None)).await, Ok((expected, 0, 2_000_000)));

    fs.fail_next(Operation::Read, StorageErrorKind::Failed);
    assert_eq!(digest(&home, "file", HashAlgorithm::Crc32, (0, None)).await, Err(StorageErrorKind::Failed));
    assert_eq!(fs.handles_open(), 0);
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let (fs, home) = house(&vec![7; 8 << 20]);
    let path = VirtualPath::resolve(&VirtualPath::root(), b"file").unwrap();
    let (jobs, pulse) = (Jobs::new().of("tide"), Pulse::default());
    {
        let hashing = hash(&home, (&jobs, &pulse), &path, HashAlgorithm::Sha256, (0, None));
        let mut hashing = std::pin::pin!(hashing);
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(hashing.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        assert_eq!(fs.handles_open(), 1);
    }
    assert_eq!(fs.handles_open(), 0);
    // The place comes back with the chunk that was under way.
    for _ in 0..8 {
        drop(jobs.place(&pulse).await.unwrap());
    }
}
