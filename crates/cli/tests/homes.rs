//! A home that is made by several at once, moved, copied, read-only, full, held by another program, or left by a
//! process that was killed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Engine, tiny_bert, wait_until};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// An engine's command for a home in another place.
fn command(engine: &Engine, home: &Path, args: &[&str]) -> Command {
    let ready = engine.command(&[]);
    let mut command = Command::new(ready.get_program());
    for (name, value) in ready.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.arg("--home").arg(home).args(args).stdin(Stdio::null());
    command
}

fn ok(engine: &Engine, home: &Path, args: &[&str]) -> String {
    let output = command(engine, home, args).output().unwrap();
    assert!(output.status.success(), "mbti {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(engine: &Engine, home: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&ok(engine, home, &[args, &["--json"]].concat())).unwrap()
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let name = |one: &Value| one[key].as_str().map_or_else(|| one[key].to_string(), str::to_owned);
    let mut names: Vec<String> = list.as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files below a folder, with what is in them.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn of_eight_first_starts_at_once_every_one_succeeds() {
    let engine = Engine::new();
    for attempt in 0..6 {
        let home = engine.home.path().join(format!("home-{attempt}"));
        let start = |_| {
            let mut command = command(&engine, &home, &["models", "list", "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let all: Vec<Child> = (0..8).map(start).collect();
        for child in all {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let models: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(names(&models, "name"), ["words"]);
        }
        let known = ["datasets", "history.sqlite", "home.lock", "models", "runs"];
        let found = entries(&home);
        let found: Vec<_> =
            found.iter().filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
        assert_eq!(found, known);
    }
}

#[cfg(unix)]
#[test]
fn a_new_home_is_its_owners_alone_whatever_the_umask_is() {
    use std::os::unix::fs::PermissionsExt;
    let engine = Engine::new();
    engine.import_small("d");
    let home = engine.home.path().join("new");
    let table = engine.home.path().join("d.csv");
    let script = "umask 000; \"$0\" --home \"$1\" datasets import \"$2\" --name d; \
                  \"$0\" --home \"$1\" train --data d --model words --max-steps 1";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_mbti")]).arg(&home).arg(&table);
    assert!(shell.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    for name in entries(&home) {
        assert_eq!(mode(&home.join(&name)) & 0o077, 0, "{name}");
    }
}

/// A run that goes on for long, of the model `tiny` of the data set `d`.
fn long_run(engine: &Engine) -> Child {
    let args = ["train", "--data", "d", "--model", "tiny", "--max-steps", "1000000", "--eval-steps", "10"];
    engine.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn wait_for_steps(engine: &Engine, run: i64, steps: usize) {
    wait_until("steps", || {
        let shown = engine.output(&["runs", "show", &run.to_string(), "--json"]);
        serde_json::from_slice::<Value>(&shown.stdout)
            .is_ok_and(|shown| shown["steps"].as_array().is_some_and(|all| all.len() >= steps))
    });
}

fn signal(child: &Child, name: &str) {
    Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
}

/// A home with a data set, a model, and three runs: a finished one of `words`, one by LoRA, and one that was stopped.
fn furnished() -> Engine {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
    let mut lora = vec!["train", "--data", "d", "--model", "tiny", "--max-steps", "2", "--trainable", "lora"];
    lora.extend(["--lora-target-modules", "query,value"]);
    engine.ok(&lora);
    let mut child = long_run(&engine);
    wait_for_steps(&engine, 3, 12);
    signal(&child, "TERM");
    wait_until("the engine's end", || child.try_wait().unwrap().is_some());
    assert_eq!(engine.status(3), "stopped");
    engine
}

#[test]
fn a_copied_home_works_by_itself_and_reads_and_touches_nothing_of_the_original() {
    let engine = furnished();
    let original = engine.home.path();
    let elsewhere = tempfile::tempdir().unwrap();
    let home = elsewhere.path().join("copy");
    copy(original, &home);
    // Whoever reads the original's models now is found out.
    for model in ["models/tiny", "runs/1/model", "runs/2/model", "runs/3/model"] {
        for name in entries(&original.join(model)) {
            std::fs::write(original.join(model).join(name), "spoilt").unwrap();
        }
    }
    let before = content(original);
    assert_eq!(names(&json(&engine, &home, &["models", "list"]), "name"), ["tiny", "words"]);
    assert_eq!(names(&json(&engine, &home, &["datasets", "list"]), "name"), ["d"]);
    for model in json(&engine, &home, &["models", "list"]).as_array().unwrap() {
        assert!(Path::new(model["folder"].as_str().unwrap()).starts_with(&home), "{model}");
    }
    for run in ["1", "2", "3"] {
        let shown = json(&engine, &home, &["runs", "show", run]);
        assert!(Path::new(shown["run"]["model_folder"].as_str().unwrap()).starts_with(&home));
        ok(&engine, &home, &["predict", "--run", run, "abc"]);
    }
    ok(&engine, &home, &["train", "--data", "d", "--model", "tiny", "--max-steps", "1"]);
    let mut resumed = command(&engine, &home, &["train", "--resume", "3"]);
    let mut child = resumed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("it goes on", || json(&engine, &home, &["runs", "show", "3"])["run"]["status"] == "running");
    ok(&engine, &home, &["runs", "stop", "3"]);
    wait_until("the engine's end", || child.try_wait().unwrap().is_some());
    ok(&engine, &home, &["runs", "merge", "2"]);
    for run in ["1", "2", "3", "4"] {
        ok(&engine, &home, &["runs", "remove", run]);
    }
    ok(&engine, &home, &["models", "remove", "tiny"]);
    ok(&engine, &home, &["datasets", "remove", "d"]);
    assert_eq!(entries(&home.join("models")), ["words"]);
    assert_eq!(content(original), before);
}

/// A program of somebody else's that holds a home's history.
struct Holder {
    runtime: tokio::runtime::Runtime,
    connection: SqliteConnection,
}

impl Holder {
    fn hold(home: &Path) -> Holder {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(home.join("history.sqlite"));
        let options = options.busy_timeout(Duration::from_secs(60));
        let connection = runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
            connection
        });
        Holder { runtime, connection }
    }

    fn release(mut self) {
        self.runtime.block_on(async {
            sqlx::query("ROLLBACK").execute(&mut self.connection).await.unwrap();
            self.connection.close().await.unwrap();
        });
    }
}

#[test]
fn a_history_that_another_program_holds_for_half_a_minute_ends_no_run_and_loses_no_step() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let mut child = long_run(&engine);
    wait_for_steps(&engine, 1, 12);
    let holder = Holder::hold(engine.home.path());
    let checkpoints = || entries(&engine.home.path().join("runs/1/checkpoints"));
    let (begin, before) = (Instant::now(), checkpoints());
    wait_until("checkpoints while the history is held", || {
        begin.elapsed() > Duration::from_secs(25) && checkpoints() != before
    });
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    assert_eq!(engine.status(1), "running", "what only reads works meanwhile");
    holder.release();
    let steps = |shown: &Value| -> Vec<u64> {
        shown["steps"].as_array().unwrap().iter().map(|step| step["step"].as_u64().unwrap()).collect()
    };
    let written = steps(&engine.json(&["runs", "show", "1"])).len();
    wait_until("the steps of the meantime", || steps(&engine.json(&["runs", "show", "1"])).len() > written);
    engine.ok(&["runs", "stop", "1"]);
    wait_until("the engine's end", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    let shown = engine.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "stopped");
    let steps = steps(&shown);
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>());
}

#[test]
fn the_end_of_a_run_that_the_history_never_took_is_written_down_at_the_next_opening() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let mut child = long_run(&engine);
    wait_for_steps(&engine, 1, 12);
    let holder = Holder::hold(engine.home.path());
    signal(&child, "TERM");
    let kept = engine.home.path().join("runs/1/unwritten.json");
    wait_until("the end is kept", || {
        std::fs::read_to_string(&kept).is_ok_and(|kept| kept.contains("\"finished\""))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    holder.release();
    let shown = engine.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "stopped");
    let steps = shown["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["step"].as_u64().unwrap() as usize, steps.len());
    assert_eq!(
        Path::new(shown["run"]["model_folder"].as_str().unwrap()),
        engine.home.path().join("runs/1/model")
    );
    engine.ok(&["predict", "--run", "1", "abc"]);
    assert!(!kept.exists());
}

/// Runs a script with `$MBTI` and `$HOME_FOLDER` in a mount namespace of its own, and gives what it said. `None`, told
/// aloud, where the system allows no such namespaces.
fn in_namespace(engine: &Engine, script: &str) -> Option<String> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    let user: &[&str] = if is_root { &["--mount"] } else { &["--mount", "--map-root-user", "--user"] };
    if !Command::new("unshare").args(user).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("NOT TESTED: this system allows no mount namespaces");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(user).args(["sh", "-ec", script]).stdin(Stdio::null());
    command.env("MBTI", env!("CARGO_BIN_EXE_mbti")).env("HOME_FOLDER", engine.home.path());
    command.env("MBTI_HOME", engine.home.path()).env("MBTI_KEYRING", "off");
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    Some(said)
}

#[test]
fn what_only_reads_works_in_a_read_only_home_and_what_writes_says_why_it_does_not() {
    let engine = Engine::new();
    engine.import_small("d");
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
    let before = content(engine.home.path());
    let script = r#"
        mount --bind "$HOME_FOLDER" "$HOME_FOLDER"; mount -o remount,bind,ro "$HOME_FOLDER"
        for what in "datasets list" "datasets show d" "models list" "runs list" "runs show 1" "predict --run 1 abc" \
          "datasets export d /tmp/mbti-read-only-$$.csv"; do
          "$MBTI" $what > /dev/null; echo "did $what"
        done
        rm "/tmp/mbti-read-only-$$.csv"
        for what in "train --data d --model words" "datasets remove d" "runs remove 1"; do
          if "$MBTI" $what; then exit 7; fi
        done
    "#;
    let Some(said) = in_namespace(&engine, script) else { return };
    assert_eq!(said.matches("did ").count(), 7, "{said}");
    assert_eq!(said.matches("error: ").count(), 3, "{said}");
    assert!(said.contains("read-only") || said.contains("Read-only") || said.contains("readonly"), "{said}");
    assert_eq!(content(engine.home.path()), before);
}

#[test]
fn on_a_full_disk_data_sets_models_and_runs_can_be_listed_and_removed() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
    let script = r#"
        cp -r "$HOME_FOLDER" /tmp/mbti-full-$$; mount -t tmpfs -o size=40m none "$HOME_FOLDER"
        cp -r /tmp/mbti-full-$$/. "$HOME_FOLDER"; rm -r /tmp/mbti-full-$$
        fill() { dd if=/dev/zero of="$HOME_FOLDER/ballast-$1" bs=4k 2> /dev/null || true; }
        fill 0
        "$MBTI" datasets list > /dev/null; "$MBTI" runs list > /dev/null
        for what in "runs remove 1" "models remove tiny" "datasets remove d"; do
          "$MBTI" $what; fill "$(echo $what | tr -d ' ')"; echo "did $what"
        done
        rm "$HOME_FOLDER"/ballast-*
        for part in datasets models runs; do "$MBTI" $part list --json; ls -A "$HOME_FOLDER/$part"; done
    "#;
    let Some(said) = in_namespace(&engine, script) else { return };
    assert_eq!(said.matches("did ").count(), 3, "{said}");
    assert!(!said.contains("tiny\"") && !said.contains("\"d\"") && !said.contains(".removed-"), "{said}");
    let listed = said.split_once("did datasets remove d").unwrap().1;
    let left: Vec<&str> = listed.lines().filter(|line| !line.starts_with(['[', ']', ' '])).collect();
    assert_eq!(
        left.iter().filter(|line| !line.is_empty() && !line.contains("emoved")).count(),
        1,
        "{listed}"
    );
}

/// Checks that records and folders are the same, once the home was opened again.
fn look(engine: &Engine) {
    for (part, key) in [("datasets", "name"), ("models", "name"), ("runs", "id")] {
        let records = names(&engine.json(&[part, "list"]), key);
        assert_eq!(entries(&engine.home.path().join(part)), records, "{part}");
    }
    for data_set in names(&engine.json(&["datasets", "list"]), "name") {
        engine.ok(&["datasets", "show", &data_set]);
    }
    let inner = content(&engine.home.path().join("runs"));
    let left = |path: &&PathBuf| {
        path.components().any(|one| {
            let name = one.as_os_str().to_string_lossy();
            name.ends_with(".new") || name.ends_with(".old") || name.ends_with(".part") || name == ".placing"
        })
    };
    assert_eq!(inner.keys().find(left), None);
}

#[test]
fn a_command_that_is_killed_leaves_nothing_after_the_next_start_and_no_record_that_lies() {
    let engine = Engine::new();
    engine.import_small("d");
    let table = engine.home.path().join("d.csv").display().to_string();
    let model = tiny_bert(engine.home.path()).display().to_string();
    let import = ["datasets", "import", &table, "--name", "more"];
    let add = ["models", "add", &model, "--name", "other"];
    let jobs: [(&[&str], &[&str], &[&str]); 5] = [
        (&[], &import, &["datasets", "remove", "more"]),
        (&import, &["datasets", "remove", "more"], &[]),
        (&[], &add, &["models", "remove", "other"]),
        (&add, &["models", "remove", "other"], &[]),
        (&[], &["datasets", "split", "d", "--to", "p"], &["datasets", "remove", "p-train"]),
    ];
    for (before, job, after) in jobs {
        let prepare = || {
            if !before.is_empty() {
                // It may be there already, where the kill came early.
                engine.output(before);
            }
        };
        prepare();
        let begin = Instant::now();
        engine.output(job);
        let took = begin.elapsed();
        let undo = || {
            if !after.is_empty() {
                engine.output(after);
                engine.output(&["datasets", "remove", "p-valid"]);
            }
        };
        undo();
        for kill in 1..=6 {
            prepare();
            let mut child = engine.command(job).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(took * kill / 7);
            child.kill().unwrap();
            child.wait().unwrap();
            look(&engine);
            undo();
        }
    }
}

#[test]
fn a_lost_history_is_told_of_and_nothing_of_what_it_knew_goes() {
    let engine = Engine::new();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    ok(&engine, &home, &["datasets", "import", "--sample"]);
    for ending in ["", "-wal", "-shm"] {
        std::fs::remove_file(home.join(format!("history.sqlite{ending}"))).ok();
    }
    let before = content(&home.join("datasets"));
    let said = |args: &[&str]| {
        let output = command(&engine, &home, args).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = said(&["datasets", "list"]);
    assert!(told.contains("of data sets 1, of models 0, of runs 0"), "{told}");
    assert_eq!(content(&home.join("datasets")), before);
    assert!(!said(&["datasets", "list"]).contains("of data sets"));
}

#[test]
fn nothing_is_exported_among_what_the_home_keeps_and_what_cannot_be_is_told_why() {
    let engine = Engine::new();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    ok(&engine, &home, &["datasets", "import", "--sample"]);
    let failed = |args: &[&str]| {
        let output = command(&engine, &home, args).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let export = |path: PathBuf| failed(&["datasets", "export", "made-up-sample", path.to_str().unwrap()]);
    let before = entries(&home);
    for inside in ["hub.json", "datasets/x.csv", "models/x.csv"] {
        let told = export(home.join(inside));
        assert!(told.contains("lies in the home"), "{told}");
    }
    assert_eq!(entries(&home), before);
    let told = export(folder.path().join("not-there/x.csv"));
    assert!(told.contains("is not there") && !told.contains("room") && !told.contains(".new-"), "{told}");
    let told =
        failed(&["datasets", "sample", "made-up-sample", "--to", "made-up-sample", "--fraction", "0.5"]);
    assert!(told.contains("--to") && !told.contains("--name"), "{told}");
    let texts = folder.path().join("made-up-sample.csv");
    std::fs::write(&texts, "body,mbti\nwords,INFP\n").unwrap();
    let told = failed(&["datasets", "import", texts.to_str().unwrap()]);
    assert!(told.contains("--name"), "{told}");
}
