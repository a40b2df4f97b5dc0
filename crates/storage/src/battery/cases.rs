use super::Case;

mod creation;
mod denied;
mod files;
mod links;
mod partials;
mod removal;
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
    case!("the longest paths lead somewhere", tree::longest_paths),
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
    case!("an upload that nobody wants any more is cut", uploads::unwanted),
    case!("an upload that is taken back leaves nothing", uploads::taken_back),
    case!("an upload that is taken back shortens no file", uploads::taken_back_at),
    case!("a new file in place is not kept when it is broken", uploads::broken_in_place),
    case!("what exists is replaced only when it may be", uploads::may_overwrite),
    case!("the last of two commits wins", uploads::last_commit_wins),
    case!("large and small writes arrive in order", uploads::many_writes),
    case!("uploads need a place to go", uploads::places),
    case!("appending adds to the end", uploads::appending),
    case!("an offset keeps what lies around it", uploads::offsets),
    case!("offset 0 keeps what lies behind it", uploads::offset_zero),
    case!("writing before the end is overwriting", uploads::overwriting_at),
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
    case!("a new file looks as the account has it", creation::files),
    case!("a new directory looks as the account has it", creation::directories),
    case!("a replaced file keeps its mode", creation::replaced),
    case!("a umask only takes away", creation::umask),
    case!("a group can be set", creation::group),
    case!("free space is told of directories", creation::space),
    case!("a link leads to its target from wherever it stands", links::leading),
    case!("a link needs a target and a free name", links::needs),
    case!("a link goes without its target", links::removed),
    case!("a link without its target is one that leads nowhere", links::dangling),
    case!("a directory is removed with everything in it", removal::everything),
    case!("only directories are removed with what is in them", removal::kinds),
    case!("a link in a removed directory takes nothing with it", removal::links_inside),
    case!("partials go with their directory", removal::partials),
    case!("an upload under way keeps its directory", removal::under_way),
];

/// What holds where names are denied.
pub(super) const DENIAL: &[Case] = &[
    case!("denied names are not there", denied::lookups),
    case!("denied names cannot be created", denied::creation),
    case!("denied names are not listed", denied::listed),
    case!("links to denied names are denied", denied::links),
    case!("denied names stay when their directory is removed", denied::removal),
    case!("no unique name is a denied one", denied::unique),
];
