use super::Case;

mod files;
mod partials;
mod tree;
mod uploads;

macro_rules! case {
    ($name:literal, $run:path) => {
        Case { name: $name, run: |stage| Box::pin($run(stage)) }
    };
}

/// Every case, from the simple to the involved.
pub(super) const ALL: &[Case] = &[
    case!("directories are made and removed", tree::directories),
    case!("the root stays", tree::root_stays),
    case!("only directories are entered", tree::entering),
    case!("a listing shows every name once, in bounded pages", tree::long_listing),
    case!("only directories are listed", tree::listing_kinds),
    case!("names are bytes", tree::raw_names),
    case!("files are removed, directories are not files", tree::removing),
    case!("a rename moves and replaces only when it may", tree::renaming),
    case!("modification time and mode are kept", tree::facts_set),
    case!("reading starts anywhere up to the end", files::reading),
    case!("only files are read", files::reading_kinds),
    case!("an open file stays readable when it is replaced", files::reading_on),
    case!("an upload becomes visible last", uploads::visible_last),
    case!("an upload that is cut leaves the old file", uploads::old_file_stays),
    case!("a dropped upload is cut", uploads::dropped),
    case!("what exists is replaced only when it may be", uploads::may_overwrite),
    case!("the last of two commits wins", uploads::last_commit_wins),
    case!("large and small writes arrive in order", uploads::many_writes),
    case!("uploads need a place to go", uploads::places),
    case!("appending adds to the end", uploads::appending),
    case!("an offset keeps what lies around it", uploads::offsets),
    case!("unique names never meet", uploads::unique),
    case!("in place means in the target itself", uploads::in_place),
    case!("nothing is lost in place before the first byte", uploads::untouched),
    case!("a newer session takes its stale writer's file", uploads::takeover),
    case!("a partial belongs to its account", partials::belongs),
    case!("a partial is resumed by offset", partials::resumed_at),
    case!("a partial is resumed by appending", partials::resumed_append),
    case!("a partial that is cut again is still kept", partials::cut_again),
    case!("a new upload discards the partial", partials::discarded),
    case!("a partial needs bytes and an account", partials::not_kept),
    case!("a partial is whole until the first byte", partials::untouched),
    case!("a partial moves with its directory", partials::moved),
    case!("a partial can be deleted and hides nothing", partials::cleared),
    case!("a newer session resumes while the stale one hangs", partials::takeover),
];
