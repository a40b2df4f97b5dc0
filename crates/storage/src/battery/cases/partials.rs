use tidegate_types::{FileKind, StorageErrorKind as Kind};

use crate::battery::stage::{holds, refused, said, same};
use crate::battery::{Outcome, Stage};
use crate::{Cut, UploadStart, commit};

pub(super) async fn belongs(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"part").await?;
    let facts = stage.facts("file").await?;
    same("size and kind", &(facts.size, facts.kind), &(4, FileKind::File))?;
    said(stage.alice_again.metadata(&stage.at("file")?).await)?;
    stage.expect_absent(&*stage.bob, "file").await?;
    stage.expect_absent(&*stage.anonymous, "file").await?;
    refused(stage.alice.open_read(&stage.at("file")?, 0).await, Kind::NotFound)?;
    stage.expect_listed(&[]).await?;
    let resume = stage.request("file", UploadStart::At(4))?;
    refused(stage.bob.begin_upload(&resume).await, Kind::BadOffset)?;
    let append = stage.request("file", UploadStart::Append)?;
    let mut other = said(stage.bob.begin_upload(&append).await)?;
    same("start of another account", &other.starts_at(), &0)?;
    said(other.write(b"bob".to_vec()).await)?;
    said(commit(other).await)?;
    stage.expect_content("file", b"bob").await?;
    same("size: what exists comes first", &stage.facts("file").await?.size, &3)
}

pub(super) async fn resumed_at(stage: &Stage) -> Outcome {
    stage.leave_partial("file", &vec![b'a'; 100_000]).await?;
    refused(
        stage.alice.begin_upload(&stage.request("file", UploadStart::At(100_001))?).await,
        Kind::BadOffset,
    )?;
    same("size", &stage.facts("file").await?.size, &100_000)?;
    let mut upload = stage.begin("file", UploadStart::At(99_999)).await?;
    same("start", &upload.starts_at(), &99_999)?;
    said(upload.write(b"the end".to_vec()).await)?;
    stage.expect_absent(&*stage.bob, "file").await?;
    same("size", &said(commit(upload).await)?, &100_006)?;
    stage.expect_listed(&["file"]).await?;
    holds(stage.get("file").await?.ends_with(b"aathe end"), "the end follows where it should")?;
    said(stage.bob.metadata(&stage.at("file")?).await.map(drop))
}

pub(super) async fn resumed_append(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"one").await?;
    let mut upload = stage.begin("file", UploadStart::Append).await?;
    same("start", &upload.starts_at(), &3)?;
    said(upload.write(b"two".to_vec()).await)?;
    same("size", &said(commit(upload).await)?, &6)?;
    stage.expect_content("file", b"onetwo").await?;
    said(stage.alice.remove_file(&stage.at("file")?).await)?;
    stage.expect_absent(&*stage.alice, "file").await
}

pub(super) async fn cut_again(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"one").await?;
    for size in [6, 9] {
        let mut upload = stage.begin("file", UploadStart::Append).await?;
        said(upload.write(b"two".to_vec()).await)?;
        same("cut", &said(upload.abort().await)?, &Cut::Kept { size })?;
        same("size", &stage.facts("file").await?.size, &size)?;
    }
    let mut upload = stage.begin("file", UploadStart::At(3)).await?;
    said(upload.write(b"!".to_vec()).await)?;
    said(commit(upload).await)?;
    stage.expect_content("file", b"one!").await
}

pub(super) async fn discarded(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"partial").await?;
    let upload = stage.begin("file", UploadStart::Replace).await?;
    stage.expect_absent(&*stage.alice, "file").await?;
    same("cut before the first byte", &said(upload.abort().await)?, &Cut::Discarded)?;
    stage.expect_absent(&*stage.alice, "file").await?;
    stage.leave_partial("file", b"another").await?;
    stage.put("file", b"whole").await?;
    stage.expect_content("file", b"whole").await?;
    said(stage.alice.remove_file(&stage.at("file")?).await)?;
    stage.expect_absent(&*stage.alice, "file").await
}

