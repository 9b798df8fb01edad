//! How a person or a program is told what was done to an image: `preview` in signs, `replay` in JSON.

use mixfeed_pipeline::augment::{ColorChange, CustomView, Hole, Trivial, View};
use mixfeed_pipeline::blend::Region;
use serde_json::{Value, json};

/// The view in a few signs: an arrow for a mirror, then how far the crop of the padded image lies to
/// the right and below, and a word for each of the others.
pub(super) fn signs(view: &View) -> String {
    let View { resized, down, right, flipped, trivial, jitter, erased, cutout, custom } = *view;
    let mut text = String::new();
    if resized.is_some() {
        text.push_str(" crop");
    }
    if flipped {
        text.push_str(" ↔");
    }
    if (down, right) != (0, 0) {
        text.push_str(&format!(" {right:+},{down:+}"));
    }
    if let Some(Trivial { op, level, negative }) = trivial {
        text.push_str(&format!(" {op:?} {}{level}", if negative { "-" } else { "" }));
    }
    if jitter.iter().any(Option::is_some) {
        text.push_str(" colours");
    }
    if erased.is_some() || cutout.is_some() {
        text.push_str(" hole");
    }
    if let Some(CustomView { transform, .. }) = custom {
        text.push_str(&format!(" {}", transform.name()));
    }
    text
}

/// Everything that the view says.
pub(super) fn json(view: &View) -> Value {
    let View { resized, down, right, flipped, trivial, jitter, erased, cutout, custom } = *view;
    let mut object = json!({ "down": down, "right": right, "flipped": flipped });
    if let Some(part) = resized {
        object["resized"] = region(part);
    }
    if let Some(Trivial { op, level, negative }) = trivial {
        object["trivial"] = json!({ "op": format!("{op:?}"), "level": level, "negative": negative });
    }
    if jitter.iter().any(Option::is_some) {
        object["colors"] = jitter.iter().flatten().map(color).collect();
    }
    for (name, hole) in [("erased", erased), ("cutout", cutout)] {
        if let Some(Hole { region: hole, value }) = hole {
            object[name] = region(hole);
            object[name]["value"] = json!(value);
        }
    }
    if let Some(CustomView { transform, parameters }) = custom {
        object["custom"] = json!({
            "name": transform.name(),
            "version": transform.version(),
            "parameters": parameters,
        });
    }
    object
}

fn color(change: &ColorChange) -> Value {
    match *change {
        ColorChange::Brightness(factor) => json!({ "brightness": factor.to_f32() }),
        ColorChange::Contrast(factor) => json!({ "contrast": factor.to_f32() }),
        ColorChange::Saturation(factor) => json!({ "saturation": factor.to_f32() }),
        ColorChange::Hue(shift) => json!({ "hue": shift }),
    }
}

pub(super) fn region(Region { top, left, height, width }: Region) -> Value {
    json!({ "top": top, "left": left, "height": height, "width": width })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_done_is_told() {
        let region = Region { top: 1, left: 2, height: 3, width: 4 };
        let op = mixfeed_pipeline::augment::Op::Rotate;
        let view = View {
            resized: Some(region),
            down: -2,
            flipped: true,
            trivial: Some(Trivial { op, level: 7, negative: true }),
            jitter: [None, Some(ColorChange::Hue(9)), None, None],
            cutout: Some(Hole { region, value: 128 }),
            ..View::PLAIN
        };
        assert_eq!(signs(&view), " crop ↔ +0,-2 Rotate -7 colours hole");
        let part = json!({ "top": 1, "left": 2, "height": 3, "width": 4 });
        let hole = json!({ "top": 1, "left": 2, "height": 3, "width": 4, "value": 128 });
        let expected = json!({
            "resized": part, "down": -2, "right": 0, "flipped": true,
            "trivial": { "op": "Rotate", "level": 7, "negative": true },
            "colors": [{ "hue": 9 }], "cutout": hole,
        });
        assert_eq!(json(&view), expected);
    }
}
