//! RFC 2389, FEAT and OPTS.

mod section_3;
mod section_4;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[&section_3::GROUP, &section_4::GROUP];
