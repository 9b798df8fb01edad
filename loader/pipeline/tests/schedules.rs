//! Mixing that changes with the epoch: an epoch is what it would be in a stream that is mixed so from the start.
#![allow(clippy::unwrap_used)]

use mixfeed_pipeline::spec::{
    LambdaScope, Mixing, MixingChange, MixingKind, MixingSchedule, PartnerSource, RowShard, StreamSpec,
};
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, RowPlan, Scratch, collate, synthetic};

const SAMPLES: u64 = 600;

fn spec(mixing: Option<Mixing>) -> StreamSpec {
    StreamSpec { mixing, label_noise: 0.2, ..StreamSpec::train(5, 64) }
}

fn scheduled(mixing: Option<Mixing>, changes: &[(u64, Option<Mixing>)]) -> StreamSpec {
    let changes: Vec<_> = changes.iter().map(|&(epoch, mixing)| MixingChange { epoch, mixing }).collect();
    StreamSpec { mixing_schedule: MixingSchedule::new(&changes).unwrap(), ..spec(mixing) }
}

/// Ways of mixing that have nothing in common.
fn ways() -> [Option<Mixing>; 4] {
    let paper = Mixing {
        lambda_scope: LambdaScope::Batch,
        partner_source: PartnerSource::Batch,
        ..Mixing::mixup(1.0, 1.0)
    };
    let kind = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
    [Some(Mixing::mixup(0.2, 0.2)), None, Some(paper), Some(Mixing { kind, ..Mixing::mixup(0.4, 0.8) })]
}

fn checked(spec: StreamSpec) -> CheckedSpec {
    CheckedSpec::new(spec, &synthetic::dataset(SAMPLES)).unwrap()
}

fn rows(checked: &CheckedSpec, epoch: u64) -> Vec<RowPlan> {
    let n = checked.epochs().batches();
    (epoch * n..(epoch + 1) * n).flat_map(|index| BatchPlan::new(checked, index).rows).collect()
}

#[test]
fn each_epoch_is_that_of_a_stream_that_is_always_mixed_so() {
    let [first, second, third, fourth] = ways();
    let data = synthetic::dataset(SAMPLES);
    let schedule = checked(scheduled(first, &[(1, second), (3, third), (1_000, fourth)]));
    let (mut scratch, mut own, mut constant) =
        (Scratch::default(), BatchBuffer::default(), BatchBuffer::default());
    for (epoch, way) in
        [(0, first), (1, second), (2, second), (3, third), (999, third), (1_000, fourth), (1 << 40, fourth)]
    {
        let always = checked(spec(way));
        assert_eq!(rows(&schedule, epoch), rows(&always, epoch), "epoch {epoch}");
        let index = epoch * always.epochs().batches() + 3;
        for (checked, buffer) in [(&schedule, &mut own), (&always, &mut constant)] {
            let plan = BatchPlan::new(checked, index);
            collate(checked, &plan, data.train.as_ref(), &mut scratch, buffer).unwrap();
        }
        assert!(own == constant, "epoch {epoch}");
    }
}

#[test]
fn an_epoch_that_is_not_mixed_has_no_partners_and_the_one_before_has() {
    let until = checked(scheduled(Some(Mixing::mixup(1.0, 1.0)), &[(20, None)]));
    let mixed = |epoch| rows(&until, epoch).iter().filter(|row| row.partner.is_some()).count();
    // Of alpha 1 hardly a lambda rounds to 1.
    assert!([0, 19].into_iter().all(|epoch| mixed(epoch) > 590));
    assert_eq!([20, 21, 1_000_000].map(mixed), [0; 3]);
}

#[test]
fn shards_of_a_scheduled_stream_are_the_global_batch_cut_in_order() {
    let [first, second, third, fourth] = ways();
    let whole = scheduled(first, &[(1, second), (2, third), (3, fourth)]);
    for epoch in 0..5 {
        let index = epoch * checked(whole).epochs().batches() + 7;
        let of_rank = |rank| {
            let shard = Some(RowShard { rank, world: 3 });
            BatchPlan::new(&checked(StreamSpec { shard, ..whole }), index).rows
        };
        assert_eq!((0..3).flat_map(of_rank).collect::<Vec<_>>(), BatchPlan::new(&checked(whole), index).rows);
    }
}

#[test]
fn batches_come_to_the_same_in_any_order() {
    let [first, second, third, fourth] = ways();
    let schedule = checked(scheduled(first, &[(1, second), (2, third), (3, fourth)]));
    let count = 5 * schedule.epochs().batches();
    let forwards: Vec<_> = (0..count).map(|index| BatchPlan::new(&schedule, index)).collect();
    let again = checked(*schedule.spec());
    for index in (0..count).rev() {
        assert_eq!(BatchPlan::new(&again, index), forwards[index as usize]);
    }
}

#[test]
fn a_schedule_out_of_order_is_refused_by_name() {
    let wrong = scheduled(None, &[(2, Some(Mixing::mixup(1.0, 1.0))), (2, None)]);
    let error = CheckedSpec::new(wrong, &synthetic::dataset(SAMPLES)).unwrap_err().to_string();
    assert_eq!(
        error,
        "mixing_schedule: epoch 2 is not allowed, an epoch of 3 or later: changes come in order"
    );
}
