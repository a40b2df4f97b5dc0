//! Who breaks several rules at once is told the first of the documented order (DESIGN §2): a hog reads that it is the hog.

use std::net::Ipv4Addr;

use tidegate_conformance::subject::{PASSWORD, USER};

use crate::explain::Answer;
use crate::house::{House, Plan, wait_for};
use crate::visitor::{Sent, client_from, connect_from, greeted_from, last_words, visit, whole_line};

const HOG: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// Ends what a rule refuses for.
type Cure = fn(&mut House);

/// Every rule that can refuse a connection is broken; then they are cured one after the other, in order. Each cure is the
/// next step's name.
const STEPS: [(&str, Cure); 9] = [
    ("denied", |house| {
        house.reload(|plan| change(plan, "deny = [\"127.0.0.66\"]", "deny = []"));
    }),
    ("banned", |house| {
        house.ask(&["unban", &HOG.to_string()]);
    }),
    ("draining", |house| {
        house.ask(&["resume"]);
    }),
    ("overloaded", |house| {
        house.reload(|plan| change(plan, "descriptors = \"1%\"", "descriptors = \"off\""));
    }),
    ("rate", |house| {
        house.reload(|plan| change(plan, "connection_rate_per_address = \"1/10m\"\n", ""));
    }),
    ("address-full", |house| {
        house.reload(|plan| change(plan, "connections_per_address = 1\n", ""));
    }),
    ("unauthenticated-full", |house| {
        house.reload(|plan| change(plan, "connections_unauthenticated = 1\n", ""));
    }),
    ("listener-full", |house| {
        house.reload(|plan| plan.listener.clear());
    }),
    ("server-full", |house| {
        house.reload(|plan| change(plan, "connections = 1\n", "connections = 2\n"));
    }),
];

fn change(plan: &mut Plan, from: &str, to: &str) {
    assert!(plan.tables.contains(from), "{from} is not in {}", plan.tables);
    plan.tables = plan.tables.replacen(from, to, 1);
}

#[test]
fn all_rules_at_once() {
    let tables = "[limits]\ntrusted = []\ndeny = []\nconnections = 1\nconnections_per_address = 1\n\
                  connections_unauthenticated = 1\nconnection_rate_per_address = \"1/10m\"\n\
                  [overload]\nscheduling_delay = \"off\"\ndescriptors = \"off\"\n[timeouts]\nlogin = \"10m\"\n";
    let mut house = Plan {
        listener: "connections = 1\n".into(),
        shell: Some("ulimit -n 1000".into()),
        ..Plan::with(tables)
    }
    .start();
    // The place is taken by one that stays in the middle of a transfer, so that the drain does not send it away; then by
    // one that has not logged in, so that the pool of those is full as well.
    let mut inside = greeted_from(HOG, house.address());
    let why = |house: &House| Answer::of(&house.ask(&["why", &HOG.to_string()])).cause;
    // Before the ban: who has not logged in then is told of it at the password.
    inside.login(USER, PASSWORD);
    house.ban(HOG, "10m");
    house.reload(|plan| {
        change(plan, "deny = []", "deny = [\"127.0.0.66\"]");
        change(plan, "descriptors = \"off\"", "descriptors = \"1%\"");
    });
    wait_for("overload", || (house.level() == "full").then_some(()));
    let mut data = connect_from(HOG, inside.passive_address());
    inside.command("STOR held", 150);
    house.drain_and_stay("10m");
    for (cause, cure) in &STEPS {
        for sent in Sent::ALL {
            whole_line(&visit(HOG, house.address(), sent), cause);
        }
        assert_eq!(why(&house).as_deref(), Some(*cause), "what `why` says");
        cure(&mut house);
        if *cause == "draining" {
            // The drain is over: the place may be held without a transfer.
            std::io::Write::write_all(&mut data, b"x").unwrap();
            data.shutdown(std::net::Shutdown::Both).unwrap();
            inside.expect(226);
            inside.command("REIN", 220);
        }
    }
    greeted_from(HOG, house.address()).command("NOOP", 200);
    inside.command("NOOP", 200);
}

/// After PASS: a drain comes before the account's limit; a ban on the name is told before the password is looked at.
#[test]
fn a_ban_on_the_name_comes_before_the_limit_of_the_account() {
    let tables = "[limits]\ntrusted = []\nlogin_failures = \"2/5m\"\n";
    let house = Plan { account: "max_connections = 1\n".into(), ..Plan::with(tables) }.start();
    let mut holder = greeted_from(HOG, house.address());
    holder.login(USER, PASSWORD);
    // The account is full, and nothing else.
    let mut full = greeted_from(HOG, house.address());
    full.send(&Sent::Login.bytes());
    last_words(&mut full, "account-full");
    let mut wrong = client_from(HOG, house.address());
    wrong.send(format!("USER {USER}\r\nPASS no\r\n").repeat(2).as_bytes());
    assert!(last_words(&mut wrong, "login-failures") > 1, "two failures are a ban here");
    // Both: the ban.
    let mut both = greeted_from(HOG, house.address());
    both.send(&Sent::Login.bytes());
    let retry = last_words(&mut both, "login-failures");
    assert!((2..=60).contains(&retry), "{retry}");
    // From elsewhere the name is not banned: the account is full.
    let mut elsewhere = greeted_from(Ipv4Addr::new(127, 0, 0, 67), house.address());
    elsewhere.send(&Sent::Login.bytes());
    last_words(&mut elsewhere, "account-full");
}
