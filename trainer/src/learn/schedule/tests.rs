use super::*;
use crate::learn::reference::{assert_close, floats, training};

fn schedule(kind: ScheduleKind, warmup_epochs: Option<f64>) -> Schedule {
    let config =
        ScheduleConfig { kind, learning_rate: 0.4, warmup_epochs, milestones: vec![4, 8], factor: 0.1 };
    config.over(10, 5)
}

fn rates(schedule: &Schedule) -> Vec<f64> {
    (0..50).map(|step| schedule.learning_rate(step)).collect()
}

fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
}

#[test]
fn fifty_rates_are_those_of_pytorch() {
    let reference = training();
    let cases = reference["schedules"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = case["kind"].as_str().unwrap();
        let kind = ScheduleKind::from_str(name, false).unwrap();
        let schedule = schedule(kind, case["warmup_epochs"].as_f64());
        // Every rate for itself: the lowest are ten thousand times below the highest.
        for (got, expected) in rates(&schedule).iter().zip(floats(&case["rates"])) {
            assert_close(name, &[*got], &[expected], 1e-9);
        }
    }
}

#[test]
fn the_rate_falls_at_milestones_which_are_epochs() {
    let rates = rates(&schedule(ScheduleKind::Step, None));
    for (step, expected) in [(0, 0.4), (19, 0.4), (20, 0.04), (39, 0.04), (40, 0.004), (49, 0.004)] {
        close(rates[step], expected);
    }
}

#[test]
fn a_warm_up_rises_in_equal_steps_to_the_whole_rate() {
    for kind in [ScheduleKind::Constant, ScheduleKind::Step, ScheduleKind::Cosine] {
        let schedule = schedule(kind, Some(0.8));
        let cold = self::schedule(kind, None);
        for step in 0..4 {
            let whole = if kind == ScheduleKind::Cosine { 0.4 } else { cold.learning_rate(step) };
            close(schedule.learning_rate(step), whole * (step + 1) as f64 / 4.0);
        }
        close(schedule.learning_rate(4), 0.4);
    }
}

#[test]
fn a_cosine_ends_just_above_zero_and_never_rises() {
    let rates = rates(&schedule(ScheduleKind::Cosine, None));
    close(rates[0], 0.4);
    close(rates[25], 0.2);
    assert!(rates.windows(2).all(|pair| pair[0] > pair[1]), "{rates:?}");
    assert!(rates[49] > 0.0 && rates[49] < 0.001);
}

#[test]
fn a_one_cycle_has_one_peak_where_the_warm_up_ends() {
    for (warmup, top) in [(None, 14), (Some(2.0), 9)] {
        let schedule = schedule(ScheduleKind::OneCycle, warmup);
        let rates = rates(&schedule);
        close(rates[0], 0.4 / 25.0);
        close(rates[top], 0.4);
        close(rates[49], 0.4 / 25.0 / 1e4);
        assert!(rates[..=top].windows(2).all(|pair| pair[0] < pair[1]), "{rates:?}");
        assert!(rates[top..].windows(2).all(|pair| pair[0] > pair[1]), "{rates:?}");
    }
}

#[test]
fn the_shortest_trainings_have_rates_too() {
    for kind in ScheduleKind::value_variants() {
        for warmup in [None, Some(0.0), Some(1.0)] {
            let config = ScheduleConfig {
                kind: *kind,
                learning_rate: 0.4,
                warmup_epochs: warmup,
                milestones: vec![1],
                factor: 0.1,
            };
            for steps in 1..4 {
                let schedule = config.over(1, steps);
                let in_range = |step| (0.0..=0.4).contains(&schedule.learning_rate(step));
                assert!((0..steps).all(in_range), "{schedule:?}");
            }
        }
    }
}

#[test]
fn milestones_and_warm_ups_that_are_never_reached_are_told() {
    let step =
        ScheduleConfig { kind: ScheduleKind::Step, milestones: vec![100, 150], ..ScheduleConfig::default() };
    let warnings = |config: &ScheduleConfig, end| config.over(200, 5).warnings(end);
    assert!(warnings(&step, 1000).is_empty() && warnings(&step, 751).is_empty());
    let expected = "--milestones 150 is never reached: epoch 150 ends at step 750, and training at step 750";
    assert_eq!(warnings(&step, 750), [expected]);
    assert!(
        warnings(&step, 7)[0]
            .starts_with("--milestones 100,150 is never reached: epoch 100 ends at step 500")
    );
    let warm = ScheduleConfig { warmup_epochs: Some(5.0), ..ScheduleConfig::default() };
    assert!(warnings(&warm, 25).is_empty());
    let expected =
        "the learning rate never reaches --lr: the warm-up takes 25 steps, and training ends at step 24";
    assert_eq!(warnings(&warm, 24), [expected]);
    let one_cycle = ScheduleConfig { kind: ScheduleKind::OneCycle, ..ScheduleConfig::default() };
    assert!(warnings(&one_cycle, 299)[0].contains("the warm-up takes 300 steps"), "30 % of all");
    assert!(warnings(&ScheduleConfig::default(), 1).is_empty());
}
