//! What holds for the scheduler whatever happens, and what it does in cases that matter.

mod failing;
mod limits;
mod progress;

use super::simulation::{MILLI, SECOND};
use super::*;
use crate::audit::AuditKey;
use proptest::prelude::*;

/// What is handed out, as index and payload.
fn take(scheduler: &mut Scheduler<u64>, now: Micros) -> Option<Result<(u64, u64), Lost>> {
    scheduler.take(now).map(|taken| taken.map(|taken| (taken.index, taken.payload)))
}

fn scheduler(window: u64) -> Scheduler<u64> {
    Scheduler::new(Bounds {
        start: 0,
        end: 1000,
        window,
        hedge: true,
        audit_every: 0,
        audit_key: AuditKey(7),
        changed_for: 30 * SECOND,
    })
}

fn asks(scheduler: &mut Scheduler<u64>) -> Vec<(u32, u64)> {
    let mut asks = Vec::new();
    while let Some(action) = scheduler.next_action() {
        if let Action::Ask { replica, index } = action {
            asks.push((replica.0, index));
        }
    }
    asks
}

const A: ReplicaKey = ReplicaKey(0);
const B: ReplicaKey = ReplicaKey(1);
const C: ReplicaKey = ReplicaKey(2);

/// What must hold between any two calls.
pub(super) fn assert_consistent<T>(scheduler: &Scheduler<T>) {
    assert_eq!(scheduler.frontier - scheduler.next_due, scheduler.slots.len() as u64);
    let mut in_flight = 0;
    for (slot, index) in scheduler.slots.iter().zip(scheduler.next_due..) {
        assert_eq!(slot.wants_owner(), scheduler.needs.contains(&index), "batch {index}: {:?}", slot.owners);
        assert!(!slot.is_settled() || slot.owners.is_empty(), "batch {index} is settled and still owed");
        for owner in &slot.owners {
            assert!(scheduler.fleet.asked(*owner, index).is_some(), "batch {index} is owed by nobody known");
        }
        in_flight += slot.owners.len();
    }
    assert_eq!(in_flight, scheduler.fleet.in_flight(), "every debt belongs to a slot");
    assert!(scheduler.needs.iter().all(|index| (scheduler.next_due..scheduler.frontier).contains(index)));
}

#[test]
fn work_is_spread_lowest_index_first_within_the_window() {
    let mut scheduler = scheduler(3);
    scheduler.join(0, A, 10, None);
    assert_eq!(asks(&mut scheduler), [(0, 0), (0, 1)], "a newcomer of unknown speed gets little");
    scheduler.join(0, B, 10, None);
    assert_eq!(asks(&mut scheduler), [(1, 2)], "the window ends here");
    assert_consistent(&scheduler);
}

#[test]
fn what_a_lost_replica_owed_is_asked_of_others_lowest_first() {
    let mut scheduler = scheduler(100);
    scheduler.join(0, A, 4, None);
    scheduler.join(0, B, 4, None);
    asks(&mut scheduler);
    scheduler.leave(1, A);
    // B owes as much as a newcomer may, so only the head is asked for at once.
    assert_eq!(asks(&mut scheduler), [(1, 0)]);
    scheduler.deliver(2, B, 0, 0, 0);
    let next = asks(&mut scheduler);
    assert!(next.first() == Some(&(1, 1)), "{next:?}");
    assert_eq!(scheduler.tally().reassigned, 2);
    assert_consistent(&scheduler);
}

#[test]
fn batches_leave_in_order_whatever_the_order_of_their_arrival() {
    let mut scheduler = scheduler(100);
    scheduler.join(0, A, 2, None);
    asks(&mut scheduler);
    scheduler.deliver(5, A, 1, 1, 1);
    assert!(take(&mut scheduler, 5).is_none());
    scheduler.deliver(6, A, 0, 0, 0);
    assert_eq!(take(&mut scheduler, 6), Some(Ok((0, 0))));
    assert_eq!(take(&mut scheduler, 6), Some(Ok((1, 1))));
}

