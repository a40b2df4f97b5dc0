//! RFC 959 and its neighbours over real sockets, named by section. What needs no socket is in the protocol room's
//! dialogues; here is what only a network shows.
#![expect(clippy::unwrap_used, reason = "tests")]

mod rfc3659_section_7;
mod section_3_2_data_connections;
mod section_4_1_3_abort;
mod section_4_1_paths;
mod section_4_2_success;
mod section_5_3_lines;
