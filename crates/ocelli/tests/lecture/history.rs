//! From the perceptron to XOR: claims 9 to 14.

use crate::support::accepted;

#[test]
fn item_09_a_perceptron_makes_at_most_r_over_gamma_squared_mistakes() {
    accepted("perceptron");
}

#[test]
fn item_10_only_response_units_of_the_mark_1_learn() {
    accepted("mark-1");
}

#[test]
fn item_11_and_is_separable_and_xor_is_not() {
    let finding = accepted("minsky-papert");
    let counted = finding
        .checks
        .iter()
        .filter(|check| check.what.starts_with("threshold functions"))
        .map(|check| check.found);
    assert!(counted.eq([4.0, 14.0, 104.0, 1882.0]));
}

#[test]
fn item_12_xor_takes_a_hidden_layer() {
    accepted("xor");
}

#[test]
fn items_13_and_14_xor_is_learned_as_in_1986() {
    accepted("pdp");
}