#[test]
fn what_nobody_asked_for_is_rejected_and_its_sender_is_not_trusted() {
    let mut scheduler = scheduler(100);
    scheduler.join(0, A, 2, None);
    asks(&mut scheduler);
    assert_eq!(scheduler.deliver(1, A, 500, 0, 500), Delivered::Rejected);
    let distrust = Action::Distrust { replica: A, index: 500, why: Distrust::Unasked };
    assert_eq!(scheduler.next_action(), Some(distrust));
    scheduler.leave(1, A);
    assert_eq!(scheduler.deliver(2, A, 0, 0, 0), Delivered::Rejected, "one that left is not heard");
    assert_consistent(&scheduler);
}

/// Two replicas of known speed, the first of which owes batch 40 and is late with it.
fn with_late_head() -> (Scheduler<u64>, Micros) {
    let mut scheduler = Scheduler::new(Bounds {
        start: 0,
        end: 1000,
        window: 8,
        hedge: true,
        audit_every: 0,
        audit_key: AuditKey(7),
        changed_for: 30 * SECOND,
    });
    let mut now = 0;
    scheduler.join(now, A, 2, None);
    scheduler.join(now, B, 2, None);
    let mut owed = asks(&mut scheduler);
    while scheduler.next_due < 40 || !owed.contains(&(0, scheduler.next_due)) {
        now += MILLI;
        let (replica, index) = owed.remove(0);
        scheduler.deliver(now, ReplicaKey(replica), index, index.into(), index);
        while take(&mut scheduler, now).is_some() {}
        owed.extend(asks(&mut scheduler));
        assert!(now < SECOND);
    }
    let late = scheduler.next_due;
    while let Some(at) = owed.iter().position(|(replica, index)| (*replica, *index) != (0, late)) {
        now += MILLI;
        let (replica, index) = owed.remove(at);
        if replica == 1 {
            scheduler.deliver(now, ReplicaKey(replica), index, index.into(), index);
        }
        owed.extend(asks(&mut scheduler).into_iter().filter(|(replica, _)| *replica == 1));
        if now > 2 * SECOND {
            break;
        }
    }
    (scheduler, now)
}

#[test]
fn a_late_head_is_asked_of_another_and_the_loser_is_withdrawn() {
    let (mut scheduler, mut now) = with_late_head();
    let late = scheduler.next_due;
    for _ in 0..100 {
        if scheduler.tally().hedged > 0 {
            break;
        }
        now += 10 * MILLI;
        scheduler.poll(now);
    }
    assert!(scheduler.slots[0].owners.contains(&A) && scheduler.slots[0].owners.contains(&B));
    asks(&mut scheduler);
    assert_eq!(scheduler.deliver(now, B, late, late.into(), late), Delivered::Used);
    let withdraw = Action::Withdraw { replica: A, index: late };
    assert!(std::iter::from_fn(|| scheduler.next_action()).any(|action| action == withdraw));
    while take(&mut scheduler, now).is_some() {}
    assert_eq!(
        scheduler.deliver(now + 1, A, late, late.into(), late),
        Delivered::Duplicate,
        "it may come all the same"
    );
    assert_eq!(scheduler.tally().duplicate, 1);
    assert_consistent(&scheduler);
}

#[test]
fn a_duplicate_that_differs_from_what_was_handed_out_is_said_and_convicts_nobody_on_the_word_of_one() {
    let (mut scheduler, mut now) = with_late_head();
    let late = scheduler.next_due;
    while scheduler.tally().hedged == 0 {
        now += 10 * MILLI;
        scheduler.poll(now);
    }
    scheduler.deliver(now, B, late, late.into(), late);
    while take(&mut scheduler, now).is_some() {}
    asks(&mut scheduler);
    assert_eq!(scheduler.deliver(now, A, late, u128::from(late) + 1, late), Delivered::Rejected);
    let undecided = Action::Undecided { index: late, replicas: vec![B, A], used: B };
    assert_eq!(std::iter::from_fn(|| scheduler.next_action()).collect::<Vec<_>>(), [undecided]);
}

