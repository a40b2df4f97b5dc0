use std::sync::Arc;

use tidegate_types::{StorageErrorKind as Kind, UploadStyle};

use crate::battery::stage::{holds, refused, said, same};
use crate::battery::{Outcome, Stage};
use crate::{Committed, Cut, StillWanted, UploadRequest, UploadStart, commit};

pub(super) async fn visible_last(stage: &Stage) -> Outcome {
    let mut upload = stage.begin("file", UploadStart::Replace).await?;
    same("path", upload.path(), &stage.at("file")?)?;
    same("start", &upload.starts_at(), &0)?;
    stage.expect_absent(&*stage.alice, "file").await?;
    let buffer = said(upload.write(b"content".to_vec()).await)?;
    same("bytes left in the buffer", &buffer.len(), &0)?;
    holds(buffer.capacity() >= 7, "the buffer comes back")?;
    stage.expect_absent(&*stage.alice, "file").await?;
    stage.expect_listed(&[]).await?;
    same("size", &said(commit(upload).await)?, &7)?;
    stage.expect_listed(&["file"]).await?;
    stage.expect_content("file", b"content").await?;
    same("size", &stage.facts("file").await?.size, &7)
}

pub(super) async fn old_file_stays(stage: &Stage) -> Outcome {
    stage.put("file", b"old").await?;
    let mut upload = stage.begin("file", UploadStart::Replace).await?;
    said(upload.write(vec![b'n'; 100_000]).await)?;
    stage.expect_content("file", b"old").await?;
    same("cut", &said(upload.abort().await)?, &Cut::Discarded)?;
    stage.expect_content("file", b"old").await?;
    stage.expect_listed(&["file"]).await?;
    let mut upload = stage.begin("file", UploadStart::Replace).await?;
    said(upload.write(b"longer than old".to_vec()).await)?;
    said(commit(upload).await)?;
    stage.expect_content("file", b"longer than old").await
}

pub(super) async fn dropped(stage: &Stage) -> Outcome {
    stage.put("old", b"old").await?;
    for name in ["old", "new"] {
        let mut upload = stage.begin(name, UploadStart::Replace).await?;
        said(upload.write(b"unfinished".to_vec()).await)?;
        drop(upload);
    }
    stage.await_facts("new", |size| size == Some(10)).await?;
    stage.expect_content("old", b"old").await?;
    stage.expect_listed(&["old"]).await?;
    stage.expect_absent(&*stage.bob, "new").await
}

pub(super) async fn may_overwrite(stage: &Stage) -> Outcome {
    let request = UploadRequest { may_overwrite: false, ..stage.request("file", UploadStart::Replace)? };
    let mut late = said(stage.alice.begin_upload(&request).await)?;
    said(late.write(b"late".to_vec()).await)?;
    stage.put("file", b"first").await?;
    refused(stage.alice.begin_upload(&request).await, Kind::AlreadyExists)?;
    refused(commit(late).await, Kind::AlreadyExists)?;
    stage.expect_content("file", b"first").await?;
    stage.expect_listed(&["file"]).await?;
    let in_place = UploadRequest { style: UploadStyle::InPlace, ..request };
    refused(stage.alice.begin_upload(&in_place).await, Kind::AlreadyExists)?;
    stage.expect_content("file", b"first").await
}

pub(super) async fn last_commit_wins(stage: &Stage) -> Outcome {
    let mut first = stage.begin("file", UploadStart::Replace).await?;
    let request = stage.request("file", UploadStart::Replace)?;
    let mut second = said(stage.bob.begin_upload(&request).await)?;
    said(first.write(b"first".to_vec()).await)?;
    said(second.write(b"second".to_vec()).await)?;
    said(commit(second).await)?;
    stage.expect_content("file", b"second").await?;
    said(commit(first).await)?;
    stage.expect_content("file", b"first").await?;
    stage.expect_listed(&["file"]).await
}

