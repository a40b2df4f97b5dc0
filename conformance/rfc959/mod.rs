//! RFC 959, the File Transfer Protocol.

mod appendix_2;
mod section_3_1;
mod section_3_2;
mod section_4_1_1;
mod section_4_1_2;
mod section_4_1_3;
mod section_4_1_3_abort;
mod section_4_1_3_listing;
mod section_4_1_3_names;
mod section_4_2;
mod section_5_1;
mod section_5_3;
mod section_5_4;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[
    &section_3_1::GROUP,
    &section_3_2::GROUP,
    &section_4_1_1::GROUP,
    &section_4_1_2::GROUP,
    &section_4_1_3::GROUP,
    &section_4_1_3_abort::GROUP,
    &section_4_1_3_listing::GROUP,
    &section_4_1_3_names::GROUP,
    &section_4_2::GROUP,
    &section_5_1::GROUP,
    &section_5_3::GROUP,
    &section_5_4::GROUP,
    &appendix_2::GROUP,
];
