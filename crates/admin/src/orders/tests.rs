use serde::de::DeserializeOwned;

use super::*;
use crate::fake::{Fake, FakeHost, LISTENING_ON, SESSIONS};
use crate::message::{DrainStatus, ReloadAnswer, SessionRow, Status, WhyReport};

struct Desk {
    fake: Arc<Fake>,
    orders: Orders,
}

fn desk() -> Desk {
    desk_of(FakeHost::default())
}

fn desk_of(host: FakeHost) -> Desk {
    let fake = Arc::new(Fake::new(100));
    let running: Arc<dyn Running> = fake.clone();
    Desk { fake, orders: Orders { running, host: Arc::new(host) } }
}

impl Desk {
    async fn ask(&self, line: &str) -> Answer {
        self.orders.carry_out(&serde_json::from_str(line).unwrap()).await
    }

    /// The typed result is the whole result: what is said has no field that the types do not know.
    async fn get<T: DeserializeOwned + Serialize>(&self, line: &str) -> T {
        let answer = self.ask(line).await.unwrap();
        let typed: T = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), answer);
        typed
    }

    async fn fail(&self, line: &str) -> Failure {
        let failure = self.ask(line).await.expect_err(line);
        assert!(failure.hint.as_deref().is_some_and(|hint| !hint.is_empty()), "{failure:?} helps nobody");
        failure
    }
}

