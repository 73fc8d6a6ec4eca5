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

use common::{Engine, tiny_bert, wait_until};
use record::TrainConfig;
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
             {{ echo \"$$\"; echo \"${{MBTI_STARTED_FOR%@$$}}\"; echo \"$LD_LIBRARY_PATH\"; echo \"$@\"; }} >>started\n\
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

    /// Lets a run stand as one that was interrupted after its first checkpoint, as far as can be seen without reading it.
    fn interrupt(&self, run: i64) {
        let checkpoint = self.engine.home.path().join(format!("runs/{run}/checkpoints/step-1"));
        std::fs::create_dir_all(&checkpoint).unwrap();
        std::fs::write(checkpoint.join("manifest.json"), "").unwrap();
        self.with_home(async |home| home.store.interrupt_run(run).await.unwrap());
    }

    /// Writes a run down as the window does.
    fn queue(&self, device: record::Device) -> i64 {
        let config = TrainConfig { data: "d".into(), model: "tiny".into(), device, ..TrainConfig::default() };
        self.with_home(async |home| app::runs::create(home, &config).await.unwrap())
    }

    fn with_home<T>(&self, work: impl AsyncFnOnce(&app::Home) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let home = app::Home::open(self.engine.home.path()).await.unwrap();
            let done = work(&home).await;
            home.store.close().await;
            done
        })
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
    assert!(table.contains("its driver supports only CUDA 12.2: driver 580 or newer"), "{table}");
    std::fs::remove_file(machine.path("libcublas.so.13")).unwrap();
    let table = String::from_utf8(machine.output(&["devices"]).stdout).unwrap();
    assert!(table.contains("which does not have libcublas.so.13"), "{table}");
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
    machine.interrupt(2);
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
    let why = "Card cuda:0 was found, but its driver supports only CUDA 12.2: driver 580 or newer, for CUDA 13, is needed.";
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
    assert!(shown.contains("Card cuda:0 was found, but its driver supports only CUDA 12.2"), "{shown}");
}

#[test]
fn a_gpu_that_is_asked_for_and_cannot_be_used_is_refused_before_a_run_is_written_down() {
    let machine = Machine::new(&old_driver());
    for (device, why) in [("cuda:0", "old_driver"), ("cuda:3", "not_listed")] {
        for command in [
            &["--device", device][..],
            &["--device", device, "--estimate"],
            &["--sweep", &format!("device=cpu,{device}")],
        ] {
            let output = machine.train(&[command, &["--json"]].concat());
            assert_eq!(output.status.code(), Some(1));
            let error = said(&output);
            assert!(error.contains(&format!("{device} cannot be used")), "{error}");
            assert!(!error.contains("Run 1") && !error.contains("queued"), "{error}");
            // Whoever reads JSON has the reason in it, as the only line.
            let problem = serde_json::from_slice::<Value>(&output.stdout).unwrap()["problem"].clone();
            assert_eq!(
                (&problem["code"], &problem["params"]["kind"]),
                (&json!("device_unusable"), &json!(why))
            );
            assert_eq!(machine.engine.json(&["runs", "list"]), json!([]));
        }
    }
    assert_eq!(machine.started().len(), 0);
}

#[test]
fn a_run_that_is_written_down_fails_with_the_reason_where_its_gpu_cannot_be_used() {
    let machine = Machine::new(&old_driver());
    for (number, why) in [(0, "old_driver"), (2, "not_listed")] {
        let run = &machine.queue(record::Device::Cuda(number)).to_string();
        let output = machine.output(&["train", "--run", run]);
        assert_eq!(output.status.code(), Some(1));
        let error = said(&output);
        assert!(error.contains("cannot be used") && !error.contains("learns from"), "{error}");
        let run = machine.engine.json(&["runs", "show", run])["run"].clone();
        assert_eq!((&run["status"], &run["failure"]["code"]), (&json!("failed"), &json!("device_unusable")));
        assert_eq!((&run["failure"]["params"]["kind"], &run["used_device"]), (&json!(why), &Value::Null));
    }
    assert_eq!(machine.started().len(), 0);
}

