//! RFC 1123 §4.1, what hosts must do about FTP.

mod section_4_1_2;
mod section_4_1_3;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[&section_4_1_2::GROUP, &section_4_1_3::GROUP];
