//! RFC 2577, FTP security considerations.

mod section_3;
mod section_5;
mod section_7;
mod section_8;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] =
    &[&section_3::GROUP, &section_5::GROUP, &section_7::GROUP, &section_8::GROUP];
