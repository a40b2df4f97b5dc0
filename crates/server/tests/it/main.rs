//! A whole server over real sockets on loopback, on a storage in memory.

#[cfg(test)]
mod drain;
#[cfg(test)]
mod files;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod long;
#[cfg(test)]
mod mended;
#[cfg(test)]
mod mode_z;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transfers;
