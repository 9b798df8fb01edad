//! How much is asked for at most.

use super::*;

#[test]
fn a_replica_that_owes_all_it_may_is_asked_for_two_more_where_it_matters() {
    let mut fleet = Fleet::default();
    fleet.join(0, A, 1, None);
    for index in 0..3 {
        assert_eq!(fleet.in_order(0).next(), Some(A), "batch {index}");
        fleet.ask(0, A, index);
    }
    assert_eq!(fleet.in_order(0).next(), None);
}

#[test]
fn little_is_asked_for_twice_however_much_is_late() {
    let mut scheduler = scheduler(64);
    let mut now = 0;
    scheduler.join(now, A, 100, None);
    scheduler.join(now, B, 100, None);
    let mut owed = asks(&mut scheduler);
    while scheduler.next_due < 200 {
        now += MILLI;
        let (replica, index) = owed.remove(0);
        scheduler.deliver(now, ReplicaKey(replica), index, index.into(), index);
        while take(&mut scheduler, now).is_some() {}
        owed.extend(asks(&mut scheduler));
    }
    // From here on nobody delivers, and nobody is idle.
    let before = scheduler.tally().hedged;
    for _ in 0..100 {
        now += 100 * MILLI;
        scheduler.poll(now);
    }
    let hedged = scheduler.tally().hedged - before;
    // One in eight of what is in flight, which is what there was and what was asked for again.
    let in_flight = scheduler.fleet.in_flight() as u64;
    assert!(hedged >= 4 && hedged <= in_flight / 8, "{hedged} of {in_flight}");
}
