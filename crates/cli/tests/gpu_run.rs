//! Runs on the emulated GPU by command, from import to prediction: killed, lost, and resumed. The emulated
//! libraries lie in the folder that `MBTI_CUDA_LIBRARIES` names.
#![cfg(all(unix, feature = "cuda"))]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::process::{Child, Command, Output, Stdio};

use common::{Engine, tiny_bert, wait_until};
use serde_json::Value;

/// Each has its way of learning; dropout is on, so that its masks have to be the same again too.
const WAYS: [&[&str]; 3] = [
    &["--dtype", "f32"],
    &["--dtype", "bf16", "--optim", "adamw_8bit"],
    &["--trainable", "lora", "--quantization", "nf4", "--lora-dropout", "0.1", "--gradient-checkpointing"],
];

/// A home with a small model and texts.
fn prepared() -> Engine {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    engine
}

/// A command on a machine that these variables describe.
fn command(engine: &Engine, machine: &[(&str, &str)], args: &[&str]) -> Command {
    let libraries = std::env::var_os("MBTI_CUDA_LIBRARIES");
    let libraries =
        libraries.unwrap_or_else(|| panic!("MBTI_CUDA_LIBRARIES names the emulated GPU's folder"));
    let mut command = engine.command(args);
    command.env("LD_LIBRARY_PATH", libraries).envs(machine.iter().copied());
    command
}

fn train<'a>(device: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--data", "d", "--model", "tiny", "--device", device, "--max-steps", steps];
    [&args[..], &["--save-steps", "2", "--eval-steps", "1000"], more].concat()
}

fn output(engine: &Engine, machine: &[(&str, &str)], args: &[&str]) -> Output {
    command(engine, machine, args).output().unwrap()
}

