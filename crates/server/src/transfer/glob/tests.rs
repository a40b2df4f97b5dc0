use tidegate_testkit::{FakeFs, Operation};

use super::*;

fn tree() -> FakeFs {
    let fs = FakeFs::new();
    for file in ["/a.txt", "/b.txt", "/c.bin", "/.hidden.txt", "/sub/a.txt", "/sub/x/deep.txt", "/sub2/b.txt"]
    {
        fs.put(file, b"x");
    }
    fs.put("/.dot/a.txt", b"x");
    fs.make_directories("/empty");
    fs
}

fn glob(base: &str, pattern: &str, hidden: bool) -> Glob {
    let levels = pattern.split('/').map(|level| Pattern::parse(level.as_bytes()).unwrap()).collect();
    Glob { base: VirtualPath::resolve(&VirtualPath::root(), base.as_bytes()).unwrap(), levels, hidden }
}

/// Returns every match, sorted, and whether the search stopped at its bound.
async fn search(fs: &FakeFs, glob: Glob) -> Result<(Vec<String>, bool), StorageErrorKind> {
    let home = Arc::new(fs.home(&VirtualPath::root(), None).unwrap());
    let mut walk = GlobWalk::search(home, glob, &Pulse::default()).await.map_err(|error| error.kind)?;
    let mut names = Vec::new();
    let bounded = loop {
        match walk.next().await.map_err(|error| error.kind)? {
            Found::Match(entry) => names.push(String::from_utf8(entry.name).unwrap()),
            Found::Nothing => {}
            Found::End => break false,
            Found::Bounded => break true,
        }
    };
    names.sort();
    Ok((names, bounded))
}

#[tokio::test]
async fn patterns_find_what_they_mean() {
    let fs = tree();
    for (base, pattern, hidden, expected) in [
        ("/", "*.txt", false, &["a.txt", "b.txt"][..]),
        ("/", "*.txt", true, &[".hidden.txt", "a.txt", "b.txt"]),
        ("/", ".*", false, &[".dot", ".hidden.txt"]),
        ("/", "[ab].*", false, &["a.txt", "b.txt"]),
        ("/", "*/a.txt", false, &["sub/a.txt"]),
        ("/", "*/a.txt", true, &[".dot/a.txt", "sub/a.txt"]),
        ("/", "*/*", false, &["sub/a.txt", "sub/x", "sub2/b.txt"]),
        ("/", "sub*/*.txt", false, &["sub/a.txt", "sub2/b.txt"]),
        ("/", "*/*/*", false, &["sub/x/deep.txt"]),
        ("/", "sub/?/deep.txt", false, &["sub/x/deep.txt"]),
        ("/sub", "?.txt", false, &["a.txt"]),
        ("/", "s*", false, &["sub", "sub2"]),
    ] {
        let expected: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(search(&fs, glob(base, pattern, hidden)).await, Ok((expected, false)), "{base} {pattern}");
    }
    for (base, pattern) in [
        ("/", "*.gz"),
        ("/", "*/none"),
        ("/", "a.txt/*"),
        ("/none", "*"),
        ("/", "*/.."),
        ("/", "*/./*"),
        ("/empty", "*"),
    ] {
        assert_eq!(
            search(&fs, glob(base, pattern, false)).await,
            Err(StorageErrorKind::NotFound),
            "{pattern}"
        );
    }
    assert_eq!(fs.handles_open(), 0);
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_matches_nothing_and_a_broken_disk_is_told() {
    let fs = tree();
    fs.fail_next(Operation::List, StorageErrorKind::PermissionDenied);
    assert_eq!(search(&fs, glob("/", "*", false)).await, Err(StorageErrorKind::NotFound));
    fs.fail_next(Operation::List, StorageErrorKind::Failed);
    assert_eq!(search(&fs, glob("/", "*", false)).await, Err(StorageErrorKind::Failed));
}

#[tokio::test]
async fn many_levels_of_wildcards_are_bounded_and_one_is_not() {
    let fs = FakeFs::new();
    for directory in 0..21 {
        for file in 0..100 {
            fs.put(&format!("/{directory}/{file}"), b"");
        }
    }
    let home = Arc::new(fs.home(&VirtualPath::root(), None).unwrap());
    let mut walk = GlobWalk::search(home, glob("/", "*/*", false), &Pulse::default()).await.unwrap();
    assert!(walk.budget.is_some_and(|budget| budget > ENTRIES_MAX - 50));
    walk.budget = Some(1000);
    let mut found = 0;
    loop {
        match walk.next().await.unwrap() {
            Found::Match(_) => found += 1,
            Found::Nothing => {}
            Found::End => panic!("it ended after {found}"),
            Found::Bounded => break,
        }
    }
    assert!((950..=1001).contains(&found), "{found}");
    let wide = (0..9).map(|_| "*").collect::<Vec<_>>().join("/");
    assert_eq!(search(&fs, glob("/", &wide, false)).await, Err(StorageErrorKind::BadName));
    assert_eq!(search(&fs, glob("/", "1*", false)).await.unwrap().0.len(), 11);
}

#[tokio::test]
async fn the_hostile_pattern_of_the_protocol_is_cheap() {
    let fs = FakeFs::new();
    for file in 0..10_000 {
        fs.put(&format!("/{}-{file}", "a".repeat(200)), b"");
    }
    let clock = crate::clock::Clock::start();
    assert_eq!(search(&fs, glob("/", "a*a*a*a*b", false)).await, Err(StorageErrorKind::NotFound));
    let spent = clock.now().since_start();
    // The figure of PROTOCOL A17 is for an optimised build; this one is not.
    assert!(spent < std::time::Duration::from_secs(5), "{spent:?}");
}
