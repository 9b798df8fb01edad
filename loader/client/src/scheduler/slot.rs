//! One index of the window: who was asked for it, and what came.

use super::words::{Checksum, Lost, Micros, ReplicaKey};

#[derive(Debug)]
pub(super) struct Slot<T> {
    /// Replicas that owe it.
    pub(super) owners: Vec<ReplicaKey>,
    /// Replicas that were asked, and are waited for no more without being told so: what they send still counts.
    pub(super) released: Vec<ReplicaKey>,
    /// Valid answers so far, by replica and checksum.
    pub(super) votes: Vec<(ReplicaKey, Checksum)>,
    /// Who is to give the second answer, as long as there is time.
    pub(super) partner: Option<ReplicaKey>,
    /// Replicas that said they cannot make it.
    pub(super) unable: Vec<ReplicaKey>,
    /// Answers that must agree, or owners that must be asked, before it is done.
    pub(super) required: usize,
    pub(super) outcome: Outcome<T>,
    /// What replicas say is the matter with the data.
    pub(super) finding: Option<Finding>,
    /// Whether the arbiter has spoken.
    decided: bool,
}

/// Data that is damaged, or not what it was.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// Whether a replica has found it changed: then it may be put back.
    pub(super) changed: bool,
    /// What the first replica said.
    pub(super) message: String,
    pub(super) since: Micros,
    /// Replicas that found so, and those that found so again, long enough after.
    pub(super) found_by: Vec<ReplicaKey>,
    pub(super) still_found_by: Vec<ReplicaKey>,
}

#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// Nothing that can be handed out.
    Open,
    /// One answer that awaits a second opinion, or one of a dispute. At most one answer is ever kept, so that memory
    /// does not depend on how many replicas are asked.
    Held { checksum: Checksum, payload: T },
    /// To be handed out.
    Done { checksum: Checksum, payload: T },
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

/// What a slot was settled by without the answers that it should have.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Alone {
    /// One answer, without a second opinion.
    Unaudited,
    /// The first replica's answer, which others contradict.
    Undecided,
}

