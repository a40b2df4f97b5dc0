//! A ban as bytes; the module documentation of the crate has the table.

use std::net::Ipv4Addr;
use std::time::Duration;

use tidegate_admission::{BanReason, BanRecord};
use tidegate_types::AddressKey;

/// How many bytes follow the subject.
const REST_BYTES: usize = 26;

const V4: u8 = 4;
const V6: u8 = 6;
const WHOLE_ADDRESS: u8 = 0;
const ONE_NAME: u8 = 1;

/// Appends `ban` to `block`. Durations beyond 584 years are cut.
pub(crate) fn encode(ban: &BanRecord, block: &mut Vec<u8>) {
    let name_bytes = ban.name.as_ref().map_or(0, String::len);
    let address_bytes = if matches!(ban.address, AddressKey::V4(_)) { 4 } else { 8 };
    let subject_bytes = u32::try_from(1 + address_bytes + 1 + name_bytes).unwrap_or(u32::MAX);
    block.extend(subject_bytes.to_be_bytes());
    match ban.address {
        AddressKey::V4(address) => {
            block.push(V4);
            block.extend(address.octets());
        }
        AddressKey::V6Net(net) => {
            block.push(V6);
            block.extend(net.to_be_bytes());
        }
    }
    block.push(if ban.name.is_some() { ONE_NAME } else { WHOLE_ADDRESS });
    block.extend(ban.name.as_deref().unwrap_or_default().as_bytes());
    block.extend([number(ban.reason), ban.level]);
    for duration in [ban.remaining, ban.ended_for, ban.length] {
        block.extend(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).to_be_bytes());
    }
}

/// Appends the bans of `block` to `bans`; `None` when something in it is no ban.
pub(crate) fn decode(mut block: &[u8], bans: &mut Vec<BanRecord>) -> Option<()> {
    while let Some((subject_bytes, rest)) = block.split_first_chunk::<4>() {
        let subject_bytes = usize::try_from(u32::from_be_bytes(*subject_bytes)).ok()?;
        let (subject, rest) = rest.split_at_checked(subject_bytes)?;
        let (value, rest) = rest.split_first_chunk::<REST_BYTES>()?;
        bans.push(decode_one(subject, value)?);
        block = rest;
    }
    block.is_empty().then_some(())
}

fn decode_one(subject: &[u8], value: &[u8; REST_BYTES]) -> Option<BanRecord> {
    let (address, name) = match subject.split_first()? {
        (&V4, rest) => {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (AddressKey::V4(Ipv4Addr::from(*octets)), rest)
        }
        (&V6, rest) => {
            let (net, rest) = rest.split_first_chunk::<8>()?;
            (AddressKey::V6Net(u64::from_be_bytes(*net)), rest)
        }
        _ => return None,
    };
    let name = match name.split_first()? {
        (&WHOLE_ADDRESS, []) => None,
        (&ONE_NAME, name) => Some(String::from_utf8(name.to_vec()).ok()?),
        _ => return None,
    };
    let (&[reason, level], durations) = value.split_first_chunk::<2>()?;
    let nanos = durations.as_chunks::<8>().0.iter();
    let mut durations = nanos.map(|nanos| Duration::from_nanos(u64::from_be_bytes(*nanos)));
    Some(BanRecord {
        address,
        name,
        reason: reason_of(reason)?,
        remaining: durations.next()?,
        ended_for: durations.next()?,
        length: durations.next()?,
        level,
    })
}

const fn number(reason: BanReason) -> u8 {
    match reason {
        BanReason::LoginFailures => 1,
        BanReason::Flood => 2,
        BanReason::Operator => 3,
    }
}

const fn reason_of(number: u8) -> Option<BanReason> {
    match number {
        1 => Some(BanReason::LoginFailures),
        2 => Some(BanReason::Flood),
        3 => Some(BanReason::Operator),
        _ => None,
    }
}

