//! A whole server over real sockets on loopback, on a storage in memory.

#[cfg(test)]
mod drain;
#[cfg(test)]
mod files;
#[cfg(test)]
mod long;
#[cfg(test)]
mod mode_z;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transfers;
