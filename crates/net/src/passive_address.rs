//! Which address a PASV reply names.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
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
    /// What clients from some networks are told instead, the narrowest network first.
    exceptions: Vec<(IpNet, Choice)>,
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
        Self::of(Choice::Auto)
    }

    /// Always this one.
    pub fn fixed(address: IpAddr) -> Self {
        Self::of(Choice::Fixed(normalize_address(address)))
    }

    /// What `name` resolves to, asked again every 60 s; when a look-up fails, the last good answer stays.
    pub fn host(name: impl Into<String>) -> Self {
        Self::of(Choice::Host { name: name.into(), known: Mutex::default() })
    }

    fn of(choice: Choice) -> Self {
        Self { choice, exceptions: Vec::new() }
    }

    /// Tells clients from `network` what `other` tells everybody, exceptions of its own aside. Of several networks a client
    /// is in, the narrowest decides; of two equal ones, the first given.
    #[must_use]
    pub fn except_from(mut self, network: IpNet, other: Self) -> Self {
        let network = network.trunc();
        let place = self.exceptions.partition_point(|(known, _)| known.prefix_len() >= network.prefix_len());
        self.exceptions.insert(place, (network, other.choice));
        self
    }

    /// Returns the address to tell the client at `peer`, whose control connection reached `reached`; of a host name, the first
    /// address of the same IP version. `None` when the name has no such address or was never resolved. Takes 5 s at most.
    pub async fn advertised(&self, reached: IpAddr, peer: IpAddr) -> Option<IpAddr> {
        self.advertised_by(reached, peer, lookup).await
    }

    async fn advertised_by<F>(
        &self,
        reached: IpAddr,
        peer: IpAddr,
        lookup: impl FnOnce(String) -> F,
    ) -> Option<IpAddr>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let reached = normalize_address(reached);
        match self.choice_for(normalize_address(peer)) {
            Choice::Auto => Some(reached),
            Choice::Fixed(address) => Some(*address),
            Choice::Host { name, known } => {
                // Held during the look-up: the others wait for this answer instead of asking again.
                let mut known = known.lock().await;
                known.refresh(lookup(name.clone())).await;
                known.addresses.iter().copied().find(|address| address.is_ipv4() == reached.is_ipv4())
            }
        }
    }

    fn choice_for(&self, peer: IpAddr) -> &Choice {
        let exception = self.exceptions.iter().find(|(network, _)| network.contains(&peer));
        exception.map_or(&self.choice, |(_, choice)| choice)
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
mod tests;
