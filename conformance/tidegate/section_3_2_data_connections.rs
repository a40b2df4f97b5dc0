//! Who may connect to whom: passive and active, strangers, ports used up, IPv6.

use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

/// Connects from another loopback address than the client's.
fn connect_as(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let stranger = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&stranger, &SocketAddr::from((from, 0))).unwrap();
    connect(&stranger, &to).unwrap();
    let stranger = TcpStream::from(stranger);
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    stranger
}

#[test]
fn a_stranger_on_the_passive_port_is_dropped_and_the_client_still_served() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.upload("STOR a", b"for the client only");
    let port = client.passive_address();
    let mut thieves: Vec<_> = (0..5).map(|_| connect_as(Ipv4Addr::new(127, 0, 0, 77), port)).collect();
    client.command("RETR a", 150);
    for thief in &mut thieves {
        let mut stolen = Vec::new();
        // A reset is as good as an end.
        let _ = thief.read_to_end(&mut stolen);
        assert_eq!(stolen, b"");
    }
    let mut data = TcpStream::connect_timeout(&port, PATIENCE).unwrap();
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"for the client only");
    client.expect(226);
}

#[test]
fn strangers_cannot_keep_the_client_out_before_its_transfer() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.upload("STOR a", b"for the client only");
    let port = client.passive_address();
    // More than a listening socket queues; each is dropped, so each may come again.
    for _ in 0..50 {
        let _ = connect_as(Ipv4Addr::new(127, 0, 0, 77), port).read(&mut [0; 1]);
    }
    // As curl does: the data connection first, then the command.
    let mut data = TcpStream::connect_timeout(&port, PATIENCE).unwrap();
    client.command("RETR a", 150);
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"for the client only");
    client.expect(226);
}

#[test]
fn active_mode_goes_only_to_the_client_itself() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.upload("STOR a", b"active");
    let victim = TcpListener::bind(("127.0.0.2", 0)).unwrap();
    victim.set_nonblocking(true).unwrap();
    let port = victim.local_addr().unwrap().port();
    client.command(format!("PORT 127,0,0,2,{},{}", port >> 8, port & 0xff), 504);
    client.command(format!("EPRT |1|127.0.0.2|{port}|"), 504);
    client.command("EPRT |2|::1|50000|", 522);
    client.command("PORT 127,0,0,1,0,80", 504);
    client.command("PORT 127,0,0,1,0,0", 501);
    client.command("RETR a", 425);
    assert!(victim.accept().is_err(), "the victim was connected to");
    // A good target is forgotten when a bad one follows.
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = own.local_addr().unwrap().port();
    client.command(format!("EPRT |1|127.0.0.1|{port}|"), 200);
    client.command("PORT 1,2,3", 501);
    client.command("RETR a", 425);
    client.command(format!("EPRT |1|127.0.0.1|{port}|"), 200);
    client.command("RETR a", 150);
    let mut bytes = Vec::new();
    own.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"active");
    client.expect(226);
}

#[test]
fn ports_used_up_are_425_and_free_again() {
    // Three ports of our own choosing; should another test hold one, the count below says so.
    let low = 30_000 + (std::process::id() % 1000) as u16 * 2;
    let top = format!("[[listener]]\naddress = \"127.0.0.1:0\"\npassive_ports = \"{low}-{}\"\n", low + 2);
    let subject = Setup { listen: vec![], tables: top, ..Setup::default() }.start_with_addresses(1);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::logged_in(subject.address())).collect();
    let got = clients.iter_mut().map(|client| client.say("EPSV").code).collect::<Vec<_>>();
    assert_eq!(got, [229, 229, 229, 425]);
    let reply = clients[3].command("PASV", 425);
    assert!(reply.text().contains("cause=data-ports"), "{reply:?}");
    clients[0].command("ABOR", 225);
    clients[3].command("EPSV", 229);
}

#[test]
fn ipv6_and_dual_stack() {
    let setup = Setup { listen: vec!["[::]:0".into(), "[::1]:0".into()], ..Setup::default() };
    let setup = Setup { tables: "[limits]\nconnections_per_address = 1\n".into(), ..setup };
    let subject = setup.start();
    let dual = subject.addresses[0].port();
    let mut six = Client::logged_in(SocketAddr::from((Ipv6Addr::LOCALHOST, dual)));
    six.command("PASV", 425);
    six.command("EPSV 1", 522);
    six.command("EPSV 2", 229);
    six.upload("STOR a", b"over six");
    // On the same listener an IPv4 client is an IPv4 client: PASV works, and it is counted as what it is.
    let mut four = Client::logged_in(SocketAddr::from((Ipv4Addr::LOCALHOST, dual)));
    assert!(four.command("PASV", 227).text().contains("(127,0,0,1,"));
    assert_eq!(four.download("RETR a"), b"over six");
    let mut refused = Client::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, subject.addresses[1].port())));
    refused.expect(421);
    let mut refused = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, dual)));
    refused.expect(421);
}

#[test]
fn a_fixed_passive_address_is_told_in_227() {
    let tables = "[[listener]]\naddress = \"127.0.0.1:0\"\npassive_address = \"192.0.2.9\"\n".into();
    let subject = Setup { listen: vec![], tables, ..Setup::default() }.start_with_addresses(1);
    let mut client = Client::logged_in(subject.address());
    assert!(client.command("PASV", 227).text().contains("(192,0,2,9,"));
    client.command("ABOR", 225);
    let tables = "[[listener]]\naddress = \"127.0.0.1:0\"\npassive_address = \"localhost\"\n".into();
    let subject = Setup { listen: vec![], tables, ..Setup::default() }.start_with_addresses(1);
    let mut client = Client::logged_in(subject.address());
    assert!(client.command("PASV", 227).text().contains("(127,0,0,1,"));
}

#[test]
fn a_vanished_client_leaves_nothing_behind() {
    let subject = Subject::start();
    for _ in 0..5 {
        let mut client = Client::logged_in(subject.address());
        let data = client.passive();
        client.command("STOR gone", 150);
        // As when its process dies: the control connection was opened first and is closed first. The end of the data
        // then looks like a complete file, and must not be taken for one.
        drop(client);
        drop(data);
    }
    let mut client = Client::logged_in(subject.address());
    let until = std::time::Instant::now() + PATIENCE;
    while !subject.log().matches("session closed").count().eq(&5) {
        assert!(std::time::Instant::now() < until, "{}", subject.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(client.download("NLST -A"), b"");
}
