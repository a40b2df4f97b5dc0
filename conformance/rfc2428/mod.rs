//! RFC 2428, EPRT and EPSV.

mod section_2;
mod section_3;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[&section_2::GROUP, &section_3::GROUP];
