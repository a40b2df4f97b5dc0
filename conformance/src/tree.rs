//! Folders of files to move about, and their comparison.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A small generator of repeatable noise (splitmix64).
#[derive(Clone, Debug)]
pub struct Noise(pub u64);

impl Noise {
    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// Returns `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// Fills `root` with at least `files` files: odd names, empty ones, empty folders, text and binary, old and new times.
pub fn fill(root: &Path, files: usize, seed: u64) {
    let mut noise = Noise(seed);
    let odd = [
        "with space",
        " leading",
        "it's",
        "say \"hi\"",
        "grüße",
        "日本語",
        "a;b=c",
        "#hash",
        "per%20cent",
        "new.tar.gz",
        "[x]",
        "~",
    ];
    let per_folder = 100;
    for index in 0..files {
        let folder = index / per_folder;
        let name = odd[folder % odd.len()];
        let folder = root.join(format!("{name} {}", folder / 10)).join(format!("{folder}"));
        if index % per_folder == 0 {
            fs::create_dir_all(&folder).unwrap();
            fs::create_dir_all(folder.join("empty folder")).unwrap();
        }
        let size = match index % 50 {
            0 => 0,
            1 => 70_000,
            _ => usize::try_from(noise.below(2000)).unwrap(),
        };
        let file = folder.join(format!("{} {index}.dat", odd[index % odd.len()]));
        fs::write(&file, noise.bytes(size)).unwrap();
        let age = Duration::from_secs(noise.below(3 * 365 * 86_400));
        let time = SystemTime::now() - age;
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    }
}

/// What one file or folder is, for comparison.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A folder.
    Folder,
    /// A file: its content and its modification time in whole seconds.
    File(Vec<u8>, u64),
}

/// Reads everything below `root` by relative name.
pub fn read(root: &Path) -> BTreeMap<String, Found> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let facts = fs::symlink_metadata(&path).unwrap();
            if facts.is_dir() {
                folders.push(path);
                found.insert(name, Found::Folder);
            } else {
                let time =
                    facts.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                found.insert(name, Found::File(fs::read(&path).unwrap(), time));
            }
        }
    }
    found
}

/// Fails with the first difference when the trees are not the same.
pub fn assert_same(left: &Path, right: &Path) {
    let (wanted, got) = (read(left), read(right));
    for (name, what) in &wanted {
        match got.get(name) {
            None => panic!("{name} is missing in {}", right.display()),
            Some(other) => assert!(other == what, "{name} differs: {} and {}", show(what), show(other)),
        }
    }
    for name in got.keys() {
        assert!(wanted.contains_key(name), "{name} is only in {}", right.display());
    }
}

fn show(found: &Found) -> String {
    match found {
        Found::Folder => "a folder".into(),
        Found::File(content, time) => format!("{} bytes of {time}", content.len()),
    }
}
