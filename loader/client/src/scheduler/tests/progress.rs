//! What a replica says of its progress: it is at work, and asking another for the same would be work for nothing.

use super::*;

/// Two replicas, neither of which has delivered yet, each with two batches.
fn both_at_work() -> Scheduler<u64> {
    let mut scheduler = scheduler(4);
    for replica in [A, B] {
        scheduler.join(0, replica, 2, None);
    }
    assert_eq!(asks(&mut scheduler), [(0, 0), (0, 1), (1, 2), (1, 3)]);
    scheduler
}

fn rows(index: u64, rows_done: u32) -> Progress {
    Progress { index, rows_done, rows: 60 }
}

/// Lets time pass until something is asked for once more, and gives when that was.
fn hedged_at(
    scheduler: &mut Scheduler<u64>,
    mut progress: impl FnMut(&mut Scheduler<u64>, Micros),
) -> Micros {
    let mut second = SECOND;
    while scheduler.tally().hedged == 0 {
        let now = scheduler.next_wakeup().unwrap_or(second).min(second);
        if now == second {
            progress(scheduler, now);
            second += SECOND;
        }
        scheduler.poll(now);
    }
    second - SECOND
}

#[test]
fn who_says_nothing_is_late_before_long() {
    assert_eq!(hedged_at(&mut both_at_work(), |_, _| {}), SECOND);
}

#[test]
fn who_gets_on_is_late_when_it_takes_longer_than_its_progress_tells() {
    // A row each second makes a batch a minute.
    let at = hedged_at(&mut both_at_work(), |scheduler, now| {
        for (replica, first) in [(A, 0), (B, 2)] {
            scheduler.progress(now, replica, rows(first, (now / SECOND) as u32));
        }
    });
    assert!((60 * SECOND..90 * SECOND).contains(&at), "{at}");
}

#[test]
fn who_got_on_and_stops_is_late_when_what_it_told_is_over() {
    let at = hedged_at(&mut both_at_work(), |scheduler, now| {
        for (replica, first) in [(A, 0), (B, 2)] {
            scheduler.progress(now, replica, rows(first, 20.min(10 * (now / SECOND) as u32)));
        }
    });
    assert!((6 * SECOND..9 * SECOND).contains(&at), "{at}");
}

#[test]
fn only_more_rows_of_what_it_owes_are_progress() {
    let mut scheduler = both_at_work();
    assert!(!scheduler.progress(SECOND, A, rows(0, 0)));
    assert!(scheduler.progress(SECOND, A, rows(0, 1)));
    assert!(!scheduler.progress(SECOND, A, rows(0, 1)));
    assert!(scheduler.progress(SECOND, A, rows(1, 1)), "it builds both");
    assert!(!scheduler.progress(SECOND, A, rows(0, 1)), "and this one gets on no further");
    assert!(!scheduler.progress(SECOND, A, rows(2, 1)), "another's");
    assert!(!scheduler.progress(SECOND, C, rows(0, 9)), "not there");
    assert!(scheduler.progress(SECOND, A, rows(0, 60)));
}
