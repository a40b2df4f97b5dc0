use tidegate_types::StorageErrorKind as Kind;

use crate::battery::stage::{refused, said, same};
use crate::battery::{Outcome, Stage};

pub(super) async fn reading(stage: &Stage) -> Outcome {
    stage.put("file", b"0123456789").await?;
    let file = stage.at("file")?;
    let reader = said(stage.alice.open_read(&file, 4).await)?;
    same("size", &reader.size(), &10)?;
    let buffer = said(reader.read_at(4, Vec::with_capacity(3)).await)?;
    same("three bytes at 4", &buffer.as_slice(), &&b"456"[..])?;
    let capacity = buffer.capacity();
    let buffer = said(reader.read_at(8, buffer).await)?;
    same(
        "the buffer is cleared first and reused",
        &(buffer.as_slice(), buffer.capacity()),
        &(&b"89"[..], capacity),
    )?;
    same("bytes past the end", &said(reader.read_at(10, buffer).await)?.len(), &0)?;
    said(stage.alice.open_read(&file, 10).await.map(drop))?;
    refused(stage.alice.open_read(&file, 11).await, Kind::BadOffset)?;
    stage.put("empty", b"").await?;
    stage.expect_content("empty", b"").await
}

pub(super) async fn reading_kinds(stage: &Stage) -> Outcome {
    refused(stage.alice.open_read(stage.top(), 0).await, Kind::IsADirectory)?;
    refused(stage.alice.open_read(&stage.at("missing")?, 0).await, Kind::NotFound)?;
    refused(stage.alice.open_read(&stage.at("missing/file")?, 0).await, Kind::NotFound)?;
    stage.put("file", b"x").await?;
    refused(stage.alice.open_read(&stage.at("file/below")?, 0).await, Kind::NotADirectory)
}

pub(super) async fn reading_on(stage: &Stage) -> Outcome {
    stage.put("file", b"old content").await?;
    let reader = said(stage.alice.open_read(&stage.at("file")?, 0).await)?;
    stage.put("file", b"new").await?;
    let buffer = said(reader.read_at(0, Vec::with_capacity(100)).await)?;
    same("what was opened", &buffer.as_slice(), &&b"old content"[..])?;
    stage.expect_content("file", b"new").await
}