pub(super) async fn many_writes(stage: &Stage) -> Outcome {
    let mut upload = stage.begin("file", UploadStart::Replace).await?;
    let mut whole = Vec::new();
    for (number, length) in [1_usize, 0, 70_000, 10, 32_768, 1, 32_767, 5000, 200_000].into_iter().enumerate()
    {
        let bytes: Vec<u8> =
            (0..length).map(|at| u8::try_from((at * 7 + number * 31) % 251).unwrap_or_default()).collect();
        whole.extend_from_slice(&bytes);
        said(upload.write(bytes).await)?;
    }
    same("size", &said(commit(upload).await)?, &(whole.len() as u64))?;
    holds(stage.get("file").await? == whole, "every byte arrived in its place")
}

pub(super) async fn places(stage: &Stage) -> Outcome {
    said(stage.alice.make_directory(&stage.at("dir")?, 0).await)?;
    stage.put("file", b"x").await?;
    for start in [UploadStart::Replace, UploadStart::At(1), UploadStart::Append] {
        for style in [UploadStyle::Atomic, UploadStyle::InPlace] {
            let begin = async |name| {
                let request = UploadRequest { style, ..stage.request(name, start)? };
                Ok::<_, String>(stage.alice.begin_upload(&request).await)
            };
            refused(begin("dir").await?, Kind::IsADirectory)?;
            refused(begin("missing/file").await?, Kind::NotFound)?;
            refused(begin("file/below").await?, Kind::NotADirectory)?;
        }
    }
    stage.expect_listed(&["dir", "file"]).await
}

pub(super) async fn appending(stage: &Stage) -> Outcome {
    let mut upload = stage.begin("file", UploadStart::Append).await?;
    said(upload.write(b"one".to_vec()).await)?;
    stage.expect_absent(&*stage.bob, "file").await?;
    said(commit(upload).await)?;
    let mut upload = stage.begin("file", UploadStart::Append).await?;
    same("start", &upload.starts_at(), &3)?;
    said(upload.write(b"two".to_vec()).await)?;
    same("size", &said(commit(upload).await)?, &6)?;
    stage.expect_content("file", b"onetwo").await?;
    let request = UploadRequest { may_append: false, ..stage.request("file", UploadStart::Append)? };
    refused(stage.alice.begin_upload(&request).await, Kind::PermissionDenied)?;
    let request = UploadRequest { start: UploadStart::At(1), ..request };
    refused(stage.alice.begin_upload(&request).await, Kind::PermissionDenied)?;
    stage.expect_content("file", b"onetwo").await
}

pub(super) async fn offsets(stage: &Stage) -> Outcome {
    stage.put("file", b"abcdefghijkl").await?;
    let mut upload = stage.begin("file", UploadStart::At(4)).await?;
    same("start", &upload.starts_at(), &4)?;
    said(upload.write(b"ZZ".to_vec()).await)?;
    same("size", &said(commit(upload).await)?, &12)?;
    stage.expect_content("file", b"abcdZZghijkl").await?;
    let mut upload = stage.begin("file", UploadStart::At(12)).await?;
    said(upload.write(b"end".to_vec()).await)?;
    same("cut", &said(upload.abort().await)?, &Cut::InPlace)?;
    stage.expect_content("file", b"abcdZZghijklend").await?;
    let past = stage.request("file", UploadStart::At(16))?;
    refused(stage.alice.begin_upload(&past).await, Kind::BadOffset)?;
    let missing = stage.request("missing", UploadStart::At(1))?;
    refused(stage.alice.begin_upload(&missing).await, Kind::BadOffset)?;
    stage.expect_listed(&["file"]).await
}

pub(super) async fn unique(stage: &Stage) -> Outcome {
    stage.put("name", b"taken").await?;
    let mut names = Vec::new();
    let mut first = stage.begin("name", UploadStart::Unique).await?;
    let mut second = stage.begin("name", UploadStart::Unique).await?;
    holds(first.path() != second.path(), "two under way have two names")?;
    for (upload, content) in [(&mut first, "1"), (&mut second, "2")] {
        holds(upload.path() != &stage.at("name")?, "a name that is taken is not chosen")?;
        names.push(upload.path().file_name().unwrap_or_default().escape_ascii().to_string());
        said(upload.write(content.as_bytes().to_vec()).await)?;
    }
    said(commit(second).await)?;
    said(commit(first).await)?;
    let third = stage.begin("name", UploadStart::Unique).await?;
    let third_name = third.path().file_name().unwrap_or_default().escape_ascii().to_string();
    said(commit(third).await)?;
    let mut all: Vec<&str> = names.iter().map(String::as_str).chain(["name", &third_name]).collect();
    all.sort_unstable();
    stage.expect_listed(&all).await?;
    stage.expect_content("name", b"taken").await?;
    for (name, content) in names.iter().zip(["1", "2"]) {
        stage.expect_content(name, content.as_bytes()).await?;
    }
    let below = stage.begin(".", UploadStart::Unique).await?;
    same("the directory of a name chosen for a directory", &below.path().parent(), stage.top())
}

