//! A reload changes limits at once and sends nobody away, or changes nothing and says why.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use rustix::process::Signal;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};
use tidegate_conformance::tree::Noise;

use crate::house::{House, Plan, no_overload, wait_for};
use crate::visitor::{HERE, refused};

/// Makes another configuration.
type Change = fn(&mut Plan);

#[test]
fn by_sighup_during_transfers() {
    let mut house = House::with("[limits]\nconnections = 100\n");
    let content = Noise(4).bytes(300_000);
    let mut transfers: Vec<_> = (0..20)
        .map(|index| {
            let mut client = Client::logged_in(house.address());
            let mut data = client.passive();
            client.command(format!("STOR up{index}"), 150);
            data.write_all(&content[..100_000]).unwrap();
            (client, data)
        })
        .collect();
    let mut idle = Client::logged_in(house.address());
    house.rewrite(|plan| {
        plan.tables = "[limits]\nconnections = 3\n[timeouts]\nidle = \"3s\"\n".into();
        plan.top = "greeting = \"after the reload\"\n".into();
    });
    house.signal(Signal::HUP);
    // At once, and nobody who is above the smaller limit is sent away.
    wait_for("the new limit", || {
        let mut client = Client::connect(house.address());
        (client.reply().code == 421).then_some(())
    });
    let retry = refused(HERE, house.address(), "server-full");
    assert!(retry >= 1);
    for (client, data) in &mut transfers {
        data.write_all(&content[100_000..]).unwrap();
        data.shutdown(Shutdown::Write).unwrap();
        client.expect(226);
        client.command("NOOP", 200);
    }
    for index in 0..transfers.len() {
        assert!(std::fs::read(house.home().join(format!("up{index}"))).unwrap() == content, "up{index}");
    }
    idle.command("NOOP", 200);
    drop(transfers);
    let mut next = house.greeted_at_last(HERE);
    next.login(USER, PASSWORD);
    // What is said to new sessions.
    let mut other = Client::connect(house.address());
    let greeting = other.expect(220);
    assert!(greeting.text().contains("after the reload"), "{greeting:?}");
    // Timeouts are those of new sessions.
    assert_eq!(crate::visitor::last_words(&mut next, "idle"), 1);
    idle.command("NOOP", 200);
}

#[test]
fn of_accounts() {
    let mut house = House::with("");
    let mut inside = Client::logged_in(house.address());
    let report = house.reload(|plan| plan.account = "max_connections = 1\nupload = \"in-place\"\n".into());
    assert!(report.to_string().contains("max_connections"), "{report:#}");
    let mut next = Client::greeted(house.address());
    next.send(format!("USER {USER}\r\nPASS {PASSWORD}\r\n").as_bytes());
    next.expect(331);
    crate::visitor::last_words(&mut next, "account-full");
    inside.command("NOOP", 200);
    // What it printed is what is in force, and where it stands.
    let limits = house.ask(&["limits"]).to_string();
    assert!(limits.contains("max_connections") && limits.contains("tidegate.toml:"), "{limits}");
}

#[test]
fn of_a_bad_file_changes_nothing() {
    let mut house = House::with("[limits]\nconnections_per_address = 2\n");
    let mut inside = [Client::logged_in(house.address()), Client::greeted(house.address())];
    let broken: [(Change, &[&str]); 4] = [
        (
            |plan| plan.tables = "[limits]\nconections = 7\n".into(),
            &["conections", "connections", "tidegate.toml"],
        ),
        (
            |plan| plan.tables = "[limits]\nconnections_per_address = \"many\"\n".into(),
            &["connections_per_address"],
        ),
        (|plan| plan.tables = "[limits\n".into(), &["tidegate.toml"]),
        // A right change beside one that needs a restart: neither is taken over.
        (
            |plan| plan.tables = "[limits]\nconnections_per_address = 50\n[log]\nformat = \"text\"\n".into(),
            &["log.format", "restart"],
        ),
    ];
    for (change, words) in broken {
        house.rewrite(change);
        let (code, said, log) = house.run(&["reload"]);
        assert!(matches!(code, Some(1 | 4)), "{code:?} {said}{log}");
        for word in words {
            assert!(format!("{said}{log}").contains(word), "{word:?} is not in\n{said}{log}");
        }
        refused(HERE, house.address(), "address-full");
        // The same by a signal, which can only log it.
        let before = house.log().len();
        house.signal(Signal::HUP);
        wait_for("a line in the log", || house.log()[before..].contains(words[0]).then_some(()));
        refused(HERE, house.address(), "address-full");
    }
    for client in &mut inside {
        client.command("NOOP", 200);
    }
    // And a good one works after that.
    house.reload(|plan| plan.tables = "[limits]\nconnections_per_address = 3\n".into());
    Client::greeted(house.address()).command("NOOP", 200);
}

