//! The folder of `serve demo`: made once, never touched again.

use std::fs;
use std::io;
use std::path::Path;

/// The folders, in the order they are made.
const FOLDERS: [&str; 2] = ["a folder with spaces", "incoming"];

/// The files with their content.
const FILES: [(&str, &str); 5] = [
    (
        "README.txt",
        "This is the demo folder of tidegate. Nothing in it matters; try what you like.\n\
         \n\
         With the address, the account and the password that tidegate printed:\n\
         \n\
         - list it:            curl ftp://127.0.0.1:2121/\n\
         - download this file: curl -O ftp://127.0.0.1:2121/README.txt\n\
         - upload a file:      curl --user tide -T FILE ftp://127.0.0.1:2121/incoming/\n\
         - go inside:          lftp ftp://127.0.0.1:2121\n\
         - copy all of it:     lftp -e 'mirror . copy; quit' ftp://127.0.0.1:2121\n\
         \n\
         Anonymous may read; the account tide may also write, rename and delete.\n\
         tidegate made this folder because it was missing, and never changes it again.\n\
         Delete it when you are done.\n",
    ),
    ("tide-table.csv", "time,water,height_m\n03:12,low,0.4\n09:25,high,3.1\n15:38,low,0.5\n21:50,high,3.0\n"),
    ("潮汐.txt", "Names in any script work: this one means tide.\n"),
    ("empty.txt", ""),
    ("a folder with spaces/notes.txt", "Spaces in names work too, even two  in a row.\n"),
];

/// Makes and fills the folder at `path` unless something is there already; returns whether it did.
///
/// It is filled under another name first, so that nobody ever finds half of it.
pub fn prepare(path: &Path) -> io::Result<bool> {
    if path.try_exists()? {
        return Ok(false);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let filled = parent.join(format!(".tidegate-demo-{}", std::process::id()));
    let done = fill(&filled).and_then(|()| fs::rename(&filled, path));
    match done {
        Ok(()) => Ok(true),
        Err(error) => {
            // The first error is the one to tell; a left-over is harmless.
            let _ = fs::remove_dir_all(&filled);
            // Another start was faster: its folder is as good.
            if path.is_dir() { Ok(false) } else { Err(error) }
        }
    }
}

fn fill(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    for name in FOLDERS {
        fs::create_dir(folder.join(name))?;
    }
    for (name, content) in FILES {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_made_whole_and_once() {
        let home = tempfile::tempdir().unwrap();
        let demo = home.path().join("demo");
        assert!(prepare(&demo).unwrap());
        assert_eq!(
            names(&demo),
            ["README.txt", "a folder with spaces", "empty.txt", "incoming", "tide-table.csv", "潮汐.txt"]
        );
        assert!(names(&demo.join("incoming")).is_empty());
        assert_eq!(names(&demo.join("a folder with spaces")), ["notes.txt"]);
        assert_eq!(names(home.path()), ["demo"], "nothing is left beside it");

        fs::write(demo.join("README.txt"), "mine").unwrap();
        fs::remove_file(demo.join("empty.txt")).unwrap();
        assert!(!prepare(&demo).unwrap());
        assert_eq!(fs::read_to_string(demo.join("README.txt")).unwrap(), "mine");
        assert!(!demo.join("empty.txt").exists(), "what the user removed stays removed");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        assert!(prepare(&home.path().join("file/demo")).is_err());
    }
}