pub(super) async fn in_place(stage: &Stage) -> Outcome {
    stage.put("file", b"old content").await?;
    let before = stage.facts("file").await?.unique;
    let request =
        UploadRequest { style: UploadStyle::InPlace, ..stage.request("file", UploadStart::Replace)? };
    let mut upload = said(stage.alice.begin_upload(&request).await)?;
    said(upload.write(b"new".to_vec()).await)?;
    said(commit(upload).await)?;
    stage.expect_content("file", b"new").await?;
    same("identity", &stage.facts("file").await?.unique, &before)?;
    let mut upload = said(stage.alice.begin_upload(&request).await)?;
    said(upload.write(b"cut".to_vec()).await)?;
    same("cut", &said(upload.abort().await)?, &Cut::InPlace)?;
    stage.expect_content("file", b"cut").await?;
    let fresh = UploadRequest { path: stage.at("fresh")?, ..request };
    let upload = said(stage.alice.begin_upload(&fresh).await)?;
    stage.expect_listed(&["file", "fresh"]).await?;
    same("size", &said(commit(upload).await)?, &0)
}

pub(super) async fn untouched(stage: &Stage) -> Outcome {
    stage.put("file", b"old content").await?;
    let request =
        UploadRequest { style: UploadStyle::InPlace, ..stage.request("file", UploadStart::Replace)? };
    let mut upload = said(stage.alice.begin_upload(&request).await)?;
    stage.expect_content("file", b"old content").await?;
    said(upload.write(Vec::new()).await)?;
    let _asked = upload.has_descriptor();
    same("cut", &said(upload.abort().await)?, &Cut::InPlace)?;
    stage.expect_content("file", b"old content").await?;
    let mut upload = said(stage.alice.begin_upload(&request).await)?;
    said(upload.write(b"new".to_vec()).await)?;
    same("cut", &said(upload.abort().await)?, &Cut::InPlace)?;
    stage.expect_content("file", b"new").await?;
    let upload = said(stage.alice.begin_upload(&request).await)?;
    same("size without a byte", &said(commit(upload).await)?, &0)?;
    stage.expect_content("file", b"").await
}

pub(super) async fn takeover(stage: &Stage) -> Outcome {
    stage.put("file", b"0123").await?;
    let append = stage.request("file", UploadStart::Append)?;
    let mut stale = said(stage.alice.begin_upload(&append).await)?;
    said(stale.write(vec![b's'; 100_000]).await)?;
    refused(stage.bob.begin_upload(&append).await, Kind::Busy)?;
    refused(stage.anonymous.begin_upload(&append).await, Kind::Busy)?;
    let at = UploadRequest { start: UploadStart::At(4), ..append.clone() };
    let mut newer = said(stage.alice_again.begin_upload(&at).await)?;
    refused(stale.write(b"more".to_vec()).await, Kind::Superseded)?;
    refused(stale.write(vec![b's'; 100_000]).await, Kind::Superseded)?;
    refused(commit(stale).await, Kind::Superseded)?;
    said(newer.write(b"newer".to_vec()).await)?;
    refused(stage.bob.begin_upload(&append).await, Kind::Busy)?;
    said(commit(newer).await)?;
    holds(stage.get("file").await?.starts_with(b"0123newerss"), "the newer session's bytes stand")?;
    said(commit(said(stage.bob.begin_upload(&append).await)?).await.map(drop))
}

