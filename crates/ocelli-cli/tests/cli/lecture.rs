//! The lecture's experiments from the command line.

use crate::support::{Place, keys, text};

#[test]
fn without_a_name_every_experiment_is_listed() {
    let place = Place::new();
    let listed = place.ok("lecture").stdout;
    for word in ["Units and layers", "neuron", "A neuron, and a layer of them", "pyramids", "xor"] {
        assert!(listed.contains(word), "no '{word}' in\n{listed}");
    }
    let listed = place.json("lecture --json");
    let experiments = listed["experiments"].as_array().expect("experiments");
    assert!(experiments.len() > 20 && experiments.iter().all(|e| e["checklist"].is_array()), "{listed}");
    assert!(!place.path("lecture").exists(), "a list writes nothing");
}

#[test]
fn an_experiment_prints_what_it_found_and_writes_its_figures() {
    let place = Place::new();
    let result = place.json("lecture activations steerable --out figures --json");
    assert_eq!(result["schema"], 1);
    let experiments = result["experiments"].as_array().expect("experiments");
    assert_eq!(experiments.len(), 2);
    for key in ["name", "checklist", "accepted", "measured", "expected", "figures", "seconds"] {
        assert!(keys(&experiments[0]).contains(&key), "no {key} in {result}");
    }
    assert_eq!(
        (&experiments[0]["accepted"], &experiments[0]["measured"]["sigmoid at 0"]),
        (&true.into(), &0.5.into())
    );
    for figure in ["activations-curves.svg", "steerable-bands.svg", "steerable-tuning.svg"] {
        assert!(text(&place.path("figures").join(figure)).ends_with("</svg>\n"), "{figure}");
    }
    let told = place.ok("lecture neuron --out figures").stdout;
    assert!(told.contains("found as expected") && told.contains("a = Wx + b"), "{told}");
}

#[test]
fn names_and_folders_that_are_not_there_are_refused() {
    let place = Place::new();
    place.refused("lecture neuro", 2, &["no experiment is called 'neuro'", "did you mean 'neuron'?"]);
    place.refused("lecture neuron --data nowhere", 2, &["--data nowhere", "no such folder"]);
    place.write("taken", "a file");
    place.refused("lecture activations --out taken", 4, &["taken"]);
}