impl<T> Slot<T> {
    pub(super) fn new(required: usize) -> Self {
        Self {
            owners: Vec::new(),
            released: Vec::new(),
            votes: Vec::new(),
            partner: None,
            unable: Vec::new(),
            required,
            outcome: Outcome::Open,
            finding: None,
            decided: false,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. } | Outcome::Lost(_))
    }

    /// Whether there is an answer that waits for another one.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.outcome, Outcome::Held { .. })
    }

    /// Whether one more replica should be asked.
    pub(super) fn wants_owner(&self) -> bool {
        !self.is_settled() && self.owners.len() + self.votes.len() < self.required
    }

    /// Whether `replica` can add something to it.
    pub(super) fn can_ask(&self, replica: ReplicaKey) -> bool {
        !self.owners.contains(&replica)
            && !self.released.contains(&replica)
            && !self.unable.contains(&replica)
            && !self.votes.iter().any(|(voter, _)| *voter == replica)
    }

    /// Whether `replica` is to be asked next: the second answer comes from the partner, as long as there is one and `is_near` is
    /// false.
    pub(super) fn suits(&self, replica: ReplicaKey, is_near: bool) -> bool {
        let begun = !(self.owners.is_empty() && self.votes.is_empty());
        let reserved = begun && !is_near && self.partner.is_some_and(|partner| partner != replica);
        !reserved && self.can_ask(replica)
    }

    pub(super) fn is_disputed(&self) -> bool {
        self.votes.windows(2).any(|pair| pair[0].1 != pair[1].1)
    }

    /// The replica that the answer came from, unless another one has vouched for it.
    pub(super) fn unconfirmed(&self) -> Option<ReplicaKey> {
        let Outcome::Done { checksum, .. } = &self.outcome else { return None };
        let mut agreeing = self.votes.iter().filter(|(_, vote)| vote == checksum);
        let first = agreeing.next().map(|(voter, _)| *voter);
        first.filter(|_| agreeing.next().is_none() && !self.decided)
    }

    /// Counts the valid answer of `replica`, which decides alone if it `is_arbiter`.
    pub(super) fn vote(
        &mut self,
        replica: ReplicaKey,
        checksum: Checksum,
        payload: T,
        is_arbiter: bool,
    ) -> Verdict {
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
            if self.decided || self.votes.iter().filter(|(_, vote)| *vote == settled).count() > 1 {
                return Verdict::Wrong;
            }
        }
        if is_arbiter {
            self.decided = true;
        } else if self.is_disputed() {
            if agreeing < 2 {
                self.required = self.votes.len() + 1;
                self.partner = None;
                self.hold_first(replica, checksum, payload);
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

    /// Keeps the answer of the replica that comes first in the user's order, in case nobody can decide.
    fn hold_first(&mut self, replica: ReplicaKey, checksum: Checksum, payload: T) {
        let is_first = self.votes.iter().all(|(voter, _)| replica <= *voter);
        self.outcome = match std::mem::replace(&mut self.outcome, Outcome::Open) {
            Outcome::Done { checksum, payload } | Outcome::Held { checksum, payload } if !is_first => {
                Outcome::Held { checksum, payload }
            }
            _ => Outcome::Held { checksum, payload },
        };
    }

    /// Settles for the answer there is, when no further opinion can be had.
    pub(super) fn settle_alone(&mut self) -> Option<Alone> {
        let disputed = self.is_disputed();
        match std::mem::replace(&mut self.outcome, Outcome::Open) {
            Outcome::Held { checksum, payload } => {
                self.outcome = Outcome::Done { checksum, payload };
                Some(if disputed { Alone::Undecided } else { Alone::Unaudited })
            }
            other => {
                self.outcome = other;
                None
            }
        }
    }

    /// Forgets what `replica` has answered, and with it what was settled by that alone. True when an answer was thrown away.
    pub(super) fn discard(&mut self, replica: ReplicaKey, required: usize) -> bool {
        let voted = self.votes.iter().any(|(voter, _)| *voter == replica);
        let alone = self.unconfirmed() == Some(replica);
        if !voted || matches!(self.outcome, Outcome::Lost(_)) || (self.is_settled() && !alone) {
            return false;
        }
        // Rarely worth telling apart which of the other answers still stand.
        self.votes.clear();
        self.outcome = Outcome::Open;
        self.required = required;
        true
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
        assert_eq!(slot.vote(A, 7, "a", false), Verdict::Settled { wrong: vec![] });
        assert_eq!(slot.vote(B, 7, "b", false), Verdict::Repeated);
        assert!(matches!(slot.outcome, Outcome::Done { payload: "a", .. }));
    }

    #[test]
    fn an_audited_slot_needs_two_equal_answers() {
        let mut slot = Slot::new(2);
        assert_eq!(slot.vote(A, 7, (), false), Verdict::Waiting);
        assert!(!slot.is_settled() && slot.wants_owner() && !slot.can_ask(A));
        assert_eq!(slot.vote(B, 7, (), false), Verdict::Settled { wrong: vec![] });
    }

    #[test]
    fn a_third_answer_decides_a_dispute_and_names_who_was_wrong() {
        for third in [7, 8] {
            let mut slot = Slot::new(2);
            slot.vote(A, 7, 7, false);
            assert_eq!(slot.vote(B, 8, 8, false), Verdict::Disputed);
            assert!(slot.wants_owner());
            let wrong = if third == 7 { vec![B] } else { vec![A] };
            assert_eq!(slot.vote(C, third, third, false), Verdict::Settled { wrong });
            assert!(matches!(slot.outcome, Outcome::Done { payload, .. } if payload == third));
        }
    }

    #[test]
    fn a_contradiction_reopens_a_slot_that_was_settled_but_not_handed_out() {
        let mut slot = Slot::new(1);
        slot.vote(A, 7, (), false);
        assert_eq!(slot.vote(B, 8, (), false), Verdict::Disputed);
        assert!(!slot.is_settled() && slot.wants_owner());
    }

    #[test]
    fn a_dispute_that_nobody_can_decide_is_settled_by_who_was_given_first() {
        for order in [[A, B, C], [C, B, A], [B, A, C]] {
            let mut slot = Slot::new(2);
            for replica in order {
                slot.vote(replica, u128::from(replica.0), replica, false);
            }
            assert_eq!(slot.settle_alone(), Some(Alone::Undecided));
            assert!(matches!(slot.outcome, Outcome::Done { payload: A, .. }), "{order:?}");
            assert_eq!(slot.unconfirmed(), Some(A));
        }
    }

    #[test]
    fn the_arbiter_decides_alone_even_against_two() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, 7, false);
        slot.vote(B, 8, 8, false);
        assert_eq!(slot.vote(C, 9, 9, true), Verdict::Settled { wrong: vec![A, B] });
        assert!(matches!(slot.outcome, Outcome::Done { payload: 9, .. }));
        assert_eq!(slot.unconfirmed(), None);
        assert_eq!(slot.vote(ReplicaKey(3), 8, 8, false), Verdict::Wrong);
    }

    #[test]
    fn what_one_replica_alone_has_answered_can_be_thrown_away_until_it_is_handed_out() {
        let mut slot = Slot::new(1);
        slot.vote(A, 7, (), false);
        assert_eq!(slot.unconfirmed(), Some(A));
        assert!(!slot.discard(B, 1) && slot.is_settled());
        assert!(slot.discard(A, 1) && slot.wants_owner());
        let mut agreed = Slot::new(2);
        agreed.vote(A, 7, (), false);
        agreed.vote(B, 7, (), false);
        assert!(!agreed.discard(A, 2) && agreed.is_settled(), "another one has vouched for it");
    }

    #[test]
    fn the_second_answer_is_the_partners_until_there_is_no_time_left() {
        let mut slot = Slot::<()>::new(2);
        slot.partner = Some(C);
        assert!(slot.suits(A, false), "anyone may be the first");
        slot.owners.push(A);
        assert!(!slot.suits(B, false) && slot.suits(C, false));
        assert!(slot.suits(B, true) && !slot.suits(A, true));
    }

    #[test]
    fn one_late_contradiction_does_not_reopen_what_two_agree_on() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, (), false);
        slot.vote(B, 7, (), false);
        assert_eq!(slot.vote(C, 8, (), false), Verdict::Wrong);
        assert!(matches!(slot.outcome, Outcome::Done { checksum: 7, .. }));
    }

    #[test]
    fn a_replica_has_one_voice_however_often_it_answers() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, (), false);
        assert_eq!(slot.vote(A, 7, (), false), Verdict::Repeated);
        assert_eq!(slot.vote(A, 8, (), false), Verdict::Wrong);
        assert!(!slot.is_settled());
    }

    #[test]
    fn three_different_answers_ask_for_a_fourth() {
        let mut slot = Slot::new(2);
        slot.vote(A, 7, (), false);
        slot.vote(B, 8, (), false);
        assert_eq!(slot.vote(C, 9, (), false), Verdict::Disputed);
        assert!(slot.wants_owner());
    }
}
