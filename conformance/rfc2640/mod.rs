//! RFC 2640, internationalization of FTP.

mod section_3;
mod section_4;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[&section_3::GROUP, &section_4::GROUP];