#[test]
fn auto_passes_over_a_gpu_that_cannot_hold_the_run_and_one_that_is_asked_for_is_refused_unwritten() {
    let machine = Machine::new(&json!([gpu("cuda:0", 0.01, Value::Null), gpu("cuda:1", 0.02, Value::Null)]));
    let output = machine.train(&[]);
    assert!(output.status.success(), "{}", said(&output));
    let error = said(&output);
    assert!(error.contains("Card cuda:1 was found, but this run needs at least "), "{error}");
    assert!(error.contains("KiB and 20 KiB of its memory are free. The run computes on the"), "{error}");
    assert_eq!(machine.started().len(), 0);
    let used = machine.engine.json(&["runs", "show", "1"])["run"]["used_device"].clone();
    assert_eq!((&used["device"], &used["gpu"]), (&json!("cpu"), &json!("Card cuda:1")));
    assert_eq!(used["why_not_gpu"]["kind"], "too_little_memory");
    let number = |name: &str| used["why_not_gpu"][name].as_str().unwrap().parse::<f64>().unwrap();
    assert!(number("needed") > number("free") && number("free") > 0.0, "{used}");
    for asked in [
        &["--device", "cuda:0", "--json"][..],
        &["--device", "cuda:0", "--estimate", "--json"],
        &["--sweep", "device=cpu,cuda:0", "--json"],
    ] {
        let output = machine.train(asked);
        assert_eq!(output.status.code(), Some(1));
        let problem = serde_json::from_slice::<Value>(&output.stdout).unwrap()["problem"].clone();
        assert_eq!(
            (&problem["code"], &problem["params"]["card"]),
            (&json!("cannot_fit"), &json!("Card cuda:0 (cuda:0)"))
        );
        assert_eq!(problem["params"]["processor"], "device=cpu");
        let error = said(&output);
        assert!(error.contains("10 KiB can be had of Card cuda:0 (cuda:0)"), "{error}");
        assert!(
            error.contains("The processor has room for it: device=cpu.") && !error.contains("Run 2"),
            "{error}"
        );
        assert_eq!(machine.engine.json(&["runs", "list"]).as_array().unwrap().len(), 1);
    }
    machine.lists(&json!([gpu("cuda:0", 0.01, Value::Null), gpu("cuda:1", 64.0, Value::Null)]));
    assert!(machine.train(&[]).status.success());
    let started = machine.started();
    assert_eq!(started.iter().map(|start| &start[1][..]).collect::<Vec<_>>(), ["cuda:1"]);
}

#[test]
fn a_run_that_is_finished_has_nothing_to_resume_and_no_device_is_chosen_for_it() {
    let machine = Machine::new(&old_driver());
    assert!(machine.train(&["--device", "cpu"]).status.success());
    let output = machine.output(&["train", "--resume", "1", "--device", "auto", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let error = said(&output);
    assert!(error.contains("Run 1 is finished and has nothing to resume"), "{error}");
    assert!(!error.contains("Card cuda:0"), "{error}");
    let problem = serde_json::from_slice::<Value>(&output.stdout).unwrap()["problem"].clone();
    assert_eq!(
        (&problem["code"], &problem["params"]["status"]),
        (&json!("run_has_ended"), &json!("finished"))
    );
}

#[test]
fn a_run_whose_gpu_is_gone_is_not_resumed_and_the_problem_is_given_as_json_where_that_is_wanted() {
    let machine = Machine::new(&two_cards());
    let run = machine.queue(record::Device::Cuda(0));
    machine.interrupt(run);
    machine.lists(&json!([]));
    let run = run.to_string();
    let resume = ["train", "--resume", run.as_str()];
    let plain = machine.output(&resume);
    assert!(!said(&plain).contains("\"problem\""), "{}", said(&plain));
    let output = machine.output(&[&resume[..], &["--problem-stderr"]].concat());
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]));
    let error = said(&output);
    assert!(error.contains("error: cuda:0 cannot be used"), "{error}");
    let told: Value = serde_json::from_str(error.lines().last().unwrap()).unwrap();
    let problem = &told["problem"];
    assert_eq!(
        (&problem["code"], &problem["params"]["device"]),
        (&json!("device_unusable"), &json!("cuda:0"))
    );
    assert_eq!(problem["params"]["kind"], "not_listed");
    assert_eq!(machine.engine.json(&["runs", "show", &run])["run"]["status"], "interrupted");
}

