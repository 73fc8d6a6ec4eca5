//! The Hub by commands: logging in, fetching, training with a push at its end; and what becomes of the token.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "../../../tests/holders/mod.rs"]
mod holders;

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use common::{Engine, tiny_bert};
use holders::holders;
use serde_json::Value;
use small_hub::{Fault, Kind, Listener, Options, Role, Rule, SmallHub, Token, Write as Put};

const TOKEN: &str = "hf_TheVerySecretTokenOfAlice";

struct Alice {
    hub: SmallHub,
    engine: Engine,
}

fn texts() -> String {
    let mut text = "author,body,mbti,E-I,N-S,F-T,J-P\n".to_owned();
    for n in 0..64 {
        let mbti = ["INFP", "ESTJ", "ENTP", "ISFJ"][n / 2 % 4];
        let [a, b, c, d] = [&mbti[0..1], &mbti[1..2], &mbti[2..3], &mbti[3..4]];
        text += &format!("a{},\"text number {n}, said so\",{mbti},{a},{b},{c},{d}\n", n / 8);
    }
    text
}

/// A Hub with a data set and a model on it, and an engine whose home is clean.
fn alice() -> Alice {
    let alice = Token::new("alice", TOKEN, Role::Write);
    let reader = Token::new("alice", "hf_reader", Role::Read);
    let options = Options { large_from: 4000, part_size: 16 << 10, ..Options::default() };
    let hub = SmallHub::start(options.token(alice).token(reader)).unwrap();
    let engine = Engine::new();
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_bert(folder.path());
    let mut files: Vec<Put> = vec![Put::bytes("README.md", "---\nlicense: mit\n---\n")];
    for entry in std::fs::read_dir(model).unwrap().flatten() {
        files.push(Put::bytes(entry.file_name().to_str().unwrap(), std::fs::read(entry.path()).unwrap()));
    }
    hub.create(Kind::Model, "alice/tiny").unwrap();
    hub.commit(Kind::Model, "alice/tiny", "main", "A model", &files).unwrap();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    let card = "---\nlicense: apache-2.0\n---\n";
    let files =
        [Put::bytes("README.md", card), Put::bytes("train.csv", texts()), Put::bytes("test.csv", texts())];
    hub.commit(Kind::Dataset, "alice/texts", "main", "Texts", &files).unwrap();
    Alice { hub, engine }
}

impl Alice {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.engine.command(args);
        command.env("HF_ENDPOINT", self.hub.url()).env("MBTI_HUB_PAUSE_MS", "5");
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "mbti {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }

