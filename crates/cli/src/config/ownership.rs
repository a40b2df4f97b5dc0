//! What the files of each account look like: names of users and groups become numbers, and what this process may not give
//! is told.

use tidegate_types::Creation;

use super::problem::Problem;
use super::reader::{Effective, Setting};
use super::value::{Mode, Owner, Who, quote};
use super::{Account, Config, Facts};

/// The users and groups of the machine.
pub trait Users {
    /// Returns the number of a user; `None` when there is none of this name. Errors: a sentence about what failed.
    fn user(&self, name: &str) -> Result<Option<u32>, String>;

    /// Returns the number of a group; `None` when there is none of this name. Errors: a sentence about what failed.
    fn group(&self, name: &str) -> Result<Option<u32>, String>;

    /// Returns whether this process may give a file of its own to `uid` and `gid`; `None` leaves it.
    fn may_give(&self, uid: Option<u32>, gid: Option<u32>) -> bool;
}

/// Looks up who owns what each account creates. Returns what is wrong.
pub(super) fn resolve(config: &mut Config, facts: &Facts<'_>) -> Vec<Problem> {
    let Config { accounts, effective, .. } = config;
    let mut problems = Vec::new();
    for account in accounts {
        let bits = |mode: &Option<Setting<Mode>>| mode.as_ref().map(|mode| mode.value.0);
        account.creation = Creation {
            file_mode: bits(&account.file_mode),
            directory_mode: bits(&account.dir_mode),
            ..Creation::default()
        };
        check_folder_mode(account, &mut problems);
        let Some(owner) = account.owner.clone() else { continue };
        match numbers_of(&owner.value, facts.users) {
            Ok((uid, gid)) => {
                (account.creation.uid, account.creation.gid) = (uid, gid);
                show_numbers(effective, account, &owner.value);
                if !facts.users.may_give(uid, gid) {
                    problems.push(not_allowed(account, &owner));
                }
            }
            Err(Unknown { what, hint }) => problems.push(
                Problem::new(format!("{}.owner", account.label), what)
                    .at(owner.at.clone(), "expected users and groups of this machine, or their numbers")
                    .hint(hint),
            ),
        }
    }
    problems
}

struct Unknown {
    what: String,
    hint: String,
}

fn numbers_of(owner: &Owner, users: &dyn Users) -> Result<(Option<u32>, Option<u32>), Unknown> {
    let uid = owner.user.as_ref().map(|user| number_of(user, Noun::User, users)).transpose()?;
    let gid = owner.group.as_ref().map(|group| number_of(group, Noun::Group, users)).transpose()?;
    Ok((uid, gid))
}

#[derive(Clone, Copy)]
enum Noun {
    User,
    Group,
}

fn number_of(who: &Who, noun: Noun, users: &dyn Users) -> Result<u32, Unknown> {
    let name = match who {
        Who::Number(number) => return Ok(*number),
        Who::Name(name) => name,
    };
    let (word, found) = match noun {
        Noun::User => ("user", users.user(name)),
        Noun::Group => ("group", users.group(name)),
    };
    let shown = quote(name);
    match found {
        Ok(Some(number)) => Ok(number),
        Err(failure) => Err(Unknown {
            what: format!("the {word} {shown} cannot be looked up: {failure}"),
            hint: format!("write the number of the {word} instead of its name"),
        }),
        // Most often the colon was forgotten.
        Ok(None) if matches!(noun, Noun::User) && users.group(name).is_ok_and(|group| group.is_some()) => {
            Err(Unknown {
                what: format!("there is no {word} {shown} on this machine, but a group"),
                hint: format!("for the group alone write \":{name}\""),
            })
        }
        Ok(None) => Err(Unknown {
            what: format!("there is no {word} {shown} on this machine"),
            hint: format!("correct the name, create the {word} ({word}add), or write a number"),
        }),
    }
}

fn not_allowed(account: &Account, owner: &Setting<Owner>) -> Problem {
    Problem::new(
        format!("{}.owner", account.label),
        "this process may not give files away, so uploads of the account would fail",
    )
    .at(owner.at.clone(), "expected the service's own user, and a group it is in")
    .hint("start tidegate as root or with the capability CAP_CHOWN, or leave the key out")
    .warning()
}

fn check_folder_mode(account: &Account, problems: &mut Vec<Problem>) {
    if let Some(Setting { value: Mode(mode), at }) = &account.dir_mode
        && mode & 0o111 == 0
    {
        problems.push(
            Problem::new(
                format!("{}.dir_mode", account.label),
                "nobody could enter the folders that the account creates",
            )
            .at(at.clone(), "expected an odd digit")
            .hint(format!("write \"{:04o}\"", mode | (mode & 0o444) >> 2))
            .warning(),
        );
    }
}

/// Shows what names mean on this machine.
fn show_numbers(effective: &mut [Effective], account: &Account, owner: &Owner) {
    let is_named = |who: &Option<Who>| matches!(who, Some(Who::Name(_)));
    if !is_named(&owner.user) && !is_named(&owner.group) {
        return;
    }
    let key = format!("{}.owner", account.label);
    if let Some(effective) = effective.iter_mut().find(|effective| effective.key == key) {
        let Creation { uid, gid, .. } = account.creation;
        let shown = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let colon = if gid.is_some() { ":" } else { "" };
        effective.value = format!("{} ({}{colon}{})", effective.value, shown(uid), shown(gid));
    }
}
