//! Kernels of the kinds that a trainer is made of, compiled by nvcc: what they compute is what double precision makes of
//! their definitions, in every order of warps and blocks the same to the last bit, and without a race.
#![allow(clippy::unwrap_used, clippy::panic)]

mod attention;
#[path = "../common/mod.rs"]
mod common;
mod elementwise;
mod matrices;
mod norms;
mod optimizer;

use common::{
    Arg::{I32, Pointer},
    Gpu, RIGHT,
};
use emulated_gpu::{
    driver::Error,
    fault::{Access, Fault, FaultKind},
    settings::Settings,
    vm::Order,
};
use half::bf16;

/// A kernel's run on a device: it asserts what is computed and returns the bytes that must be the same in every order.
type Case = fn(&mut Gpu) -> Vec<u8>;

const CASES: [(&str, Case); 14] = [
    ("layer_norm", norms::layer_norm),
    ("layer_norm_backward", norms::layer_norm_backward),
    ("mma", matrices::mma),
    ("wmma_async", matrices::wmma_async),
    ("ldmatrix", matrices::ldmatrix),
    ("nf4_dequantise", optimizer::nf4_dequantise),
    ("adamw_8bit", optimizer::adamw_8bit),
    ("gelu_backward", elementwise::gelu_backward),
    ("swiglu", elementwise::swiglu),
    ("rotate", elementwise::rotate),
    ("dropout", elementwise::dropout),
    ("embedding_backward", elementwise::embedding_backward),
    ("to_fp8", elementwise::to_fp8),
    ("attention", attention::attention),
];

fn run(settings: Settings) -> Vec<(&'static str, Vec<u8>)> {
    let mut gpu = Gpu::new(settings, RIGHT);
    CASES.iter().map(|&(name, case)| (name, case(&mut gpu))).collect()
}

/// One test for each kernel, so that a failure names it.
macro_rules! cases {
    ($($name:ident, $case:path;)*) => {$(
        #[test]
        fn $name() {
            $case(&mut Gpu::new(Settings::default(), RIGHT));
        }
    )*};
}

cases! {
    layer_norm_is_that_of_double_precision, norms::layer_norm;
    layer_norm_backward_is_that_of_double_precision, norms::layer_norm_backward;
    mma_is_the_product, matrices::mma;
    wmma_with_asynchronous_copies_is_the_product, matrices::wmma_async;
    ldmatrix_puts_each_element_where_mma_wants_it, matrices::ldmatrix;
    nf4_dequantise_is_the_table_times_the_scale, optimizer::nf4_dequantise;
    adamw_8bit_moves_weights_and_moments, optimizer::adamw_8bit;
    gelu_backward_is_the_derivative, elementwise::gelu_backward;
    swiglu_is_its_definition, elementwise::swiglu;
    rotate_turns_each_pair_by_its_angle, elementwise::rotate;
    dropout_follows_philox, elementwise::dropout;
    embedding_backward_adds_up_rows, elementwise::embedding_backward;
    to_fp8_rounds_to_nearest_even_and_saturates, elementwise::to_fp8;
    attention_is_that_of_double_precision, attention::attention;
}

#[test]
fn no_order_of_warps_and_blocks_changes_a_bit() {
    let wanted = run(Settings::default());
    for order in [Order::Reversed, Order::Random(1), Order::Random(2), Order::Random(3)] {
        for deferred in [false, true] {
            for ((name, wanted), (_, got)) in
                wanted.iter().zip(run(Settings { order, deferred, ..Settings::default() }))
            {
                assert!(*wanted == got, "{name} in order {order:?}, deferred {deferred}");
            }
        }
    }
    assert!(wanted == run(Settings { deferred: true, ..Settings::default() }), "deferred alone");
}

#[test]
fn no_number_of_threads_changes_a_bit() {
    let one = run(Settings { threads: 1, ..Settings::default() });
    assert!(one == run(Settings { threads: 4, ..Settings::default() }));
}

#[test]
fn right_kernels_have_no_race() {
    for order in [Order::Forward, Order::Reversed, Order::Random(7)] {
        let mut gpu = Gpu::new(Settings { races: true, order, ..Settings::default() }, RIGHT);
        let cases = CASES.iter().filter(|(name, _)| *name != "embedding_backward");
        cases.for_each(|(_, case)| drop(case(&mut gpu)));
        assert_eq!(gpu.driver.counters().fault_count, 0);
    }
}

/// On `sm_80`, `atomicAdd` of two `bf16` is a loop in CUDA's header that begins with a plain read of what other threads
/// change by atomics. No harm comes of it, as the exchange compares; a race it is by the memory model of PTX.
#[test]
fn the_plain_read_of_cudas_atomic_addition_of_pairs_is_a_race_to_the_letter() {
    let mut gpu = Gpu::new(Settings { races: true, ..Settings::default() }, RIGHT);
    let (ids, numbers) = (gpu.upload(&[0u32; 2]), gpu.upload(&[bf16::ONE; 128]));
    let sums = gpu.zeros::<bf16>(64);
    let args = [Pointer(ids), Pointer(numbers), Pointer(sums), I32(32)];
    let Err(Error::Kernel(fault)) = gpu.try_launch("embedding_backward", [2, 1, 1], [32, 1, 1], 0, &args)
    else {
        panic!("nothing was found")
    };
    let Fault { kind: FaultKind::Race { access: Access::Read, earlier, .. }, at: Some(at), .. } = *fault
    else {
        panic!("another fault was found: {fault}")
    };
    assert_eq!(earlier.access, Access::Atomic);
    assert!(at.instruction.starts_with("ld.global.u32"), "{}", at.instruction);
}

#[test]
fn counters_are_the_same_in_every_order_and_on_every_number_of_threads() {
    let counted = |order, threads| {
        let mut gpu = Gpu::new(Settings { order, threads, ..Settings::default() }, RIGHT);
        CASES.iter().for_each(|(_, case)| drop(case(&mut gpu)));
        gpu.driver.counters().clone()
    };
    let wanted = counted(Order::Forward, 1);
    assert_eq!(wanted.kernels.len(), CASES.len());
    assert!(wanted.kernels.values().all(|kernel| kernel.thread_instructions > 0 && kernel.bytes_written > 0));
    for (order, threads) in [(Order::Forward, 2), (Order::Reversed, 2), (Order::Random(5), 1)] {
        assert_eq!(wanted, counted(order, threads));
    }
}

#[test]
fn bytes_that_a_kernel_reads_and_writes_are_those_of_its_definition() {
    let mut gpu = Gpu::new(Settings::default(), RIGHT);
    elementwise::gelu_backward(&mut gpu);
    let counts = &gpu.driver.counters().kernels["gelu_backward"];
    let numbers = elementwise::GELU as u64;
    assert_eq!((counts.bytes_read, counts.bytes_written), (2 * 4 * numbers, 4 * numbers));
}

#[test]
fn work_of_instructions_that_multiply_matrices_is_that_of_the_product() {
    let mut gpu = Gpu::new(Settings::default(), RIGHT);
    matrices::mma(&mut gpu);
    matrices::wmma_async(&mut gpu);
    elementwise::gelu_backward(&mut gpu);
    let flop = |kernel: &str| gpu.driver.counters().kernels[kernel].matrix_flop;
    let depth = matrices::DEPTH as u64;
    assert_eq!((flop("mma"), flop("wmma_async")), (2 * 16 * 8 * depth, 2 * 16 * 16 * depth));
    assert_eq!(flop("gelu_backward"), 0);
}