    fn fails(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert_eq!(output.status.code(), Some(1), "mbti {args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn login(&self, token: &str) -> Output {
        let mut command = self.command(&["login"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn content(&self, path: &str) -> Vec<u8> {
        self.hub.read(Kind::Model, "alice/made", "main", path).unwrap()
    }
}

const TRAIN: [&str; 9] =
    ["train", "--data", "texts", "--model", "tiny", "--max-length", "16", "--epochs", "1"];

#[test]
fn from_a_clean_home_one_logs_in_fetches_trains_and_pushes() {
    let alice = alice();
    let done = alice.login(TOKEN);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.contains("account: alice") && told.contains("may push to: alice"), "{told}");
    let who = alice.json(&["whoami"]);
    assert_eq!(who["account"]["role"], "write");
    assert_eq!(who["access"]["token"]["kind"], "own_file");

    let plan = alice.json(&["datasets", "import", "alice/texts", "--plan"]);
    assert_eq!((&plan["files"][0]["path"], &plan["licence"]), (&"train.csv".into(), &"apache-2.0".into()));
    let imported = alice.json(&["datasets", "import", "alice/texts"]);
    assert_eq!(imported["data_set"]["examples"], 64);
    let commit = plan["commit"].as_str().unwrap();
    let source = imported["data_set"]["source"].as_str().unwrap();
    assert_eq!(source, format!("hf://datasets/alice/texts@{commit}/train"));
    alice.ok(&["datasets", "import", "alice/texts", "--split", "test"]);
    assert_eq!(alice.json(&["datasets", "list"]).as_array().unwrap().len(), 2);
    let told = alice.output(&["models", "add", "alice/tiny", "--name", "once"]);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("Fetching 4 files of alice/tiny") && told.contains("Licence: mit"), "{told}");
    let model = alice.json(&["models", "add", "alice/tiny"]);
    assert_eq!(model["origin"]["repo"], "alice/tiny");
    assert_eq!(model["origin"]["licence"], "mit");
    assert_eq!(model["origin"]["endpoint"], alice.hub.url(), "not huggingface.co");

    let out = alice.ok(&[&TRAIN[..], &["--push-to-hub", "alice/made"]].concat());
    assert!(out.contains("/alice/made"), "{out}");
    let run = &alice.json(&["runs", "show", "1"])["run"];
    assert_eq!(run["status"], "finished");
    assert_eq!(run["origins"]["data"]["commit"], commit);
    assert_eq!(run["pushed"]["repo"], "alice/made");
    let own = std::fs::read(alice.engine.home.path().join("runs/1/model/model.safetensors")).unwrap();
    assert!(alice.content("model.safetensors") == own, "what was pushed is what was trained");
    let card = String::from_utf8(alice.content("README.md")).unwrap();
    for part in [
        "pipeline_tag: text-classification",
        "library_name: transformers",
        "license: mit",
        &format!("alice/tiny from `{}`", alice.hub.url()),
        &format!("alice/texts from `{}`", alice.hub.url()),
        "widget:",
        "| E-I |",
        "majority",
        "请勿",
        "not in hiring",
        "nobody stands on both sides",
        "max_length = 16",
    ] {
        assert!(card.contains(part), "{part} is in {card}");
    }
    assert!(
        !card.contains("base_model:") && !card.contains("huggingface.co"),
        "it is from another Hub: {card}"
    );
    assert!(!card.contains(alice.engine.home.path().to_str().unwrap()), "no path of this machine: {card}");
    assert!(alice.hub.log().tokens_at_storage().is_empty());
    let puts = alice.hub.log().matching("PUT", "*");
    assert!(puts.iter().any(|put| put.listener == Listener::Storage), "by LFS");
}

#[test]
fn what_lora_has_learned_is_pushed_as_a_whole_model() {
    let alice = alice();
    alice.login(TOKEN);
    alice.ok(&["datasets", "import", "alice/texts"]);
    alice.ok(&["models", "add", "alice/tiny"]);
    alice.ok(&[&TRAIN[..], &["--trainable", "lora"]].concat());
    let pushed = alice.json(&["push", "1", "made", "--private"]);
    assert_eq!(pushed["repo"], "alice/made", "a name without an owner is put under one's own");
    let names: Vec<String> = alice
        .hub
        .files(Kind::Model, "alice/made", "main")
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert!(names.contains(&"model.safetensors".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("adapter")), "{names:?}");
    assert!(!alice.engine.home.path().join("runs/1/merged-to-push").exists());
    assert!(
        alice.engine.home.path().join("runs/1/model/adapter_config.json").exists(),
        "the run stays as it was"
    );
    assert_eq!(alice.json(&["runs", "show", "1"])["run"]["pushed"]["commit"], pushed["commit"]);
    let error = alice.fails(&["push", "1", "bob/made"]);
    assert!(error.contains("may not write to bob/made"), "{error}");
}

#[test]
fn a_run_that_may_not_be_pushed_does_not_begin_and_one_whose_push_fails_is_kept() {
    let alice = alice();
    alice.ok(&["datasets", "import", "alice/texts"]);
    alice.ok(&["models", "add", "alice/tiny"]);
    let push = [&TRAIN[..], &["--push-to-hub", "alice/made"]].concat();
    let error = alice.fails(&push);
    assert!(error.contains("mbti login"), "{error}");
    assert!(alice.login("hf_reader").status.success());
    let error = alice.fails(&push);
    assert!(error.contains("may not write"), "{error}");
    assert!(alice.json(&["runs", "list"]).as_array().unwrap().is_empty(), "nothing was written down");

    alice.login(TOKEN);
    let down = Fault::Status { status: 500, retry_after: None };
    alice.hub.faults().add(Rule::always("*/commit/*", down).method("POST"));
    let error = alice.fails(&push);
    assert!(error.contains("mbti push 1 alice/made"), "{error}");
    let shown = alice.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "finished");
    assert_eq!(shown["notices"].as_array().unwrap().last().unwrap()["problem"]["code"], "server_trouble");
    alice.hub.faults().clear();
    alice.ok(&["push", "1", "alice/made"]);
    assert!(!alice.content("config.json").is_empty());
}

#[test]
fn what_was_fetched_before_is_used_offline_and_anything_else_is_told() {
    let alice = alice();
    alice.ok(&["models", "add", "alice/tiny", "--name", "one"]);
    let offline = |args: &[&str]| alice.command(args).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(offline(&["models", "add", "alice/tiny", "--name", "two"]).status.success());
    let refused = offline(&["models", "add", "alice/other"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("alice/other"), "{error}");
    assert_eq!(alice.json(&["models", "list"]).as_array().unwrap().len(), 3);
    let error = alice.fails(&["models", "add", "alice/tiny", "--name", "one"]);
    assert!(error.contains("one"), "{error}");
    let error = alice.fails(&["models", "add", "./nowhere"]);
    assert!(!error.contains("Hub"), "a path is a path: {error}");
}

#[test]
fn the_way_to_the_hub_is_set_shown_and_taken_back() {
    let alice = alice();
    let file = alice.engine.file("my.env", format!("HF_HUB_TOKEN={TOKEN}\n"));
    let shown = alice.ok(&["hub", "set", "--env-file", file.to_str().unwrap()]);
    assert!(shown.contains("token from: HF_HUB_TOKEN in") && !shown.contains(TOKEN), "{shown}");
    assert_eq!(alice.json(&["whoami"])["access"]["token"]["kind"], "env_file");
    assert!(alice.fails(&["hub", "set", "--endpoint", "nonsense"]).contains("endpoint"));
    let error = alice.fails(&["hub", "set", "--endpoint", "http://mirror.example"]);
    assert!(error.contains("https"), "a token does not travel in the open: {error}");
    alice.ok(&["hub", "set", "--env-file", ""]);
    assert_eq!(alice.json(&["hub", "show"])["access"]["token"], Value::Null);
    assert!(alice.fails(&["whoami"]).contains("mbti login"));
    let found = alice.json(&["models", "search", "tiny"]);
    assert_eq!(found[0]["repo"], "alice/tiny");
    assert_eq!(alice.json(&["models", "catalogue"]).as_array().unwrap().len(), 8);
}

#[test]
fn a_token_that_is_kept_goes_to_the_hub_it_was_given_for_and_to_no_other() {
    let (alice, other) = (alice(), alice());
    alice.login(TOKEN);
    let shown = alice.ok(&["hub", "set", "--endpoint", other.hub.url()]);
    let told = format!("a token is kept for {}", alice.hub.url());
    assert!(shown.contains("token from: none") && shown.contains(&told), "{shown}");
    assert_eq!(alice.json(&["hub", "show"])["kept_for"], alice.hub.url());
    let error = alice.fails(&["whoami"]);
    assert!(error.contains(alice.hub.url()) && error.contains(other.hub.url()), "{error}");
    alice.ok(&["models", "add", "alice/tiny"]);
    alice.ok(&["models", "search", "tiny"]);
    assert!(other.hub.log().all().len() > 2, "the other one was asked");
    assert!(other.hub.log().all().iter().all(|one| one.token.is_none()), "and got no token");
    // One that is handed over is bound, too, where whoever hands it over says to what.
    alice.ok(&["datasets", "import", "alice/texts"]);
    alice.ok(&TRAIN);
    other.hub.log().clear();
    let mut command = alice.command(&["push", "1", "alice/made", "--token-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{TOKEN} {}\n", alice.hub.url()).as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(!done.status.success());
    assert!(String::from_utf8_lossy(&done.stderr).contains(other.hub.url()));
    assert!(other.hub.log().all().is_empty());
    // Back at its own it is used again.
    alice.ok(&["hub", "set", "--endpoint", ""]);
    assert_eq!(alice.json(&["whoami"])["account"]["name"], "alice");
}

#[cfg(unix)]
#[test]
fn a_proxys_password_is_shown_nowhere_and_its_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let alice = alice();
    let set = ["hub", "set", "--proxy", "http://me:hunter2@127.0.0.1:9"];
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_mbti"), "--home"]);
    assert!(
        command
            .arg(alice.engine.home.path())
            .args(set)
            .env("MBTI_KEYRING", "off")
            .status()
            .unwrap()
            .success()
    );
    let file = alice.engine.home.path().join("hub.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("hunter2"));
    for args in
        [&["hub", "show"][..], &["hub", "show", "--json"], &set, &["models", "search", "tiny"], &["whoami"]]
    {
        let done = alice.output(args);
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(!said.contains("hunter2"), "{args:?}: {said}");
    }
    // As it is shown it stays what it is.
    alice.ok(&["hub", "set", "--proxy", "http://me:•••@127.0.0.1:9"]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("hunter2"));
    alice.fails(&["hub", "set", "--proxy", "http://me:•••@127.0.0.1:10"]);
}

#[test]
fn after_a_session_with_failures_the_token_is_nowhere_but_where_it_is_kept() {
    let alice = alice();
    let mut said: Vec<u8> = Vec::new();
    let mut keep = |output: Output| {
        said.extend(&output.stdout);
        said.extend(&output.stderr);
    };
    keep(alice.login(TOKEN));
    let json = ["--json"];
    for args in [
        &["whoami"][..],
        &["hub", "show"],
        &["datasets", "import", "alice/texts"],
        &["models", "add", "alice/tiny"],
        &["models", "add", "alice/none"],
        &["datasets", "import", "alice/texts", "--split", "none"],
    ] {
        keep(alice.output(args));
        keep(alice.output(&[args, &json].concat()));
    }
    // A server that sends back what it was sent, in words and in a redirect.
    for (path, fault) in [
        ("/api/whoami-v2", Fault::Status { status: 500, retry_after: None }),
        ("*/preupload/*", Fault::Status { status: 418, retry_after: None }),
    ] {
        alice.hub.faults().add(Rule::always(path, fault));
        keep(alice.output(&["whoami"]));
        keep(alice.output(&[&TRAIN[..], &["--push-to-hub", "alice/made"]].concat()));
        alice.hub.faults().clear();
    }
    alice.hub.faults().add(Rule::always("*/commit/*", Fault::Status { status: 500, retry_after: None }));
    keep(alice.output(&[&TRAIN[..], &["--push-to-hub", "alice/made"]].concat()));
    alice.hub.faults().clear();
    keep(alice.output(&["push", "1", "alice/made"]));
    alice.hub.revoke_token(TOKEN);
    keep(alice.output(&["whoami"]));
    keep(alice.output(&["push", "1", "alice/made"]));

    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("revoked"), "the session had its failures: {said}");
    assert!(!said.contains(TOKEN), "{said}");
    let mut found = Vec::new();
    holders(alice.engine.home.path(), TOKEN, &mut found);
    let kept = alice.engine.home.path().join("secret/token").display().to_string();
    assert_eq!(found, [kept]);
    alice.ok(&["logout"]);
    let mut found = Vec::new();
    holders(alice.engine.home.path(), TOKEN, &mut found);
    assert!(found.is_empty(), "{found:?}");
    let card = String::from_utf8(alice.content("README.md")).unwrap();
    assert!(!card.contains(TOKEN));
}

#[test]
fn a_token_that_is_handed_over_by_a_pipe_is_in_no_environment_and_no_argument() {
    let alice = alice();
    alice.ok(&["datasets", "import", "alice/texts"]);
    alice.ok(&["models", "add", "alice/tiny"]);
    alice.ok(&TRAIN);
    let slow = Rule::once("/api/whoami-v2", Fault::Stall { after: 0 });
    alice.hub.faults().add(slow);
    let mut command = alice.command(&["push", "1", "alice/made", "--token-stdin"]);
    command.env("HF_HUB_DOWNLOAD_TIMEOUT", "2");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    common::wait_until("the engine asks", || !alice.hub.log().matching("GET", "/api/whoami-v2").is_empty());
    for what in ["environ", "cmdline"] {
        let seen = std::fs::read(format!("/proc/{}/{what}", child.id())).unwrap();
        assert!(!String::from_utf8_lossy(&seen).contains(TOKEN), "{what}");
    }
    assert!(child.wait().unwrap().success());
    assert!(!alice.content("config.json").is_empty());
}

/// With a real keyring, in a D-Bus session of its own; and in one without any.
#[test]
fn the_keyring_keeps_the_token_where_there_is_one_and_the_file_where_there_is_none() {
    let alice = alice();
    let session = |script: &str| {
        let mut command = Command::new("dbus-run-session");
        command.args(["--", "sh", "-ec", script]);
        let home = alice.engine.home.path();
        for name in
            ["HF_TOKEN", "HF_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "DISPLAY", "WAYLAND_DISPLAY"]
        {
            command.env_remove(name);
        }
        command.env_remove("MBTI_KEYRING");
        command
            .env("HF_ENDPOINT", alice.hub.url())
            .env("HF_HOME", home.join("hugging-face"))
            .env("TOKEN", TOKEN);
        // The keyring's own files go with the home.
        command.env("XDG_DATA_HOME", home.join("data")).env("XDG_RUNTIME_DIR", home).env("HOME", home);
        command.env("MBTI", env!("CARGO_BIN_EXE_mbti")).env("MBTI_HOME", home.join("mbti"));
        let done = command.output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let has_keyring = Command::new("gnome-keyring-daemon").arg("--version").output().is_ok();
    if !has_keyring {
        eprintln!("Passed over: there is no gnome-keyring here, which scripts/setup.sh test installs.");
        return;
    }
    let (ok, said) = session(
        "printf 'a password' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
         echo \"$TOKEN\" | \"$MBTI\" login
         \"$MBTI\" whoami
         [ ! -e \"$MBTI_HOME/secret/token\" ]
         \"$MBTI\" logout
         ! \"$MBTI\" whoami",
    );
    assert!(ok, "{said}");
    assert!(
        said.contains("kept in the system's keyring") && said.contains("token from: the system's keyring"),
        "{said}"
    );
    let mut found = Vec::new();
    holders(alice.engine.home.path(), TOKEN, &mut found);
    assert!(found.is_empty(), "the keyring's own files are encrypted, and nothing else has it: {found:?}");

    // A session whose bus can start nothing.
    let (ok, said) = session(
        "export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent
         echo \"$TOKEN\" | \"$MBTI\" login
         \"$MBTI\" whoami
         [ \"$(stat -c %a \"$MBTI_HOME/secret/token\") $(stat -c %a \"$MBTI_HOME/secret\")\" = '600 700' ]",
    );
    assert!(ok, "{said}");
    assert!(said.contains("No keyring takes the token") && said.contains("secret/token"), "{said}");
}

/// Python's own client and ours against the same Hub and the same cache, which is ours for this Hub: the default one is
/// shared only for huggingface.co.
#[test]
fn what_one_of_us_and_python_has_pushed_or_fetched_the_other_reads() {
    let Some(python) = std::env::var_os("MBTI_HUB_PYTHON") else {
        eprintln!(
            "Passed over: MBTI_HUB_PYTHON names no Python with huggingface_hub; scripts/hub-python.sh makes one."
        );
        return;
    };
    let alice = alice();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hub/both_ways.py");
    let home = alice.engine.home.path().join("hugging-face");
    let own = alice.hub.url().replace("://", "-").replace(':', "_3a");
    let cache = home.join("hub/other-endpoints").join(own);
    let python = |job: &str, more: &[&str]| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(job).args(more).env("HF_HUB_CACHE", &cache);
        command.env("HF_ENDPOINT", alice.hub.url()).env("HF_HOME", &home).env("HF_HUB_DISABLE_XET", "1");
        command.env("HF_TOKEN", TOKEN).env("HF_HUB_DISABLE_TELEMETRY", "1").env_remove("HF_HUB_OFFLINE");
        let done = command.output().unwrap();
        assert!(done.status.success(), "{job}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let tiny = tiny_bert(folder.path());
    // Python pushes, we fetch.
    python("push", &["alice/from-python", tiny.to_str().unwrap()]);
    alice.ok(&["models", "add", "alice/from-python", "--name", "theirs"]);
    let ours = std::fs::read(alice.engine.home.path().join("models/theirs/model.safetensors")).unwrap();
    assert!(ours == std::fs::read(tiny.join("model.safetensors")).unwrap());
    // Python finds in its cache what we have fetched, and needs no network for it.
    python("offline", &["alice/from-python"]);
    // We find what Python has fetched.
    python("fetch", &["alice/tiny"]);
    alice.hub.log().clear();
    alice.ok(&["models", "add", "alice/tiny"]);
    assert!(alice.hub.log().matching("GET", "*/resolve/*").is_empty(), "nothing was fetched twice");
    // A download that Python has begun, we end.
    python("begin", &["alice/texts"]);
    alice.hub.log().clear();
    alice.ok(&["datasets", "import", "alice/texts"]);
    let ranges: Vec<_> = alice.hub.log().all().into_iter().filter_map(|asked| asked.range).collect();
    assert_eq!(ranges, ["bytes=100-"]);
    // We push, Python fetches and loads it.
    alice.login(TOKEN);
    alice.ok(&[&TRAIN[..], &["--push-to-hub", "alice/made"]].concat());
    let hash = python("hash", &["alice/made", "model.safetensors"]);
    let own = alice.engine.home.path().join("runs/1/model/model.safetensors");
    assert_eq!(hash.trim(), python("hash-file", &[own.to_str().unwrap()]).trim());
    let card = python("card", &["alice/made"]);
    // What is from another Hub than huggingface.co is no base model to that.
    assert!(card.starts_with("None text-classification mit"), "{card}");
    let rows = python("load", &["alice/texts"]);
    assert_eq!(rows.trim(), "64");
}

#[test]
fn the_name_that_the_hub_gives_the_account_leads_a_push_nowhere_else() {
    let alice = alice();
    for name in ["../evil", "evil/x", "", "a b"] {
        let lie = Fault::Rewrite { find: r#""name":"alice""#.into(), with: format!(r#""name":"{name}""#) };
        alice.hub.faults().add(Rule::always("/api/whoami-v2", lie));
        let output = alice.command(&["push", "1", "x"]).env("HF_TOKEN", TOKEN).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("the name of the account that it tells"), "{name}: {told}");
        alice.hub.faults().clear();
    }
    assert!(alice.hub.log().matching("POST", "/api/repos/create").is_empty());
}

#[test]
fn a_page_of_another_place_is_not_asked_for_at_the_hub_that_is_set() {
    let alice = alice();
    for args in [
        &["models", "add", "https://other.example/alice/tiny"][..],
        &["datasets", "import", "https://other.example/datasets/alice/texts"],
        &["push", "1", "http://127.0.0.1:1/alice/x"],
        &["push", "1", "http://127.0.0.1:1/alice/x", "--plan"],
    ] {
        let told = alice.fails(args);
        assert!(told.contains("is at another address than the Hub that is asked"), "{args:?}: {told}");
    }
    let told = alice.fails(&["push", "1", "datasets/x"]);
    assert!(told.contains("is no name of a repository"), "{told}");
    let told = alice.fails(&["models", "add", "alice/tiny", "--revision", ".."]);
    assert!(told.contains("can be the name of no revision"), "{told}");
    assert!(alice.hub.log().all().is_empty());
    alice.ok(&["models", "add", &format!("{}/alice/tiny/tree/main", alice.hub.url())]);
}

#[test]
fn a_wait_that_the_hub_asks_for_is_told_in_a_line() {
    let alice = alice();
    let busy = Fault::Status { status: 429, retry_after: Some(1) };
    alice.hub.faults().add(Rule::once("/api/models/alice/tiny", busy));
    let output = alice.output(&["models", "add", "alice/tiny", "--plan"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("asked less often. Waiting 1 s.\n"), "{told}");
}
