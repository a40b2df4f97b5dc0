//! RFC 2228, FTP security extensions, as far as they can be asked in clear.

mod section_3;

use crate::suite::Group;

pub(crate) const GROUPS: &[&Group] = &[&section_3::GROUP];