#[tokio::test]
async fn status_tells_what_the_snapshot_holds() {
    let desk = desk();
    for _ in 0..4 {
        desk.fake.enter("192.0.2.1");
    }
    let status: Status = desk.get(r#"{"command":"status"}"#).await;
    assert_eq!((status.version.as_str(), status.pid), ("1.2.3", 4711));
    assert_eq!(status.config.as_deref(), Some("/etc/tidegate.toml"));
    assert_eq!((status.ready, status.not_ready), (true, None));
    assert_eq!((status.connections.in_use, status.connections.limit), (3, Some(100)));
    let listeners: Vec<&str> = status.listeners.iter().map(|row| row.address.as_str()).collect();
    assert_eq!(listeners, LISTENING_ON);
    assert_eq!(status.listeners[0].connections.limit, Some(50));
    let causes: Vec<(&str, u64)> =
        status.refusals.iter().map(|row| (row.cause.as_str(), row.count)).collect();
    assert_eq!(causes, [("address-full", 1), ("idle", 4)]);
    let ended = status.transfers_ended;
    assert_eq!((ended.completed, ended.failed, ended.cut), (9, 2, 1));
    assert_eq!(status.complaints.len(), 1);
    assert!((status.uptime_seconds - 1_000.0).abs() < 1e-9 && status.started_at > 1_600_000_000);
    assert_eq!(status.overload.level, "calm");
    assert_eq!(status.overload.signals.len(), 5);
}

#[tokio::test]
async fn a_drain_makes_the_status_unready() {
    let desk = desk();
    desk.fake.plan(Duration::from_mins(1));
    let status: Status = desk.get(r#"{"command":"status"}"#).await;
    assert!(status.ready && !status.drain.unwrap().begun, "it is only planned");
    desk.fake.plan(Duration::ZERO);
    let status: Status = desk.get(r#"{"command":"status"}"#).await;
    assert_eq!(status.not_ready.as_deref(), Some("draining"));
    assert!(status.drain.unwrap().begun);
}

#[tokio::test]
async fn a_full_house_is_not_ready() {
    let fake = Fake::new(1);
    assert!(fake.enter("192.0.2.1"));
    let running: Arc<dyn Running> = Arc::new(fake);
    let orders = Orders { running, host: Arc::new(FakeHost::default()) };
    let answer = orders.carry_out(&Request::Status {}).await.unwrap();
    assert_eq!((&answer["ready"], &answer["not_ready"]), (&Value::from(false), &Value::from("full")));
}

#[tokio::test]
async fn pages_of_sessions_are_whole_and_end() {
    let desk = desk();
    let mut seen = Vec::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let page: SessionsAnswer =
            desk.get(&format!(r#"{{"command":"sessions","after":{from},"count":3}}"#)).await;
        seen.extend(page.sessions.iter().map(|row| row.id));
        after = page.next;
        assert!(seen.len() <= 20, "it does not end");
    }
    assert_eq!(seen, (1..=SESSIONS).collect::<Vec<_>>());
    let one: SessionsAnswer = desk.get(r#"{"command":"sessions","count":0}"#).await;
    assert_eq!(one.sessions.len(), 1, "a page of none would never end");
}

#[tokio::test]
async fn a_session_tells_what_it_does() {
    let desk = desk();
    let row: SessionRow = desk.get(r#"{"command":"session","id":1}"#).await;
    let transfer = row.transfer.unwrap();
    assert_eq!((row.doing.as_str(), transfer.direction.as_str()), ("download", "download"));
    assert_eq!((transfer.bytes, transfer.bytes_per_second), (5_000, 2_000));
    let row: SessionRow = desk.get(r#"{"command":"session","id":2}"#).await;
    assert_eq!((row.doing.as_str(), row.account, row.transfer), ("logging-in", None, None));
    assert_eq!(desk.fail(r#"{"command":"session","id":99}"#).await.kind, FailureKind::NotFound);
}

#[tokio::test]
async fn why_tells_the_rule_the_line_and_the_holders() {
    let desk = desk();
    let ask = r#"{"command":"why","address":"::ffff:192.0.2.1"}"#;
    let free: WhyReport = desk.get(ask).await;
    assert_eq!(free.address.as_deref(), Some("192.0.2.1"));
    assert_eq!((free.answers.len(), free.answers[0].outcome.as_str()), (2, "admit"));
    assert_eq!((free.answers[0].rule.as_deref(), free.answers[0].line.as_deref()), (None, None));
    assert!(free.answers[0].checks.iter().all(|check| !check.refuses));
    for _ in 0..3 {
        assert!(desk.fake.enter("192.0.2.1"));
    }
    let full: WhyReport = desk.get(ask).await;
    let answer = &full.answers[0];
    assert_eq!(answer.listener.as_deref(), Some(LISTENING_ON[0]));
    assert_eq!((answer.outcome.as_str(), answer.cause.as_deref()), ("refuse", Some("address-full")));
    assert_eq!(answer.rule.as_deref(), Some("limits.connections_per_address"));
    let retry = answer.retry_seconds.unwrap();
    let line = answer.line.as_deref().unwrap();
    assert!(line.starts_with("421 Too many connections from your address (3 of 3); try again in"), "{line}");
    assert!(line.ends_with(&format!("[cause=address-full retry={retry}]")), "{line}");
    let check = answer.checks.iter().find(|check| check.refuses).unwrap();
    assert_eq!((check.in_use, check.limit), (3, Some(3)));
    assert!(check.frees_after_seconds.is_some());
    assert_eq!((full.holders.len(), full.held), (1, 25));
}

#[tokio::test]
async fn why_tells_the_denied_and_the_words_of_a_drain() {
    let desk = desk();
    let denied: WhyReport = desk.get(r#"{"command":"why","address":"198.51.100.9"}"#).await;
    assert_eq!(denied.answers[0].outcome, "deny");
    assert!(denied.answers[0].line.as_deref().unwrap().starts_with("530 "));
    assert_eq!(denied.answers[0].retry_seconds, None);
    desk.fake.plan(Duration::ZERO);
    let draining: WhyReport = desk.get(r#"{"command":"why","address":"192.0.2.1"}"#).await;
    let line = draining.answers[0].line.as_deref().unwrap();
    assert!(line.contains("new disks") && line.ends_with("[cause=draining retry=3600]"), "{line}");
}

#[tokio::test]
async fn why_asks_about_one_thing() {
    let desk = desk();
    let account: WhyReport = desk.get(r#"{"command":"why","account":"alice","from":"192.0.2.1"}"#).await;
    assert_eq!((account.account.as_deref(), account.account_exists), (Some("alice"), Some(true)));
    assert_eq!((account.answers.len(), account.answers[0].listener.as_deref()), (1, None));
    let anonymous: WhyReport = desk.get(r#"{"command":"why","account":"anonymous"}"#).await;
    assert_eq!(anonymous.account.as_deref(), Some("anonymous"));
    let nobody: WhyReport = desk.get(r#"{"command":"why","account":"mallory"}"#).await;
    assert_eq!((nobody.account_exists, nobody.answers[0].outcome.as_str()), (Some(false), "no-account"));
    assert_eq!(nobody.answers[0].line.as_deref(), Some("530 Login incorrect."));
    assert_eq!((nobody.answers[0].cause.as_deref(), nobody.answers[0].retry_seconds), (None, None));
    desk.fake.plan(Duration::ZERO);
    let draining: WhyReport = desk.get(r#"{"command":"why","account":"mallory"}"#).await;
    assert_eq!((draining.answers[0].outcome.as_str(), draining.account_exists), ("refuse", Some(false)));
    for line in [
        r#"{"command":"why"}"#,
        r#"{"command":"why","account":""}"#,
        r#"{"command":"why","from":"192.0.2.1"}"#,
        r#"{"command":"why","address":"192.0.2.1","account":"alice"}"#,
        r#"{"command":"why","address":"192.0.2.1","from":"192.0.2.1"}"#,
    ] {
        assert_eq!(desk.fail(line).await.kind, FailureKind::BadRequest, "{line}");
    }
}

#[tokio::test]
async fn bans_come_and_go() {
    let desk = desk();
    let banned: BanAnswer = desk.get(r#"{"command":"ban","address":"2001:db8::9","seconds":900}"#).await;
    assert_eq!(banned, BanAnswer { address: "2001:db8::/64".into(), seconds: 900 });
    let list: BansAnswer = desk.get(r#"{"command":"bans"}"#).await;
    assert_eq!((list.bans.len(), list.next), (1, None));
    assert_eq!((list.bans[0].reason.as_str(), list.bans[0].name.as_deref()), ("operator", None));
    assert!((list.bans[0].remaining_seconds - 900.0).abs() < 1e-6);
    let ended: UnbanAnswer = desk.get(r#"{"command":"unban","address":"2001:db8::1"}"#).await;
    assert_eq!(ended, UnbanAnswer { address: "2001:db8::/64".into(), ended: 1 });
    let ended: UnbanAnswer = desk.get(r#"{"command":"unban","address":"2001:db8::1"}"#).await;
    assert_eq!(ended.ended, 0);
}

#[tokio::test]
async fn the_trusted_are_not_banned() {
    let desk = desk();
    let failure = desk.fail(r#"{"command":"ban","address":"127.0.0.1","seconds":9}"#).await;
    assert_eq!(failure.kind, FailureKind::Refused);
    for seconds in [0, BAN_SECS_MAX + 1] {
        let line = format!(r#"{{"command":"ban","address":"192.0.2.1","seconds":{seconds}}}"#);
        assert_eq!(desk.fail(&line).await.kind, FailureKind::BadRequest);
    }
    let list: BansAnswer = desk.get(r#"{"command":"bans"}"#).await;
    assert!(list.bans.is_empty());
}

#[tokio::test]
async fn a_kick_reaches_the_session() {
    let desk = desk();
    let kicked: KickAnswer = desk.get(r#"{"command":"kick","id":3,"retry":60}"#).await;
    assert_eq!(kicked, KickAnswer { id: 3, retry: 60 });
    assert_eq!(*desk.fake.kicked.lock().unwrap(), [(3, 60)]);
    assert_eq!(desk.fail(r#"{"command":"kick","id":99}"#).await.kind, FailureKind::NotFound);
    assert_eq!(desk.fail(r#"{"command":"kick","id":3,"retry":0}"#).await.kind, FailureKind::BadRequest);
    assert_eq!(desk.fake.kicked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_reload_tells_what_changed_or_why_nothing_did() {
    let report: ReloadAnswer = desk().get(r#"{"command":"reload"}"#).await;
    assert_eq!(report.changed[0].0, "limits.connections");
    let broken = desk_of(FakeHost { mistake: Some("line 3: unknown key\n  hint".into()) });
    let failure = broken.fail(r#"{"command":"reload"}"#).await;
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::Failed, "line 3: unknown key\n  hint")
    );
}

#[tokio::test]
async fn a_drain_has_a_deadline_and_can_be_ended() {
    let desk = desk();
    let drain: DrainStatus = desk.get(r#"{"command":"drain"}"#).await;
    assert!(
        drain.begun && (drain.ends_in_seconds - 61.0).abs() < 1e-6,
        "timeouts.shutdown stands in: {drain:?}"
    );
    let replaced: DrainStatus =
        desk.get(r#"{"command":"drain","deadline_seconds":300,"message":"new disks","stay":true}"#).await;
    assert_eq!((replaced.ends_in_seconds, replaced.message.as_deref()), (300.0, Some("new disks")));
    let later: DrainStatus =
        desk.get(r#"{"command":"drain","deadline_seconds":300,"delay_seconds":3600}"#).await;
    assert_eq!((later.begun, later.begins_in_seconds, later.ends_in_seconds), (false, 3_600.0, 3_900.0));
    let resumed: ResumeAnswer = desk.get(r#"{"command":"resume"}"#).await;
    assert!(resumed.ready);
    assert_eq!(desk.fail(r#"{"command":"resume"}"#).await.kind, FailureKind::NotFound);
}

#[tokio::test]
async fn drains_that_make_no_sense_change_nothing() {
    let desk = desk();
    for line in [
        format!(r#"{{"command":"drain","deadline_seconds":{}}}"#, DRAIN_SECS_MAX + 1),
        r#"{"command":"drain","message":"wärmer"}"#.to_owned(),
        r#"{"command":"drain","at":1000000000}"#.to_owned(),
        r#"{"command":"drain","at":99999999999}"#.to_owned(),
        r#"{"command":"drain","delay_seconds":99999999999}"#.to_owned(),
        format!(r#"{{"command":"drain","at":{},"delay_seconds":1}}"#, clock::wall().as_secs() + 60),
    ] {
        assert_eq!(desk.fail(&line).await.kind, FailureKind::BadRequest, "{line}");
    }
    assert!(desk.fake.snapshot().drain.is_none());
    *desk.fake.ending.lock().unwrap() = true;
    assert_eq!(desk.fail(r#"{"command":"drain"}"#).await.kind, FailureKind::Refused);
}

#[test]
fn a_plan_is_told_as_a_time_of_day() {
    let now = Duration::from_secs_f64(1_000_000.25);
    assert_eq!(delay_until(1_000_001, now).unwrap(), Duration::from_secs_f64(0.75));
    assert!(delay_until(1_000_000, now).is_err());
    assert!(delay_until(1_000_000 + PLAN_SECS_MAX + 1, now).is_err());
}
