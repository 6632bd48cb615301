//! Experiments of the second half find what is expected with what is embedded. Those that train LeNet-5 again and again take
//! too long for a test; `digits.rs` tests their claims in little.

use crate::support::accepted;

#[test]
fn items_15_16_17_24_lenet5_is_that_of_the_paper() {
    accepted("lenet5");
}

#[test]
fn item_18_second_derivatives_give_each_weight_its_rate() {
    accepted("second-derivatives");
}

#[test]
fn item_53_the_experiment_gets_the_same_bits() {
    accepted("same-bits");
}

#[test]
fn items_54_55_windows_cover_the_picture_and_are_labelled() {
    accepted("windows");
}

#[test]
fn items_56_57_58_59_60_the_family_is_measured_on_both_sets() {
    accepted("family");
}

#[test]
fn items_66_71_72_the_chain_multiplies() {
    accepted("chain");
}

#[test]
fn items_67_73_74_the_cost_of_a_batch_adds_up() {
    accepted("cost");
}

#[test]
fn items_68_69_batches_are_as_noisy_as_their_size_says() {
    accepted("batches");
}

#[test]
fn item_70_rates_are_noted() {
    accepted("rates");
}

#[test]
fn items_71_77_79_80_the_worked_example_is_that_of_the_lecture() {
    accepted("backprop");
}

#[test]
fn items_75_76_77_78_79_layers_keep_their_contract() {
    accepted("equations");
}

#[test]
fn item_81_branches_merges_and_shared_weights_differentiate() {
    accepted("beyond");
}
