//! What a layer of Phi-3-mini costs on a GPU, counted on the emulated one: launches, bytes, uploads, waits, the work of
//! products and memory, each held to `limits.csv`. What belongs to one layer is the difference between a network of two and
//! one of a single layer; what belongs to one step that between three steps and two.
//!
//! `MBTI_TEST_SHAPE=real` counts the layer in its real size, which takes minutes; `MBTI_TEST_WRITE=1` writes the limits and,
//! of the real size, what each kernel does, out of which `scripts/kernel-table.py` makes a table of docs/gpu.md.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod counted;
mod least;
#[path = "model.rs"]
mod model_folder;

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use counted::{Kernel, Report, Until, Work, run, told, train};
use least::Least;
use model_folder::{REAL, SMALL, Shape};

/// The rank of LoRA's matrices by default.
const RANK: usize = 8;
const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/launches/limits.csv");
const KERNELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/launches/kernels.csv");
/// How many times the least bytes a layer moves at most.
const MOST_OF_LEAST: f64 = 1.3;

type Kernels = BTreeMap<String, Kernel>;

/// What `more` has beyond `less`.
fn difference(more: &Kernels, less: &Kernels) -> Kernels {
    let of = |(name, more): (&String, &Kernel)| {
        let less = less.get(name).copied().unwrap_or_default();
        let rest = Kernel {
            launches: more.launches - less.launches,
            bytes_read: more.bytes_read - less.bytes_read,
            bytes_written: more.bytes_written - less.bytes_written,
            flop: more.flop - less.flop,
            product_flop: more.product_flop - less.product_flop,
        };
        (name.clone(), rest)
    };
    more.iter().map(of).filter(|(_, kernel)| kernel.launches != 0).collect()
}

fn launches(kernels: &Kernels) -> i64 {
    kernels.values().map(|kernel| kernel.launches).sum()
}

fn bytes(kernels: &Kernels) -> i64 {
    kernels.values().map(|kernel| kernel.bytes_read + kernel.bytes_written).sum()
}

fn flop(kernels: &Kernels) -> i64 {
    kernels.values().map(|kernel| kernel.product_flop).sum()
}

/// Reports of networks of one layer and of two.
fn one_and_two(folder: &Path, shape: Shape, until: Until, checkpointing: bool) -> [Report; 2] {
    [1, 2].map(|layers| {
        let model = folder.join(format!("{layers}"));
        run(&Work::of(&model, shape, until, checkpointing), folder)
    })
}

fn of_a_layer([one, two]: &[Report; 2]) -> Kernels {
    difference(&two.kernels, &one.kernels)
}

/// The kernels, with the least bytes of each where these are known.
fn table(title: &str, kernels: &Kernels, least: &Least) -> String {
    let mut table = format!("\n{title}\n");
    for (name, kernel) in kernels {
        let mib = |bytes: i64| bytes as f64 / 1_048_576.0;
        let (read, written) = (mib(kernel.bytes_read), mib(kernel.bytes_written));
        write!(table, "{:>4} {name:<34} {read:>10.2} {written:>10.2} MiB", kernel.launches).unwrap();
        match least.get(name.as_str()) {
            Some(least) => {
                writeln!(table, " of {:>10.2}, {:.2}", mib(*least), (read + written) / mib(*least))
            }
            None => writeln!(table),
        }
        .unwrap();
    }
    table
}

