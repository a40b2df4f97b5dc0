//! RFC 7151, HOST.

mod section_3;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[&section_3::GROUP];
