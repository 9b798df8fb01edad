//! Logarithm and exponential of the core's own: `+ - * /` and a look at the bits, nothing else.
//!
//! A libm's `ln` and `exp` may differ in the last bit from one to the next, and a size rounded to
//! whole pixels can then differ by one. Those four operations, IEEE 754 rounds one way only. The
//! results are within a few units of the last place of the true ones, which is checked against the
//! system's.

use std::f64::consts::{LN_2, SQRT_2};

/// The natural logarithm of a positive, finite, normal number.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh s, for |s| below 0.172: the term after s^21 is below the last bit.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let sum = (0..=10).rev().fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    2.0 * s * sum + f64::from(exponent) * LN_2
}

/// e to the power of a number from -700 to 700.
pub(super) fn exp(x: f64) -> f64 {
    let doublings = (x / LN_2).round_ties_even();
    let rest = x - doublings * LN_2;
    // |rest| is below 0.347: the term after rest^14 / 14! is below the last bit.
    let power = (1..=14).rev().fold(1.0, |sum, k| 1.0 + sum * rest / f64::from(k));
    power * f64::from_bits(((1023 + doublings as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_the_systems_own_to_almost_the_last_bit() {
        for i in 1..20_000 {
            let x = f64::from(i) * 0.005;
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(1.0), "ln {x}");
            let y = f64::from(i - 10_000) * 0.001;
            assert!((exp(y) / y.exp() - 1.0).abs() < 2e-15, "exp {y}");
        }
        assert!(ln(1.0).abs() < f64::MIN_POSITIVE && (exp(0.0) - 1.0).abs() < f64::MIN_POSITIVE);
    }
}
