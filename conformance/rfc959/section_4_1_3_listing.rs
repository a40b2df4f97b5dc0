//! RFC 959 §4.1.3: LIST and NLST.

use crate::suite::prelude::*;

group! { "RFC 959", "4.1.3 (LIST, NLST)", "rfc959/section_4_1_3_listing":
    Must nlst_names_what_is_there "NLST without argument names every file of the current directory, one a line";
    Must list_names_what_is_there "LIST without argument has one line for every file and directory";
    Must list_of_a_directory "LIST of a directory lists that one";
    Must list_of_a_file "LIST of a file has one line, about that file";
    Must nlst_of_a_directory "NLST of a directory lists that one";
    Must empty_directory_is_no_error "LIST and NLST of an empty directory end well, without a line";
    Must list_of_nothing_ends "LIST of a path that does not exist ends, with or without an error, and shows no file";
    Must listing_in_type_a_and_i "LIST shows the same lines in TYPE A and in TYPE I";
    Must listing_needs_no_reading_right_of_names "Names with blanks and dots are listed whole";
    Should list_of_nothing_is_refused "LIST and NLST of a path that does not exist are refused";
}

fn fill(s: &mut Session) -> Outcome {
    s.put("STOR one.txt", b"1")?;
    s.put("STOR two.txt", b"22")?;
    s.done("MKD sub")?;
    s.put("STOR sub/three", b"333").map(drop)
}

/// Tells whether exactly one line ends with each of `names`.
fn one_line_each(lines: &[String], names: &[&str]) -> bool {
    lines.len() == names.len()
        && names
            .iter()
            .all(|name| lines.iter().filter(|line| line.ends_with(&format!(" {name}"))).count() == 1)
}

fn nlst_names_what_is_there(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    let mut names = s.names("NLST")?;
    names.sort_unstable();
    // A directory is no file: whether NLST names it is the server's choice.
    let files: Vec<&String> = names.iter().filter(|name| !matches!(name.as_str(), "sub" | "sub/")).collect();
    s.check(files == ["one.txt", "two.txt"], format!("the names are {names:?}"))
}

fn list_names_what_is_there(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    let lines = s.lines("LIST")?;
    s.check(one_line_each(&lines, &["one.txt", "two.txt", "sub"]), format!("the lines are {lines:?}"))
}

fn list_of_a_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    let lines = s.lines("LIST sub")?;
    s.check(lines.len() == 1 && lines[0].ends_with("three"), format!("the lines are {lines:?}"))
}

fn list_of_a_file(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    let lines = s.lines("LIST one.txt")?;
    s.check(lines.len() == 1 && lines[0].ends_with("one.txt"), format!("the lines are {lines:?}"))
}

fn nlst_of_a_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    let names = s.names("NLST sub")?;
    s.check(
        names.iter().filter(|name| name.ends_with("three")).count() == 1,
        format!("the names are {names:?}"),
    )
}

fn empty_directory_is_no_error(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD empty")?;
    for line in ["LIST empty", "NLST empty"] {
        let lines = s.names(line)?;
        s.check(lines.is_empty(), format!("{line} shows {lines:?}"))?;
    }
    Ok(())
}

fn list_of_nothing_ends(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    for line in ["LIST nothing-here", "NLST nothing-here"] {
        let tried = s.attempt(line, None)?;
        s.check(tried.data.is_empty(), format!("{line} shows something"))?;
        s.among(line.as_bytes(), &tried.last, &[226, 250, 450, 451, 500, 501, 550])?;
    }
    s.in_step()
}

fn listing_in_type_a_and_i(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    fill(&mut s)?;
    s.done("TYPE A")?;
    let ascii = s.sorted("LIST")?;
    s.done("TYPE I")?;
    let image = s.sorted("LIST")?;
    s.check(ascii == image, "the listings differ")
}

fn listing_needs_no_reading_right_of_names(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for name in ["with two  blanks", "many.dots.in.it", "semi;colon=x"] {
        s.put(format!("STOR {name}"), b"x")?;
    }
    let lines = s.lines("LIST")?;
    let good = one_line_each(&lines, &["with two  blanks", "many.dots.in.it", "semi;colon=x"]);
    s.check(good, format!("the lines are {lines:?}"))
}

fn list_of_nothing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in ["LIST nothing-here", "NLST nothing-here"] {
        let tried = s.attempt(line, None)?;
        s.check(tried.last.code >= 400, format!("{line} ended with {}", tried.last.code))?;
    }
    Ok(())
}
