use super::*;
use std::cell::Cell;

const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// A client somewhere in the world.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn auto_is_what_was_reached_and_fixed_is_fixed() {
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(PassiveAddress::auto().advertised(mapped, PEER).await, Some(V4));
    assert_eq!(PassiveAddress::auto().advertised(V6, V6).await, Some(V6));
    assert_eq!(PassiveAddress::fixed(V4).advertised(ip("10.0.0.1"), PEER).await, Some(V4));
}

#[tokio::test]
async fn a_name_is_really_looked_up() {
    let address = PassiveAddress::host("localhost").advertised(V4, PEER).await;
    assert!(address.is_some_and(|address| address.is_loopback()), "{address:?}");
    assert_eq!(PassiveAddress::host("no-such-name.invalid").advertised(V4, PEER).await, None);
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_for_a_minute_and_through_failures() {
    let host = PassiveAddress::host("example.test");
    let asked = Cell::new(0);
    let ask = |local, answer: io::Result<Vec<IpAddr>>| {
        host.advertised_by(local, PEER, |name| {
            assert_eq!(name, "example.test");
            async {
                asked.set(asked.get() + 1);
                answer
            }
        })
    };
    let failure = || Err(io::Error::other("no resolver"));
    assert_eq!(ask(V4, failure()).await, None, "never resolved");
    assert_eq!(ask(V4, Ok(vec![V4])).await, None, "a failure is not retried at once");
    tokio::time::advance(FAILURE_LIFE).await;
    assert_eq!(ask(V4, Ok(vec![V6, V4])).await, Some(V4));
    assert_eq!(ask(V6, failure()).await, Some(V6), "from the cache");
    assert_eq!(asked.get(), 2);
    tokio::time::advance(ANSWER_LIFE).await;
    assert_eq!(ask(V4, failure()).await, Some(V4), "the last good answer");
    assert_eq!(ask(V4, Ok(Vec::new())).await, Some(V4), "within the failure's life");
    assert_eq!(asked.get(), 3);
    tokio::time::advance(FAILURE_LIFE).await;
    assert_eq!(ask(V6, Ok(vec![V4])).await, None, "no address of that version any more");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_never_answers_takes_five_seconds() {
    let host = PassiveAddress::host("example.test");
    let before = crate::clock::runtime_now();
    assert_eq!(host.advertised_by(V4, PEER, |_| std::future::pending()).await, None);
    assert_eq!(crate::clock::runtime_now() - before, LOOKUP_TIME);
}

#[tokio::test]
async fn the_narrowest_network_of_the_client_decides() {
    let told = |address: &str| PassiveAddress::fixed(ip(address));
    let net = |text: &str| -> IpNet { text.parse().unwrap() };
    // Neither the order of the list nor that of the widths decides.
    let networks = [
        ("10.1.0.0/16", told("10.1.0.5")),
        ("0.0.0.0/0", told("192.0.2.200")),
        ("10.1.2.3/32", PassiveAddress::auto()),
        ("10.0.0.0/8", told("10.0.0.5")),
        ("2001:db8::/32", told("192.0.2.201")),
        ("10.0.0.0/8", told("10.0.0.99")),
    ];
    let address = networks
        .into_iter()
        .fold(told("198.51.100.1"), |address, (network, other)| address.except_from(net(network), other));
    for (peer, expected) in [
        ("10.1.2.3", "192.0.2.1"),
        ("10.1.2.4", "10.1.0.5"),
        ("10.2.0.1", "10.0.0.5"),
        ("::ffff:10.2.0.1", "10.0.0.5"),
        ("11.0.0.1", "192.0.2.200"),
        ("2001:db8:ffff::1", "192.0.2.201"),
        ("2001:db9::1", "198.51.100.1"),
    ] {
        assert_eq!(address.advertised(V4, ip(peer)).await, Some(ip(expected)), "{peer}");
    }
}

#[tokio::test]
async fn a_network_with_stray_host_bits_means_the_network() {
    let address =
        PassiveAddress::auto().except_from("10.0.0.5/8".parse().unwrap(), PassiveAddress::fixed(V4));
    assert_eq!(address.advertised(ip("10.0.0.1"), ip("10.9.9.9")).await, Some(V4));
    assert_eq!(address.advertised(ip("10.0.0.1"), PEER).await, Some(ip("10.0.0.1")), "nothing matches");
}

#[tokio::test(start_paused = true)]
async fn each_network_has_its_own_host_name() {
    let address = PassiveAddress::host("outside.test")
        .except_from("10.0.0.0/8".parse().unwrap(), PassiveAddress::host("inside.test"));
    for (peer, name) in [(PEER, "outside.test"), (ip("10.0.0.1"), "inside.test")] {
        let told = address.advertised_by(V4, peer, |asked| async move {
            assert_eq!(asked, name);
            Ok(vec![V4])
        });
        assert_eq!(told.await, Some(V4), "{name}");
    }
}