/// Returns `ban` as it is `elapsed` after it was saved. What is left never exceeds its length.
pub(crate) fn aged(ban: BanRecord, elapsed: Duration) -> BanRecord {
    let remaining = ban.remaining.min(ban.length);
    let since_its_end = elapsed.saturating_sub(remaining);
    BanRecord {
        remaining: remaining.saturating_sub(elapsed),
        ended_for: ban.ended_for.saturating_add(since_its_end),
        ..ban
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bans() -> impl Strategy<Value = BanRecord> {
        let addresses = prop_oneof![
            any::<[u8; 4]>().prop_map(|octets| AddressKey::V4(octets.into())),
            any::<u64>().prop_map(AddressKey::V6Net),
        ];
        let reasons =
            prop_oneof![Just(BanReason::LoginFailures), Just(BanReason::Flood), Just(BanReason::Operator)];
        let durations = any::<[u64; 3]>().prop_map(|nanos| nanos.map(Duration::from_nanos));
        let names = prop::option::of(".{0,64}");
        (addresses, names, reasons, durations, any::<u8>()).prop_map(
            |(address, name, reason, [remaining, ended_for, length], level)| BanRecord {
                address,
                name,
                reason,
                remaining,
                ended_for,
                length,
                level,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bans in prop::collection::vec(bans(), 0..9)) {
            let mut block = Vec::new();
            for ban in &bans {
                encode(ban, &mut block);
            }
            let mut read = Vec::new();
            prop_assert_eq!(decode(&block, &mut read), Some(()));
            prop_assert_eq!(&read, &bans);
            // What is cut off anywhere else than between two bans is noticed.
            for length in 0..block.len() {
                let mut some = Vec::new();
                if decode(&block[..length], &mut some).is_some() {
                    prop_assert!(some.len() < bans.len() && bans.starts_with(&some));
                }
            }
        }

        #[test]
        fn nothing_read_panics(bytes in any::<Vec<u8>>()) {
            let _read = decode(&bytes, &mut Vec::new());
            let mut framed = 3_u32.to_be_bytes().to_vec();
            framed.extend(&bytes);
            let _read = decode(&framed, &mut Vec::new());
        }

        #[test]
        fn time_passes_once_and_never_lengthens(ban in bans(), first: u32, second: u32) {
            let (first, second) = (Duration::from_secs(first.into()), Duration::from_secs(second.into()));
            let later = aged(ban.clone(), first);
            prop_assert!(later.remaining <= ban.length);
            prop_assert!(later.remaining <= ban.remaining);
            prop_assert_eq!(aged(later.clone(), second), aged(ban.clone(), first + second), "in two steps or one");
            // What passed is taken from what was left, and the rest is time since the end.
            let left = ban.remaining.min(ban.length);
            prop_assert_eq!(left + later.ended_for, later.remaining + ban.ended_for + first);
            prop_assert!(later.remaining.is_zero() || later.ended_for == ban.ended_for);
        }
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let ban = BanRecord {
            address: AddressKey::V4([192, 0, 2, 7].into()),
            name: Some("bob".to_owned()),
            reason: BanReason::Operator,
            remaining: Duration::from_nanos(1),
            ended_for: Duration::from_nanos(2),
            length: Duration::from_nanos(0x0102_0304_0506_0708),
            level: 9,
        };
        let mut block = Vec::new();
        encode(&ban, &mut block);
        let head = [0, 0, 0, 9, 4, 192, 0, 2, 7, 1, b'b', b'o', b'b'];
        let rest = [3, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(block, [&head[..], &rest].concat());
        let whole = BanRecord { address: AddressKey::V6Net(0x2001_0db8 << 32), name: None, ..ban };
        block.clear();
        encode(&whole, &mut block);
        assert_eq!(block[..14], [0, 0, 0, 10, 6, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0]);
        for (subject, rest) in [
            (&[4, 192, 0, 2, 7, 0, 1][..], &rest[..]),
            (&[4, 192, 0, 2, 7, 2], &rest),
            (&[4, 192, 0, 2, 7, 1, 0xff], &rest),
            (&[5, 192, 0, 2, 7, 0], &rest),
            (&[4, 192, 0, 2], &rest),
            (&[4, 192, 0, 2, 7, 0], &rest[..25]),
            (&[4, 192, 0, 2, 7, 0], &[0; 26]),
            (&[], &rest),
        ] {
            let length = u32::try_from(subject.len()).unwrap().to_be_bytes();
            let block = [&length[..], subject, rest].concat();
            assert_eq!(decode(&block, &mut Vec::new()), None, "{block:?}");
        }
    }
}
