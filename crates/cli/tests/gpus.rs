//! The engine for GPUs beside `mbti`, in whose place stands a script: what is asked of it, and when it is started.
#![cfg(all(unix, not(feature = "cuda")))]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use common::{Engine, tiny_bert};
use serde_json::{Value, json};

/// `mbti` in a folder of its own, with libraries that only have their names.
struct Machine {
    engine: Engine,
    folder: tempfile::TempDir,
}

impl Machine {
    /// With a small model and texts, and an engine that lists these GPUs and, when it is to train, writes down how it
    /// was started.
    fn new(gpus: &Value) -> Machine {
        let machine = Machine { engine: Engine::new(), folder: tempfile::tempdir().unwrap() };
        let (built, own) = (env!("CARGO_BIN_EXE_mbti"), machine.path("mbti"));
        // A link by name would be seen through.
        std::fs::hard_link(built, &own).or_else(|_| std::fs::copy(built, &own).map(drop)).unwrap();
        for library in ["libcuda.so.1", "libcublas.so.13", "libcurand.so.10"] {
            std::fs::write(machine.path(library), "").unwrap();
        }
        machine.lists(gpus);
        let model = tiny_bert(machine.engine.home.path());
        machine.engine.ok(&["models", "add", model.to_str().unwrap(), "--name", "tiny"]);
        machine.engine.import_small("d");
        machine
    }

