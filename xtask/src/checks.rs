//! Checks of the workspace itself that need no build. Each returns what is wrong, one line a finding.

mod ignored;
mod layers;
mod licences;

pub(crate) use ignored::ignored;
pub(crate) use layers::layers;
pub(crate) use licences::licences;
