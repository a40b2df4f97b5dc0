//! The 193 edge inputs that four other servers were measured with (`edge_probe.py`), against tidegate: every answer is
//! the one that `expected.toml` derives from the documents, and no defect that those servers showed is here.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod defects;
mod replay;
#[path = "../interop/run.rs"]
mod run;
mod table;