#[test]
fn an_audit_asks_two_replicas_and_a_third_decides() {
    let mut scheduler = Scheduler::new(Bounds {
        start: 0,
        end: 10,
        window: 1,
        hedge: true,
        audit_every: 1,
        audit_key: AuditKey(7),
        changed_for: 30 * SECOND,
    });
    for replica in [A, B, C] {
        scheduler.join(0, replica, 4, None);
    }
    assert_eq!(asks(&mut scheduler).iter().map(|(_, index)| *index).collect::<Vec<_>>(), [0, 0]);
    scheduler.deliver(1, A, 0, 7, 7);
    assert!(!scheduler.is_ready());
    scheduler.deliver(2, B, 0, 8, 8);
    assert!(!scheduler.is_ready());
    let third: Vec<_> = std::iter::from_fn(|| scheduler.next_action()).collect();
    assert!(third.contains(&Action::Disputed { index: 0, replicas: vec![A, B] }), "{third:?}");
    assert!(third.contains(&Action::Ask { replica: C, index: 0 }), "{third:?}");
    scheduler.deliver(3, C, 0, 8, 8);
    assert_eq!(
        scheduler.next_action(),
        Some(Action::Distrust { replica: A, index: 0, why: Distrust::Differs })
    );
    assert_eq!(take(&mut scheduler, 3), Some(Ok((0, 8))));
}

#[test]
fn a_failing_replica_is_paused_and_then_asked_again_or_given_up() {
    let mut scheduler = scheduler(1);
    scheduler.join(0, A, 4, None);
    let mut now = 0;
    for failure in 1.. {
        assert_eq!(asks(&mut scheduler), [(0, 0)], "failure {failure}");
        scheduler.fail(now, A, 0, FailureKind::Internal, "broken".into());
        let next = scheduler.next_action();
        if let Some(Action::Distrust { why: Distrust::Failing, .. }) = next {
            assert!(failure >= 3);
            return;
        }
        assert_eq!(next, None);
        let resume = scheduler.next_wakeup().expect("it is tried again");
        assert!(resume > now);
        now = resume;
        scheduler.poll(now);
    }
}

#[test]
fn who_was_asked_and_is_waited_for_no_more_is_not_asked_again_and_still_decides() {
    let mut scheduler = Scheduler::new(Bounds { audit_every: 1, end: 1, ..scheduler(4).bounds });
    for key in [A, B, C] {
        scheduler.join(0, key, 4, None);
    }
    assert_eq!(asks(&mut scheduler), [(0, 0), (1, 0)]);
    scheduler.ask(1, C, 0);
    asks(&mut scheduler);
    scheduler.deliver(2, A, 0, 7, 7);
    scheduler.poll(scheduler.held_until().expect("a second opinion is waited for"));
    assert!(scheduler.is_ready(), "but not without end");
    let now = 60 * SECOND;
    assert_eq!(scheduler.deliver(now, B, 0, 8, 8), Delivered::Used);
    assert_eq!((scheduler.is_ready(), asks(&mut scheduler)), (false, vec![]));
    assert_consistent(&scheduler);
    scheduler.deliver(now + 1, C, 0, 8, 8);
    assert_eq!(take(&mut scheduler, now + 1), Some(Ok((0, 8))));
}

