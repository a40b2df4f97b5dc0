//! The promises of the engine, for random histories.
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use proptest::prelude::*;
use tidegate_types::AccountName;

use super::*;
use crate::RETRY_SECS_MAX;

#[derive(Clone, Debug)]
enum Step {
    Ask(Question),
    /// Releases the n-th permit that is held, or an old one when none is.
    Release(usize),
    ReleaseAgain(usize),
    Relimit(u32, Option<u32>),
    Drain(u16),
    Resume,
    Exhausted,
    Pass(u32),
}

fn question() -> impl Strategy<Value = Question> {
    let limit = prop::option::of(0_u32..4);
    let address = prop_oneof![
        (1_u8..6).prop_map(|host| IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))),
        (1_u8..3).prop_map(|host| IpAddr::V6(Ipv4Addr::new(192, 0, 2, host).to_ipv6_mapped())),
        (0_u128..3).prop_map(|host| IpAddr::V6((0x2001_0db8_u128 << 96 | host << 63).into())),
    ];
    prop_oneof![
        4 => address.prop_map(Question::connection),
        1 => limit.clone().prop_map(|limit| Question::login(AccountKey::Anonymous, limit)),
        2 => (0_u8..3, limit).prop_map(|(name, limit)| {
            Question::login(AccountKey::Named(AccountName(format!("user{name}"))), limit)
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => question().prop_map(Step::Ask),
        6 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::ReleaseAgain),
        1 => (0_u32..12, prop::option::of(0_u32..5)).prop_map(|(all, one)| Step::Relimit(all, one)),
        1 => any::<u16>().prop_map(Step::Drain),
        2 => Just(Step::Resume),
        1 => Just(Step::Exhausted),
        4 => prop_oneof![0_u32..2_000, 0_u32..1_000_000].prop_map(Step::Pass),
    ]
}

/// A slow, obvious gate: a list of who is inside.
#[derive(Default)]
struct Model {
    inside: Vec<(PermitId, Question)>,
    gone: Vec<PermitId>,
    draining: bool,
}

impl Model {
    fn connections(&self, key: Option<AddressKey>) -> u32 {
        let counts = |question: &Question| match question {
            Question::Connection { address } => key.is_none_or(|key| AddressKey::of(*address) == key),
            Question::Login { .. } => false,
        };
        u32::try_from(self.inside.iter().filter(|(_, question)| counts(question)).count()).unwrap()
    }

    fn logins(&self, key: &AccountKey) -> u32 {
        let counts =
            |question: &Question| matches!(question, Question::Login { account, .. } if account == key);
        u32::try_from(self.inside.iter().filter(|(_, question)| counts(question)).count()).unwrap()
    }

    /// The contract of DESIGN §2, written out.
    fn cause(&self, question: &Question, limits: Limits) -> Option<Cause> {
        if self.draining {
            return Some(Cause::Draining);
        }
        match question {
            Question::Connection { address } => {
                let here = self.connections(Some(AddressKey::of(*address)));
                if limits.connections_per_address.is_some_and(|limit| here >= limit) {
                    Some(Cause::AddressFull)
                } else {
                    (self.connections(None) >= limits.connections).then_some(Cause::ServerFull)
                }
            }
            Question::Login { account, limit } => {
                let full = limit.is_some_and(|limit| self.logins(account) >= limit);
                full.then_some(match account {
                    AccountKey::Named(_) => Cause::AccountFull,
                    AccountKey::Anonymous => Cause::AnonymousFull,
                })
            }
        }
    }
}

/// Everything that can be compared, in time that grows with the number of permits.
fn check_all(engine: &Engine, model: &Model) {
    assert!(engine.adds_up());
    assert!(engine.connections.is_consistent());
    assert_eq!(engine.connections.in_use(), model.connections(None));
    assert_eq!(engine.permits.iter().count(), model.inside.len());
    let mut addresses: BTreeMap<AddressKey, u32> = BTreeMap::new();
    let mut accounts: BTreeMap<AccountKey, u32> = BTreeMap::new();
    for (_, question) in &model.inside {
        match question {
            Question::Connection { address } => *addresses.entry(AddressKey::of(*address)).or_default() += 1,
            Question::Login { account, .. } => *accounts.entry(account.clone()).or_default() += 1,
        }
    }
    let in_use = |pool: &Pool| {
        assert!(pool.is_consistent());
        pool.in_use()
    };
    assert_eq!(
        engine.addresses.iter().map(|(key, pool)| (*key, in_use(pool))).collect::<BTreeMap<_, _>>(),
        addresses
    );
    assert_eq!(
        engine.accounts.iter().map(|(key, pool)| (key.clone(), in_use(pool))).collect::<BTreeMap<_, _>>(),
        accounts
    );
}

