//! Replicas that come, go and come back, by what the roster says of them.

use super::*;

const SECOND: Micros = 1_000_000;

fn target(port: u16) -> Target {
    Target::Named(([127, 0, 0, 1], port).into(), "loader".to_owned())
}

fn roster() -> Roster {
    Roster::new(Tuning::default(), LoaderHistory::default())
}

fn begin(roster: &mut Roster, now: Micros) -> ReplicaKey {
    let key = roster.due(now).expect("one is due");
    let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
    let running = Running { number: 1, mailbox: Mailbox::default(), task };
    roster.get_mut(key).unwrap().running = Some(running);
    key
}

fn condition(roster: &Roster, key: ReplicaKey) -> Condition {
    roster.get(key).unwrap().condition
}

#[tokio::test]
async fn a_replica_that_a_name_no_longer_lists_is_kept_while_it_serves() {
    let mut roster = roster();
    roster.resolved(0, 0, vec![target(1)]);
    let key = begin(&mut roster, 0);
    roster.opened(key, "1", 1);
    roster.resolved(1, 0, vec![target(2)]);
    assert_eq!(condition(&roster, key), Condition::Serving);
    assert_eq!(roster.entries().count(), 2);
    roster.ended(2, key, Ending::Lost("gone".into()));
    assert!(roster.get(key).is_none(), "it is forgotten once it does not serve");
}

#[tokio::test]
async fn a_replica_that_is_listed_again_is_kept() {
    let mut roster = roster();
    roster.resolved(0, 0, vec![target(1)]);
    let key = begin(&mut roster, 0);
    roster.opened(key, "1", 1);
    roster.resolved(1, 0, vec![target(2)]);
    roster.resolved(2, 0, vec![target(1), target(2)]);
    roster.ended(3, key, Ending::Lost("gone".into()));
    assert_eq!(condition(&roster, key), Condition::Lost);
    assert_eq!(roster.entries().count(), 2);
}

#[test]
fn the_replicas_of_other_endpoints_are_not_touched_by_a_look_up() {
    let mut roster = roster();
    roster.add(0, 0, target(1));
    roster.resolved(0, 1, vec![target(2)]);
    roster.resolved(1, 1, vec![target(3)]);
    let targets: Vec<_> = roster.entries().map(|(_, entry)| entry.position.1.clone()).collect();
    assert_eq!(targets, [target(1), target(3)]);
}

#[tokio::test]
async fn strikes_are_paid_off_by_sound_batches() {
    let mut roster = roster();
    roster.add(0, 0, target(1));
    let key = begin(&mut roster, 0);
    roster.ended(0, key, Ending::Bad("a bit is flipped".into()));
    let key = begin(&mut roster, 30 * SECOND);
    roster.opened(key, "1", 1);
    for _ in 0..99 {
        roster.delivered(key);
    }
    roster.ended(40 * SECOND, key, Ending::Bad("a bit is flipped".into()));
    assert_eq!(roster.next_retry(), Some((40 + 120) * SECOND), "99 are not enough");
    let key = begin(&mut roster, 160 * SECOND);
    roster.opened(key, "1", 1);
    for _ in 0..200 {
        roster.delivered(key);
    }
    roster.ended(200 * SECOND, key, Ending::Bad("a bit is flipped".into()));
    assert_eq!(roster.next_retry(), Some((200 + 30) * SECOND), "it is as if it were the first time");
}

#[tokio::test]
async fn each_quarantine_is_longer_and_one_for_good_never_ends() {
    let mut roster = roster();
    roster.add(0, 0, target(1));
    for (now, pause) in [(0, 30), (1000, 120), (2000, 480)] {
        let key = begin(&mut roster, now * SECOND);
        roster.ended(now * SECOND, key, Ending::Bad("a bit is flipped".into()));
        assert_eq!(condition(&roster, key), Condition::Quarantined);
        assert_eq!(roster.next_retry(), Some((now + pause) * SECOND));
    }
    let key = begin(&mut roster, 3000 * SECOND);
    roster.quarantine(3000 * SECOND, key, "it computes wrongly".into(), true);
    assert_eq!(roster.next_retry(), None);
    roster.resolved(3001 * SECOND, 0, vec![target(2)]);
    assert_eq!(condition(&roster, key), Condition::Quarantined, "a change of name does not shake it off");
}

