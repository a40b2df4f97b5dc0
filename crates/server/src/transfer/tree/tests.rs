use tidegate_types::{Access, Timestamp};

use super::*;

fn directory(file: u64) -> Metadata {
    Metadata {
        kind: FileKind::Directory,
        size: 0,
        modified: Timestamp::default(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        links: 2,
        unique: Unique { device: 1, file },
        access: Access::ALL,
    }
}

fn entry(name: &str, file: u64) -> Entry {
    Entry { name: name.into(), metadata: directory(file) }
}

fn base() -> VirtualPath {
    VirtualPath::resolve(&VirtualPath::root(), b"/base").unwrap()
}

fn shown(tree: &mut Tree) -> Vec<String> {
    let mut shown = Vec::new();
    while let Some(branch) = tree.next() {
        shown.push(String::from_utf8(tree.shown(&branch).to_vec()).unwrap());
    }
    shown
}

#[test]
fn directories_come_depth_first_and_in_order() {
    let mut tree = Tree::new(base(), false);
    let root = tree.root(directory(1));
    let file = Entry { name: b"f".to_vec(), metadata: Metadata { kind: FileKind::File, ..directory(9) } };
    tree.note(&root, &[entry("a", 2), file, entry(".hidden", 3), entry("b", 4)]);
    let first = tree.next().unwrap();
    assert_eq!(tree.shown(&first), b"a");
    tree.note(&first, &[entry("inner", 5)]);
    assert_eq!(shown(&mut tree), ["a/inner", "b"]);
    assert!(!tree.is_bounded());
    let mut tree = Tree::new(VirtualPath::root(), true);
    let root = tree.root(directory(1));
    tree.note(&root, &[entry(".hidden", 3)]);
    assert_eq!(shown(&mut tree), [".hidden"]);
}

#[test]
fn a_loop_of_links_is_not_followed() {
    let mut tree = Tree::new(base(), false);
    let root = tree.root(directory(1));
    tree.note(&root, &[entry("a", 2), entry("self", 1)]);
    let a = tree.next().unwrap();
    tree.note(&a, &[entry("up", 1), entry("here", 2), entry("b", 3)]);
    assert_eq!(shown(&mut tree), ["a/b"]);
    assert!(!tree.is_bounded());
}

#[test]
fn depth_count_and_memory_are_bounded() {
    let mut tree = Tree::new(base(), false);
    let mut here = tree.root(directory(1));
    let mut depth = 0;
    loop {
        tree.note(&here, &[entry("d", depth + 2)]);
        let Some(next) = tree.next() else { break };
        here = next;
        depth += 1;
    }
    assert_eq!((depth, tree.is_bounded()), (DEPTH_MAX as u64, true));

    let mut tree = Tree::new(base(), false);
    let root = tree.root(directory(1));
    let long = "n".repeat(200);
    for number in 0..20_000 {
        tree.note(&root, &[entry(&format!("{long}{number}"), number + 2)]);
        assert!(tree.waiting_bytes <= WAITING_BYTES_MAX);
    }
    assert!(tree.is_bounded());
    let waiting = shown(&mut tree).len();
    assert!((1000..DIRECTORIES_MAX).contains(&waiting), "{waiting}");
    assert_eq!((tree.waiting_bytes, tree.entries_left()), (0, ENTRIES_MAX - 20_000));

    let mut tree = Tree::new(base(), false);
    let mut listed = 1;
    let mut here = tree.root(directory(1));
    while !tree.is_bounded() {
        tree.note(&here, &[entry("a", 0), entry("b", 0)]);
        here = tree.next().unwrap();
        listed += 1;
        // As wide as it gets: what was listed is forgotten, what was counted is not.
        here.way = Arc::new(Way { unique: Unique::default(), depth: 1, above: None });
    }
    assert!(listed <= DIRECTORIES_MAX, "{listed}");
}
