//! Options of LIST, NLST and STAT, as clients send them to an imagined `ls`.

use tidegate_protocol::command::{Command, ListArgs, lookup, parse};

/// Options and path are the whole argument: words that begin with `-`, one blank each, perhaps `--`, then the path byte
/// for byte. What the options mean does not depend on the verb.
///
/// Input: the argument.
pub fn listing_options(data: &[u8]) {
    let run = |verb: &str, argument| parse(lookup(verb.as_bytes()).expect("a verb of the table"), argument);
    let Ok(Command::List(args)) = run("LIST", Some(data)) else { panic!("LIST takes any argument") };
    assert_eq!(run("NLST", Some(data)), Ok(Command::Nlst(args)));
    let all_blank = is_blank(data);
    assert_eq!(run("STAT", Some(data)), Ok(Command::Stat(Some(args).filter(|_| !all_blank))));
    if data.is_empty() {
        assert_eq!(run("LIST", None), Ok(Command::List(args)));
    }
    assert_eq!(args, model(data), "{}", data.escape_ascii());
    if let Some(path) = args.path {
        partition(data, path);
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| [b' ', b'\t'].contains(byte))
}

/// Before the path stand option words and nothing else; a path that begins with `-` has `--` before it.
fn partition(argument: &[u8], path: &[u8]) {
    let options = argument.strip_suffix(path).expect("the path is the end of the argument");
    let mut words: Vec<&[u8]> = options.split(|byte| *byte == b' ').collect();
    assert_eq!(words.pop(), Some(&b""[..]), "a blank ends the options: {}", argument.escape_ascii());
    assert!(words.iter().all(|word| word.starts_with(b"-")), "{}", argument.escape_ascii());
    let ended = words.iter().position(|word| *word == b"--");
    assert!(ended.is_none_or(|at| at + 1 == words.len()), "{}", argument.escape_ascii());
    assert!(ended.is_some() || !path.starts_with(b"-"), "{}", argument.escape_ascii());
    assert!(!is_blank(path));
}

/// Reads options one byte at a time.
fn model(argument: &[u8]) -> ListArgs<'_> {
    let mut args = ListArgs::default();
    let mut at = 0;
    while argument.get(at) == Some(&b'-') {
        let end =
            argument[at..].iter().position(|byte| *byte == b' ').map_or(argument.len(), |blank| at + blank);
        let word = &argument[at..end];
        at = argument.len().min(end + 1);
        if word == b"--" {
            break;
        }
        args.hidden |= word.iter().any(|letter| b"aA".contains(letter));
        args.dots |= word.contains(&b'a');
        args.recursive |= word.contains(&b'R');
        args.long = match word.iter().rfind(|letter| b"l1".contains(letter)) {
            Some(letter) => Some(*letter == b'l'),
            None => args.long,
        };
    }
    args.path = Some(&argument[at..]).filter(|path| !is_blank(path));
    args
}
