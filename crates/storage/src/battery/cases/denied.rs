use tidegate_types::{StorageErrorKind as Kind, Timestamp, VirtualPath};

use crate::battery::stage::{refused, said};
use crate::battery::{Outcome, Stage};
use crate::{Storage, UploadStart};

/// What is denied by its own name.
const NAMED: [&str; 4] = [".htaccess", ".git", ".git/config", "dir/.htpasswd"];
/// What is denied by where it leads.
const LEADING: [&str; 6] = ["file link", "chain", "deep link", "dir link", "dir link/config", "gone link"];

/// Creates what is denied, links to it, and some that is not.
async fn prepare(stage: &Stage) -> Outcome {
    for name in [".git", "dir"] {
        stage.make(name).await?;
    }
    for name in [".htaccess", ".git/config", "dir/.htpasswd", ".htgone"] {
        stage.put(name, b"secret").await?;
    }
    for name in ["plain", "dir/plain"] {
        stage.put(name, b"plain").await?;
    }
    for (target, link) in [
        (".htaccess", "file link"),
        ("file link", "chain"),
        (".git/config", "deep link"),
        (".git", "dir link"),
        (".htgone", "gone link"),
        ("dir", "plain link"),
    ] {
        stage.link(target, link).await?;
    }
    said(stage.alice.remove_file(&stage.at(".htgone")?).await)
}

/// Checks that all is as it was prepared.
async fn expect_untouched(stage: &Stage) -> Outcome {
    for name in [".htaccess", ".git/config", "file link", "chain", "deep link", "dir/.htpasswd"] {
        stage.expect_content(name, b"secret").await?;
    }
    for name in ["plain", "plain link/plain"] {
        stage.expect_content(name, b"plain").await?;
    }
    stage
        .expect_listed(&[
            ".git",
            ".htaccess",
            "chain",
            "deep link",
            "dir",
            "dir link",
            "file link",
            "gone link",
            "plain",
            "plain link",
        ])
        .await
}

/// Checks that nothing can be done with `path`, for it is not there.
async fn expect_nothing(who: &dyn Storage, path: &VirtualPath, free: &VirtualPath) -> Outcome {
    let not_found = |outcome: Result<(), crate::StorageError>| refused(outcome, Kind::NotFound);
    not_found(who.metadata(path).await.map(drop))?;
    not_found(who.enter(path).await)?;
    not_found(who.list(path).await.map(drop))?;
    not_found(who.open_read(path, 0).await.map(drop))?;
    not_found(who.remove_file(path).await)?;
    not_found(who.remove_directory(path).await)?;
    not_found(who.remove_tree(path).await)?;
    not_found(who.rename(path, free, true).await)?;
    not_found(who.set_modified(path, Timestamp::default()).await)?;
    not_found(who.set_mode(path, 0o600).await)?;
    not_found(who.set_group(path, 0).await)?;
    not_found(who.make_link(path, free).await)?;
    not_found(who.available(path).await.map(drop))
}

/// Checks that nothing can be created as `name`.
async fn expect_uncreatable(stage: &Stage, name: &str) -> Outcome {
    let (who, path, plain) = (&*stage.guarded, stage.at(name)?, stage.at("plain")?);
    for start in [UploadStart::Replace, UploadStart::Append, UploadStart::At(1)] {
        refused(who.begin_upload(&stage.request(name, start)?).await, Kind::BadName)
            .map_err(|error| format!("{start:?} {name}: {error}"))?;
    }
    refused(who.make_directory(&path, 0).await, Kind::BadName)?;
    refused(who.rename(&plain, &path, true).await, Kind::BadName)?;
    refused(who.rename(&stage.at("dir")?, &path, true).await, Kind::BadName)?;
    refused(who.make_link(&plain, &path).await, Kind::BadName)
}

pub(super) async fn lookups(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    let below = ["plain link/.htpasswd", ".git/missing", ".htmissing", ".git/config/x"];
    for name in NAMED.into_iter().chain(below) {
        let checked = expect_nothing(&*stage.guarded, &stage.at(name)?, &stage.at("free")?).await;
        checked.map_err(|error| format!("{name}: {error}"))?;
    }
    expect_untouched(stage).await
}

pub(super) async fn links(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    for name in LEADING.into_iter().chain(["dir link/missing", "dir link/config/x"]) {
        let checked = expect_nothing(&*stage.guarded, &stage.at(name)?, &stage.at("free")?).await;
        checked.map_err(|error| format!("{name}: {error}"))?;
    }
    said(stage.guarded.metadata(&stage.at("plain link/plain")?).await.map(drop))?;
    said(stage.guarded.enter(&stage.at("plain link")?).await)?;
    expect_untouched(stage).await
}

pub(super) async fn creation(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    let names = NAMED.into_iter().chain(LEADING);
    for name in names.chain([".htnew", ".git/new", "dir link/new", "plain link/.htnew"]) {
        let checked = expect_uncreatable(stage, name).await;
        checked.map_err(|error| format!("{name}: {error}"))?;
    }
    expect_untouched(stage).await
}

pub(super) async fn listed(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    let (top, dir) = (stage.top(), stage.at("plain link")?);
    Stage::expect_listed_to(&*stage.guarded, top, &["dir", "plain", "plain link"]).await?;
    Stage::expect_listed_to(&*stage.guarded, &dir, &["plain"]).await
}

pub(super) async fn removal(stage: &Stage) -> Outcome {
    prepare(stage).await?;
    stage.make("dir/sub").await?;
    stage.link(".htaccess", "dir/link").await?;
    for name in ["a", "a/b", "a/b/.git", "a/c"] {
        stage.make(name).await?;
    }
    for (name, remains) in [("dir", "dir/.htpasswd"), ("a", "a/b/.git")] {
        let path = stage.at(name)?;
        refused(stage.guarded.remove_tree(&path).await, Kind::NotEmpty)?;
        said(stage.alice.metadata(&stage.at(remains)?).await.map(drop))?;
        refused(stage.guarded.remove_tree(&path).await, Kind::NotEmpty)?;
    }
    refused(stage.guarded.remove_directory(&stage.at("a/b")?).await, Kind::NotEmpty)?;
    Stage::expect_listed_to(&*stage.alice, &stage.at("dir")?, &[".htpasswd", "link"]).await?;
    Stage::expect_listed_to(&*stage.guarded, &stage.at("a")?, &["b"]).await?;
    Stage::expect_listed_to(&*stage.guarded, &stage.at("dir")?, &[]).await
}

pub(super) async fn unique(stage: &Stage) -> Outcome {
    stage.put("only", b"x").await?;
    for name in ["only.2", "only.3"] {
        let request = stage.request("only", UploadStart::Unique)?;
        let chosen = stage.upload(&*stage.guarded, &request, b"x").await?;
        crate::battery::stage::same("the name", &chosen.as_str(), &name)?;
    }
    let request = stage.request(".htnew", UploadStart::Unique)?;
    refused(stage.guarded.begin_upload(&request).await, Kind::BadName)
}
