//! How many images are scored at once, outside of training.

/// Images scored at once, at most. On a CPU a few hundred small ones are fastest.
const MAX_ROWS: u32 = 500;

/// Values of the images scored at once: those of 500 images of 32 × 32 × 3. What a network holds on the way grows with
/// them, so that larger images take about as much memory.
const VALUES: u64 = MAX_ROWS as u64 * 32 * 32 * 3;

/// The same where the training's batches are larger. A loader finds room for three such batches beside the training's.
const MAX_VALUES: u64 = 16 << 20;

/// How many images of `image_values` values are scored at once. It follows from their size and the training's
/// batches (`training_rows`; 0 where they are unknown) alone, so that whoever evaluates a model again computes the same
/// bits. What held the training's activations holds those of as many images: nothing is kept for a backward pass.
#[must_use]
pub fn rows_at_once(image_values: u64, training_rows: u32) -> u32 {
    let rows_of = |values: u64| u32::try_from(values / image_values.max(1)).unwrap_or(u32::MAX);
    rows_of(VALUES).max(training_rows.min(rows_of(MAX_VALUES))).clamp(1, MAX_ROWS)
}

#[cfg(test)]
mod tests {
    use super::rows_at_once;

    fn values(side: u64) -> u64 {
        side * side * 3
    }

    #[test]
    fn small_images_are_scored_500_at_a_time_whatever_the_training_does() {
        for side in [1, 8, 28, 32] {
            for training_rows in [0, 1, 128, 65_536] {
                assert_eq!(rows_at_once(values(side), training_rows), 500, "{side} x {side}");
            }
        }
    }

    #[test]
    fn large_images_are_as_many_as_small_ones_weigh_or_as_the_training_has() {
        for (side, training_rows, rows) in [
            (64, 32, 125),
            (64, 256, 256),
            (224, 0, 10),
            (224, 64, 64),
            (224, 512, 111),
            (512, 8, 8),
            (512, 512, 21),
            (1024, 1, 1),
            (4096, 128, 1),
        ] {
            assert_eq!(rows_at_once(values(side), training_rows), rows, "{side} x {side}, {training_rows}");
        }
    }

    #[test]
    fn a_message_of_test_images_is_one_that_every_loader_sends() {
        for side in 1..4730 {
            for training_rows in [0, 7, 500, u32::MAX] {
                let rows = rows_at_once(values(side), training_rows);
                assert!(rows == 1 || u64::from(rows) * values(side) <= 16 << 20, "{rows} of {side} x {side}");
            }
        }
    }
}