    fn lists(&self, gpus: &Value) {
        let script = format!(
            "#!/bin/sh\n\
             if [ \"$1\" = devices ]; then [ \"$*\" = 'devices --json' ] && echo '{gpus}'; exit; fi\n\
             cd \"$(dirname \"$0\")\"\n\
             {{ echo \"$$\"; echo \"$MBTI_STARTED_FOR\"; echo \"$LD_LIBRARY_PATH\"; echo \"$@\"; }} >>started\n\
             case \"$*\" in *--token-stdin*) cat >token;; esac\n"
        );
        let program = self.path("mbti-cuda");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let usual = self.engine.command(args);
        let mut command = Command::new(self.path("mbti"));
        command.args(usual.get_args()).stdin(Stdio::null());
        for (name, value) in usual.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("MBTI_CUDA_LIBRARIES", self.folder.path());
        command.env_remove("LD_LIBRARY_PATH").env_remove("MBTI_STARTED_FOR");
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn train(&self, more: &[&str]) -> Output {
        self.output(&[&["train", "--data", "d", "--model", "tiny", "--max-steps", "1"], more].concat())
    }

    /// How the engine was started, each time: its number as a process, its device, its libraries, its arguments.
    fn started(&self) -> Vec<[String; 4]> {
        let text = std::fs::read_to_string(self.path("started")).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.chunks(4).map(|four| four.to_vec().try_into().unwrap()).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn gpu(device: &str, free: f64, unusable: Value) -> Value {
    json!({"device": device, "name": format!("Card {device}"), "memory_mib": 8192.0, "free_mib": free, "unusable": unusable})
}

fn two_cards() -> Value {
    json!([gpu("cuda:0", 100.0, Value::Null), gpu("cuda:1", 200.0, Value::Null)])
}

fn old_driver() -> Value {
    let why = json!({"kind": "old_driver", "found": "CUDA 12.2", "needed": "580"});
    json!([gpu("cuda:0", 100.0, why)])
}

#[test]
fn devices_are_those_that_the_engine_for_gpus_lists_after_the_processor() {
    let machine = Machine::new(&two_cards());
    let listed: Value = serde_json::from_slice(&machine.output(&["devices", "--json"]).stdout).unwrap();
    assert_eq!(listed[0]["device"], "cpu");
    assert_eq!(listed.as_array().unwrap()[1..], two_cards().as_array().unwrap()[..]);
    machine.lists(&old_driver());
    let table = String::from_utf8(machine.output(&["devices"]).stdout).unwrap();
    assert!(table.contains("its driver is CUDA 12.2: 580 or newer is needed"), "{table}");
    std::fs::remove_file(machine.path("libcublas.so.13")).unwrap();
    let table = String::from_utf8(machine.output(&["devices"]).stdout).unwrap();
    assert!(table.contains("cuBLAS and cuRAND of CUDA 13 were not found"), "{table}");
    std::fs::remove_file(machine.path("mbti-cuda")).unwrap();
    let table = String::from_utf8(machine.output(&["devices"]).stdout).unwrap();
    assert!(table.contains("mbti-cuda is not installed"), "{table}");
}

#[test]
fn auto_makes_the_process_the_engine_for_the_gpu_with_the_most_memory_free() {
    let machine = Machine::new(&two_cards());
    let mut command = machine.command(&[
        "train",
        "--data",
        "d",
        "--model",
        "tiny",
        "--push-to-hub",
        "a/b",
        "--token-stdin",
    ]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hf_token of the pipe\n").unwrap();
    let id = child.id().to_string();
    assert!(child.wait().unwrap().success());
    let started = machine.started();
    let [[process, device, libraries, arguments]] = &started[..] else { panic!("{started:?}") };
    assert_eq!((process, &device[..]), (&id, "cuda:1"));
    assert_eq!(PathBuf::from(libraries), machine.folder.path());
    assert!(arguments.ends_with("--push-to-hub a/b --token-stdin"), "{arguments}");
    // The token was left for the engine, and the run for it to write down.
    assert_eq!(std::fs::read_to_string(machine.path("token")).unwrap(), "hf_token of the pipe\n");
    assert_eq!(machine.engine.json(&["runs", "list"]), json!([]));
}

#[test]
fn a_gpu_that_is_asked_for_is_used_for_runs_estimates_sweeps_and_what_is_gone_on_with() {
    let machine = Machine::new(&two_cards());
    assert!(machine.train(&["--device", "cpu"]).status.success());
    assert_eq!(machine.started().len(), 0);
    for more in [&["--device", "cuda:0"][..], &["--device", "cuda:0", "--estimate"]] {
        assert!(machine.train(more).status.success());
    }
    assert!(machine.train(&["--sweep", "device=cuda:1,auto"]).status.success());
    assert!(machine.output(&["train", "--resume", "2"]).status.success());
    assert!(machine.output(&["train", "--resume", "2", "--device", "cuda:0"]).status.success());
    let started = machine.started();
    let devices: Vec<&str> = started.iter().map(|start| &start[1][..]).collect();
    assert_eq!(devices, ["cuda:0", "cuda:0", "cuda:1", "cuda:1", "cuda:1", "cuda:0"]);
    let ends: Vec<bool> = started
        .iter()
        .zip([
            "--device cuda:0",
            "--estimate",
            "train --run 2",
            "train --run 3",
            "train --resume 2",
            "--resume 2 --device cuda:0",
        ])
        .map(|(start, end)| start[3].ends_with(end))
        .collect();
    assert_eq!(ends, [true; 6], "{started:?}");
}

#[test]
fn auto_computes_on_the_processor_where_no_gpu_can_be_used_and_the_run_keeps_why() {
    let machine = Machine::new(&old_driver());
    let output = machine.train(&[]);
    assert!(output.status.success(), "{}", said(&output));
    let why = "Card cuda:0 was found, but its driver is CUDA 12.2: 580 or newer is needed.";
    assert!(said(&output).contains(why), "{}", said(&output));
    assert_eq!(machine.started().len(), 0);
    let run = machine.engine.json(&["runs", "show", "1"])["run"].clone();
    assert_eq!(
        (&run["used_device"]["device"], &run["used_device"]["gpu"]),
        (&json!("cpu"), &json!("Card cuda:0"))
    );
    assert_eq!(run["used_device"]["why_not_gpu"], old_driver()[0]["unusable"]);
    assert_eq!(run["config"]["device"], "auto", "what was asked for stays");
    let shown = machine.engine.ok(&["runs", "show", "1"]);
    assert!(shown.contains("Card cuda:0 was found, but its driver is CUDA 12.2"), "{shown}");
}

#[test]
fn a_gpu_that_is_asked_for_and_cannot_be_used_fails_the_run_with_the_reason() {
    let machine = Machine::new(&old_driver());
    for (device, why) in [("cuda:0", "old_driver"), ("cuda:3", "not_listed")] {
        let output = machine.train(&["--device", device]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&format!("{device} cannot be used")), "{}", said(&output));
        let run = machine.engine.json(&["runs", "list"])[0].clone();
        assert_eq!((&run["status"], &run["failure"]["code"]), (&json!("failed"), &json!("device_unusable")));
        assert_eq!((&run["failure"]["params"]["kind"], &run["used_device"]), (&json!(why), &Value::Null));
    }
    assert_eq!(machine.started().len(), 0);
}

#[test]
fn the_bag_of_words_is_computed_on_the_processor() {
    let machine = Machine::new(&two_cards());
    let words = ["train", "--data", "d", "--model", "words", "--max-steps", "1"];
    assert!(machine.output(&words).status.success());
    let run = machine.engine.json(&["runs", "show", "1"])["run"].clone();
    assert_eq!((&run["used_device"]["device"], &run["used_device"]["gpu"]), (&json!("cpu"), &Value::Null));
    let output = machine.output(&[&words[..], &["--device", "cuda:0"]].concat());
    assert!(said(&output).contains("the bag of words is computed on the processor"), "{}", said(&output));
    assert_eq!(machine.started().len(), 0);
}

#[test]
fn an_engine_for_gpus_that_was_built_without_cuda_starts_no_other() {
    let machine = Machine::new(&two_cards());
    std::fs::remove_file(machine.path("mbti-cuda")).unwrap();
    std::fs::hard_link(machine.path("mbti"), machine.path("mbti-cuda")).unwrap();
    let listed: Value = serde_json::from_slice(&machine.output(&["devices", "--json"]).stdout).unwrap();
    assert_eq!(listed[1]["unusable"]["kind"], "failed");
    assert!(listed[1]["unusable"]["reason"].as_str().unwrap().contains("without CUDA"), "{listed}");
    let output = machine.train(&["--device", "cuda:0"]);
    assert!(said(&output).contains("without CUDA"), "{}", said(&output));
}

#[test]
fn an_engine_for_gpus_that_can_list_and_not_be_started_ends_the_command_with_the_reason() {
    let machine = Machine::new(&two_cards());
    // It lists once, and is no program any more.
    let listed = two_cards();
    let script = format!("#!/bin/sh\necho '{listed}'\nchmod 644 \"$0\"\n");
    std::fs::write(machine.path("mbti-cuda"), script).unwrap();
    let output = machine.train(&["--device", "cuda:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot be started"), "{}", said(&output));
}
