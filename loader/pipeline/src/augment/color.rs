//! Changes of colour, as Pillow makes them: brightness, contrast, saturation, hue.
//!
//! The first three go from a degenerate image (black; the mean grey; the grey image) to the image and
//! past it: `d + factor · (x − d)` in f32, cut off to a byte. One product and one sum, each rounded as
//! IEEE 754 says and never fused, so the bytes are those of Pillow on every machine. Images have
//! three channels here; the border refuses others.

/// How far to go from the degenerate image: 0 is that image, 1 the image itself.
pub(super) fn toward(degenerate: u8, value: u8, factor: f32) -> u8 {
    let degenerate = f32::from(degenerate);
    // The cast cuts off what lies outside 0 to 255 and rounds towards zero.
    (degenerate + factor * (f32::from(value) - degenerate)) as u8
}

fn grey(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

pub(super) fn brightness(image: &mut [u8], factor: f32) {
    for value in image {
        *value = toward(0, *value, factor);
    }
}

pub(super) fn contrast(image: &mut [u8], factor: f32) {
    let pixels = image.len() / 3;
    let sum: u64 = image.chunks_exact(3).map(|pixel| u64::from(grey(pixel))).sum();
    let mean = (sum as f64 / pixels as f64 + 0.5) as u8;
    for value in image {
        *value = toward(mean, *value, factor);
    }
}

pub(super) fn saturation(image: &mut [u8], factor: f32) {
    for pixel in image.chunks_exact_mut(3) {
        let grey = grey(pixel);
        for value in pixel {
            *value = toward(grey, *value, factor);
        }
    }
}

/// Turns the hue by `shift` parts of 256 of the circle. What Pillow's eight bits of hue and of
/// saturation lose on the way there and back is lost here, too.
pub(super) fn hue(image: &mut [u8], shift: u8) {
    for pixel in image.chunks_exact_mut(3) {
        let [hue, saturation, value] = to_hsv([pixel[0], pixel[1], pixel[2]]);
        pixel.copy_from_slice(&to_rgb([hue.wrapping_add(shift), saturation, value]));
    }
}

fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most == least {
        return [0, 0, most];
    }
    // f32 and f64 take turns as in Pillow.
    let range = f32::from(most - least);
    let saturation = range / f32::from(most);
    let distance = |value: u8| f32::from(most - value) / range;
    let (r, g, b) = (distance(red), distance(green), distance(blue));
    let sixth = if red == most {
        b - g
    } else if green == most {
        (2.0 + f64::from(r) - f64::from(b)) as f32
    } else {
        (4.0 + f64::from(g) - f64::from(r)) as f32
    };
    // A remainder is exact.
    let hue = ((f64::from(sixth) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let place = f64::from(f32::from(hue)) * 6.0 / 255.0;
    let sector = place.floor();
    let part = f64::from((place - sector) as f32);
    let share = f64::from((f64::from(saturation) / 255.0) as f32);
    let of = |share: f64| (f64::from(value) * share).round() as u8;
    let (p, q, t) = (of(1.0 - share), of(1.0 - share * part), of(1.0 - share * (1.0 - part)));
    match sector as u8 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}
