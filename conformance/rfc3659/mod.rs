//! RFC 3659, extensions to FTP.

mod section_2;
mod section_3;
mod section_4;
mod section_5;
mod section_6;
mod section_7;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[
    &section_2::GROUP,
    &section_3::GROUP,
    &section_4::GROUP,
    &section_5::GROUP,
    &section_6::GROUP,
    &section_7::GROUP,
];
