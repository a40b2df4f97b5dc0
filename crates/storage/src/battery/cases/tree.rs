use std::collections::HashSet;

use tidegate_types::{FileKind, PATH_BYTES_MAX, StorageErrorKind as Kind, Timestamp, VirtualPath};

use crate::battery::stage::{holds, refused, said, same};
use crate::battery::{Outcome, Stage};

pub(super) async fn directories(stage: &Stage) -> Outcome {
    let (outer, inner) = (stage.at("outer")?, stage.at("outer/in ner")?);
    refused(stage.alice.make_directory(&inner, 0).await, Kind::NotFound)?;
    said(stage.alice.make_directory(&outer, 0).await)?;
    refused(stage.alice.make_directory(&outer, 0).await, Kind::AlreadyExists)?;
    said(stage.alice.make_directory(&inner, 0).await)?;
    same("kind", &stage.facts("outer").await?.kind, &FileKind::Directory)?;
    refused(stage.alice.remove_directory(&outer).await, Kind::NotEmpty)?;
    said(stage.alice.remove_directory(&inner).await)?;
    said(stage.alice.remove_directory(&outer).await)?;
    refused(stage.alice.remove_directory(&outer).await, Kind::NotFound)?;
    stage.put("file", b"x").await?;
    refused(stage.alice.remove_directory(&stage.at("file")?).await, Kind::NotADirectory)?;
    refused(stage.alice.make_directory(&stage.at("file")?, 0).await, Kind::AlreadyExists)
}

pub(super) async fn root_stays(stage: &Stage) -> Outcome {
    let root = VirtualPath::root();
    same("kind", &said(stage.alice.metadata(&root).await)?.kind, &FileKind::Directory)?;
    said(stage.alice.enter(&root).await)?;
    refused(stage.alice.remove_directory(&root).await, Kind::PermissionDenied)?;
    refused(stage.alice.make_directory(&root, 0).await, Kind::AlreadyExists)?;
    holds(stage.alice.remove_file(&root).await.is_err(), "the root is no file to remove")?;
    holds(stage.alice.rename(&root, &stage.at("x")?, true).await.is_err(), "the root does not move")?;
    holds(stage.alice.rename(stage.top(), &root, true).await.is_err(), "nothing takes the root's place")?;
    same("kind", &stage.facts(".").await?.kind, &FileKind::Directory)
}

pub(super) async fn entering(stage: &Stage) -> Outcome {
    stage.put("file", b"x").await?;
    said(stage.alice.enter(stage.top()).await)?;
    refused(stage.alice.enter(&stage.at("missing")?).await, Kind::NotFound)?;
    refused(stage.alice.enter(&stage.at("file")?).await, Kind::NotADirectory)
}

pub(super) async fn longest_paths(stage: &Stage) -> Outcome {
    let below = |path: &VirtualPath, bytes| {
        VirtualPath::resolve(path, &vec![b'd'; bytes]).map_err(|error| format!("{bytes}: {error:?}"))
    };
    let mut deep = stage.top().clone();
    while PATH_BYTES_MAX - deep.as_bytes().len() > 250 {
        deep = below(&deep, 200)?;
        said(stage.alice.make_directory(&deep, 0).await)?;
    }
    for bytes in (PATH_BYTES_MAX - 3)..=PATH_BYTES_MAX {
        let path = below(&deep, bytes - deep.as_bytes().len() - 1)?;
        same("bytes", &path.as_bytes().len(), &bytes)?;
        said(stage.alice.make_directory(&path, 0).await)?;
        said(stage.alice.enter(&path).await)?;
        same("kind", &said(stage.alice.metadata(&path).await)?.kind, &FileKind::Directory)?;
        same("entries", &stage.list(&path).await?.len(), &0)?;
        said(stage.alice.available(&path).await)?;
        said(stage.alice.remove_directory(&path).await)?;
    }
    Ok(())
}

pub(super) async fn long_listing(stage: &Stage) -> Outcome {
    let many = 600;
    for number in 0..many {
        said(stage.alice.make_directory(&stage.at(format!("d{number}"))?, 0).await)?;
    }
    let entries = stage.list(stage.top()).await?;
    let names: HashSet<&[u8]> = entries.iter().map(|entry| entry.name.as_slice()).collect();
    same("entries", &entries.len(), &many)?;
    same("different names", &names.len(), &many)?;
    holds(
        entries.iter().all(|entry| entry.metadata.kind == FileKind::Directory),
        "facts come with the names",
    )?;
    let ids: HashSet<_> = entries.iter().map(|entry| entry.metadata.unique).collect();
    same("different identities", &ids.len(), &many)
}