pub(super) async fn not_kept(stage: &Stage) -> Outcome {
    let upload = stage.begin("empty", UploadStart::Replace).await?;
    same("cut without bytes", &said(upload.abort().await)?, &Cut::Discarded)?;
    stage.expect_absent(&*stage.alice, "empty").await?;
    let request = stage.request("nobody's", UploadStart::Replace)?;
    let mut upload = said(stage.anonymous.begin_upload(&request).await)?;
    said(upload.write(b"bytes".to_vec()).await)?;
    same("cut without account", &said(upload.abort().await)?, &Cut::Discarded)?;
    stage.expect_absent(&*stage.anonymous, "nobody's").await?;
    stage.expect_listed(&[]).await
}

pub(super) async fn untouched(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"abcdef").await?;
    let mut upload = stage.begin("file", UploadStart::At(2)).await?;
    same("size at once", &stage.facts("file").await?.size, &6)?;
    said(upload.write(Vec::new()).await)?;
    same("cut without a byte", &said(upload.abort().await)?, &Cut::Kept { size: 6 })?;
    same("size", &stage.facts("file").await?.size, &6)?;
    let mut upload = stage.begin("file", UploadStart::At(4)).await?;
    said(upload.write(b"!".to_vec()).await)?;
    same("cut after a byte", &said(upload.abort().await)?, &Cut::Kept { size: 5 })?;
    let upload = stage.begin("file", UploadStart::At(3)).await?;
    same("size without a byte", &said(commit(upload).await)?, &3)?;
    stage.expect_content("file", b"abc").await
}

pub(super) async fn moved(stage: &Stage) -> Outcome {
    for name in ["a", "a/b", "empty"] {
        said(stage.alice.make_directory(&stage.at(name)?, 0).await)?;
    }
    stage.leave_partial("a/file", b"part").await?;
    stage.leave_partial("a/b/file", b"longer").await?;
    stage.leave_partial("empty/file", b"x").await?;
    // Replacing a directory that looks empty is removing it.
    said(stage.bob.rename(&stage.at("a")?, &stage.at("empty")?, true).await)?;
    stage.expect_absent(&*stage.alice, "a/file").await?;
    same("size", &stage.facts("empty/file").await?.size, &4)?;
    same("size further down", &stage.facts("empty/b/file").await?.size, &6)?;
    stage.expect_absent(&*stage.bob, "empty/file").await?;
    let mut upload = stage.begin("empty/b/file", UploadStart::At(6)).await?;
    said(upload.write(b"!".to_vec()).await)?;
    said(commit(upload).await)?;
    stage.expect_content("empty/b/file", b"longer!").await?;
    said(stage.alice.remove_file(&stage.at("empty/b/file")?).await)?;
    said(stage.alice.remove_directory(&stage.at("empty/b")?).await)?;
    said(stage.alice.remove_directory(&stage.at("empty")?).await)
}

pub(super) async fn cleared(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"part").await?;
    said(stage.alice.remove_file(&stage.at("file")?).await)?;
    stage.expect_absent(&*stage.alice, "file").await?;
    said(stage.alice.make_directory(&stage.at("dir")?, 0).await)?;
    stage.leave_partial("dir/file", b"part").await?;
    let upload = stage.begin("dir/live", UploadStart::Replace).await?;
    refused(stage.bob.remove_directory(&stage.at("dir")?).await, Kind::NotEmpty)?;
    said(upload.abort().await)?;
    same("size", &stage.facts("dir/file").await?.size, &4)?;
    said(stage.bob.remove_directory(&stage.at("dir")?).await)?;
    stage.expect_absent(&*stage.alice, "dir").await
}

pub(super) async fn takeover(stage: &Stage) -> Outcome {
    stage.leave_partial("file", b"one").await?;
    let mut stale = stage.begin("file", UploadStart::Append).await?;
    said(stale.write(b"two".to_vec()).await)?;
    let resume = stage.request("file", UploadStart::At(3))?;
    let mut newer = said(stage.alice_again.begin_upload(&resume).await)?;
    refused(stale.write(b"late".to_vec()).await, Kind::Superseded)?;
    said(stale.abort().await)?;
    said(newer.write(b"three".to_vec()).await)?;
    said(commit(newer).await)?;
    stage.expect_content("file", b"onethree").await?;
    stage.expect_listed(&["file"]).await
}
