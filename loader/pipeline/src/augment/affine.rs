//! Moves of an image along a matrix: shear, translation, rotation; nearest neighbour, black outside.
//!
//! Places are counted in 1/65536 of a pixel from the matrix on, as Pillow counts them, so the result
//! is Pillow's to the byte. Sines come from a table, so there is no libm in it.

use mixfeed_streamspec::ImageShape;

/// The rotations of TrivialAugment go in steps of 4.5 degrees.
const STEPS_OF_RIGHT_ANGLE: usize = 20;

/// The sine of each step from 0 to 90 degrees, to 15 digits, as Pillow rounds it.
#[allow(clippy::approx_constant)] // Fifteen digits are the point.
const SINES: [f64; STEPS_OF_RIGHT_ANGLE + 1] = [
    0.0,
    0.078459095727845,
    0.156434465040231,
    0.233445363855905,
    0.309016994374947,
    0.38268343236509,
    0.453990499739547,
    0.522498564715949,
    0.587785252292473,
    0.649448048330184,
    0.707106781186547,
    0.760405965600031,
    0.809016994374947,
    0.852640164354092,
    0.891006524188368,
    0.923879532511287,
    0.951056516295154,
    0.972369920397677,
    0.987688340595138,
    0.996917333733128,
    1.0,
];

/// Where in the image a place (x, y) of the result is found: `a x + b y + c`, `d x + e y + f`.
pub(super) type Matrix = [f64; 6];

pub(super) fn shear_x(by: f64) -> Matrix {
    [1.0, by, 0.0, 0.0, 1.0, 0.0]
}

pub(super) fn shear_y(by: f64) -> Matrix {
    [1.0, 0.0, 0.0, by, 1.0, 0.0]
}

/// Moves the image right and down.
pub(super) fn translate(right: i32, down: i32) -> Matrix {
    [1.0, 0.0, -f64::from(right), 0.0, 1.0, -f64::from(down)]
}

/// Sine and cosine of `steps` times 4.5 degrees, up to twice a right angle.
pub(super) fn turn(steps: usize) -> [f64; 2] {
    let right = STEPS_OF_RIGHT_ANGLE;
    let sine = if steps <= right { SINES[steps] } else { SINES[2 * right - steps] };
    let cosine = if steps <= right { SINES[right - steps] } else { -SINES[steps - right] };
    [sine, cosine]
}

/// Turns the image against the clock, or with it, by an angle of this sine and cosine.
pub(super) fn rotate([sine, cosine]: [f64; 2], clockwise: bool, shape: ImageShape) -> Matrix {
    let sine = if clockwise { -sine } else { sine };
    let (x, y) = (f64::from(shape.width) / 2.0, f64::from(shape.height) / 2.0);
    let c = cosine * -x + -sine * -y + x;
    let f = sine * -x + cosine * -y + y;
    [cosine, -sine, c, sine, cosine, f]
}

pub(super) fn apply([a, b, c, d, e, f]: Matrix, shape: ImageShape, image: &[u8], out: &mut [u8]) {
    let fixed = |value: f64| (value * 65_536.0 + 0.5).floor() as i64;
    let (width, height, channels) =
        (i64::from(shape.width), i64::from(shape.height), shape.channels as usize);
    let right = [fixed(a), fixed(d)];
    let down = [fixed(b), fixed(e)];
    // Places are the middles of pixels.
    let mut row = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
    for out in out.chunks_exact_mut(shape.width as usize * channels) {
        let mut place = row;
        for pixel in out.chunks_exact_mut(channels) {
            let [x, y] = place.map(|at| at >> 16);
            if (0..width).contains(&x) && (0..height).contains(&y) {
                pixel.copy_from_slice(&image[(y * width + x) as usize * channels..][..channels]);
            } else {
                pixel.fill(0);
            }
            place = [place[0] + right[0], place[1] + right[1]];
        }
        row = [row[0] + down[0], row[1] + down[1]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_sines() {
        for (step, sine) in SINES.iter().enumerate() {
            assert!((sine - (step as f64 * 4.5).to_radians().sin()).abs() < 1e-15, "step {step}");
        }
    }

    #[test]
    fn four_right_angles_and_a_turn_there_and_back_are_none() {
        let shape = ImageShape { height: 6, width: 6, channels: 3 };
        let image: Vec<u8> = (0..108).collect();
        let turn = |image: &[u8], clockwise| {
            let mut out = vec![0; 108];
            apply(rotate(turn(STEPS_OF_RIGHT_ANGLE), clockwise, shape), shape, image, &mut out);
            out
        };
        let once = turn(&image, false);
        assert_eq!(once[..3], image[15..18], "the upper right corner comes to the upper left");
        assert_eq!(turn(&once, true), image);
        assert_eq!(turn(&turn(&turn(&once, false), false), false), image);
    }
}
