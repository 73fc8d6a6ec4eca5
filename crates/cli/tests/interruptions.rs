//! Stopping, killing, and disks that are full or may not be written.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::process::{Child, Command, Stdio};

use common::{Engine, tiny_bert, wait_until};

/// A run that would go on for a long while, with an evaluation every ten steps.
fn long_run(engine: &Engine) -> Child {
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let args = ["train", "--data", "d", "--model", "tiny", "--max-steps", "1000000", "--eval-steps", "10"];
    let child = engine.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first evaluation", || {
        let shown = engine.output(&["runs", "show", "1", "--json"]);
        let text = String::from_utf8(shown.stdout).unwrap();
        serde_json::from_str::<serde_json::Value>(&text)
            .is_ok_and(|shown| shown["evaluations"].as_array().is_some_and(|all| !all.is_empty()))
    });
    child
}

#[test]
fn a_killed_engine_leaves_an_interrupted_run_with_its_metrics_and_its_checkpoint() {
    let engine = Engine::new();
    let mut child = long_run(&engine);
    assert_eq!(engine.status(1), "running");
    assert!(engine.fails(&["runs", "remove", "1"]).contains("Stop it"));
    assert!(engine.fails(&["datasets", "remove", "d"]).contains("in use by run 1"));
    assert!(engine.fails(&["train", "--run", "1"]).contains("another engine's"));
    child.kill().unwrap();
    child.wait().unwrap();
    let shown = engine.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "interrupted");
    assert!(shown["steps"].as_array().unwrap().len() >= 10);
    assert_eq!(shown["run"]["axes"].as_object().unwrap().len(), 4);
    wait_until("a prediction by the checkpoint", || {
        engine.output(&["predict", "--run", "1", "abc"]).status.success()
    });
    engine.ok(&["train", "--data", "d", "--model", "tiny", "--max-steps", "3"]);
    assert_eq!(engine.status(2), "finished");
    assert_eq!(engine.status(1), "interrupted");
}

