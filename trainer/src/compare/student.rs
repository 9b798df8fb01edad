//! Student's t distribution, as far as a confidence interval of few trials needs it.

/// The t for which a share of `confidence` (0 to 1, not 1) lies between -t and t, with `freedom` degrees of
/// freedom, at least 1.
pub(super) fn quantile(confidence: f64, freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while within(high, freedom) < confidence {
        high *= 2.0;
    }
    // As often as a number has digits.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < confidence { low = middle } else { high = middle }
    }
    high
}

/// The share between -t and t (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn within(t: f64, freedom: u32) -> f64 {
    let angle = (t / f64::from(freedom).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    // 1 + 1/2 cos² + (1·3)/(2·4) cos⁴ + …, or cos + 2/3 cos³ + (2·4)/(3·5) cos⁵ + …
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    for last in ((if odd { 3 } else { 2 })..=freedom).step_by(2) {
        sum += term;
        term *= cosine * cosine * f64::from(last - 1) / f64::from(last);
    }
    if odd { (angle + sine * sum) / std::f64::consts::FRAC_PI_2 } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (freedom, t) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (9, 2.262),
            (30, 2.042),
            (120, 1.980),
        ] {
            let got = quantile(0.95, freedom);
            assert!((got - t).abs() < 6e-4, "{freedom} degrees of freedom: {got}, the table has {t}");
        }
        assert!((quantile(0.99, 2) - 9.925).abs() < 6e-4);
    }
}
