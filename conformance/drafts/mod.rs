//! Drafts that never became an RFC and are in use all the same.

mod deflate;
mod hash;
mod mfxx;
mod range;
mod streamlined;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] =
    &[&deflate::GROUP, &hash::GROUP, &mfxx::GROUP, &range::GROUP, &streamlined::GROUP];
