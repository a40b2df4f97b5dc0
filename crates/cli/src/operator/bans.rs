//! `tidegate bans`, `ban` and `unban`.

use serde_json::{Value, json};
use tidegate_admin::message::{BANS_PAGE_MAX, BanAnswer, BanRow, Request, UnbanAnswer};

use super::table::{Column, Table, cut};
use super::units::{counted, span};
use super::{Done, Out, Trouble, ask, connect, say_json, understood};
use crate::Exit;
use crate::args::{BanArgs, ServerArgs, UnbanArgs};

/// How much of a name is shown, in columns.
const NAME_WIDTH: usize = 30;

/// Shows who is banned.
pub(super) fn list(server: &ServerArgs, out: &mut dyn Out) -> Done {
    let bans = all(server)?;
    if server.json {
        say_json(&json!({ "bans": bans, "next": null }), out);
    } else {
        let mut rows = bans.iter().map(understood).collect::<Result<Vec<BanRow>, _>>()?;
        let text = text(&mut rows, out.colour());
        out.say(&text);
    }
    Ok(())
}

/// Fetches all bans, page by page, as they came.
fn all(server: &ServerArgs) -> Result<Vec<Value>, Trouble> {
    let mut client = connect(server)?;
    let mut bans = Vec::new();
    let mut cursor = 0;
    loop {
        let mut page: Value = client.call(&Request::Bans { cursor, count: BANS_PAGE_MAX })?;
        if let Some(Value::Array(rows)) = page.get_mut("bans") {
            bans.append(rows);
        }
        match page.get("next").and_then(Value::as_u64).filter(|next| *next > cursor) {
            Some(next) => cursor = next,
            None => return Ok(bans),
        }
    }
}

/// Bans an address.
pub(super) fn ban(args: &BanArgs, out: &mut dyn Out) -> Done {
    // Rounded up: half a second more, not less.
    let seconds = args.length.as_secs() + u64::from(args.length.subsec_nanos() > 0);
    let request = Request::Ban { address: args.address, seconds };
    let show = |answer: &BanAnswer, _| {
        format!(
            "{} is banned for {}. Who is inside stays: tidegate sessions, tidegate kick ID.\n",
            answer.address,
            span_of(answer.seconds)
        )
    };
    ask(&args.server, &request, out, show).map(|_| ())
}

/// Ends the bans of an address. Errors: there was none.
pub(super) fn unban(args: &UnbanArgs, out: &mut dyn Out) -> Done {
    let request = Request::Unban { address: args.address };
    let show = |answer: &UnbanAnswer, _| match answer.ended {
        0 => String::new(),
        ended => format!("{} is free again: {} ended.\n", answer.address, counted(ended, "ban")),
    };
    let answer = ask(&args.server, &request, out, show)?;
    match answer.ended {
        0 if args.server.json => Err(Trouble::Told),
        0 => Err(Trouble::new(
            Exit::Failed,
            format!("{} was not banned", answer.address),
            "tidegate bans shows who is",
        )),
        _ => Ok(()),
    }
}

fn span_of(seconds: u64) -> String {
    crate::config::show_duration(std::time::Duration::from_secs(seconds))
}

fn text(bans: &mut [BanRow], colour: bool) -> String {
    if bans.is_empty() {
        return "Nobody is banned.\n".into();
    }
    bans.sort_by(|left, right| (&left.address, &left.name).cmp(&(&right.address, &right.name)));
    let mut table = Table::new(&[
        (Column::Left, "ADDRESS"),
        (Column::Left, "NAME"),
        (Column::Left, "WHY"),
        (Column::Right, "LEFT"),
        (Column::Right, "OF"),
        (Column::Left, ""),
    ]);
    for ban in bans.iter() {
        let name = ban.name.as_deref().map_or_else(|| "(all)".to_owned(), |name| cut(name, NAME_WIDTH));
        let in_a_row = match ban.level {
            0 | 1 => String::new(),
            level => format!("{level} in a row"),
        };
        table.row([
            ban.address.clone(),
            name,
            ban.reason.replace('-', " "),
            span(ban.remaining_seconds),
            span(ban.length_seconds),
            in_a_row,
        ]);
    }
    format!("{}\n{}.\n", table.lines(0, colour), counted(bans.len() as u64, "ban"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_by_address() {
        let ban = |address: &str, name: Option<&str>, level| BanRow {
            address: address.into(),
            name: name.map(Into::into),
            reason: "login-failures".into(),
            remaining_seconds: 61.2,
            length_seconds: 120.0,
            level,
        };
        let mut bans = [ban("192.0.2.9", None, 1), ban("192.0.2.7", Some("al\u{202e}ice"), 3)];
        let expected = "\
ADDRESS    NAME           WHY             LEFT  OF
192.0.2.7  al\\u{202e}ice  login failures  1m1s  2m  3 in a row
192.0.2.9  (all)          login failures  1m1s  2m

2 bans.
";
        assert_eq!(text(&mut bans, false), expected);
        assert_eq!(text(&mut [], false), "Nobody is banned.\n");
    }
}
