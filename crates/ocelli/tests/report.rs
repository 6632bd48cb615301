//! The report of a run, from plausible and from hostile contents: well formed, self-contained, and complete.

use std::f64::consts::PI;

use ocelli::report::{
    Environment, EpochRow, Filters, HealthRow, LayerHealth, LayerRow, Mistake, Picture, Report, Summary,
    render,
};

/// Elements that have no end tag.
const VOID: [&str; 3] = ["meta", "img", "br"];

/// The names and attributes of all tags, after checking that every element is closed in its turn.
fn checked_tags(html: &str) -> Vec<(String, String)> {
    let (mut open, mut tags) = (Vec::new(), Vec::new());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if tag == "!DOCTYPE html" {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {:.80}", rest);
            continue;
        }
        let self_closing = tag.ends_with('/');
        let (name, attributes) =
            tag.trim_end_matches('/').split_once(' ').unwrap_or((tag.trim_end_matches('/'), ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "odd element <{tag}>");
        assert!(attributes.matches('"').count().is_multiple_of(2), "odd quotes in <{tag}>");
        tags.push((name.to_owned(), attributes.to_owned()));
        if name == "script" || name == "style" {
            rest = &rest[rest.find(&format!("</{name}>")).expect("raw text ends")..];
        }
        if !VOID.contains(&name) && !self_closing {
            open.push(name.to_owned());
        }
    }
    assert_eq!(open, Vec::<String>::new(), "elements left open");
    tags
}

