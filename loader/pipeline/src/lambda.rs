//! The mixing weight lambda, in 16 bits.
//!
//! Quantising lambda before it is used anywhere has two effects: pixels and targets agree exactly,
//! and a last-bit difference between two machines' `exp` or `ln` almost never reaches a batch.
//!
//! ```
//! use mixfeed_pipeline::Lambda;
//!
//! assert_eq!(Lambda::from_unit(0.25).to_q16(), 16_384);
//! ```

use rand::Rng;
use rand_distr::{Beta, Distribution as _};

/// The weight of a sample against its partner: a multiple of 1/65536 from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lambda(u32);

impl Lambda {
    /// The sample alone.
    pub const ONE: Self = Self(1 << 16);

    /// Rounds a weight from 0 to 1 to the nearest multiple of 1/65536; outside values are clamped.
    #[must_use]
    pub fn from_unit(weight: f64) -> Self {
        Self((weight.clamp(0.0, 1.0) * 65_536.0).round() as u32)
    }

    /// Takes lambda in units of 1/65536; more than 65536 is clamped.
    #[must_use]
    pub fn from_q16(units: u32) -> Self {
        Self(units.min(1 << 16))
    }

    /// Returns lambda in units of 1/65536, 0 to 65536.
    #[must_use]
    pub fn to_q16(self) -> u32 {
        self.0
    }

    /// Returns lambda as a number from 0 to 1, exactly.
    #[must_use]
    pub fn to_unit(self) -> f64 {
        f64::from(self.0) / 65_536.0
    }
}

/// Draws lambdas from Beta(alpha, alpha).
///
/// mixup: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018
/// (arXiv:1710.09412).
#[derive(Clone, Copy, Debug)]
pub(crate) struct LambdaDraw(Option<Beta<f64>>);

impl LambdaDraw {
    /// `alpha` is checked to be finite and at least 0; at 0 there is never a lambda.
    pub(crate) fn new(alpha: f64) -> Self {
        Self(Beta::new(alpha, alpha).ok())
    }

    /// Returns a lambda. How many words of the generator that takes depends on Beta's rejections.
    pub(crate) fn draw(&self, generator: &mut impl Rng) -> Option<Lambda> {
        self.0.map(|beta| Lambda::from_unit(beta.sample(generator)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Purpose, Seed};

    fn draws(alpha: f64, n: u64) -> Vec<f64> {
        let draw = LambdaDraw::new(alpha);
        let key = Key::new(Seed(42), Purpose::MIXING);
        let mut lambdas: Vec<f64> =
            (0..n).map(|i| draw.draw(&mut key.at(i).generator()).unwrap().to_unit()).collect();
        lambdas.sort_by(f64::total_cmp);
        lambdas
    }

    /// The distribution function of Beta(a, a) by Simpson's rule. Below a = 1, substituting
    /// t = u^(1/a) takes the pole at 0 away; the half above 1/2 follows by symmetry.
    fn beta_cdf(a: f64, x: f64) -> f64 {
        if x > 0.5 {
            return 1.0 - beta_cdf(a, 1.0 - x);
        }
        let part = |x: f64| {
            let power = a.min(1.0);
            let (upper, steps) = (x.powf(power), 2_000);
            let f = |u: f64| (1.0 - u.powf(1.0 / power)).powf(a - 1.0) * u.powf(a / power - 1.0);
            let h = upper / f64::from(steps);
            let inner: f64 =
                (1..steps).map(|i| f(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            (f(0.0) + inner + f(upper)) * h / 3.0
        };
        part(x) / (2.0 * part(0.5))
    }

    #[test]
    fn the_reference_distribution_function_is_right() {
        // Beta(1, 1) is uniform; Beta(2, 2) has 3x² − 2x³; Beta(1/2, 1/2) is the arcsine law.
        for x in [0.01, 0.2, 0.5, 0.7, 0.99_f64] {
            assert!((beta_cdf(1.0, x) - x).abs() < 1e-9);
            assert!((beta_cdf(2.0, x) - (3.0 * x * x - 2.0 * x * x * x)).abs() < 1e-9);
            assert!((beta_cdf(0.5, x) - x.sqrt().asin() * std::f64::consts::FRAC_2_PI).abs() < 1e-9);
        }
    }

    #[test]
    fn lambda_passes_a_kolmogorov_smirnov_test() {
        for alpha in [0.2, 0.4, 1.0, 2.0] {
            let n = 20_000;
            let lambdas = draws(alpha, n);
            // Only where quantising cannot matter: lambda itself moves by 1/131072 at most, but the
            // distribution function is steep next to 0 and 1.
            let distance = lambdas
                .iter()
                .enumerate()
                .filter(|(_, x)| (0.001..0.999).contains(*x))
                .map(|(i, &x)| (beta_cdf(alpha, x) - (i as f64 + 0.5) / n as f64).abs())
                .fold(0.0, f64::max);
            // The critical value at 0.1 %.
            assert!(distance < 1.95 / (n as f64).sqrt(), "alpha {alpha}: distance {distance}");
        }
    }

    #[test]
    fn tiny_and_huge_alphas_give_finite_weights() {
        for alpha in [f64::MIN_POSITIVE, 1e-300, 1e-9, 1e-3] {
            let lambdas = draws(alpha, 2_000);
            let ends = lambdas.iter().filter(|l| **l < 1e-4 || **l > 1.0 - 1e-4).count();
            assert!(ends > 1_950, "alpha {alpha}: only {ends} at the ends");
            let ones = lambdas.iter().filter(|l| **l > 0.5).count();
            assert!((850..1_150).contains(&ones), "alpha {alpha}: {ones} of 2,000 near 1");
        }
        assert!(draws(1000.0, 2_000).iter().all(|l| (0.4..0.6).contains(l)));
    }

    #[test]
    fn quantising_rounds_to_nearest_and_clamps() {
        assert_eq!(Lambda::from_unit(0.5).to_q16(), 32_768);
        assert_eq!(Lambda::from_unit(1.0), Lambda::ONE);
        assert_eq!(Lambda::from_unit(0.999_999).to_q16(), 65_536);
        assert_eq!(Lambda::from_unit(7.0).to_q16(), 65_536);
        assert_eq!(Lambda::from_unit(-1.0).to_q16(), 0);
    }
}
