use tidegate_types::{StorageErrorKind as Kind, VirtualPath};

use crate::battery::stage::{refused, said};
use crate::battery::{Outcome, Stage};
use crate::{UploadStart, commit};

pub(super) async fn everything(stage: &Stage) -> Outcome {
    let mut deep = String::from("tree");
    stage.make(&deep).await?;
    // More levels than a backend should keep open.
    for level in 0..100 {
        stage.put(&format!("{deep}/file"), b"x").await?;
        stage.make(&format!("{deep}/empty")).await?;
        deep = format!("{deep}/{level}");
        stage.make(&deep).await?;
    }
    for number in 0..300 {
        stage.put(&format!("tree/many {number}"), b"").await?;
    }
    stage.put("beside", b"stays").await?;
    said(stage.alice.remove_tree(&stage.at("tree")?).await)?;
    stage.expect_listed(&["beside"]).await?;
    stage.expect_content("beside", b"stays").await
}

pub(super) async fn kinds(stage: &Stage) -> Outcome {
    stage.put("file", b"x").await?;
    refused(stage.alice.remove_tree(&VirtualPath::root()).await, Kind::PermissionDenied)?;
    refused(stage.alice.remove_tree(&stage.at("missing")?).await, Kind::NotFound)?;
    refused(stage.alice.remove_tree(&stage.at("file")?).await, Kind::NotADirectory)?;
    stage.expect_content("file", b"x").await
}

pub(super) async fn links_inside(stage: &Stage) -> Outcome {
    stage.make("outside").await?;
    stage.put("outside/file", b"stays").await?;
    stage.make("tree").await?;
    stage.link("outside", "tree/dir").await?;
    stage.link("outside/file", "tree/file").await?;
    stage.link("tree", "link").await?;
    refused(stage.alice.remove_tree(&stage.at("link")?).await, Kind::NotADirectory)?;
    stage.expect_content("tree/dir/file", b"stays").await?;
    said(stage.alice.remove_tree(&stage.at("tree")?).await)?;
    stage.expect_listed(&["link", "outside"]).await?;
    stage.expect_content("outside/file", b"stays").await
}

pub(super) async fn partials(stage: &Stage) -> Outcome {
    stage.make("tree").await?;
    stage.make("tree/sub").await?;
    stage.leave_partial("tree/sub/part", b"part").await?;
    stage.leave_partial("tree/part", b"part").await?;
    said(stage.bob.remove_tree(&stage.at("tree")?).await)?;
    stage.expect_absent(&*stage.alice, "tree/part").await?;
    stage.make("tree").await?;
    stage.expect_absent(&*stage.alice, "tree/part").await?;
    stage.expect_listed(&["tree"]).await
}

pub(super) async fn under_way(stage: &Stage) -> Outcome {
    for name in ["tree", "tree/busy", "tree/idle"] {
        stage.make(name).await?;
    }
    stage.put("tree/file", b"x").await?;
    let mut upload = stage.begin("tree/busy/new", UploadStart::Replace).await?;
    said(upload.write(b"content".to_vec()).await)?;
    refused(stage.bob.remove_tree(&stage.at("tree")?).await, Kind::NotEmpty)?;
    said(commit(upload).await)?;
    stage.expect_content("tree/busy/new", b"content").await?;
    stage.expect_absent(&*stage.alice, "tree/file").await?;
    stage.expect_absent(&*stage.alice, "tree/idle").await?;
    said(stage.bob.remove_tree(&stage.at("tree")?).await)?;
    stage.expect_listed(&[]).await
}