/// One thing that can happen to a scheduler, with numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Join(u8, u8),
    Leave(u8),
    Deliver(u8, bool),
    DeliverWhatever(u8, u64),
    Fail(u8, u8),
    Take,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0_u8..6, 1_u8..12).prop_map(|(r, l)| Step::Join(r, l)),
        1 => (0_u8..6).prop_map(Step::Leave),
        12 => (any::<u8>(), prop::bool::weighted(0.95)).prop_map(|(n, sound)| Step::Deliver(n, sound)),
        1 => (0_u8..6, 0_u64..60).prop_map(|(r, i)| Step::DeliverWhatever(r, i)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(n, kind)| Step::Fail(n, kind)),
        6 => Just(Step::Take),
        3 => (0_u32..2_000_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that a replica does, sound or not, makes the books wrong or a batch come twice.
    #[test]
    fn the_books_balance_whatever_replicas_do(
        steps in prop::collection::vec(step(), 1..400),
        window in 1_u64..40,
        audit_every in 0_u64..4,
    ) {
        let mut scheduler = Scheduler::new(Bounds { start: 0, end: 60, window, hedge: true, audit_every, audit_key: AuditKey(7), changed_for: 30 * SECOND });
        let (mut now, mut due) = (0, 0);
        // What may come: what is owed, and what was withdrawn.
        let mut owed: Vec<(ReplicaKey, u64)> = Vec::new();
        let mut withdrawn: Vec<(ReplicaKey, u64)> = Vec::new();
        for step in steps {
            now += 1;
            match step {
                Step::Join(replica, limit) => {
                    owed.retain(|(owner, _)| *owner != ReplicaKey(replica.into()));
                    withdrawn.retain(|(owner, _)| *owner != ReplicaKey(replica.into()));
                    scheduler.join(now, ReplicaKey(replica.into()), limit.into(), None);
                }
                Step::Leave(replica) => {
                    owed.retain(|(owner, _)| *owner != ReplicaKey(replica.into()));
                    withdrawn.retain(|(owner, _)| *owner != ReplicaKey(replica.into()));
                    scheduler.leave(now, ReplicaKey(replica.into()));
                }
                Step::Deliver(nth, sound) if !(owed.is_empty() && withdrawn.is_empty()) => {
                    let nth = usize::from(nth) % (owed.len() + withdrawn.len());
                    let (replica, index) = if nth < owed.len() {
                        owed.swap_remove(nth)
                    } else {
                        withdrawn.swap_remove(nth - owed.len())
                    };
                    scheduler.deliver(now, replica, index, u128::from(index) + if sound { 0 } else { 1000 }, index);
                }
                Step::DeliverWhatever(replica, index) => {
                    owed.retain(|pair| *pair != (ReplicaKey(replica.into()), index));
                    scheduler.deliver(now, ReplicaKey(replica.into()), index, index.into(), index);
                }
                Step::Fail(nth, kind) if !owed.is_empty() => {
                    let (replica, index) = owed.swap_remove(usize::from(nth) % owed.len());
                    let kind = [
                        FailureKind::DataLoss,
                        FailureKind::Changed,
                        FailureKind::Unavailable,
                        FailureKind::Internal,
                    ][usize::from(kind % 4)];
                    scheduler.fail(now, replica, index, kind, "failed".into());
                }
                Step::Take => {
                    match take(&mut scheduler, now) {
                        Some(Ok((index, payload))) => {
                            prop_assert_eq!((index, payload), (due, due));
                            due += 1;
                        }
                        Some(Err(lost)) => {
                            prop_assert_eq!(lost.index, due);
                            due += 1;
                        }
                        None => {}
                    }
                }
                Step::Wait(time) => {
                    now += u64::from(time);
                    scheduler.poll(now);
                }
                Step::Deliver(..) | Step::Fail(..) => {}
            }
            while let Some(action) = scheduler.next_action() {
                match action {
                    Action::Ask { replica, index } => {
                        prop_assert!(!owed.contains(&(replica, index)), "asked twice: {:?} {}", replica, index);
                        owed.push((replica, index));
                    }
                    Action::Withdraw { replica, index } => {
                        owed.retain(|pair| *pair != (replica, index));
                        withdrawn.push((replica, index));
                    }
                    Action::Disputed { .. } | Action::Undecided { .. } => {}
                    Action::Distrust { replica, .. } => {
                        owed.retain(|(owner, _)| *owner != replica);
                        withdrawn.retain(|(owner, _)| *owner != replica);
                        scheduler.leave(now, replica);
                    }
                }
            }
            assert_consistent(&scheduler);
            prop_assert!(scheduler.slots.len() as u64 <= window.max(2));
        }
    }
}