/// Runs `steps`, checks every promise after each, and returns the log of answers.
#[expect(clippy::too_many_lines, reason = "one arm a step, checks behind each")]
fn run(seed: u64, steps: &[Step]) -> Vec<String> {
    let mut engine = Engine::new(Limits { connections: 6, connections_per_address: Some(3) }, seed);
    let mut model = Model::default();
    let mut now = Moment::ZERO;
    let mut log = Vec::new();
    for step in steps {
        match step {
            Step::Ask(question) => {
                let limits = engine.snapshot().limits;
                let before = format!("{engine:?}");
                let explained = engine.explain(question, now);
                assert_eq!(format!("{engine:?}"), before, "explain has no effect");
                let decision = engine.ask(question, now);
                log.push(format!("{decision:?}"));
                let cause = match decision {
                    Decision::Admit(permit) => {
                        assert!(!model.inside.iter().any(|(held, _)| *held == permit), "a permit is unique");
                        model.inside.push((permit, question.clone()));
                        None
                    }
                    Decision::Refuse(refusal) => {
                        let expected = explained.refusal.expect("explain says refused");
                        assert!(refusal.retry_after_secs >= expected.retry_after_secs.min(100));
                        assert!(
                            refusal.cause == Cause::Draining || refusal.retry_after_secs <= RETRY_SECS_MAX
                        );
                        assert_eq!((refusal.in_use, refusal.limit), (expected.in_use, expected.limit));
                        Some(refusal.cause)
                    }
                };
                assert_eq!(cause, explained.refusal.map(|refusal| refusal.cause), "explain agrees with ask");
                if cause.is_some() {
                    assert_eq!(cause, model.cause(question, limits), "the order of causes");
                } else if let Question::Connection { address } = question {
                    assert!(model.connections(None) <= limits.connections, "over-admitted");
                    let here = model.connections(Some(AddressKey::of(*address)));
                    assert!(
                        limits.connections_per_address.is_none_or(|limit| here <= limit),
                        "over-admitted"
                    );
                    assert!(!model.draining);
                } else if let Question::Login { account, limit } = question {
                    assert!(limit.is_none_or(|limit| model.logins(account) <= limit), "over-admitted");
                    assert!(!model.draining);
                }
            }
            Step::Release(which) if !model.inside.is_empty() => {
                let (permit, _) = model.inside.swap_remove(which % model.inside.len());
                engine.release(permit, now);
                model.gone.push(permit);
            }
            Step::Release(which) | Step::ReleaseAgain(which) => {
                if let Some(permit) = model.gone.get(which % model.gone.len().max(1)) {
                    let stale = engine.snapshot().counters.stale_releases;
                    engine.release(*permit, now);
                    assert_eq!(engine.snapshot().counters.stale_releases, stale + 1);
                }
            }
            Step::Relimit(connections, connections_per_address) => {
                let limits =
                    Limits { connections: *connections, connections_per_address: *connections_per_address };
                engine.relimit(limits, now);
            }
            Step::Drain(secs) => {
                engine.drain(now + Duration::from_secs((*secs).into()), now);
                model.draining = true;
            }
            Step::Resume => {
                engine.resume();
                model.draining = false;
            }
            Step::Exhausted => {
                let refusal = engine.exhausted(now);
                log.push(format!("{refusal:?}"));
                assert!(refusal.retry_after_secs >= 1);
                assert_eq!(refusal.cause == Cause::Draining, model.draining);
            }
            Step::Pass(millis) => now = now + Duration::from_millis((*millis).into()),
        }
        check_all(&engine, &model);
    }
    for (permit, _) in core::mem::take(&mut model.inside) {
        engine.release(permit, now);
    }
    check_all(&engine, &model);
    assert!(engine.addresses.is_empty() && engine.accounts.is_empty(), "nothing is left behind");
    log
}

proptest! {
    #[test]
    fn promises_hold_for_every_history(seed: u64, steps in prop::collection::vec(step(), 1..120)) {
        let log = run(seed, &steps);
        prop_assert_eq!(log, run(seed, &steps), "same seed, same log");
    }
}
