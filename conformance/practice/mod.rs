//! What no document demands: strict clients in wide use do, or safety does.

mod checksums;
mod codes;
mod hostile;
mod lines;
mod listing;
mod login;
mod paths;
mod sequences;
mod site;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[
    &codes::GROUP,
    &checksums::GROUP,
    &hostile::GROUP,
    &lines::GROUP,
    &listing::GROUP,
    &login::GROUP,
    &paths::GROUP,
    &sequences::GROUP,
    &site::GROUP,
];
