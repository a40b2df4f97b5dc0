use tidegate_types::{StorageErrorKind as Kind, UploadStyle, VirtualPath};

use crate::battery::stage::{holds, refused, said, same};
use crate::battery::{Outcome, Stage};
use crate::{Cut, UploadRequest, UploadStart};

/// Checks mode and owner of what carol created as `name`.
async fn expect_look(stage: &Stage, name: &str, mode: u32) -> Outcome {
    let (facts, root) = (stage.facts(name).await?, said(stage.alice.metadata(&VirtualPath::root()).await)?);
    let (mode, owner) = (format!("{mode:o}"), (root.uid, root.gid));
    same(name, &(format!("{:o}", facts.mode), (facts.uid, facts.gid)), &(mode, owner))
}

pub(super) async fn files(stage: &Stage) -> Outcome {
    for (name, start) in
        [("new", UploadStart::Replace), ("appended", UploadStart::Append), ("unique", UploadStart::Unique)]
    {
        let name = stage.upload(&*stage.carol, &stage.request(name, start)?, b"x").await?;
        expect_look(stage, &name, 0o640).await?;
    }
    let in_place =
        UploadRequest { style: UploadStyle::InPlace, ..stage.request("in place", UploadStart::Replace)? };
    stage.upload(&*stage.carol, &in_place, b"x").await?;
    expect_look(stage, "in place", 0o640).await?;
    let mut upload = said(stage.carol.begin_upload(&stage.request("resumed", UploadStart::Replace)?).await)?;
    said(upload.write(b"part".to_vec()).await)?;
    same("the cut", &said(upload.abort().await)?, &Cut::Kept { size: 4 })?;
    let hidden = said(stage.carol.metadata(&stage.at("resumed")?).await)?;
    holds(hidden.mode & !0o640 == 0, "a partial is not more open than the file will be")?;
    stage.upload(&*stage.carol, &stage.request("resumed", UploadStart::At(4))?, b"ial").await?;
    stage.expect_content("resumed", b"partial").await?;
    expect_look(stage, "resumed", 0o640).await
}

pub(super) async fn directories(stage: &Stage) -> Outcome {
    said(stage.carol.make_directory(&stage.at("dir")?, 0).await)?;
    expect_look(stage, "dir", 0o710).await?;
    refused(stage.carol.make_directory(&stage.at("dir")?, 0o777).await, Kind::AlreadyExists)?;
    expect_look(stage, "dir", 0o710).await
}

pub(super) async fn replaced(stage: &Stage) -> Outcome {
    stage.put("file", b"old").await?;
    said(stage.alice.set_mode(&stage.at("file")?, 0o604).await)?;
    let request = UploadRequest { umask: 0o777, ..stage.request("file", UploadStart::Replace)? };
    stage.upload(&*stage.carol, &request, b"new").await?;
    same("mode", &stage.facts("file").await?.mode, &0o604)?;
    let append = UploadRequest { start: UploadStart::Append, ..request };
    stage.upload(&*stage.carol, &append, b"er").await?;
    same("mode", &stage.facts("file").await?.mode, &0o604)?;
    stage.expect_content("file", b"newer").await
}

pub(super) async fn umask(stage: &Stage) -> Outcome {
    let request = UploadRequest { umask: 0o037, ..stage.request("file", UploadStart::Replace)? };
    stage.upload(&*stage.carol, &request, b"x").await?;
    expect_look(stage, "file", 0o640).await?;
    let strict = UploadRequest { umask: 0o277, ..stage.request("strict", UploadStart::Replace)? };
    stage.upload(&*stage.carol, &strict, b"x").await?;
    expect_look(stage, "strict", 0o400).await?;
    said(stage.carol.make_directory(&stage.at("dir")?, 0o070).await)?;
    expect_look(stage, "dir", 0o700).await?;
    for (name, umask) in [("private", 0o077), ("shared", 0), ("read only", 0o377)] {
        let request = UploadRequest { umask, ..stage.request(name, UploadStart::Replace)? };
        stage.upload(&*stage.alice, &request, b"x").await?;
        let mode = stage.facts(name).await?.mode;
        holds(mode & (0o111 | umask) == 0 && mode & !umask & 0o600 == !umask & 0o600, name)?;
    }
    said(stage.alice.make_directory(&stage.at("own")?, 0o077).await)?;
    same("mode", &stage.facts("own").await?.mode, &0o700)
}

pub(super) async fn group(stage: &Stage) -> Outcome {
    stage.put("file", b"x").await?;
    let before = stage.facts("file").await?;
    said(stage.alice.set_group(&stage.at("file")?, before.gid).await)?;
    said(stage.alice.set_group(stage.top(), before.gid).await)?;
    let after = stage.facts("file").await?;
    same("owner and group", &(after.uid, after.gid), &(before.uid, before.gid))?;
    refused(stage.alice.set_group(&stage.at("missing")?, before.gid).await, Kind::NotFound)
}

pub(super) async fn space(stage: &Stage) -> Outcome {
    stage.put("file", b"x").await?;
    said(stage.alice.available(stage.top()).await)?;
    said(stage.alice.available(&VirtualPath::root()).await)?;
    refused(stage.alice.available(&stage.at("file")?).await, Kind::NotADirectory)?;
    refused(stage.alice.available(&stage.at("missing")?).await, Kind::NotFound)
}