pub(super) async fn unwanted(stage: &Stage) -> Outcome {
    let nobody: StillWanted = Arc::new(|| false);
    for (size, cut) in
        [(100_000, Cut::Kept { size: 100_000 }), (5, Cut::Kept { size: 5 }), (0, Cut::Discarded)]
    {
        let mut upload = stage.begin("new", UploadStart::Replace).await?;
        said(upload.write(vec![b'n'; size]).await)?;
        let came = said(upload.commit(Arc::clone(&nobody)).await)?;
        same("what came of a new file", &came, &Committed::Unwanted(cut))?;
        stage.expect_listed(&[]).await?;
    }
    stage.leave_partial("new", b"kept ").await?;
    let mut upload = stage.begin("new", UploadStart::At(5)).await?;
    said(upload.write(b"on".to_vec()).await)?;
    let came = said(upload.commit(Arc::clone(&nobody)).await)?;
    same("what came of a partial", &came, &Committed::Unwanted(Cut::Kept { size: 7 }))?;
    let upload = stage.begin("new", UploadStart::At(7)).await?;
    same("size", &said(commit(upload).await)?, &7)?;
    stage.expect_content("new", b"kept on").await?;
    let mut upload = stage.begin("new", UploadStart::Replace).await?;
    said(upload.write(vec![b'x'; 100_000]).await)?;
    let came = said(upload.commit(Arc::clone(&nobody)).await)?;
    same("what came of a file that is replaced", &came, &Committed::Unwanted(Cut::Discarded))?;
    stage.expect_content("new", b"kept on").await?;
    let mut upload = stage.begin("new", UploadStart::Append).await?;
    said(upload.write(b"!".to_vec()).await)?;
    let came = said(upload.commit(nobody).await)?;
    same("what came of one in place", &came, &Committed::Stored { size: 8 })?;
    stage.expect_listed(&["new"]).await
}

pub(super) async fn taken_back(stage: &Stage) -> Outcome {
    stage.put("file", b"0123").await?;
    for sizes in [&[0][..], &[5], &[100_000], &[100_000, 5]] {
        let mut upload = stage.begin("file", UploadStart::Append).await?;
        for size in sizes {
            said(upload.write(vec![b'x'; *size]).await)?;
        }
        same("what remains in place", &said(upload.take_back().await)?, &Cut::InPlace)?;
        stage.expect_content("file", b"0123").await?;
        for start in [UploadStart::Replace, UploadStart::Unique] {
            let mut upload = stage.begin("new", start).await?;
            for size in sizes {
                said(upload.write(vec![b'x'; *size]).await)?;
            }
            same("what remains of a new file", &said(upload.take_back().await)?, &Cut::Discarded)?;
            stage.expect_absent(&*stage.alice, "new").await?;
        }
    }
    stage.leave_partial("part", b"part").await?;
    let mut upload = stage.begin("part", UploadStart::At(4)).await?;
    said(upload.write(b"more".to_vec()).await)?;
    same("what remains of a partial", &said(upload.take_back().await)?, &Cut::Discarded)?;
    stage.expect_absent(&*stage.alice, "part").await?;
    stage.expect_listed(&["file"]).await
}

pub(super) async fn offset_zero(stage: &Stage) -> Outcome {
    for style in [UploadStyle::Atomic, UploadStyle::InPlace] {
        stage.put("file", b"0123456789").await?;
        let identity = stage.facts("file").await?.unique;
        let request = UploadRequest { style, ..stage.request("file", UploadStart::At(0))? };
        let mut upload = said(stage.alice.begin_upload(&request).await)?;
        same("start", &upload.starts_at(), &0)?;
        said(upload.write(b"ABC".to_vec()).await)?;
        same("size", &said(commit(upload).await)?, &10)?;
        stage.expect_content("file", b"ABC3456789").await?;
        same("identity", &stage.facts("file").await?.unique, &identity)?;
        let fresh = UploadRequest { path: stage.at("fresh")?, ..request };
        stage.upload(&*stage.alice, &fresh, b"new").await?;
        stage.expect_content("fresh", b"new").await?;
        said(stage.alice.remove_file(&fresh.path).await)?;
    }
    stage.leave_partial("fresh", b"partial").await?;
    let fresh = stage.request("fresh", UploadStart::At(0))?;
    stage.upload(&*stage.alice, &fresh, b"new").await?;
    stage.expect_content("fresh", b"new").await
}

