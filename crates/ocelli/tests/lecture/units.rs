//! Units and layers: claims 33 to 52.

use crate::support::accepted;

#[test]
fn items_33_to_35_a_neuron_is_a_sum_and_a_layer_a_matrix() {
    accepted("neuron");
}

#[test]
fn items_36_to_38_41_and_42_non_linearities_have_their_values_and_slopes() {
    accepted("activations");
}

#[test]
fn item_39_a_dead_unit_has_no_gradient_and_a_leak_revives_it() {
    accepted("dead-units");
}

#[test]
fn item_40_relu_and_tanh_race() {
    accepted("relu-race");
}

#[test]
fn items_43_to_46_layers_are_named_counted_and_never_in_a_circle() {
    accepted("layers");
}

#[test]
fn item_47_a_wide_network_learns_few_examples_by_heart() {
    accepted("overfitting");
}

#[test]
fn item_48_deep_networks_learn_from_hes_start_alone() {
    accepted("depth");
}

#[test]
fn item_49_three_hidden_units_fit_bishops_functions() {
    accepted("bishop");
}

#[test]
fn items_50_and_51_networks_are_formulas_lines_and_bumps() {
    accepted("approximation");
}

#[test]
fn item_52_wide_and_deep_are_compared_at_equal_parameters() {
    accepted("wide-deep");
}