/// How many times the least bytes have been moved.
fn times_least(kernels: &Kernels, least: &Least) -> f64 {
    let unknown: Vec<_> = kernels.keys().filter(|name| !least.contains_key(name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} have no least bytes");
    bytes(kernels) as f64 / least.values().sum::<i64>() as f64
}

/// The work of the products of a layer, two operations a weight and token: of the frozen matrices once forward and once
/// backward, and of LoRA's once each way into its midst, but forward only where no norm is read, which makes it itself. What
/// comes out of there and the gradients of LoRA's matrices are not products of cuBLAS, but for what goes back through
/// attention's output.
fn flop_by_formula(shape: Shape) -> i64 {
    let of_a_token = |(name, rows, cols): (&str, usize, usize)| {
        let into = if name.ends_with("o_proj") || name.ends_with("down_proj") { cols } else { 0 };
        let back = if name.ends_with("o_proj") { cols } else { 0 };
        4 * rows * cols + 2 * RANK * (into + rows + back)
    };
    (shape.total() * shape.matrices().map(of_a_token).iter().sum::<usize>()) as i64
}

fn count(shape: Shape) -> BTreeMap<&'static str, i64> {
    let folder = tempfile::tempdir().unwrap();
    for layers in [1, 2] {
        let model = folder.path().join(format!("{layers}"));
        std::fs::create_dir(&model).unwrap();
        model_folder::write(&model, shape, layers);
    }
    let learned = |until, checkpointing| one_and_two(folder.path(), shape, until, checkpointing);
    let (to_loss, plain) = (learned(Until::Forward, false), learned(Until::Backward, false));
    let checkpointed = learned(Until::Backward, true);
    let forward = of_a_layer(&to_loss);
    let backward = difference(&of_a_layer(&plain), &forward);
    let leasts = [least::forward(shape), least::backward(shape)];
    print!("{}{}", table("forward", &forward, &leasts[0]), table("backward", &backward, &leasts[1]));
    let times = [times_least(&forward, &leasts[0]), times_least(&backward, &leasts[1])];
    println!("\n{times:.3?} times the least bytes, forward and backward");
    assert!(times.iter().all(|&times| times <= MOST_OF_LEAST), "{times:?} times the least bytes");
    if shape.name == REAL.name && writes() {
        write_kernels([("forward", &forward, &leasts[0]), ("backward", &backward, &leasts[1])]);
    }
    let weights: usize = shape.matrices().iter().map(|(_, rows, cols)| 2 * rows * cols).sum();
    let kept = |[one, two]: &[Report; 2]| two.peak_memory - one.peak_memory - weights as i64;
    let mut found = BTreeMap::from([
        ("launches forward", launches(&forward)),
        ("launches backward", launches(&backward)),
        ("bytes forward", bytes(&forward)),
        ("bytes backward", bytes(&backward)),
        ("memory a layer", kept(&plain)),
        ("memory a layer, checkpointed", kept(&checkpointed)),
        ("peak memory", plain[1].peak_memory),
        ("peak memory, checkpointed", checkpointed[1].peak_memory),
    ]);
    assert_eq!(flop(&forward) + flop(&backward), flop_by_formula(shape), "the work of the products");
    if shape.name == SMALL.name {
        let model = folder.path().join("1");
        let [two, three] =
            [2, 3].map(|steps| run(&Work::of(&model, shape, Until::Steps(steps), false), folder.path()));
        let stepped = learned(Until::Steps(1), false);
        let optimizer = difference(&of_a_layer(&stepped), &of_a_layer(&plain));
        print!(
            "{}{}",
            table("optimizer", &optimizer, &Least::new()),
            table("step", &difference(&three.kernels, &two.kernels), &Least::new())
        );
        found.extend([
            ("launches of the optimizer", launches(&optimizer)),
            ("launches outside the layer", three.launches - two.launches - launches(&of_a_layer(&stepped))),
            ("fills a step", three.fills.count - two.fills.count),
            ("uploads a step", three.uploads.count - two.uploads.count),
            ("waits a step", three.synchronisations - two.synchronisations),
        ]);
    }
    found
}

/// Whether what is found is to be written.
fn writes() -> bool {
    std::env::var_os("MBTI_TEST_WRITE").is_some()
}

/// What each kernel does for a layer in its real size.
fn write_kernels(passes: [(&str, &Kernels, &Least); 2]) {
    let mut text = "pass;kernel;launches;read;written;least;flop\n".to_owned();
    for (pass, kernels, least) in passes {
        for (name, kernel) in kernels {
            let Kernel { launches, bytes_read, bytes_written, .. } = kernel;
            let (least, flop) = (least[name.as_str()], kernel.flop + kernel.product_flop);
            writeln!(text, "{pass};{name};{launches};{bytes_read};{bytes_written};{least};{flop}").unwrap();
        }
    }
    std::fs::write(KERNELS, text).unwrap();
}

/// The limits of a shape, by figure.
fn limits(shape: Shape) -> BTreeMap<String, i64> {
    let text = std::fs::read_to_string(LIMITS).unwrap_or_default();
    let of = |line: &str| {
        let (start, limit) = line.rsplit_once(';')?;
        let (name, figure) = start.split_once(';')?;
        (name == shape.name).then(|| (figure.to_owned(), limit.parse().unwrap()))
    };
    text.lines().filter_map(of).collect()
}

fn write(shape: Shape, found: &BTreeMap<&'static str, i64>) {
    let mut text = "shape;figure;most\n".to_owned();
    for other in [SMALL, REAL] {
        let limits = if other.name == shape.name {
            found.iter().map(|(figure, most)| ((*figure).to_owned(), *most)).collect()
        } else {
            limits(other)
        };
        limits.iter().for_each(|(figure, most)| writeln!(text, "{};{figure};{most}", other.name).unwrap());
    }
    std::fs::write(LIMITS, text).unwrap();
}

#[test]
fn a_layer_of_phi3_costs_no_more_than_it_did() {
    let real = std::env::var("MBTI_TEST_SHAPE").is_ok_and(|shape| shape == "real");
    let shape = if real { REAL } else { SMALL };
    let found = count(shape);
    println!("\n{found:#?}");
    if writes() {
        write(shape, &found);
    }
    let limits = limits(shape);
    for (figure, found) in &found {
        let most = limits.get(*figure);
        assert!(most.is_some_and(|most| found <= most), "{figure}: {found}, and {most:?} at most");
    }
}

#[test]
fn trains_where_it_is_counted() {
    if let Some(work) = told() {
        train(&work);
    }
}