#[test]
fn a_variable_that_somebody_sets_by_hand_is_no_word_of_another_engine() {
    let machine = Machine::new(&two_cards());
    let parent = std::process::id();
    for by_hand in ["", "1", "devices", "cuda:0", "devices@1", "cuda:1@7", &format!("cuda:0@{parent}")] {
        let mut command = machine.command(&["devices", "--json"]);
        let output = command.env("MBTI_STARTED_FOR", by_hand).output().unwrap();
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(listed[1]["unusable"], Value::Null, "{by_hand}: {listed}");
    }
}

#[test]
fn folders_that_were_given_and_cannot_be_used_are_named() {
    let machine = Machine::new(&two_cards());
    let train = |libraries: &str| {
        let train = ["train", "--data", "d", "--model", "tiny", "--max-steps", "1"];
        let output = machine.command(&train).env("MBTI_CUDA_LIBRARIES", libraries).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let missing = machine.path("missing");
    let error = train(missing.to_str().unwrap());
    let why = format!("but MBTI_CUDA_LIBRARIES names {}, and there is no such folder", missing.display());
    assert!(error.contains(&why) && !error.contains("no NVIDIA driver"), "{error}");
    let error = train("here");
    assert!(error.contains("but MBTI_CUDA_LIBRARIES names here, which is not an absolute path"), "{error}");
    assert_eq!(machine.started().len(), 0);
    // Where the others do, it is told all the same.
    let error = train(&format!("here:{}", machine.folder.path().display()));
    assert!(error.contains("MBTI_CUDA_LIBRARIES names here, which is not an absolute path"), "{error}");
    assert_eq!(machine.started().len(), 1);
}

#[test]
fn an_engine_that_hangs_ends_with_the_program_that_asked_it() {
    let machine = Machine::new(&two_cards());
    let script = "#!/bin/sh\nsleep 600 & echo \"$$ $!\" >\"$(dirname \"$0\")/new\"\n\
                  mv \"$(dirname \"$0\")/new\" \"$(dirname \"$0\")/hangs\"\nsleep 600\n";
    std::fs::write(machine.path("mbti-cuda"), script).unwrap();
    for signal in ["INT", "TERM", "KILL"] {
        let mut asking = machine.command(&["devices"]).stdout(Stdio::null()).spawn().unwrap();
        wait_until("the engine hangs", || machine.path("hangs").exists());
        let kill = Command::new("kill").args([&format!("-{signal}"), &asking.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(!asking.wait().unwrap().success());
        let processes = std::fs::read_to_string(machine.path("hangs")).unwrap();
        std::fs::remove_file(machine.path("hangs")).unwrap();
        for process in processes.split_whitespace() {
            wait_until("it ends", || {
                let state = Command::new("ps").args(["-o", "stat=", "-p", process]).output().unwrap().stdout;
                matches!(state.first(), None | Some(b'Z'))
            });
        }
    }
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
fn an_engine_for_gpus_that_only_calls_this_program_again_is_started_once() {
    let machine = Machine::new(&two_cards());
    for back in ["env -u MBTI_STARTED_FOR ./mbti", "./mbti", "exec ./mbti"] {
        let script = format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho again >>calls\n{back} \"$@\"\n");
        std::fs::write(machine.path("mbti-cuda"), script).unwrap();
        let listed: Value = serde_json::from_slice(&machine.output(&["devices", "--json"]).stdout).unwrap();
        assert!(
            listed[1]["unusable"]["reason"].as_str().unwrap().contains("without CUDA"),
            "{back}: {listed}"
        );
        assert_eq!(std::fs::read_to_string(machine.path("calls")).unwrap(), "again\n", "{back}");
        std::fs::remove_file(machine.path("calls")).unwrap();
    }
}

#[test]
fn an_engine_that_is_only_asked_what_there_is_gets_no_token_and_no_password() {
    let machine = Machine::new(&two_cards());
    let script = format!("#!/bin/sh\nenv >\"$(dirname \"$0\")/environment\"\necho '{}'\n", two_cards());
    std::fs::write(machine.path("mbti-cuda"), script).unwrap();
    let mut command = machine.command(&["devices"]);
    for name in ["HF_TOKEN", "HF_HUB_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        command.env(name, "a-secret");
    }
    for name in ["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT"] {
        command.env(name, "http://user:a-secret@proxy");
    }
    assert!(command.env("CUDA_VISIBLE_DEVICES", "1").status().unwrap().success());
    let environment = std::fs::read_to_string(machine.path("environment")).unwrap();
    assert!(
        environment.contains("CUDA_VISIBLE_DEVICES=1") && !environment.contains("a-secret"),
        "{environment}"
    );
}

#[test]
fn an_engine_below_a_folder_that_everybody_may_write_to_is_not_started() {
    let machine = Machine::new(&two_cards());
    let open = machine.path("pub");
    std::fs::create_dir_all(open.join("app")).unwrap();
    for name in ["mbti", "mbti-cuda"] {
        std::fs::hard_link(machine.path(name), open.join("app").join(name)).unwrap();
    }
    let listed = |mode| {
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).unwrap();
        let usual = machine.command(&["devices", "--json"]);
        let mut command = Command::new(open.join("app/mbti"));
        command.args(usual.get_args()).env("MBTI_CUDA_LIBRARIES", machine.folder.path());
        let listed: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        listed[1]["unusable"].clone()
    };
    assert_eq!(listed(0o755), Value::Null);
    assert_eq!(listed(0o777), json!({"kind": "unsafe", "path": open}));
}

#[test]
fn an_engine_that_trains_gets_tokens_and_the_address_of_the_hub_only_where_it_is_to_push() {
    let machine = Machine::new(&two_cards());
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = devices ]; then echo '{}'; exit; fi\nenv >\"$(dirname \"$0\")/environment\"\n",
        two_cards()
    );
    std::fs::write(machine.path("mbti-cuda"), script).unwrap();
    let secrets = ["HF_TOKEN", "HF_HUB_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTPS_PROXY", "HF_ENDPOINT"];
    let told = |more: &[&str]| {
        let mut command = machine.command(&[&["train", "--data", "d", "--model", "tiny"], more].concat());
        for name in secrets {
            command.env(name, "http://user:a-secret@proxy");
        }
        assert!(command.status().unwrap().success());
        let environment = std::fs::read_to_string(machine.path("environment")).unwrap();
        let is_told = |name: &&str| environment.lines().any(|line| line.starts_with(&format!("{name}=")));
        (secrets.into_iter().filter(is_told).collect::<Vec<_>>(), environment.contains("a-secret"))
    };
    assert_eq!(told(&[]), (vec![], false));
    // Its own client of the Hub reads these.
    assert_eq!(
        told(&["--push-to-hub", "a/b"]),
        (vec!["HF_TOKEN", "HF_HUB_TOKEN", "HTTPS_PROXY", "HF_ENDPOINT"], true)
    );
}

#[test]
fn an_engine_for_gpus_that_can_list_and_not_be_started_ends_the_command_unless_the_device_is_auto() {
    let machine = Machine::new(&two_cards());
    // It lists once, and is no program any more.
    let listed = two_cards();
    let script = format!("#!/bin/sh\necho '{listed}'\nchmod 644 \"$0\"\n");
    let once = || {
        std::fs::write(machine.path("mbti-cuda"), &script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(machine.path("mbti-cuda"), mode).unwrap();
    };
    once();
    let output = machine.train(&["--device", "cuda:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot be started"), "{}", said(&output));
    once();
    let output = machine.train(&[]);
    let error = said(&output);
    assert!(output.status.success() && error.contains("may not be executed"), "{error}");
    assert!(error.contains("The run computes on the processor."), "{error}");
    let used = machine.engine.json(&["runs", "show", "1"])["run"]["used_device"].clone();
    assert_eq!((&used["device"], &used["gpu"]), (&json!("cpu"), &json!("Card cuda:1")));
    assert_eq!(used["why_not_gpu"]["kind"], "not_executable");
}
