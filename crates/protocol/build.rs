//! Turns the reply catalogue of each language (`src/reply/*.toml`) into a static table, so that a missing file, a
//! text with a line break or a byte outside printable characters fails the build and not a session.
use std::{env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/reply/en.toml");
    let source = fs::read_to_string("src/reply/en.toml")?;
    let table: toml::Table = source.parse()?;
    let mut out = String::from("pub(super) static EN: &[(&str, &str)] = &[\n");
    for (reason, text) in &table {
        let text = text.as_str().ok_or_else(|| format!("en.toml: {reason} must be a text"))?;
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(format!("en.toml: {reason} must be one line of printable characters").into());
        }
        writeln!(out, "    ({reason:?}, {text:?}),")?;
    }
    out.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.rs"), out)?;
    Ok(())
}
