//! `explain trace`: one step of back-propagation through a model file.

use serde_json::Value;

use crate::support::{Place, columns, text, write_columns};

/// A place with a model that tells four lit columns apart, and a picture of column 2.
fn trained(net: &str) -> Place {
    let place = Place::new();
    let labels: Vec<u8> = (0..80).map(|i| i % 4).collect();
    write_columns(&place, "columns", &labels);
    place.ok(&format!("train columns --net {net} --epochs 5 --batch 8 --lr 0.1 --out run -q"));
    place.write("two.pgm", [b"P5 8 8 255\n".to_vec(), columns(&[2])].concat());
    place
}

fn numbers(value: &Value) -> Vec<f64> {
    value["numbers"].as_array().expect("numbers").iter().map(|v| v.as_f64().expect("a number")).collect()
}

#[test]
fn a_step_moves_each_weight_against_its_gradient_and_lowers_the_cost() {
    let place = trained("perceptron");
    let traced = place.json("explain trace run two.pgm --class 3 --lr 0.05 --json");
    assert_eq!(
        (&traced["schema"], &traced["class"], &traced["rate"]),
        (&1.into(), &"3".into(), &0.05.into())
    );
    assert_eq!(traced["target"], serde_json::json!([0.0, 0.0, 0.0, 1.0]));
    assert!(traced["cost_after"].as_f64() < traced["cost"].as_f64(), "{traced}");
    let layers = traced["layers"].as_array().expect("layers");
    let names: Vec<&str> = layers.iter().map(|layer| layer["layer"].as_str().expect("a name")).collect();
    assert_eq!(names, ["image", "flatten", "fc1"]);
    let weight = &layers[2]["params"][0];
    let (before, gradient, after) =
        (numbers(&weight["before"]), numbers(&weight["gradient"]), numbers(&weight["after"]));
    assert_eq!((weight["shape"].to_string().as_str(), before.len()), ("[4,64]", 256));
    for ((w, g), moved) in before.iter().zip(&gradient).zip(&after) {
        assert!((w - 0.05 * g - moved).abs() < 1e-15, "{w} {g} {moved}");
    }
    // ∂C/∂logits of cross-entropy is p − t, whose sum is 0; of the class that is wanted it is below 0.
    let g = numbers(&layers[2]["gradient"]);
    assert!(g.iter().sum::<f64>().abs() < 1e-12 && g[3] < 0.0, "{g:?}");
}

#[test]
fn people_get_tables_and_a_drawing_and_the_model_stays_as_it_was() {
    let place = trained("digits");
    let model = std::fs::read(place.path("run/model.safetensors")).expect("a model");
    let done = place.ok("explain trace run two.pgm --out step.svg");
    for part in ["conv1", "∂C/∂x", "∂C/∂W", "cost", "before the step"] {
        assert!(done.stdout.contains(part), "no {part} in\n{}", done.stdout);
    }
    assert!(done.stderr.contains("first guess"), "{}", done.stderr);
    let drawing = text(&place.path("step.svg"));
    assert!(drawing.contains("<svg") && drawing.contains("conv1") && !drawing.contains("NaN"));
    assert!(model == std::fs::read(place.path("run/model.safetensors")).expect("a model"));
}

#[test]
fn large_tensors_are_left_out_of_json_but_for_their_norms() {
    let place = trained("perceptron");
    let traced = place.json("explain trace run two.pgm --class 1 --json --numbers 10");
    let layer = &traced["layers"][2];
    assert!(layer["params"][0]["before"]["numbers"].is_null(), "{layer}");
    assert!(layer["params"][0]["before"]["norm"].as_f64() > Some(0.0), "{layer}");
    assert_eq!(numbers(&layer["value"]).len(), 4);
}

#[test]
fn classes_pictures_and_rates_that_cannot_be_are_refused() {
    let place = trained("perceptron");
    place.refused("explain trace run two.pgm --class nine", 2, &["nine", "0, 1, 2, 3"]);
    place.refused("explain trace run two.pgm --lr -1", 2, &["from 0"]);
    place.refused("explain trace nothing two.pgm", 2, &["nothing"]);
    place.write("noise.png", [1, 2, 3]);
    place.refused("explain trace run noise.png", 3, &["noise.png"]);
}
