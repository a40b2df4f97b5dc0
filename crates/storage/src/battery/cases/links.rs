use tidegate_types::{FileKind, StorageErrorKind as Kind, VirtualPath};

use crate::battery::stage::{refused, said, same};
use crate::battery::{Outcome, Stage};

/// Creates `d/f` with some content, and `d/deep`.
async fn prepare(stage: &Stage) -> Outcome {
    stage.make("d").await?;
    stage.make("d/deep").await?;
    stage.put("d/f", b"content").await
}

pub(super) async fn leading(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    for (target, link) in [
        ("d/f", "down"),
        ("d/f", "d/beside"),
        ("d/f", "d/deep/up"),
        ("down", "chain"),
        ("d/deep", "dir"),
        ("d/f", "dir/where it really is"),
    ] {
        stage.link(target, link).await?;
    }
    for link in ["down", "d/beside", "d/deep/up", "chain", "dir/up", "d/deep/where it really is"] {
        stage.expect_content(link, b"content").await?;
        same(link, &stage.facts(link).await?, &stage.facts("d/f").await?)?;
    }
    said(stage.alice.enter(&stage.at("dir")?).await)?;
    said(stage.alice.make_link(&VirtualPath::root(), &stage.at("d/deep/root")?).await)?;
    said(stage.alice.list(&stage.at("d/deep/root")?).await.map(drop))?;
    let kinds: Vec<FileKind> =
        stage.list(stage.top()).await?.iter().map(|entry| entry.metadata.kind).collect();
    same("links", &kinds.iter().filter(|kind| **kind == FileKind::Symlink).count(), &0)?;
    stage.put("chain", b"written through").await?;
    stage.expect_content("d/f", b"written through").await?;
    stage.expect_listed(&["chain", "d", "dir", "down"]).await
}

pub(super) async fn needs(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    let make = async |target, link| {
        stage
            .alice
            .make_link(&stage.at(target)?, &stage.at(link)?)
            .await
            .map_or_else(|error| Ok::<_, String>(Some(error.kind)), |()| Ok(None))
    };
    for (target, link, kind) in [
        ("missing", "l", Kind::NotFound),
        ("d/f/x", "l", Kind::NotADirectory),
        ("d/f", "missing/l", Kind::NotFound),
        ("d/f", "d/f/l", Kind::NotADirectory),
        ("d/f", "d", Kind::AlreadyExists),
        ("d", "d/f", Kind::AlreadyExists),
        ("d", "/", Kind::AlreadyExists),
    ] {
        same(link, &make(target, link).await?, &Some(kind))?;
    }
    stage.link("d/f", "l").await?;
    same("a link in the way", &make("d", "l").await?, &Some(Kind::AlreadyExists))?;
    stage.expect_listed(&["d", "l"]).await
}

pub(super) async fn removed(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    stage.link("d/f", "file").await?;
    stage.link("d", "dir").await?;
    refused(stage.alice.remove_directory(&stage.at("dir")?).await, Kind::NotADirectory)?;
    said(stage.alice.rename(&stage.at("file")?, &stage.at("renamed")?, false).await)?;
    stage.expect_content("renamed", b"content").await?;
    said(stage.alice.remove_file(&stage.at("renamed")?).await)?;
    said(stage.alice.remove_file(&stage.at("dir")?).await)?;
    stage.expect_listed(&["d"]).await?;
    stage.expect_content("d/f", b"content").await
}

pub(super) async fn dangling(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    stage.link("d/f", "link").await?;
    said(stage.alice.remove_file(&stage.at("d/f")?).await)?;
    refused(stage.alice.open_read(&stage.at("link")?, 0).await, Kind::NotFound)?;
    same("kind", &stage.facts("link").await?.kind, &FileKind::Symlink)?;
    stage.expect_listed(&["d", "link"]).await?;
    stage.put("link", b"again").await?;
    stage.expect_content("d/f", b"again").await
}