#[test]
fn a_stop_by_command_or_by_signal_keeps_what_was_learned() {
    for by_signal in [false, true] {
        let engine = Engine::new();
        let mut child = long_run(&engine);
        if by_signal {
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        } else {
            engine.ok(&["runs", "stop", "1"]);
        }
        wait_until("the engine's end", || child.try_wait().unwrap().is_some());
        assert!(child.wait().unwrap().success());
        assert_eq!(engine.status(1), "stopped");
        engine.ok(&["predict", "--run", "1", "abc"]);
        assert!(engine.fails(&["runs", "stop", "1"]).contains("has ended"));
        // It can be gone on with, from a checkpoint of its last step.
        let shown = engine.json(&["runs", "show", "1"]);
        let step = shown["steps"].as_array().unwrap().last().unwrap()["step"].as_u64().unwrap();
        assert_eq!(shown["resumable"], true);
        let checkpoints = engine.home.path().join("runs/1/checkpoints");
        assert!(checkpoints.join(format!("step-{step:08}/manifest.json")).exists());
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_where_it_was_and_one_that_is_finished_does_not() {
    let engine = Engine::new();
    let mut child = long_run(&engine);
    engine.ok(&["runs", "stop", "1", "--now"]);
    wait_until("the engine's end", || child.try_wait().unwrap().is_some());
    assert_eq!(engine.status(1), "stopped");
    let first = engine.json(&["runs", "show", "1"])["steps"].as_array().unwrap().len();

    let mut child = engine.command(&["train", "--resume", "1"]).spawn().unwrap();
    wait_until("more steps than before", || {
        engine.json(&["runs", "show", "1"])["steps"].as_array().unwrap().len() > first + 10
    });
    engine.ok(&["runs", "pause", "1"]);
    wait_until("the pause", || engine.json(&["runs", "show", "1"])["run"]["paused"] == true);
    let shown = engine.json(&["runs", "show", "1"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(engine.json(&["runs", "show", "1"])["steps"], shown["steps"]);
    // A lost terminal is no reason to end.
    Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
    engine.ok(&["train", "--resume", "1"]);
    wait_until("it goes on", || {
        let now = engine.json(&["runs", "show", "1"]);
        now["run"]["paused"] == false
            && now["steps"].as_array().unwrap().len() > shown["steps"].as_array().unwrap().len()
    });
    engine.ok(&["runs", "stop", "1"]);
    wait_until("the engine's end", || child.try_wait().unwrap().is_some());

    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "3"]);
    assert!(engine.fails(&["train", "--resume", "2"]).contains("is finished and has nothing to resume"));
}

#[test]
fn a_second_interrupt_ends_at_once_with_what_was_saved_before() {
    let engine = Engine::new();
    let mut child = long_run(&engine);
    // Between both the engine may have saved and ended, which is as well.
    for _ in 0..2 {
        Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    }
    wait_until("the engine's end", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    assert_eq!(engine.status(1), "stopped");
    engine.ok(&["predict", "--run", "1", "abc"]);
}

#[test]
fn a_run_ends_well_when_nobody_reads_what_it_says() {
    let engine = Engine::new();
    engine.import_small("d");
    for (place, json) in [&["--json"][..], &[]].into_iter().enumerate() {
        let args = [&["train", "--data", "d", "--model", "words", "--max-steps", "20"], json].concat();
        let mut child = engine.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success());
        let run = place as i64 + 1;
        assert_eq!(engine.status(run), "finished");
        let shown = engine.json(&["runs", "show", &run.to_string()]);
        assert_eq!(shown["steps"].as_array().unwrap().len(), 20);
        assert!(shown["run"]["assessment"].is_object());
    }
}

/// Runs a command in a mount namespace of its own, in which `setup` has been done. `None` where
/// the system allows no such namespaces.
fn in_namespace(setup: &str, engine: &Engine, args: &[&str]) -> Option<(Option<i32>, String)> {
    let user: &[&str] = if is_root() { &["--mount"] } else { &["--mount", "--map-root-user", "--user"] };
    let allowed =
        Command::new("unshare").args(user).arg("true").status().is_ok_and(|status| status.success());
    if !allowed {
        return None;
    }
    let script = format!("set -e; {setup}; exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(user).args(["sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_mbti"), "--home"]);
    let output = command.arg(engine.home.path()).args(args).stdin(Stdio::null()).output().unwrap();
    Some((output.status.code(), String::from_utf8(output.stderr).unwrap()))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

#[test]
fn a_read_only_home_is_an_error_that_loses_nothing() {
    let engine = Engine::new();
    engine.import_small("d");
    let home = engine.home.path().display();
    let setup = format!("mount --bind {home} {home}; mount -o remount,bind,ro {home}");
    let Some((code, error)) = in_namespace(&setup, &engine, &["train", "--data", "d", "--model", "words"])
    else {
        eprintln!("no mount namespaces here; passed over");
        return;
    };
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("error: ") && (error.contains("written") || error.contains("opened")), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    assert_eq!(engine.json(&["datasets", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(engine.json(&["runs", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_full_disk_is_an_error_that_loses_nothing() {
    let engine = Engine::new();
    engine.import_small("d");
    // Room for the history, but neither for a large import nor for the weights of `words` (4 MB).
    let home = engine.home.path();
    let folders = ["runs", "datasets"].map(|part| home.join(part).display().to_string());
    let setup = format!(
        "cp -r {0} /tmp/.mbti-kept-$$; mount -t tmpfs -o size=1m none {1}; mount -t tmpfs -o size=1m none {0}; \
         cp -r /tmp/.mbti-kept-$$/. {0}; rm -r /tmp/.mbti-kept-$$",
        folders[1], folders[0]
    );
    let Some((code, error)) = in_namespace(&setup, &engine, &["train", "--data", "d", "--model", "words"])
    else {
        eprintln!("no mount namespaces here; passed over");
        return;
    };
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("cannot be written") && error.contains("Make room"), "{error}");
    let shown = engine.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "failed");
    assert_eq!(shown["run"]["failure"]["code"], "cannot_write");

    // Digits as by chance, so that it cannot be packed to less than there is room for.
    let digits = |n: u64| {
        (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    let row = |n: u64| {
        format!("{},INFP\n", (0..500).map(|k| format!("{:x} ", digits(n << 9 | k))).collect::<String>())
    };
    let large = engine.file("large.csv", format!("body,mbti\n{}", (0..600).map(row).collect::<String>()));
    let (code, error) =
        in_namespace(&setup, &engine, &["datasets", "import", large.to_str().unwrap()]).unwrap();
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("cannot be written"), "{error}");
    assert_eq!(engine.json(&["datasets", "list"]).as_array().unwrap().len(), 1);
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
}
