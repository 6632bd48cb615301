//! What was found, as Markdown and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::options::Options;
use super::{Comparison, Found, Phase};

/// The middle of a few values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|x| x.ln()).sum::<f64>() / values.len() as f64).exp()
}

impl Comparison {
    /// How many times as fast Ocelli is.
    fn ratio(&self) -> f64 {
        median(&self.ocelli) / median(&self.peer)
    }
}

/// One comparison in a line.
pub(crate) fn line(comparison: &Comparison) -> String {
    let Comparison { net, phase, way, .. } = comparison;
    let [ours, theirs] = [&comparison.ocelli, &comparison.peer].map(|rates| figure(*phase, median(rates)));
    let unit = unit(*phase);
    format!("{} {}: {ours} {unit}, {way} {theirs}: {:.2}×", net.name, phase.name(), comparison.ratio())
}

/// Images per second, or milliseconds for one.
fn figure(phase: Phase, rate: f64) -> String {
    let x = if phase == Phase::Latency { 1e3 / rate } else { rate };
    match x {
        x if x < 1.0 => format!("{x:.3}"),
        x if x < 10.0 => format!("{x:.2}"),
        x if x < 100.0 => format!("{x:.1}"),
        x => thousands(x.round() as u64),
    }
}

/// With a comma between thousands.
pub(crate) fn thousands(n: u64) -> String {
    if n < 1000 { n.to_string() } else { format!("{},{:03}", thousands(n / 1000), n % 1000) }
}

fn unit(phase: Phase) -> &'static str {
    if phase == Phase::Latency { "ms" } else { "images/s" }
}

/// A table for each phase, and one of memory.
pub(crate) fn markdown(found: &Found, options: &Options, versions: &Value) -> String {
    let mut text = format!(
        "{}, {} threads, medians of {} rounds; PyTorch {}. A ratio above 1 says that Ocelli is so many times as fast.\n",
        options.precision.name(),
        options.threads,
        options.rounds,
        versions["torch"].as_str().unwrap_or("?")
    );
    for &phase in &options.phases {
        let heading = match phase {
            Phase::Train => "Training, images/s",
            Phase::Infer => "Inference at that batch, images/s",
            Phase::Latency => "One image, ms",
        };
        let rows = found.speed.iter().filter(|comparison| comparison.phase == phase);
        let mut ratios = Vec::new();
        let _ = write!(text, "\n{heading}\n\n| network | batch | Ocelli | best peer | by | ratio |\n");
        text += "|---|---:|---:|---:|---|---:|\n";
        for row in rows {
            let batch = if phase == Phase::Latency { "1" } else { row.net.batch };
            let [ours, theirs] = [&row.ocelli, &row.peer].map(|rates| figure(phase, median(rates)));
            let (name, way, ratio) = (row.net.name, &row.way, row.ratio());
            let _ = writeln!(text, "| `{name}` | {batch} | {ours} | {theirs} | {way} | {ratio:.2} |");
            ratios.push(ratio);
        }
        let _ = writeln!(text, "| geometric mean | | | | | {:.2} |", geometric_mean(&ratios));
    }
    if !found.memory.is_empty() {
        text += "\nPeak resident memory of training, MiB\n\n| network | Ocelli | PyTorch | share |\n|---|---:|---:|---:|\n";
        let mut shares = Vec::new();
        for row in &found.memory {
            let [ours, theirs] = [&row.ocelli, &row.peer].map(|bytes| median(bytes) / f64::from(1 << 20));
            let _ = writeln!(text, "| `{}` | {ours:.0} | {theirs:.0} | {:.2} |", row.net.name, ours / theirs);
            shares.push(ours / theirs);
        }
        let _ = writeln!(text, "| geometric mean | | | {:.2} |", geometric_mean(&shares));
    }
    text
}

/// Every round's figures.
pub(crate) fn json(found: &Found, options: &Options, versions: &Value) -> Value {
    let speed = found.speed.iter().map(|c| {
        json!({
            "net": c.net.name, "phase": c.phase.name(), "batch": c.net.batch, "way": c.way,
            "ocelli_images_per_second": c.ocelli, "peer_images_per_second": c.peer, "ratio": c.ratio(),
        })
    });
    let memory = found.memory.iter().map(|m| {
        json!({ "net": m.net.name, "ocelli_peak_memory_bytes": m.ocelli, "pytorch_peak_memory_bytes": m.peer })
    });
    json!({
        "schema": 1,
        "precision": options.precision.name(),
        "threads": options.threads,
        "versions": versions,
        "speed": speed.collect::<Vec<_>>(),
        "memory": memory.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::NETS;

    fn comparison(phase: Phase, ocelli: [f64; 3], peer: [f64; 3]) -> Comparison {
        let way = "jit".to_string();
        Comparison { net: NETS[1], phase, way, ocelli: ocelli.to_vec(), peer: peer.to_vec() }
    }

    #[test]
    fn ratios_are_those_of_medians_and_above_1_where_ocelli_is_faster() {
        let fast = comparison(Phase::Infer, [4000.0, 1.0, 5000.0], [2000.0, 2100.0, 1.0]);
        assert_eq!(line(&fast), "lenet infer: 4,000 images/s, jit 2,000: 2.00×");
        let late = comparison(Phase::Latency, [10_000.0; 3], [5_000.0; 3]);
        assert_eq!(line(&late), "lenet latency: 0.100 ms, jit 0.200: 2.00×");
    }

    #[test]
    fn tables_have_a_row_for_each_network_and_the_geometric_mean() {
        let speed =
            vec![comparison(Phase::Train, [8.0; 3], [1.0; 3]), comparison(Phase::Train, [2.0; 3], [1.0; 3])];
        let options = Options::read(&["--phases=train".to_string()]).expect("options");
        let text = markdown(&Found { speed, memory: Vec::new() }, &options, &json!({ "torch": "2.15.0" }));
        assert!(text.contains("| `lenet` | 64 | 8.00 | 1.00 | jit | 8.00 |"), "{text}");
        assert!(text.contains("| geometric mean | | | | | 4.00 |"), "{text}");
        assert!(!text.contains("Peak"), "{text}");
    }
}