#[tokio::test]
async fn silence_makes_the_timeout_longer_until_something_is_delivered() {
    let mut roster = roster();
    roster.add(0, 0, target(1));
    let mut timeouts = Vec::new();
    for _ in 0..7 {
        let key = begin(&mut roster, Micros::MAX);
        let timeout = roster.idle_timeout(key);
        timeouts.push(timeout.as_secs());
        roster.ended(0, key, Ending::Silent(timeout));
    }
    assert_eq!(timeouts, [3, 6, 12, 24, 48, 48, 48]);
    let key = begin(&mut roster, Micros::MAX);
    roster.delivered(key);
    assert_eq!(roster.idle_timeout(key).as_secs(), 3);
}

#[tokio::test]
async fn a_refused_replica_is_looked_at_again_and_may_serve() {
    let mut roster = roster();
    roster.add(0, 0, target(1));
    let key = begin(&mut roster, 0);
    roster.refuse(0, key, "it serves other data".into());
    assert_eq!(condition(&roster, key), Condition::Refused);
    assert!(roster.troubles().contains("127.0.0.1:1: it serves other data"));
    let key = begin(&mut roster, 10 * SECOND);
    roster.ended(10 * SECOND, key, Ending::Lost("being replaced".into()));
    assert_eq!(condition(&roster, key), Condition::Refused, "that it is away says nothing of what it serves");
    let key = begin(&mut roster, 20 * SECOND);
    roster.opened(key, "2", 1);
    assert_eq!((condition(&roster, key), roster.serving()), (Condition::Serving, 1));
}

#[test]
fn no_more_replicas_are_kept_than_allowed() {
    let mut roster = Roster::new(Tuning { max_replicas: 3, ..Tuning::default() }, LoaderHistory::default());
    roster.resolved(0, 0, (1..100).map(target).collect());
    assert_eq!(roster.entries().count(), 3);
}

#[tokio::test]
async fn a_quarantined_replica_that_no_name_lists_is_forgotten_when_its_time_is_over() {
    let mut roster = roster();
    roster.resolved(0, 0, vec![target(1), target(2)]);
    let key = begin(&mut roster, 0);
    begin(&mut roster, 0);
    roster.ended(0, key, Ending::Bad("a bit is flipped".into()));
    roster.resolved(SECOND, 0, vec![target(2)]);
    assert_eq!(roster.due(29 * SECOND), None);
    assert_eq!(condition(&roster, key), Condition::Quarantined);
    assert_eq!(roster.due(31 * SECOND), None, "it is not tried again");
    assert!(roster.get(key).is_none());
}

#[test]
fn a_token_that_leaves_the_machine_in_clear_is_said_once() {
    for (in_clear, hosts, said) in [
        (true, ["10.0.0.7", "10.0.0.8"], 1),
        (true, ["localhost", "127.0.0.1"], 0),
        (false, ["10.0.0.7", "10.0.0.8"], 0),
    ] {
        let log = mixfeed_ops::testing::logged(|| {
            let mut roster = roster().with_token_in_clear(in_clear);
            for (position, host) in hosts.iter().enumerate() {
                roster.add(0, position, Target::Host(format!("{host}:1")));
            }
        });
        assert_eq!(log.matches("the token is sent in clear").count(), said, "{hosts:?}: {log}");
        assert!(said == 0 || (log.contains("loader=10.0.0.7:1") && log.contains("--tls-ca")), "{log}");
    }
}
