//! One index of the window: who was asked for it, and what came.

use super::words::{Lost, Micros, ReplicaKey};

#[derive(Debug)]
pub(super) struct Slot<T> {
    /// Replicas that owe it.
    pub(super) owners: Vec<ReplicaKey>,
    /// Valid answers so far, by replica and checksum.
    pub(super) votes: Vec<(ReplicaKey, u64)>,
    /// Replicas that said they cannot make it.
    pub(super) unable: Vec<ReplicaKey>,
    /// Answers that must agree, or owners that must be asked, before it is done.
    pub(super) required: usize,
    pub(super) outcome: Outcome<T>,
    /// What the first replica that found the data damaged said.
    pub(super) damage: Option<String>,
    /// When a replica first found its data changed.
    pub(super) changed_at: Option<Micros>,
    /// Replicas that found so again, long after.
    pub(super) still_changed: Vec<ReplicaKey>,
}

#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// Nothing that can be handed out.
    Open,
    /// One answer that awaits a second opinion. At most one answer is ever kept, so that memory
    /// does not depend on how many replicas are asked.
    Held { checksum: u64, payload: T },
    /// To be handed out.
    Done { checksum: u64, payload: T },
    /// Cannot be made by anyone.
    Lost(Lost),
}

/// What an answer did to a slot.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// More answers are needed.
    Waiting,
    /// The answer settled it; these replicas had answered otherwise.
    Settled { wrong: Vec<ReplicaKey> },
    /// It was settled already, by the same answer.
    Repeated,
    /// The answers contradict each other: a further one must decide.
    Disputed,
    /// The answer contradicts what two agree on, or an earlier one of the same replica.
    Wrong,
}

impl<T> Slot<T> {
    pub(super) fn new(required: usize) -> Self {
        Self {
            owners: Vec::new(),
            votes: Vec::new(),
            unable: Vec::new(),
            required,
            outcome: Outcome::Open,
            damage: None,
            changed_at: None,
            still_changed: Vec::new(),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. } | Outcome::Lost(_))
    }

    /// Whether one more replica should be asked.
    pub(super) fn wants_owner(&self) -> bool {
        !self.is_settled() && self.owners.len() + self.votes.len() < self.required
    }

    /// Whether `replica` can add something to it.
    pub(super) fn can_ask(&self, replica: ReplicaKey) -> bool {
        !self.owners.contains(&replica)
            && !self.unable.contains(&replica)
            && !self.votes.iter().any(|(voter, _)| *voter == replica)
    }

    fn is_disputed(&self) -> bool {
        self.votes.windows(2).any(|pair| pair[0].1 != pair[1].1)
    }

    /// Counts the valid answer of `replica`.
    pub(super) fn vote(&mut self, replica: ReplicaKey, checksum: u64, payload: T) -> Verdict {
        self.owners.retain(|owner| *owner != replica);
        if let Some((_, before)) = self.votes.iter().find(|(voter, _)| *voter == replica) {
            return if *before == checksum { Verdict::Repeated } else { Verdict::Wrong };
        }
        self.votes.push((replica, checksum));
        let agreeing = self.votes.iter().filter(|(_, vote)| *vote == checksum).count();
        if let Outcome::Done { checksum: settled, .. } = self.outcome {
            if settled == checksum {
                return Verdict::Repeated;
            }
            if self.votes.iter().filter(|(_, vote)| *vote == settled).count() > 1 {
                return Verdict::Wrong;
            }
        }
        if self.is_disputed() {
            if agreeing < 2 {
                self.required = self.votes.len() + 1;
                self.outcome = Outcome::Open;
                return Verdict::Disputed;
            }
        } else if agreeing < self.required {
            if matches!(self.outcome, Outcome::Open) {
                self.outcome = Outcome::Held { checksum, payload };
            }
            return Verdict::Waiting;
        }
        self.outcome = Outcome::Done { checksum, payload };
        let wrong =
            self.votes.iter().filter(|(_, vote)| *vote != checksum).map(|(voter, _)| *voter).collect();
        Verdict::Settled { wrong }
    }

    /// Settles for the one answer there is, when no second opinion can be had. Never settles a dispute.
    pub(super) fn settle_alone(&mut self) -> bool {
        match std::mem::replace(&mut self.outcome, Outcome::Open) {
            Outcome::Held { checksum, payload } => {
                self.outcome = Outcome::Done { checksum, payload };
                true
            }
            other => {
                self.outcome = other;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaKey = ReplicaKey(0);
    const B: ReplicaKey = ReplicaKey(1);
    const C: ReplicaKey = ReplicaKey(2);

    #[test]
    fn one_answer_settles_an_ordinary_slot_and_its_copy_is_a_repetition() {
        let mut slot = Slot::new(1);
        assert_eq!(slot.vote(A, 7, "a"), Verdict::Settled { wrong: vec![] });
        assert_eq!(slot.vote(B, 7, "b"), Verdict::Repeated);
        assert!(matches!(slot.outcome, Outcome::Done { payload: "a", .. }));
    }

    #[test]
    fn an_audited_slot_needs_two_equal_answers() {
        let mut slot = Slot::new(2);
        assert_eq!(slot.vote(A, 7, ()), Verdict::Waiting);
        assert!(!slot.is_settled() && slot.wants_owner() && !slot.can_ask(A));
        assert_eq!(slot.vote(B, 7, ()), Verdict::Settled { wrong: vec![] });
    }

    #[test]
    fn a_third_answer_decides_a_dispute_and_names_who_was_wrong() {
        for third in [7, 8] {
            let mut slot = Slot::new(2);
            slot.vote(A, 7, 7);
            assert_eq!(slot.vote(B, 8, 8), Verdict::Disputed);
            assert!(slot.wants_owner());
            let wrong = if third == 7 { vec![B] } else { vec![A] };
            assert_eq!(slot.vote(C, third, third), Verdict::Settled { wrong });
            assert!(matches!(slot.outcome, Outcome::Done { payload, .. } if payload == third));
        }
    }

    #[test]
    fn a_contradiction_reopens_a_slot_that_was_settled_but_not_handed_out() {
        let mut slot = Slot::new(1);
        slot.vote(A, 7, ());
        assert_eq!(slot.vote(B, 8, ()), Verdict::Disputed);
        assert!(!slot.is_settled() && !slot.settle_alone());
    }

    #[test]
    fn one_late_contradiction_does_not_reopen_what_two_agree_on() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, ());
        slot.vote(B, 7, ());
        assert_eq!(slot.vote(C, 8, ()), Verdict::Wrong);
        assert!(matches!(slot.outcome, Outcome::Done { checksum: 7, .. }));
    }

    #[test]
    fn a_replica_has_one_voice_however_often_it_answers() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, ());
        assert_eq!(slot.vote(A, 7, ()), Verdict::Repeated);
        assert_eq!(slot.vote(A, 8, ()), Verdict::Wrong);
        assert!(!slot.is_settled());
    }

    #[test]
    fn three_different_answers_ask_for_a_fourth() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, ());
        slot.vote(B, 8, ());
        assert_eq!(slot.vote(C, 9, ()), Verdict::Disputed);
        assert!(slot.wants_owner());
    }
}