/// Listener addresses need a restart; its limits do not.
#[test]
fn of_a_listener() {
    let mut house = House::with("");
    let _inside = Client::logged_in(house.address());
    house.reload(|plan| plan.listener = "connections = 1\n".into());
    refused(HERE, house.address(), "listener-full");
    house.reload(|plan| plan.listener = "connection_rate = \"2/10m\"\n".into());
    for _ in 0..2 {
        Client::greeted(house.address());
    }
    let retry = refused(HERE, house.address(), "rate");
    assert!((200..=300).contains(&retry), "two in ten minutes is one in five: {retry}");
    house.rewrite(|plan| plan.listener = "passive_ports = \"50000-50009\"\n".into());
    let (code, said, log) = house.run(&["reload"]);
    assert!(matches!(code, Some(1 | 4)), "{said}{log}");
    assert!(format!("{said}{log}").contains("passive_ports"), "{said}{log}");
    refused(HERE, house.address(), "rate");
}

/// Many reloads in a row while clients come and go: nobody is cut, the last one is in force.
#[test]
fn again_and_again() {
    let mut house = House::with("[limits]\nconnections_per_address = 9\n");
    let address = house.address();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            let mut visits = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let mut client = Client::logged_in(address);
                client.upload("STOR x", b"some bytes");
                client.command("QUIT", 221);
                visits += 1;
            }
            visits
        });
        for limit in 10..40 {
            house.reload(|plan| plan.tables = format!("[limits]\nconnections_per_address = {limit}\n"));
            std::thread::sleep(Duration::from_millis(10));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(visitor.join().unwrap() > 0);
    });
    let limits = house.ask(&["limits"]).to_string();
    assert!(limits.contains("39"), "{limits}");
}

/// Thresholds of overload, there and back.
#[test]
fn of_overload() {
    let plan = Plan { shell: Some("ulimit -n 1000".into()), ..Plan::with("[limits]\nconnections = 500\n") };
    let mut house = plan.start();
    let mut inside = Client::logged_in(house.address());
    assert_eq!(house.level(), "calm");
    // A server has more than ten descriptors open from its start.
    house.reload(|plan| {
        plan.tables =
            format!("[limits]\nconnections = 500\n{}descriptors = \"1%\"\n", no_overload("descriptors"));
    });
    wait_for("a full house", || (house.level() == "full").then_some(()));
    refused(HERE, house.address(), "overloaded");
    house.reload(|plan| plan.tables = "[limits]\nconnections = 500\n".into());
    wait_for("a calm house", || (house.level() == "calm").then_some(()));
    Client::greeted(house.address()).command("NOOP", 200);
    inside.command("NOOP", 200);
}

/// The largest file, by its value.
#[test]
fn of_the_largest_file() {
    let mut house = House::with("[files]\nmax_file_size = \"1KiB\"\n");
    let stored = |house: &House, bytes: usize| {
        let mut client = Client::logged_in(house.address());
        let mut data = client.passive();
        let first = client.say("STOR f");
        if first.code != 150 {
            return first.code;
        }
        // What is too much may be cut off at any byte.
        let _ = data.write_all(&vec![b'x'; bytes]);
        let _ = data.shutdown(Shutdown::Write);
        client.reply().code
    };
    assert_eq!(stored(&house, 1024), 226);
    assert_eq!(stored(&house, 1025), 552);
    house.reload(|plan| plan.tables = "[files]\nmax_file_size = \"2KiB\"\n".into());
    assert_eq!(stored(&house, 2048), 226);
    assert_eq!(stored(&house, 2049), 552);
    house.reload(|plan| plan.tables = String::new());
    assert_eq!(stored(&house, 100_000), 226);
}

/// How fast commands may come, by its value; who is inside keeps what was in force when it came.
#[test]
fn of_the_command_rate() {
    let mut house = House::with("");
    let mut early = Client::logged_in(house.address());
    for allowed in [7, 3] {
        house.reload(|plan| plan.tables = format!("[limits]\ncommand_rate = \"{allowed}/10m\"\n"));
        let mut client = Client::greeted(house.address());
        client.send(&b"NOOP\r\n".repeat(20));
        for _ in 0..allowed {
            client.expect(200);
        }
        let line = client.line().expect("its last words");
        crate::visitor::assert_form(&line, 421, "command-flood");
        client.expect_eof();
    }
    house.reload(|plan| plan.tables = String::new());
    let mut client = Client::greeted(house.address());
    for client in [&mut client, &mut early] {
        client.send(&b"NOOP\r\n".repeat(20));
        for _ in 0..20 {
            client.expect(200);
        }
    }
}
