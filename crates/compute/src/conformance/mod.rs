//! What a backend has to compute: each method beside plain arithmetic in double precision, on sizes that are no multiple
//! of anything, of 0 and 1 tokens too.
//!
//! [`conforms!`](crate::conforms) makes tests of all of it for one backend.
#![allow(clippy::unwrap_used)]

mod attention;
mod attention_bf16;
mod elements;
mod head;
mod numbers;
mod optimizer;
mod products;
mod products_bf16;
mod rows;
mod thin;

pub use attention::{attention_is_that_of_the_definition, dropout_of_attention_is_on_its_probabilities};
pub use attention_bf16::{
    attention_rounds_its_factors_to_bf16_or_not_at_all,
    attention_with_products_in_bf16_is_off_by_their_rounding,
};
pub use elements::{
    activations_are_those_of_the_definition, angles_turn_pairs_of_features,
    dropout_takes_its_share_by_seed_and_place,
};
pub use head::{
    cross_entropy_is_that_of_the_definition, texts_are_pooled_as_the_definition_says,
    what_is_brought_at_once_is_each_list_by_itself,
};
pub use optimizer::{
    a_state_goes_to_the_host_and_back_to_the_last_bit, a_step_is_that_of_the_definition,
    sums_of_squares_are_those_of_all_numbers_or_of_some_rows,
};
pub use products::{
    products_are_those_of_the_definition, products_read_what_attention_gives,
    products_read_what_was_written_last, products_with_held_weights_are_those_of_their_numbers,
    turned_products_are_those_of_the_definition,
};
pub use products_bf16::products_in_bf16_round_both_factors_to_the_nearest_or_none;
pub use rows::{
    biases_and_residuals_are_added_to_every_row, matrices_go_to_the_device_and_back_whole_and_in_parts,
    norms_are_those_of_the_definition, rows_are_found_and_summed_by_their_ids,
};
pub use thin::thin_products_of_norms_are_those_of_their_results;

/// A module of tests that hold a backend to the contract.
#[macro_export]
macro_rules! conforms {
    ($backend:expr) => {
        $crate::conforms!(
            $backend,
            matrices_go_to_the_device_and_back_whole_and_in_parts,
            products_are_those_of_the_definition,
            products_with_held_weights_are_those_of_their_numbers,
            products_in_bf16_round_both_factors_to_the_nearest_or_none,
            products_read_what_was_written_last,
            products_read_what_attention_gives,
            turned_products_are_those_of_the_definition,
            norms_are_those_of_the_definition,
            thin_products_of_norms_are_those_of_their_results,
            biases_and_residuals_are_added_to_every_row,
            rows_are_found_and_summed_by_their_ids,
            angles_turn_pairs_of_features,
            activations_are_those_of_the_definition,
            dropout_takes_its_share_by_seed_and_place,
            attention_is_that_of_the_definition,
            dropout_of_attention_is_on_its_probabilities,
            attention_with_products_in_bf16_is_off_by_their_rounding,
            attention_rounds_its_factors_to_bf16_or_not_at_all,
            what_is_brought_at_once_is_each_list_by_itself,
            texts_are_pooled_as_the_definition_says,
            cross_entropy_is_that_of_the_definition,
            sums_of_squares_are_those_of_all_numbers_or_of_some_rows,
            a_step_is_that_of_the_definition,
            a_state_goes_to_the_host_and_back_to_the_last_bit
        );
    };
    ($backend:expr, $($name:ident),+) => {
        $(
            #[test]
            fn $name() {
                $crate::conformance::$name(&$backend);
            }
        )+
    };
}
