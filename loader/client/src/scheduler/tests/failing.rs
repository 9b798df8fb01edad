//! What becomes of a batch that replicas cannot make: by kind of failure, and by how many say so.

use super::*;

/// Fails batch 0 at once each time that it is asked of a replica, with the kind that `kind` says, until `until`; gives
/// when it was asked for, and how it ended.
fn failing(
    scheduler: &mut Scheduler<u64>,
    until: Micros,
    kind: impl Fn(ReplicaKey, Micros) -> FailureKind,
) -> (Vec<Micros>, Option<Lost>) {
    let (mut now, mut times) = (0, Vec::new());
    while now < until {
        while let Some(action) = scheduler.next_action() {
            match action {
                Action::Ask { replica, index: 0 } => {
                    times.push(now);
                    scheduler.fail(now, replica, 0, kind(replica, now), format!("of {}", replica.0));
                }
                Action::Ask { .. } | Action::Withdraw { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        if let Some(taken) = take(scheduler, now) {
            return (times, taken.err());
        }
        let resume = scheduler.next_wakeup().expect("it is tried again");
        assert!(resume > now);
        now = resume;
        scheduler.poll(now);
        assert_consistent(scheduler);
    }
    (times, None)
}

#[test]
fn what_cannot_be_read_now_is_asked_for_again_at_a_slow_pace_and_never_given_up() {
    for replicas in [1, 2, 5] {
        let mut scheduler = scheduler(1);
        for key in 0..replicas {
            scheduler.join(0, ReplicaKey(key), 4, None);
        }
        let (times, lost) = failing(&mut scheduler, 3600 * SECOND, |_, _| FailureKind::Unavailable);
        assert_eq!(lost, None);
        let each = times.len() as u32 / replicas;
        assert!((1000..1200).contains(&each), "{replicas} replicas were asked {each} times each in an hour");
        // And whoever can read it again has it taken.
        let now = 3700 * SECOND;
        scheduler.poll(now);
        let Some((replica, 0)) = asks(&mut scheduler).first().copied() else { panic!("nobody is asked") };
        scheduler.deliver(now, ReplicaKey(replica), 0, 0, 0);
        assert_eq!(take(&mut scheduler, now), Some(Ok((0, 0))));
    }
}

#[test]
fn a_change_is_given_up_once_everybody_has_found_it_for_a_time() {
    for replicas in [1, 2, 5] {
        let mut scheduler = scheduler(1);
        for key in 0..replicas {
            scheduler.join(0, ReplicaKey(key), 4, None);
        }
        let (times, lost) = failing(&mut scheduler, 3600 * SECOND, |_, _| FailureKind::Changed);
        assert!(lost.expect("it is given up").changed);
        let last = *times.last().unwrap();
        assert!((30 * SECOND..40 * SECOND).contains(&last), "{replicas} replicas: {last}");
    }
}

#[test]
fn a_change_is_not_given_up_while_one_replica_only_cannot_read_it_now() {
    let mut scheduler = scheduler(1);
    scheduler.join(0, A, 4, None);
    scheduler.join(0, B, 4, None);
    let kind = |replica, now| match replica {
        B if now < 300 * SECOND => FailureKind::Unavailable,
        _ => FailureKind::Changed,
    };
    let (times, lost) = failing(&mut scheduler, 3600 * SECOND, kind);
    assert!(lost.expect("in the end it is").changed);
    assert!(*times.last().unwrap() >= 300 * SECOND);
}

#[test]
fn a_change_of_one_replica_is_no_matter_to_another() {
    let mut scheduler = scheduler(1);
    scheduler.join(0, A, 4, None);
    scheduler.join(0, B, 4, None);
    asks(&mut scheduler);
    scheduler.fail(1, A, 0, FailureKind::Changed, "gone".into());
    assert_eq!(asks(&mut scheduler), [(1, 0)]);
    scheduler.deliver(2, B, 0, 0, 0);
    assert_eq!(take(&mut scheduler, 2), Some(Ok((0, 0))));
}

#[test]
fn damage_is_given_up_once_everybody_has_found_it_twice_a_second_apart() {
    for replicas in [1, 2, 5] {
        let mut scheduler = scheduler(1);
        for key in 0..replicas {
            scheduler.join(0, ReplicaKey(key), 4, None);
        }
        let (times, lost) = failing(&mut scheduler, 3600 * SECOND, |_, _| FailureKind::DataLoss);
        let lost = lost.expect("it is given up");
        assert!(!lost.changed && lost.found_by.len() == replicas as usize, "{lost:?}");
        assert!(times.len() >= 2 * replicas as usize && times.len() <= 8 * replicas as usize, "{times:?}");
        let last = *times.last().unwrap();
        assert!((SECOND..5 * SECOND).contains(&last), "{replicas} replicas: {last}");
    }
}

#[test]
fn damage_that_was_a_bad_moment_ends_nothing() {
    let mut scheduler = scheduler(1);
    scheduler.join(0, A, 4, None);
    scheduler.join(0, B, 4, None);
    let kind = |_, now| if now < SECOND / 2 { FailureKind::DataLoss } else { FailureKind::Unavailable };
    let (_, lost) = failing(&mut scheduler, 60 * SECOND, kind);
    assert_eq!(lost, None);
}