pub(super) async fn listing_kinds(stage: &Stage) -> Outcome {
    stage.put("file", b"abc").await?;
    stage.expect_listed(&["file"]).await?;
    let entry = stage.list(stage.top()).await?;
    same("size", &entry.first().map(|entry| entry.metadata.size), &Some(3))?;
    same("facts", &entry.first().map(|entry| entry.metadata), &Some(stage.facts("file").await?))?;
    refused(stage.alice.list(&stage.at("file")?).await, Kind::NotADirectory)?;
    refused(stage.alice.list(&stage.at("missing")?).await, Kind::NotFound)?;
    said(stage.alice.make_directory(&stage.at("empty")?, 0).await)?;
    same("entries", &stage.list(&stage.at("empty")?).await?.len(), &0)
}

pub(super) async fn raw_names(stage: &Stage) -> Outcome {
    let names: [&[u8]; 5] =
        [b" lead and trail ", b"\xff\xfe not utf-8", "日本語.txt".as_bytes(), b"q'uo\"te\\s", &[b'n'; 255]];
    for name in names {
        said(stage.alice.make_directory(&stage.at(name)?, 0).await)?;
    }
    let found: HashSet<Vec<u8>> =
        stage.list(stage.top()).await?.into_iter().map(|entry| entry.name).collect();
    same("names", &found, &names.iter().map(|name| name.to_vec()).collect())?;
    for name in names {
        said(stage.alice.remove_directory(&stage.at(name)?).await)?;
    }
    Ok(())
}

pub(super) async fn removing(stage: &Stage) -> Outcome {
    stage.put("file", b"x").await?;
    said(stage.alice.remove_file(&stage.at("file")?).await)?;
    stage.expect_absent(&*stage.alice, "file").await?;
    refused(stage.alice.remove_file(&stage.at("file")?).await, Kind::NotFound)?;
    refused(stage.alice.remove_file(stage.top()).await, Kind::IsADirectory)
}

pub(super) async fn renaming(stage: &Stage) -> Outcome {
    let (a, b, dir) = (stage.at("a")?, stage.at("b")?, stage.at("dir")?);
    refused(stage.alice.rename(&a, &b, false).await, Kind::NotFound)?;
    stage.put("a", b"aaa").await?;
    said(stage.alice.rename(&a, &b, false).await)?;
    stage.expect_listed(&["b"]).await?;
    stage.put("a", b"new").await?;
    refused(stage.alice.rename(&a, &b, false).await, Kind::AlreadyExists)?;
    stage.expect_content("b", b"aaa").await?;
    said(stage.alice.rename(&a, &b, true).await)?;
    stage.expect_content("b", b"new").await?;
    said(stage.alice.make_directory(&dir, 0).await)?;
    said(stage.alice.rename(&b, &stage.at("dir/b")?, false).await)?;
    stage.expect_content("dir/b", b"new").await?;
    refused(stage.alice.rename(&dir, &stage.at("dir/inside")?, false).await, Kind::PermissionDenied)?;
    refused(stage.alice.rename(&dir, &stage.at("missing/dir")?, false).await, Kind::NotFound)?;
    said(stage.alice.rename(&dir, &stage.at("moved")?, false).await)?;
    stage.expect_content("moved/b", b"new").await
}

pub(super) async fn facts_set(stage: &Stage) -> Outcome {
    stage.put("file", b"x").await?;
    let file = stage.at("file")?;
    let time = Timestamp { secs: 1_000_000_007, nanos: 0 };
    said(stage.alice.set_modified(&file, time).await)?;
    same("modified", &stage.facts("file").await?.modified, &time)?;
    said(stage.alice.set_mode(&file, 0o640).await)?;
    same("mode", &stage.facts("file").await?.mode, &0o640)?;
    said(stage.alice.set_mode(&file, 0o7640).await)?;
    same("mode without set-id bits", &(stage.facts("file").await?.mode & 0o6777), &0o640)?;
    same("modified, after the mode was set", &stage.facts("file").await?.modified, &time)?;
    said(stage.alice.set_modified(stage.top(), time).await)?;
    same("modified of a directory", &stage.facts(".").await?.modified, &time)?;
    refused(stage.alice.set_modified(&stage.at("missing")?, time).await, Kind::NotFound)?;
    refused(stage.alice.set_mode(&stage.at("missing")?, 0o600).await, Kind::NotFound)
}
