//! The few distributions that a check compares with: Beta, the binomial, Kolmogorov's.

/// The distribution function of Beta(a, b): the regularised incomplete beta function, by its continued
/// fraction (modified Lentz), which converges quickly on the side of the mean that `x` is on.
pub(super) fn beta_below(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_below(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    front * fraction(x, a, b)
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    /// Many more than the square root of the largest sample there is.
    const STEPS: u32 = 200_000;
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            result *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

/// The logarithm of the gamma function of x > 0: Stirling's series, after moving up to where it is exact.
fn ln_gamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 15.0 {
        below += x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - below
}

/// How likely it is that of `trials` with `probability`, a number as far from the mean as `successes`, or
/// farther, succeeds: twice the smaller tail, exactly.
pub(super) fn binomial_p(successes: u64, trials: u64, probability: f64) -> f64 {
    let (k, n) = (successes as f64, trials as f64);
    // At least k succeed, at most k succeed.
    let at_least = if successes == 0 { 1.0 } else { beta_below(probability, k, n - k + 1.0) };
    let at_most = if successes == trials { 1.0 } else { beta_below(1.0 - probability, n - k, k + 1.0) };
    (2.0 * at_least.min(at_most)).min(1.0)
}

/// How likely it is that of `count` draws, the distribution function is off by `distance` somewhere: the
/// asymptotic law, with Stephens's correction for few draws.
pub(super) fn kolmogorov_p(distance: f64, count: u64) -> f64 {
    let root = (count as f64).sqrt();
    let t = distance * (root + 0.12 + 0.11 / root);
    if t < 0.2 {
        return 1.0;
    }
    let term = |k: u32| {
        let k = f64::from(k);
        (-2.0 * k * k * t * t).exp()
    };
    let sum: f64 = (1..100).map(|k| if k % 2 == 1 { term(k) } else { -term(k) }).sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{found} for {expected}");
    }

    #[test]
    fn beta_is_what_it_is_where_it_has_a_closed_form() {
        for x in [0.0, 1e-5, 0.2, 0.5, 0.9, 1.0] {
            close(beta_below(x, 1.0, 1.0), x);
            close(beta_below(x, 3.0, 1.0), x.powi(3));
            close(beta_below(x, 0.5, 0.5), 2.0 / std::f64::consts::PI * x.sqrt().asin());
            close(beta_below(x, 2.0, 2.0), x * x * (3.0 - 2.0 * x));
        }
        for a in [0.01, 0.2, 5.0, 1000.0, 1e6] {
            close(beta_below(0.5, a, a), 0.5);
        }
    }

    #[test]
    fn binomial_tails_are_the_sums_of_their_terms() {
        // Of ten fair coins: 0 or 10 heads is 2 of 1024; 1 or fewer is 11 of 1024.
        close(binomial_p(0, 10, 0.5), 2.0 / 1024.0);
        close(binomial_p(10, 10, 0.5), 2.0 / 1024.0);
        close(binomial_p(1, 10, 0.5), 22.0 / 1024.0);
        close(binomial_p(5, 10, 0.5), 1.0);
        close(binomial_p(0, 5, 0.0), 1.0);
        close(binomial_p(1, 5, 0.0), 0.0);
        close(binomial_p(5, 5, 1.0), 1.0);
        close(binomial_p(4, 5, 1.0), 0.0);
        // Five standard deviations of a large number.
        let p = binomial_p(500_000 + 2500, 1_000_000, 0.5);
        assert!((5e-7..6e-7).contains(&p), "{p}");
    }

    #[test]
    fn kolmogorovs_law_has_its_known_quantiles() {
        let far = |t: f64| kolmogorov_p(t / 1e4, 100_000_000);
        for (t, p) in [(1.2238, 0.1), (1.3581, 0.05), (1.6276, 0.01)] {
            assert!((far(t) - p).abs() < 1e-4, "{} for {p}", far(t));
        }
        assert!(far(0.1) >= 1.0 && far(10.0) < 1e-80);
    }
}
