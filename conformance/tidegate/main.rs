//! What tidegate promises beyond the documents, over real sockets, named by section: exact codes, its log, its limits. What any
//! server must do is in the suite; what needs no socket is in the protocol room's dialogues.
#![expect(clippy::unwrap_used, reason = "tests")]

mod files;
mod rfc3659_section_7;
mod section_3_2_data_connections;
mod section_4_1_3_abort;
mod section_4_1_paths;
mod section_4_2_success;
mod section_5_3_lines;
