//! The report of a run, from plausible and from hostile contents: well formed, self-contained, and complete.

use std::f64::consts::PI;

use ocelli::report::{
    CalibrationBin, Confusion, Environment, EpochRow, Filters, Guess, HealthRow, LayerHealth, LayerRow,
    Mistake, Occasion, PaceRow, Picture, Report, Sample, Summary, render,
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

/// The page without the bytes of its pictures, in which any word may stand.
fn without_pictures(html: &str) -> String {
    let mut parts = html.split("base64,");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('"').map_or("", |(_, rest)| rest)).collect::<String>()
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

/// Four mistakes of each class.
fn class_mistakes(classes: usize, side: usize, channels: usize) -> Vec<Mistake> {
    let of = |truth: usize| {
        let each = mistakes(classes, side, channels).into_iter().take(4);
        each.map(move |mistake| Mistake { truth, predicted: (truth + 1) % classes, ..mistake })
    };
    (0..classes.min(100)).flat_map(of).collect()
}

fn confusions(classes: usize, side: usize, channels: usize) -> Vec<Confusion> {
    let of = |i: usize| Confusion {
        truth: i % classes,
        predicted: (i + 1) % classes,
        images: 40 - i as u64,
        examples: mistakes(classes, side, channels).into_iter().skip(i).take(4).collect(),
    };
    (0..12).map(of).collect()
}

fn samples(classes: usize, side: usize, channels: usize) -> Vec<Sample> {
    let guess = |i: u64, k: u64| Guess {
        class: (noise(14, i) * classes as f64) as usize + k as usize,
        probability: (0.35 + 0.6 * noise(15, i)) as f32 * 0.4_f32.powi(k as i32),
    };
    let of = |i: u64| Sample {
        picture: picture(side, channels, 100 + i),
        name: format!("test/{i:05}.png"),
        truth: ((noise(14, i) * classes as f64) as usize
            + (i as usize % 5) * usize::from(i.is_multiple_of(3)))
            % classes,
        guesses: (0..classes.min(5) as u64)
            .map(|k| guess(i, k))
            .map(|g| Guess { class: g.class % classes, ..g })
            .collect(),
    };
    (0..24).map(of).collect()
}

/// A network that is too sure of itself.
fn calibration() -> Vec<CalibrationBin> {
    let of = |b: usize| {
        let middle = (b as f64 + 0.5) / 15.0;
        let images = if b == 2 { 0 } else { (900.0 * middle.powi(3)) as u64 + 3 };
        let some = |value: f64| (images > 0).then_some(value);
        CalibrationBin { images, confidence: some(middle), accuracy: some(middle.powf(1.3)) }
    };
    (0..15).map(of).collect()
}

fn pace(epochs: usize) -> Vec<PaceRow> {
    let row = |i: usize| PaceRow {
        epoch: (i + 1) as f64,
        images_per_second: Some(24_000.0 + 2_000.0 * noise(16, i as u64)),
        waiting: Some(0.02 * noise(17, i as u64)),
    };
    (0..epochs).map(row).collect()
}

fn layers() -> Vec<LayerRow> {
    let row = |name: &str, op: &str, output: &[usize], parameters, flops, field: usize| LayerRow {
        name: name.to_owned(),
        op: op.to_owned(),
        output: output.to_vec(),
        parameters,
        flops,
        receptive_field: (field > 0).then_some([field; 2]),
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
    let side = if channels == 1 { 28 } else { 64 };
    Report {
        occasion: Occasion::Training,
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
            calibration_error: Some(0.0431),
            parameters: 61_706,
            images_per_second: 24_210.4,
            weights_sha256: "3f1c9a0be87d425568c1e02d94b7a6f3105ce8d2a97b4416f0839cde52ab7710".to_owned(),
        },
        best_epoch: Some(best.epoch),
        pace: pace(curves.len()),
        curves,
        confusion: confusion(classes.len(), 1000),
        filters: Some(filters(if channels == 1 { 6 } else { 64 }, if channels == 1 { 5 } else { 11 }, channels)),
        mistakes: mistakes(classes.len(), side, channels),
        class_mistakes: class_mistakes(classes.len(), side, channels),
        confusions: confusions(classes.len(), side, channels),
        samples: samples(classes.len(), side, channels),
        calibration: calibration(),
        class_top5: (0..classes.len()).map(|k| Some(0.9 + 0.1 * noise(18, k as u64))).collect(),
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
fn pages_are_well_formed_from_two_to_many_classes() {
    for (classes, epochs, channels) in [(2, 1, 1), (10, 30, 1), (35, 120, 3), (100, 1000, 3), (130, 3, 2)] {
        let html = render(&sample(names(classes), epochs, channels));
        keep(&format!("report-{classes}"), &html);
        checked_tags(&html);
        assert!(!without_pictures(&html).contains("NaN"), "{classes} classes");
        assert!(html.len() < 5_000_000, "{classes} classes: {} bytes", html.len());
    }
}

#[test]
fn every_part_of_a_run_is_in_its_page() {
    let report = sample(names(12), 30, 3);
    let html = render(&report);
    let parts = [
        "curves",
        "samples",
        "confusion",
        "classes",
        "mistakes",
        "calibration",
        "filters",
        "network",
        "health",
        "configuration",
        "reproduce",
    ];
    for part in parts {
        assert!(html.contains(&format!("<section id=\"{part}\"")), "{part}");
        assert!(html.contains(&format!("href=\"#{part}\"")), "{part}");
    }
    for text in [&report.run, &report.command, &report.summary.weights_sha256, &report.mistakes[5].name] {
        assert!(html.contains(&format!(">{text}<")), "{text}");
    }
    for text in report.classes.iter().chain(report.layers.iter().map(|layer| &layer.op)) {
        assert!(html.contains(&format!(">{text}<")), "{text}");
    }
    // 64 filters, 16 mistakes, 4 of each of 12 classes and confusions (the last of these have fewer), 24 samples.
    let of_confusions: usize = report.confusions.iter().map(|c| c.examples.len()).sum();
    assert_eq!(html.matches("<img ").count(), 64 + 16 + 48 + of_confusions + 24);
    for title in ["Loss", "Accuracy", "Learning rate", "Gradient norm", "Speed", "Waiting", "Reliability"] {
        assert!(html.contains(&format!("<h3>{title}</h3>")), "{title}");
    }
    assert!(html.contains("optimizer.momentum</th><td>0.9</td>"));
}

#[test]
fn nothing_is_fetched() {
    let html = render(&sample(names(130), 30, 3));
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("url("));
    for (name, attributes) in checked_tags(&html) {
        assert!(!["link", "iframe", "object", "embed", "base", "use"].contains(&name.as_str()), "<{name}>");
        let pictures = ["data:image/png;base64,", "data:image/jpeg;base64,"];
        for (kind, inside) in [(" src=\"", &pictures[..]), (" href=\"", &["#"])] {
            if let Some((_, value)) = format!(" {attributes}").split_once(kind) {
                assert!(inside.iter().any(|start| value.starts_with(start)), "<{name} {attributes:.60}>");
            }
        }
    }
}

#[test]
fn the_policy_allows_no_script_but_the_pages_own() {
    let html = render(&sample(names(3), 2, 1));
    assert!(
        html.contains("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    );
    let tags = checked_tags(&html);
    assert_eq!(tags.iter().filter(|(name, _)| name == "script").count(), 1);
    assert!(tags.iter().all(|(_, attributes)| !format!(" {attributes}").contains(" on")), "an event handler");
}

#[test]
fn text_from_outside_is_shown_and_not_obeyed() {
    const HOSTILE: &str =
        "</title></script><script>alert(1)</script><img src=x onerror=\"alert(2)\" a='b'>&lt;\0";
    let hostile = || HOSTILE.to_owned();
    // As a table, as a drawing and as a picture.
    for classes in [3, 30, 101] {
        let mut report = sample(vec![hostile(); classes], 3, 1);
        (report.run, report.net, report.data, report.command) = (hostile(), hostile(), hostile(), hostile());
        (report.started, report.summary.weights_sha256) = (hostile(), hostile());
        (report.environment.version, report.environment.isa) = (hostile(), hostile());
        let toml = HOSTILE.replace('\0', "");
        report.config_toml = format!("\"{}\" = '''{toml}'''\n", toml.replace('"', "'"));
        report.mistakes.iter_mut().for_each(|mistake| mistake.name = hostile());
        report.class_mistakes.iter_mut().for_each(|mistake| mistake.name = hostile());
        report
            .confusions
            .iter_mut()
            .flat_map(|c| &mut c.examples)
            .for_each(|example| example.name = hostile());
        report.samples.iter_mut().for_each(|sample| sample.name = hostile());
        report.layers.iter_mut().for_each(|layer| (layer.name, layer.op) = (hostile(), hostile()));
        report.health.iter_mut().for_each(|layer| layer.layer = hostile());
        report.filters.as_mut().unwrap().layer = hostile();
        let html = render(&report);
        let plain = render(&sample(vec!["cat".to_owned(); classes], 3, 1));
        let count = |html: &str, name: &str| checked_tags(html).iter().filter(|(tag, _)| tag == name).count();
        for name in ["script", "img", "title"] {
            assert_eq!(count(&html, name), count(&plain, name), "<{name}>");
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !html.contains('\0'));
    }
}

#[test]
fn values_that_are_no_numbers_are_named_and_never_drawn() {
    let mut report = sample(names(10), 30, 1);
    report.curves[3].train_loss = Some(f64::NAN);
    report.curves[12].val_loss = Some(f64::INFINITY);
    report.curves[20].val_loss = Some(1e300);
    report.curves[21].learning_rate = Some(f64::NEG_INFINITY);
    report.curves[25].epoch = f64::NAN;
    report.health[0].epochs[29].gradient_norm = Some(f64::NAN);
    report.summary.loss = Some(f64::NAN);
    report.mistakes[0].loss = f32::INFINITY;
    report.samples[0].guesses[0].probability = f32::NAN;
    report.class_mistakes[0].probability = f32::NAN;
    (report.calibration[3].confidence, report.calibration[4].accuracy) =
        (Some(f64::NAN), Some(f64::INFINITY));
    (report.pace[2].waiting, report.pace[3].images_per_second) = (Some(f64::NAN), Some(f64::INFINITY));
    report.filters.as_mut().unwrap().values[7] = f32::NAN;
    (report.seconds, report.summary.images_per_second) = (f64::NAN, f64::NAN);
    let html = render(&report);
    keep("report-not-finite", &html);
    for (name, attributes) in checked_tags(&html) {
        let odd = ["NaN", "inf", "e300"].iter().any(|odd| attributes.contains(odd));
        assert!(
            !["path", "circle", "rect", "text"].contains(&name.as_str()) || !odd,
            "<{name} {attributes}>"
        );
    }
    assert!(html.contains("training: not a finite number at 1 of 29 points, first at epoch 4."));
    assert!(html.contains("held-out: not a finite number at 2 of 29 points, first at epoch 13."));
    assert!(html.contains("1 weights are not finite"));
}

#[test]
fn a_run_that_diverged_at_once_still_has_a_page() {
    let mut report = sample(names(2), 4, 1);
    for row in &mut report.curves {
        (row.train_loss, row.val_loss) = (Some(f64::NAN), Some(f64::NAN));
        (row.train_top1, row.val_top1, row.val_top5, row.learning_rate) = (None, None, None, None);
    }
    let html = render(&report);
    checked_tags(&html);
    assert!(html.contains("held-out: not a finite number at 4 of 4 points, first at epoch 1."));
    assert!(!html.contains("Accuracy over epochs"));
}

#[test]
fn an_empty_report_is_a_page_of_few_words() {
    let html = render(&Report::default());
    checked_tags(&html);
    assert!(html.contains("No mistakes were kept."));
    assert_eq!(html.matches("<section").count(), 2);
}

#[test]
fn parts_that_contradict_each_other_are_named() {
    let mut report = sample(names(10), 3, 1);
    report.confusion.pop();
    report.filters.as_mut().unwrap().values.pop();
    report.mistakes[0].picture.pixels.pop();
    report.mistakes[1].truth = 99;
    (report.samples[2].truth, report.samples[3].guesses[1].class) = (98, 97);
    report.class_mistakes[0].predicted = 96;
    report.class_top5.pop();
    report.config_toml = "not = = toml".to_owned();
    let html = render(&report);
    checked_tags(&html);
    assert!(html.contains("10 classes need a matrix of 10×10 counts, and there are 99."));
    assert!(html.contains("6×5×5×1 weights were announced, and there are 149."));
    assert!(html.contains("no picture") && html.contains("not = = toml"));
    assert!((96..100).all(|class| html.contains(&format!("class {class}"))));
}

#[test]
fn an_evaluation_speaks_of_no_training() {
    let report = Report {
        occasion: Occasion::Evaluation,
        curves: Vec::new(),
        pace: Vec::new(),
        health: Vec::new(),
        config_toml: String::new(),
        best_epoch: None,
        command: "ocelli eval runs/lenet5-digits-3 digits".to_owned(),
        ..sample(names(100), 30, 3)
    };
    let html = render(&report);
    keep("report-evaluation", &html);
    checked_tags(&html);
    let html = without_pictures(&html);
    for word in ["held-out", "training", "epoch"] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("<title>lenet5-digits-3 – Ocelli evaluation</title>"));
}

#[test]
fn many_epochs_are_thinned_with_their_spikes_and_long_names_kept_whole() {
    let name = "a class whose name goes on ".repeat(20);
    let mut report = sample(vec![name.clone(), "other".to_owned()], 20_000, 1);
    report.curves[7_777].val_loss = Some(9.876e9);
    let html = render(&report);
    keep("report-long", &html);
    checked_tags(&html);
    assert!(html.contains(&name));
    assert!(html.contains("of 20,000 rows are shown"));
    assert!(html.contains("9.876e9"));
    assert!(html.len() < 500_000, "{} bytes", html.len());
}

#[test]
fn a_report_survives_json() {
    let report = sample(names(12), 5, 3);
    let json = serde_json::to_string(&report).unwrap();
    // Decimals may cost the last bit of a number, but nothing that shows.
    assert_eq!(render(&serde_json::from_str(&json).unwrap()), render(&report));
}
