//! Which address a PASV reply names.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tidegate_types::normalize_address;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long a resolved host name is believed.
const ANSWER_LIFE: Duration = Duration::from_mins(1);
/// How long a failed look-up is not repeated, so that not every PASV waits for a broken resolver.
const FAILURE_LIFE: Duration = Duration::from_secs(5);
/// How long a look-up may take.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// The address told to clients for passive data connections. One for a listener, shared by its sessions.
#[derive(Debug)]
pub struct PassiveAddress {
    choice: Choice,
}

#[derive(Debug)]
enum Choice {
    Auto,
    Fixed(IpAddr),
    Host { name: String, known: Mutex<Known> },
}

/// What the last look-ups of a host name said; a name has few addresses (at most 64 are kept).
#[derive(Debug, Default)]
struct Known {
    addresses: Vec<IpAddr>,
    believed_until: Option<Instant>,
}

const ADDRESSES_MAX: usize = 64;

impl PassiveAddress {
    /// The address the client reached.
    pub fn auto() -> Self {
        Self { choice: Choice::Auto }
    }

    /// Always this one.
    pub fn fixed(address: IpAddr) -> Self {
        Self { choice: Choice::Fixed(normalize_address(address)) }
    }

    /// What `name` resolves to, asked again every 60 s; when a look-up fails, the last good answer stays.
    pub fn host(name: impl Into<String>) -> Self {
        Self { choice: Choice::Host { name: name.into(), known: Mutex::default() } }
    }

    /// Returns the address to tell a client whose control connection reached `local`; of a host name, the first address of the
    /// same IP version. `None` when the name has no such address or was never resolved. Takes 5 s at most.
    pub async fn advertised(&self, local: IpAddr) -> Option<IpAddr> {
        self.advertised_by(local, lookup).await
    }

    async fn advertised_by<F>(&self, local: IpAddr, lookup: impl FnOnce(String) -> F) -> Option<IpAddr>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let local = normalize_address(local);
        match &self.choice {
            Choice::Auto => Some(local),
            Choice::Fixed(address) => Some(*address),
            Choice::Host { name, known } => {
                // Held during the look-up: the others wait for this answer instead of asking again.
                let mut known = known.lock().await;
                known.refresh(lookup(name.clone())).await;
                known.addresses.iter().copied().find(|address| address.is_ipv4() == local.is_ipv4())
            }
        }
    }
}

impl Known {
    async fn refresh(&mut self, lookup: impl Future<Output = io::Result<Vec<IpAddr>>>) {
        if self.believed_until.is_some_and(|until| crate::clock::runtime_now() < until) {
            return;
        }
        let life = match timeout(LOOKUP_TIME, lookup).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => {
                self.addresses = addresses;
                ANSWER_LIFE
            }
            _ => FAILURE_LIFE,
        };
        self.believed_until = Some(crate::clock::runtime_now() + life);
    }
}

async fn lookup(name: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| normalize_address(address.ip())).take(ADDRESSES_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    #[tokio::test]
    async fn auto_is_what_was_reached_and_fixed_is_fixed() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(PassiveAddress::auto().advertised(mapped).await, Some(V4));
        assert_eq!(PassiveAddress::auto().advertised(V6).await, Some(V6));
        assert_eq!(PassiveAddress::fixed(V4).advertised("10.0.0.1".parse().unwrap()).await, Some(V4));
    }

    #[tokio::test]
    async fn a_name_is_really_looked_up() {
        let address = PassiveAddress::host("localhost").advertised(V4).await;
        assert!(address.is_some_and(|address| address.is_loopback()), "{address:?}");
        assert_eq!(PassiveAddress::host("no-such-name.invalid").advertised(V4).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_for_a_minute_and_through_failures() {
        let host = PassiveAddress::host("example.test");
        let asked = Cell::new(0);
        let ask = |local, answer: io::Result<Vec<IpAddr>>| {
            host.advertised_by(local, |name| {
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
        assert_eq!(host.advertised_by(V4, |_| std::future::pending()).await, None);
        assert_eq!(crate::clock::runtime_now() - before, LOOKUP_TIME);
    }
}