/// A number in [0, 1) that depends on nothing but its arguments (SplitMix64's last step).
fn noise(stream: u64, index: u64) -> f64 {
    let mut z = (stream << 32 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

fn curves(epochs: usize) -> Vec<EpochRow> {
    let row = |i: usize| {
        let t = i as f64 / epochs as f64 * 30.0;
        let (shake, shake2) = (noise(1, i as u64) - 0.5, noise(2, i as u64) - 0.5);
        let train = 2.2 * (-t / 2.0).exp() + 0.35 * (-t / 9.0).exp() + 0.004;
        let val = train * 0.8 + 0.055 + 0.0012 * t + 0.02 * shake * (-t / 12.0).exp();
        let accuracy = |loss: f64| (1.0 - 0.3 * loss.min(3.0)).clamp(0.1, 1.0);
        EpochRow {
            epoch: (i + 1) as f64,
            learning_rate: Some(0.05 * (1.0 + (PI * (i + 1) as f64 / epochs as f64).cos())),
            train_loss: Some(train * (1.0 + 0.08 * shake2)),
            train_top1: Some(accuracy(train)),
            val_loss: Some(val),
            val_top1: Some(accuracy(val)),
            val_top5: Some(1.0 - (1.0 - accuracy(val)) * 0.1),
        }
    };
    (0..epochs).map(row).collect()
}

fn confusion(classes: usize, images: u32) -> Vec<u32> {
    let cell = |i: usize| {
        let (truth, predicted) = (i / classes, i % classes);
        let luck = noise(3, (truth * classes + predicted) as u64);
        if truth == predicted {
            (f64::from(images) * (0.8 + 0.19 * luck)) as u32
        } else {
            (f64::from(images) * 0.09 * luck.powi(14)) as u32
        }
    };
    (0..classes * classes).map(cell).collect()
}

/// A blurred ring or bar, so that there is something to look at.
fn picture(side: usize, channels: usize, seed: u64) -> Picture {
    let center = |i: u64| side as f64 * (0.4 + 0.2 * noise(4, seed * 7 + i));
    let (cx, cy, radius) = (center(0), center(1), side as f64 * (0.18 + 0.16 * noise(5, seed)));
    let sample = |i: usize| {
        let (x, y, channel) = (i / channels % side, i / channels / side, i % channels);
        let distance = (x as f64 - cx).hypot(y as f64 - cy);
        let ring = (-((distance - radius) / 1.7).powi(2)).exp();
        let tint = if channels == 1 { 1.0 } else { 0.35 + 0.65 * noise(6, seed * 3 + channel as u64) };
        (235.0 * ring * tint + 20.0 * noise(7, i as u64)) as u8
    };
    Picture { width: side, height: side, channels, pixels: (0..side * side * channels).map(sample).collect() }
}

fn filters(count: usize, side: usize, channels: usize) -> Filters {
    let weight = |i: usize| {
        let (channel, x) = (i % channels, i / channels % side);
        let (y, filter) = (i / channels / side % side, i / channels / side / side);
        let turn = PI * noise(8, filter as u64);
        let (u, v) = (x as f64 - (side - 1) as f64 / 2.0, y as f64 - (side - 1) as f64 / 2.0);
        let wave = (1.4 * (u * turn.cos() + v * turn.sin()) + 6.0 * noise(9, filter as u64)).cos();
        let tint = if channels == 1 { 1.0 } else { noise(10, (filter * 3 + channel) as u64) * 2.0 - 0.6 };
        (0.4 * wave * tint * (-(u * u + v * v) / side as f64).exp()) as f32
    };
    let values = (0..count * side * side * channels).map(weight).collect();
    Filters { layer: "conv1".to_owned(), count, height: side, width: side, channels, values }
}

fn mistakes(classes: usize, side: usize, channels: usize) -> Vec<Mistake> {
    let mistake = |i: u64| Mistake {
        picture: picture(side, channels, i),
        name: format!("test/{:05}.png", (noise(11, i) * 10_000.0) as u32),
        truth: (noise(12, i) * classes as f64) as usize,
        predicted: ((noise(12, i) * classes as f64) as usize + 1 + i as usize % 2) % classes,
        probability: (0.999 - 0.03 * i as f64) as f32,
        loss: (9.3 / (1.0 + 0.15 * i as f64)) as f32,
    };
    (0..16).map(mistake).collect()
}

fn layers() -> Vec<LayerRow> {
    let row = |name: &str, op: &str, output: &[usize], parameters, flops, field: usize| LayerRow {
        name: name.to_owned(),
        op: op.to_owned(),
        output: output.to_vec(),
        parameters,
        flops,
        receptive_field: (field > 0).then_some(field),
    };
    vec![
        row("image", "Input", &[1, 28, 28], 0, 0, 1),
        row("conv1", "Conv2d 5×5, stride 1, pad 2", &[6, 28, 28], 156, 235_200, 5),
        row("relu1", "ReLU", &[6, 28, 28], 0, 4_704, 5),
        row("pool1", "MaxPool2d 2×2, stride 2", &[6, 14, 14], 0, 4_704, 6),
        row("conv2", "Conv2d 5×5, stride 1", &[16, 10, 10], 2_416, 480_000, 14),
        row("relu2", "ReLU", &[16, 10, 10], 0, 1_600, 14),
        row("pool2", "MaxPool2d 2×2, stride 2", &[16, 5, 5], 0, 1_600, 16),
        row("fc1", "Linear", &[120], 48_120, 96_000, 0),
        row("fc2", "Linear", &[84], 10_164, 20_160, 0),
        row("logits", "Linear", &[10], 850, 1_680, 0),
    ]
}

fn health(epochs: usize) -> Vec<LayerHealth> {
    let layer = |(l, name): (usize, &str)| LayerHealth {
        layer: name.to_owned(),
        epochs: (0..epochs)
            .map(|i| HealthRow {
                epoch: (i + 1) as f64,
                gradient_norm: Some(
                    (0.9 - 0.15 * l as f64)
                        * (-(i as f64) / 9.0).exp()
                        * (0.7 + 0.6 * noise(13, (l * 99 + i) as u64))
                        + 0.002,
                ),
                dead: (l < 4).then(|| 0.01 + l as f64 * 0.18 * (1.0 - (-(i as f64) / 5.0).exp())),
                saturated: None,
            })
            .collect(),
    };
    ["conv1", "conv2", "fc1", "fc2", "logits"].into_iter().enumerate().map(layer).collect()
}

/// A run as it usually goes: digits, thirty epochs.
fn sample(classes: Vec<String>, epochs: usize, channels: usize) -> Report {
    let curves = curves(epochs);
    let best = curves.iter().min_by(|a, b| a.val_loss.unwrap().total_cmp(&b.val_loss.unwrap())).unwrap();
    Report {
        run: "lenet5-digits-3".to_owned(),
        net: "lenet5".to_owned(),
        data: "digits".to_owned(),
        command: "ocelli train digits --net lenet5 --epochs 30 --batch 64 --lr 0.1 --seed 42".to_owned(),
        started: "2026-03-01T09:30:00+01:00".to_owned(),
        seconds: 74.3,
        environment: Environment { version: "0.1.0".to_owned(), isa: "avx512".to_owned(), threads: 8 },
        summary: Summary {
            top1: best.val_top1,
            top5: best.val_top5,
            loss: best.val_loss,
            parameters: 61_706,
            images_per_second: 24_210.4,
            weights_sha256: "3f1c9a0be87d425568c1e02d94b7a6f3105ce8d2a97b4416f0839cde52ab7710".to_owned(),
        },
        best_epoch: Some(best.epoch),
        curves,
        confusion: confusion(classes.len(), 1000),
        filters: Some(filters(if channels == 1 { 6 } else { 64 }, if channels == 1 { 5 } else { 11 }, channels)),
        mistakes: mistakes(classes.len(), if channels == 1 { 28 } else { 64 }, channels),
        classes,
        layers: layers(),
        health: health(epochs.min(30)),
        config_toml: "net = \"lenet5\"\nepochs = 30\nbatch = 64\nseed = 42\nprecision = \"f32\"\n\n[data]\ntrain = \"digits\"\n\
                      mean = [0.1307]\nstd = [0.3081]\n\n[optimizer]\nkind = \"sgd\"\nlearning_rate = 0.1\nmomentum = 0.9\n\
                      weight_decay = 0.0005\n\n[schedule]\nkind = \"cosine\"\nwarmup_epochs = 1\n"
            .to_owned(),
    }
}

fn names(classes: usize) -> Vec<String> {
    const WORDS: [&str; 10] = [
        "tabby cat",
        "beagle",
        "red fox",
        "aeroplane",
        "sunflower",
        "teapot",
        "lighthouse",
        "bicycle",
        "owl",
        "grand piano",
    ];
    (0..classes)
        .map(|i| if classes <= 10 { i.to_string() } else { format!("{} {}", WORDS[i % 10], i / 10 + 1) })
        .collect()
}

/// Keeps a page beside the tests' other files, to be looked at in a browser.
fn keep(name: &str, html: &str) {
    std::fs::write(format!("{}/{name}.html", env!("CARGO_TARGET_TMPDIR")), html)
        .expect("the folder can be written to");
}

#[test]
fn pages_are_well_formed_for_two_to_many_classes() {
    for (classes, epochs, channels) in [(2, 1, 1), (10, 30, 1), (35, 120, 3), (100, 1000, 3), (130, 3, 2)] {
        let html = render(&sample(names(classes), epochs, channels));
        keep(&format!("report-{classes}"), &html);
        checked_tags(&html);
        assert!(!html.contains("NaN"), "{classes} classes");
    }
}
