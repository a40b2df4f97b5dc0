use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Command, ErrorKind> {
    let words = line.split(' ').map(|word| word.replace('_', " "));
    Cli::try_parse_from(std::iter::once("tidegate".to_owned()).chain(words))
        .map(|cli| cli.command)
        .map_err(|error| error.kind())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn listen_may_repeat() {
    let Ok(Command::Serve(args)) = parse("serve d --listen 127.0.0.1:0 --listen [::1]:2121") else {
        panic!("not serve")
    };
    assert_eq!(args.listen, ["127.0.0.1:0".parse().unwrap(), "[::1]:2121".parse().unwrap()]);
}

#[test]
fn every_command_takes_a_server_and_json() {
    for command in [
        "status",
        "sessions",
        "why 192.0.2.7",
        "limits",
        "bans",
        "ban 192.0.2.7",
        "unban 192.0.2.7",
        "kick 7",
        "reload",
        "drain",
        "resume",
    ] {
        for more in ["", " --json", " --socket /run/x.sock", " --config a.toml --json"] {
            assert!(parse(&format!("{command}{more}")).is_ok(), "{command}{more}");
        }
        let both = parse(&format!("{command} --socket a --config b"));
        assert_eq!(both.err(), Some(ErrorKind::ArgumentConflict), "{command}");
        let name = command.split(' ').next().unwrap();
        let mut cli = Cli::command();
        let help = cli.find_subcommand_mut(name).unwrap().render_long_help().to_string();
        assert!(help.contains("Examples:\n  tidegate "), "{name}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{name}: {help}");
    }
}

#[test]
fn values_are_read() {
    let Ok(Command::Ban(ban)) = parse("ban 2001:db8::7") else { panic!("not ban") };
    assert_eq!((ban.address, ban.length), ("2001:db8::7".parse().unwrap(), Duration::from_mins(15)));
    let Ok(Command::Ban(ban)) = parse("ban 192.0.2.7 --for 1h30m") else { panic!("not ban") };
    assert_eq!(ban.length, Duration::from_mins(90));
    let Ok(Command::Kick(kick)) = parse("kick 7") else { panic!("not kick") };
    assert_eq!((kick.id, kick.retry), (7, 1));
    let Ok(Command::Kick(kick)) = parse("kick 7 --retry 1500ms") else { panic!("not kick") };
    assert_eq!(kick.retry, 2);
    let Ok(Command::Why(why)) = parse("why alice --from ::1") else { panic!("not why") };
    assert_eq!((why.subject.as_str(), why.from), ("alice", Some("::1".parse().unwrap())));
    let Ok(Command::Drain(drain)) =
        parse("drain --deadline 5m --message New_disks --at +10m --stay --no-wait")
    else {
        panic!("not drain")
    };
    assert_eq!(drain.deadline, Some(Duration::from_mins(5)));
    assert_eq!(drain.message.as_deref(), Some("New disks"));
    assert_eq!(drain.at.as_deref(), Some("+10m"));
    assert!(drain.stay && drain.no_wait);
}

#[test]
fn nonsense_is_usage() {
    for line in [
        "ban nowhere",
        "ban 192.0.2.7 --for soon",
        "ban 192.0.2.7 --for 0s",
        "ban 192.0.2.0/24",
        "unban alice",
        "kick x",
        "kick 1 --retry 2d",
        "drain --deadline 5",
        "drain --message _",
        "drain --message grüße",
        "why a --from b",
    ] {
        assert_eq!(parse(line).err(), Some(ErrorKind::ValueValidation), "{line}");
    }
    assert_eq!(parse("kick").err(), Some(ErrorKind::MissingRequiredArgument));
    assert_eq!(parse("why").err(), Some(ErrorKind::MissingRequiredArgument));
    assert_eq!(parse("limits all").err(), Some(ErrorKind::UnknownArgument));
    let hint = Cli::try_parse_from(["tidegate", "ban", "192.0.2.7", "--for", "15 min"]).unwrap_err();
    assert!(hint.to_string().contains("did you mean 15m?"), "{hint}");
}