fn ok(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn shown(engine: &Engine, run: &str) -> Value {
    serde_json::from_str(&ok(output(engine, &[], &["runs", "show", run, "--json"]))).unwrap()
}

/// Losses and norms of all steps, as they are printed.
fn losses(engine: &Engine, run: &str) -> Vec<(String, String)> {
    let steps = shown(engine, run)["steps"].as_array().unwrap().clone();
    steps.iter().map(|step| (step["loss"].to_string(), step["grad_norm"].to_string())).collect()
}

/// The bytes of all weights that a run has saved.
fn weights(engine: &Engine, run: &str) -> Vec<Vec<u8>> {
    let folder = engine.home.path().join("runs").join(run).join("model");
    let names = ["model.safetensors", "adapter_model.safetensors"];
    let found = names.iter().filter_map(|name| std::fs::read(folder.join(name)).ok());
    let found: Vec<_> = found.collect();
    assert!(!found.is_empty(), "run {run} has saved no weights");
    found
}

fn start(engine: &Engine, args: &[&str]) -> Child {
    let mut command = command(engine, &[], args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_run_that_is_killed_on_the_gpu_and_resumed_there_ends_with_the_same_weights_to_the_last_bit() {
    for way in WAYS {
        let engine = prepared();
        ok(output(&engine, &[], &train("cuda:0", "14", way)));
        assert_eq!(shown(&engine, "1")["run"]["used_device"]["device"], "cuda:0");
        let mut killed = start(&engine, &train("cuda:0", "14", way));
        let steps = || output(&engine, &[], &["runs", "show", "2", "--json"]);
        wait_until("some steps", || {
            serde_json::from_slice::<Value>(&steps().stdout)
                .is_ok_and(|run| run["steps"].as_array().is_some_and(|steps| steps.len() >= 5))
        });
        killed.kill().unwrap();
        killed.wait().unwrap();
        if shown(&engine, "2")["run"]["status"] != "finished" {
            ok(output(&engine, &[], &["train", "--resume", "2"]));
        }
        assert_eq!(losses(&engine, "1"), losses(&engine, "2"), "{way:?}");
        assert!(weights(&engine, "1") == weights(&engine, "2"), "{way:?}: other weights");
        let probabilities = ok(output(&engine, &[], &["predict", "--run", "2", "abc", "--json"]));
        assert!(serde_json::from_str::<Value>(&probabilities).is_ok(), "{probabilities}");
    }
}

#[test]
fn a_gpu_that_is_lost_in_mid_run_leaves_a_run_that_can_be_resumed() {
    let engine = prepared();
    ok(output(&engine, &[], &train("cuda:0", "12", &[])));
    let lost = output(&engine, &[("EMULATED_GPU_LOSE", "launch:2900")], &train("cuda:0", "12", &[]));
    let error = String::from_utf8_lossy(&lost.stderr);
    assert!(!lost.status.success() && !error.contains("panicked"), "{error}");
    let run = shown(&engine, "2");
    assert_eq!(
        (&run["run"]["status"], &run["run"]["failure"]["code"]),
        (&"interrupted".into(), &"device_lost".into())
    );
    assert!(
        error.contains("Resume the run from its last checkpoint") && error.lines().count() < 20,
        "{error}"
    );
    assert_eq!(run["resumable"], true);
    let kept: u64 = run["run"]["failure"]["params"]["checkpoint"].as_str().unwrap().parse().unwrap();
    assert!(kept >= 2 && error.contains(&format!("of step {kept}")), "{error}");
    ok(output(&engine, &[], &["train", "--resume", "2"]));
    assert!(weights(&engine, "1") == weights(&engine, "2"), "other weights");
    assert_eq!(shown(&engine, "2")["notices"].as_array().unwrap().len(), 0, "it was the same device");
}

#[test]
fn a_run_that_is_resumed_on_another_device_keeps_which_it_was_on_and_until_when() {
    let engine = prepared();
    output(&engine, &[("EMULATED_GPU_LOSE", "launch:2900")], &train("cuda:0", "12", &[]));
    let kept = shown(&engine, "1")["run"]["failure"]["params"]["checkpoint"].clone();
    ok(output(&engine, &[], &["train", "--resume", "1", "--device", "cpu"]));
    let run = shown(&engine, "1");
    assert_eq!(
        (&run["run"]["status"], &run["run"]["used_device"]["device"]),
        (&"finished".into(), &"cpu".into())
    );
    let notices = run["notices"].as_array().unwrap();
    let [notice] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(
        (&notice["problem"]["code"], notice["step"].to_string()),
        (&"device_changed".into(), kept.as_str().unwrap().to_owned())
    );
    let params = &notice["problem"]["params"];
    assert!(
        params["from"].as_str().unwrap().ends_with("(cuda:0)")
            && params["to"].as_str().unwrap().ends_with("(cpu)")
    );
    let text = ok(output(&engine, &[], &["runs", "show", "1"]));
    assert!(text.contains("From here on the run computes on") && text.contains("(cuda:0)"), "{text}");
}

#[test]
fn a_gpu_that_is_lost_before_a_checkpoint_has_none_to_resume_from_and_a_sweep_says_that_its_runs_were_interrupted()
 {
    let engine = prepared();
    let sweep = [&train("cuda:0", "12", &[])[..], &["--sweep", "seed=0,1"]].concat();
    let lost = output(&engine, &[("EMULATED_GPU_LOSE", "launch:50")], &sweep);
    let error = String::from_utf8_lossy(&lost.stderr);
    assert!(!lost.status.success() && !error.contains("panicked"), "{error}");
    assert!(error.contains("It had no checkpoint yet: start it again"), "{error}");
    assert!(!error.contains("from its last checkpoint"), "{error}");
    assert!(error.contains("2 of 2 runs of the sweep were interrupted."), "{error}");
    for run in ["1", "2"] {
        let run = shown(&engine, run);
        assert_eq!((&run["run"]["status"], &run["resumable"]), (&"interrupted".into(), &false.into()));
        assert_eq!(run["run"]["failure"]["params"]["checkpoint"], "0");
    }
}

#[test]
fn a_card_that_runs_out_of_memory_anywhere_says_whose_it_is_and_what_to_do() {
    let engine = prepared();
    let ways: [&[&str]; 4] = [
        &[],
        &["--trainable", "head"],
        &["--trainable", "lora", "--quantization", "nf4", "--dtype", "bf16"],
        &["--optim", "adamw_8bit", "--max-grad-norm", "0", "--gradient-accumulation-steps", "1"],
    ];
    let mut found = std::collections::BTreeMap::<String, usize>::new();
    // From too little for the driver's own work up to enough.
    for kib in [4, 60, 92, 96, 100, 120, 200] {
        for way in ways {
            for estimate in [&[][..], &["--estimate"]] {
                if !estimate.is_empty() && !way.is_empty() {
                    continue;
                }
                let memory = format!("{kib}KiB");
                let args =
                    [&train("cuda:0", "2", &["--max-length", "8", "--json"])[..], way, estimate].concat();
                let output = output(&engine, &[("EMULATED_GPU_MEMORY", &memory)], &args);
                let told = String::from_utf8_lossy(&output.stdout).into_owned();
                let last: Value = serde_json::from_str(told.lines().last().unwrap_or("{}")).unwrap();
                if output.status.success() {
                    *found.entry("enough".into()).or_default() += 1;
                    continue;
                }
                let problem = &last["problem"];
                let code = problem["code"].as_str().unwrap();
                assert!(
                    ["cannot_fit", "out_of_memory"].contains(&code),
                    "{memory} {way:?} {estimate:?}: {problem}"
                );
                *found.entry(code.to_owned()).or_default() += 1;
                let [message, card, settings] =
                    [&problem["message"], &problem["params"]["card"], &problem["params"]["settings"]]
                        .map(|text| text.as_str().unwrap());
                assert!(card.contains("cuda:0") && message.contains(card), "{problem}");
                assert!(message.contains("The processor has room for it: device=cpu."), "{problem}");
                assert!(settings.contains("device=cpu") || code == "cannot_fit", "{problem}");
                assert!(!message.contains("other programs") && !settings.contains("max_length"), "{problem}");
                for set in way.chunks(2) {
                    let set = format!("{}={}", set[0].trim_start_matches("--").replace('-', "_"), set[1]);
                    assert!(!settings.contains(&set), "{set} is set already: {problem}");
                }
            }
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), ["cannot_fit", "enough", "out_of_memory"], "{found:?}");
}

#[test]
fn where_a_batch_does_not_fit_the_card_it_is_halved_and_where_no_text_does_the_run_says_what_to_do() {
    let engine = prepared();
    let text = |n: usize| {
        format!("a{},{} text {n},{}\n", n / 2, "abcde fgh ".repeat(4), ["INFP", "ESTJ"][n / 2 % 2])
    };
    let texts: String = (0..40).map(text).collect();
    let path = engine.file("long.csv", format!("author,body,mbti\n{texts}"));
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", "long"]);
    let passes = |eval: &'static str, tokens: &'static str| {
        let args = ["train", "--data", "long", "--model", "tiny", "--device", "cuda:0", "--max-steps", "2"];
        let batches = ["--per-device-train-batch-size", "32", "--per-device-eval-batch-size", eval];
        let ways = ["--eval-steps", "1000", "--gradient-checkpointing=none", "--tokens-per-pass", tokens];
        [&args[..], &batches, &ways].concat()
    };
    // The whole batch, so that it does not fit.
    let args = |eval| passes(eval, "none");
    ok(output(&engine, &[], &args("4")));
    let short = output(&engine, &[("EMULATED_GPU_MEMORY", "900KiB")], &args("4"));
    let notices = String::from_utf8_lossy(&short.stderr).into_owned();
    ok(short);
    assert!(notices.contains("Memory ran short in step 1"), "{notices}");
    for ((whole, _), (halved, _)) in losses(&engine, "1").into_iter().zip(losses(&engine, "2")) {
        let [whole, halved] = [whole, halved].map(|loss| loss.parse::<f64>().unwrap());
        assert!((whole - halved).abs() < 1e-5, "{whole} whole and {halved} halved");
    }
    // Without clipping a step moves the weights piece by piece: halved before anything has moved, it is the same step.
    let by_pieces =
        [&args("4")[..], &["--max-grad-norm", "0", "--gradient-accumulation-steps", "1"]].concat();
    for memory in ["8GiB", "800KiB"] {
        ok(output(&engine, &[("EMULATED_GPU_MEMORY", memory)], &by_pieces));
    }
    let halved: Vec<_> = shown(&engine, "4")["steps"].as_array().unwrap().clone();
    assert_eq!(halved.iter().map(|step| step["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for ((whole, _), (halved, _)) in losses(&engine, "3").into_iter().zip(losses(&engine, "4")) {
        let [whole, halved] = [whole, halved].map(|loss| loss.parse::<f64>().unwrap());
        assert!((whole - halved).abs() < 1e-5, "{whole} whole and {halved} halved");
    }
    // Evaluations are halved, too: by default one has 2,048 tokens at once, or as many texts as are asked for.
    let short = output(&engine, &[("EMULATED_GPU_MEMORY", "900KiB")], &args("64"));
    ok(short);
    let none = output(&engine, &[("EMULATED_GPU_MEMORY", "100KiB")], &args("4"));
    let error = String::from_utf8_lossy(&none.stderr);
    assert!(!none.status.success() && !error.contains("panicked"), "{error}");
    assert!(error.contains("The memory of ") && error.contains("(cuda:0) ran out"), "{error}");

    // By itself a run takes as many tokens at once as there is room for, and its steps have the same losses.
    for memory in ["8GiB", "900KiB"] {
        ok(output(&engine, &[("EMULATED_GPU_MEMORY", memory)], &passes("4", "auto")));
    }
    let [much, little] =
        ["7", "8"].map(|run| shown(&engine, run)["run"]["estimate"]["tokens_per_pass"].as_u64());
    assert!(little.unwrap() < much.unwrap(), "{little:?} of little memory, {much:?} of much");
    for run in ["7", "8"] {
        for ((whole, _), (packed, _)) in losses(&engine, "1").into_iter().zip(losses(&engine, run)) {
            let [whole, packed] = [whole, packed].map(|loss| loss.parse::<f64>().unwrap());
            assert!((whole - packed).abs() < 1e-5, "{whole} whole and {packed} in passes, run {run}");
        }
    }
}

#[test]
fn auto_passes_over_a_card_that_cannot_hold_the_run_and_keeps_why() {
    let engine = prepared();
    // Less than the weights, their gradients and the optimizer need.
    let small = [("EMULATED_GPU_MEMORY", "64KiB")];
    let run = output(&engine, &small, &train("auto", "2", &[]));
    let notes = String::from_utf8_lossy(&run.stderr).into_owned();
    ok(run);
    assert!(notes.contains("was found, but this run needs at least"), "{notes}");
    let used = shown(&engine, "1")["run"]["used_device"].clone();
    assert_eq!((&used["device"], &used["why_not_gpu"]["kind"]), (&"cpu".into(), &"too_little_memory".into()));
    // One that is asked for is refused, before the run is written down.
    let refused = output(&engine, &small, &train("cuda:0", "2", &[]));
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("needs at least"), "{error}");
    ok(output(&engine, &[], &train("auto", "2", &[])));
    assert_eq!(shown(&engine, "2")["run"]["used_device"]["device"], "cuda:0");
}

#[test]
fn whatever_a_card_holds_auto_ends_the_run_on_it_or_on_the_processor() {
    let engine = prepared();
    let sizes: Vec<String> = (96..=264).step_by(28).map(|size| format!("{size}KiB")).collect();
    let used: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(number, size)| {
            ok(output(&engine, &[("EMULATED_GPU_MEMORY", size)], &train("auto", "1", &[])));
            let run = shown(&engine, &(number + 1).to_string());
            run["run"]["used_device"]["device"].as_str().unwrap().to_owned()
        })
        .collect();
    let first = used.iter().position(|device| device == "cuda:0").unwrap_or_else(|| panic!("{used:?}"));
    assert!(first > 0 && used[first..].iter().all(|device| device == "cuda:0"), "{used:?}");
}