pub(super) async fn overwriting_at(stage: &Stage) -> Outcome {
    stage.put("file", b"0123").await?;
    stage.put("empty", b"").await?;
    let request = UploadRequest { may_overwrite: false, ..stage.request("file", UploadStart::At(0))? };
    for offset in [0, 1, 3] {
        let start = UploadStart::At(offset);
        let asked = UploadRequest { start, ..request.clone() };
        refused(stage.alice.begin_upload(&asked).await, Kind::PermissionDenied)?;
        let asked = UploadRequest { may_overwrite: true, may_append: false, ..asked };
        refused(stage.alice.begin_upload(&asked).await, Kind::PermissionDenied)?;
    }
    stage.expect_content("file", b"0123").await?;
    let at_end = UploadRequest { start: UploadStart::At(4), ..request.clone() };
    stage.upload(&*stage.alice, &at_end, b"45").await?;
    let append = UploadRequest { start: UploadStart::Append, ..request.clone() };
    stage.upload(&*stage.alice, &append, b"67").await?;
    stage.expect_content("file", b"01234567").await?;
    let empty = UploadRequest { path: stage.at("empty")?, ..request };
    stage.upload(&*stage.alice, &empty, b"x").await?;
    stage.expect_content("empty", b"x").await
}

pub(super) async fn taken_back_at(stage: &Stage) -> Outcome {
    let old = vec![b'o'; 100_000];
    for (offset, length) in [(5_usize, 4), (5, 50_000), (0, 40_000), (99_990, 40_000), (100_000, 40_000)] {
        stage.put("file", &old).await?;
        let mut upload = stage.begin("file", UploadStart::At(offset as u64)).await?;
        said(upload.write(vec![b'N'; length]).await)?;
        same("what remains", &said(upload.take_back().await)?, &Cut::InPlace)?;
        let found = stage.get("file").await?;
        same(&format!("size after {length} bytes at {offset}"), &found.len(), &old.len())?;
        let beside = found.iter().enumerate().filter(|(at, _)| *at < offset || *at >= offset + length);
        holds(beside.map(|(_, byte)| *byte).all(|byte| byte == b'o'), "what was not written over stays")?;
    }
    let request =
        UploadRequest { style: UploadStyle::InPlace, ..stage.request("file", UploadStart::Replace)? };
    let upload = said(stage.alice.begin_upload(&request).await)?;
    same("what remains without a byte", &said(upload.take_back().await)?, &Cut::InPlace)?;
    same("size", &stage.facts("file").await?.size, &100_000)?;
    for length in [0, 5, 100_000] {
        let fresh = UploadRequest { path: stage.at("fresh")?, ..request.clone() };
        let mut upload = said(stage.alice.begin_upload(&fresh).await)?;
        said(upload.write(vec![b'N'; length]).await)?;
        same("what remains of a new file", &said(upload.take_back().await)?, &Cut::Discarded)?;
        stage.expect_listed(&["file"]).await?;
    }
    Ok(())
}

pub(super) async fn broken_in_place(stage: &Stage) -> Outcome {
    stage.put("old", b"old").await?;
    for (name, cut) in [("new", Cut::Discarded), ("old", Cut::InPlace)] {
        let request =
            UploadRequest { style: UploadStyle::InPlace, ..stage.request(name, UploadStart::Replace)? };
        let mut upload = said(stage.alice.begin_upload(&request).await)?;
        said(upload.write(vec![b'N'; 100_000]).await)?;
        upload.note_failed_write();
        same("cut", &said(upload.abort().await)?, &cut)?;
    }
    stage.expect_listed(&["old"]).await?;
    // What is under the name by now is somebody else's.
    let request =
        UploadRequest { style: UploadStyle::InPlace, ..stage.request("moved", UploadStart::Replace)? };
    let mut upload = said(stage.alice.begin_upload(&request).await)?;
    said(upload.write(vec![b'N'; 100_000]).await)?;
    said(stage.alice.rename(&request.path, &stage.at("away")?, false).await)?;
    stage.put("moved", b"another").await?;
    upload.note_failed_write();
    same("cut of one that was moved", &said(upload.abort().await)?, &Cut::InPlace)?;
    stage.expect_content("moved", b"another").await?;
    stage.expect_listed(&["away", "moved", "old"]).await
}
