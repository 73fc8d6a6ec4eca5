//! The engine: the binary `mbti`, which trains and predicts in processes of its own.

mod devices;
mod estimate;
mod evaluate;
mod leaks;
mod output;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use record::{Device, Problem, ProblemCode, RunStatus, TrainConfig};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::process::{Child, Command};

use crate::{Error, Home, SECRETS, Token, account, error::Result, runs};

pub use devices::devices;
pub use estimate::{Estimator, estimate};
pub use evaluate::{compare, evaluate};
pub use leaks::leaks;

/// How often it is looked whether an engine has taken its run up.
const LOOK: Duration = Duration::from_millis(100);

/// Where the engine is: beside this program, which is where a bundle puts it, too; or wherever
/// `MBTI_ENGINE` says.
pub fn locate() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MBTI_ENGINE").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let name = format!("mbti{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe()
        .map_err(|error| Error::EngineNotStarted { path: PathBuf::from(&name), reason: error.to_string() })?;
    Ok(own.with_file_name(name))
}

/// The engine's command with the home it is to work in.
pub(crate) fn command(engine: &Path, home: &Home) -> Command {
    let mut command = Command::new(engine);
    command.arg("--home").arg(&home.folder);
    // A token goes to an engine through its pipe and only to one that needs it: everybody on this machine who may look
    // at its environment, and whoever gets its core dump, would see it there.
    SECRETS.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// What an engine answers to a question, in JSON. It is ended where nobody waits for the answer any longer.
async fn answer<T: DeserializeOwned>(engine: &Path, home: &Home, arguments: &[&str]) -> Result<T> {
    let mut command = command(engine, home);
    command.args(arguments);
    read_answer(&to_its_end(engine, &mut command).await?)
}

/// The answer of an engine that printed nothing else.
fn read_answer<T: DeserializeOwned>(ended: &Output) -> Result<T> {
    serde_json::from_slice(&ended.stdout).map_err(|error| Error::EngineGone { reason: error.to_string() })
}

/// Runs an engine that works and answers, and returns what it printed. It is ended where it prints too much, or where
/// nobody waits for it any longer.
async fn to_its_end(engine: &Path, command: &mut Command) -> Result<Output> {
    followed(engine, command, |_| ()).await
}

/// The same, while `hear` is handed each line that it says on standard error.
async fn followed(engine: &Path, command: &mut Command, hear: impl FnMut(&[u8])) -> Result<Output> {
    let ended = output::limited(command.stdin(Stdio::null()), hear).await;
    let ended = ended.map_err(|error| not_started(engine, &error))?;
    if ended.status.success() { Ok(ended) } else { Err(failed(&ended)) }
}

/// Why an engine that was to answer in JSON has failed: by the last of its lines that is a problem, else by its last words.
fn failed(ended: &Output) -> Error {
    let told = told_problem(&ended.stdout);
    told.map_or_else(|| gone(ended.status, &ended.stderr), Error::Problem)
}

/// The last line that is a problem in JSON.
fn told_problem(said: &[u8]) -> Option<Problem> {
    #[derive(Deserialize)]
    struct Told {
        problem: Problem,
    }
    let mut lines = said.rsplit(|&byte| byte == b'\n');
    lines.find_map(|line| serde_json::from_slice::<Told>(line).ok()).map(|told| told.problem)
}

/// Hands the token over to an engine that was started with `--token-stdin`.
fn hand_over(token: &Token, child: &mut Child) -> std::io::Result<()> {
    use std::io::Write;
    let Some(pipe) = child.stdin.take() else { return Ok(()) };
    // The pipe holds two lines whether the engine reads them yet or not.
    let mut pipe: std::fs::File = into_file(pipe)?;
    match pipe.write_all(token.to_line().as_bytes()) {
        // An engine that has ended already is found to have.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(unix)]
fn into_file(pipe: tokio::process::ChildStdin) -> std::io::Result<std::fs::File> {
    Ok(pipe.into_owned_fd()?.into())
}

#[cfg(windows)]
fn into_file(pipe: tokio::process::ChildStdin) -> std::io::Result<std::fs::File> {
    Ok(pipe.into_owned_handle()?.into())
}

/// Writes a run down and starts an engine for it. The engine lives on when this program ends.
pub async fn start(home: &Home, config: &TrainConfig) -> Result<i64> {
    let run = runs::create(home, config).await?;
    let token = token_for(home, config);
    let started = token.and_then(|token| spawn(&locate()?, home, &["--run"], run, token.as_ref()));
    match started {
        Ok(child) => {
            tokio::spawn(watch(home.clone(), run, child));
            Ok(run)
        }
        Err(error) => {
            home.store.fail_run(run, &error.problem()).await?;
            Err(error)
        }
    }
}

fn log_path(home: &Home, run: i64) -> PathBuf {
    home.run_folder(run).join("engine.log")
}

/// Starts an engine that trains the run as `how` says: options, the last of which is `--run` or `--resume`.
fn spawn(engine: &Path, home: &Home, how: &[&str], run: i64, token: Option<&Token>) -> Result<Child> {
    let path = log_path(home, run);
    // What an earlier engine said of the run stays.
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(|error| Error::write(&path, error))?;
    let mut command = command(engine, home);
    command.arg("train").args(how).arg(run.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    if token.is_some() {
        command.arg("--token-stdin").stdin(Stdio::piped());
    }
    outlive_this(&mut command);
    let mut child = command.spawn().map_err(|error| not_started(engine, &error))?;
    if let Some(token) = token {
        hand_over(token, &mut child).map_err(|error| not_started(engine, &error))?;
    }
    Ok(child)
}

/// The token, where a run is to be pushed.
fn token_for(home: &Home, config: &TrainConfig) -> Result<Option<Token>> {
    if config.push_to_hub.is_none() {
        return Ok(None);
    }
    account::token(home).map(Some)
}

fn not_started(engine: &Path, error: &std::io::Error) -> Error {
    Error::EngineNotStarted { path: engine.to_owned(), reason: error.to_string() }
}

/// Starts an engine that resumes a run that ended early, on another device than its settings say where one is given, and
/// waits until the engine has taken the run up. It decides on the device first. One that cannot resume the run leaves it
/// as it was, so that its reason is told here or nowhere.
pub async fn resume(home: &Home, run: i64, device: Option<Device>) -> Result<()> {
    resume_by(&locate()?, home, run, device).await
}

async fn resume_by(engine: &Path, home: &Home, run: i64, device: Option<Device>) -> Result<()> {
    runs::reconcile(home).await?;
    let found = home.store.run(run).await?;
    if found.status.is_active() {
        return Err(store::Error::RunIsActive { run }.into());
    }
    if !runs::is_resumable(home, &found) {
        return Err(Error::NothingToResume { run });
    }
    let said_before = std::fs::metadata(log_path(home, run)).map_or(0, |log| log.len());
    let device = device.map(|device| device.to_string());
    let mut how = vec!["--problem-stderr"];
    how.extend(device.iter().flat_map(|device| ["--device", device.as_str()]));
    how.push("--resume");
    let mut child = spawn(engine, home, &how, run, token_for(home, &found.config)?.as_ref())?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|error| not_started(engine, &error))?;
                if status.success() {
                    return Ok(());
                }
                let log = std::fs::read(log_path(home, run)).unwrap_or_default();
                let said = log.get(said_before as usize..).unwrap_or_default();
                return Err(told_problem(said).map_or_else(|| gone(status, said), Error::Problem));
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        if home.store.run(run).await?.status == RunStatus::Running {
            tokio::spawn(watch(home.clone(), run, child));
            return Ok(());
        }
    }
}

/// Gives an engine a group of its own, so that what ends this program's group (a closed terminal,
/// Ctrl+C) does not end the engine's work.
fn outlive_this(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Merges what a run learned by LoRA into its base model, so that the run's folder holds a whole
/// model. An engine does it, and this waits for its end.
pub async fn merge(home: &Home, run: i64) -> Result<()> {
    runs::reconcile(home).await?;
    let found = home.store.run(run).await?;
    if found.status.is_active() {
        return Err(store::Error::RunIsActive { run }.into());
    }
    runs::model_folder(home, Some(run)).await?;
    if !runs::has_adapter(&found) {
        // It was merged already, as by a terminal while the window was open.
        return Ok(());
    }
    merge_by(&locate()?, home, run, None).await
}

/// The same into a new folder, which leaves the run as it is.
pub(crate) async fn merge_into(home: &Home, run: i64, folder: &Path) -> Result<()> {
    merge_by(&locate()?, home, run, Some(folder)).await
}

async fn merge_by(engine: &Path, home: &Home, run: i64, out: Option<&Path>) -> Result<()> {
    let mut command = command(engine, home);
    command.args(["runs", "merge"]).arg(run.to_string()).stdin(Stdio::null());
    if let Some(out) = out {
        command.arg("--out").arg(out);
    }
    match out {
        // Nobody waits for it any more where the wait is given up, as when a push is stopped.
        Some(_) => drop(command.kill_on_drop(true)),
        None => outlive_this(&mut command),
    }
    let ended = command.output().await.map_err(|error| not_started(engine, &error))?;
    if ended.status.success() { Ok(()) } else { Err(gone(ended.status, &ended.stderr)) }
}

/// Why an engine did not do what it was asked to, in its own words where it had any.
fn gone(status: ExitStatus, said: &[u8]) -> Error {
    let reason = last_words(&String::from_utf8_lossy(said));
    Error::EngineGone { reason: reason.unwrap_or_else(|| status.to_string()) }
}

/// The last line that an engine has said, without the word by which it marks an error.
fn last_words(said: &str) -> Option<String> {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    // The engine filters what it says; what a library or the system puts in its log is nobody's.
    Some(record::one_line(line.strip_prefix("error: ").unwrap_or(line)).into_owned())
}

/// Waits for an engine's end. One that went without closing its run has the run marked: as
/// interrupted when it was at work, as failed when it never began.
async fn watch(home: Home, run: i64, mut child: Child) {
    let status = child.wait().await;
    if let Ok(found) = home.store.run(run).await
        && found.status == RunStatus::Queued
    {
        let log = std::fs::read_to_string(log_path(&home, run)).unwrap_or_default();
        let reason = last_words(&log)
            .unwrap_or_else(|| status.map_or_else(|error| error.to_string(), |s| s.to_string()));
        let path = locate().unwrap_or_default();
        let problem =
            Problem::new(ProblemCode::EngineNotStarted, format!("The engine did not begin: {reason}"))
                .with("path", path.display())
                .with("reason", reason);
        home.store.fail_run(run, &problem).await.ok();
    }
    runs::reconcile(&home).await.ok();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A home with a run that has an adapter for its model.
    async fn adapted() -> (tempfile::TempDir, Home, i64) {
        let (folder, home) = crate::home::empty_home().await;
        crate::data_sets::import_sample(&home).await.unwrap();
        let run = runs::create(&home, &runs::default_config(&home).await.unwrap()).await.unwrap();
        let model = home.run_folder(run).join("model");
        std::fs::create_dir_all(&model).unwrap();
        std::fs::write(model.join("adapter_config.json"), "{}").unwrap();
        home.store.set_model_folder(run, &model).await.unwrap();
        (folder, home, run)
    }

    #[tokio::test]
    async fn a_run_that_goes_on_or_has_no_model_is_not_merged() {
        let (_folder, home, run) = adapted().await;
        let error = merge(&home, run).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::RunIsActive);

        let other = runs::create(&home, &home.store.run(run).await.unwrap().config).await.unwrap();
        home.store.interrupt_run(other).await.unwrap();
        let error = merge(&home, other).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::RunHasNoModel);
        assert_eq!(merge(&home, 99).await.unwrap_err().problem().code, ProblemCode::UnknownRun);
    }

    #[tokio::test]
    async fn a_run_that_has_ended_is_merged_by_an_engine_unless_its_model_is_whole() {
        let (_folder, home, run) = adapted().await;
        home.store.interrupt_run(run).await.unwrap();
        // Beside the tests' own binary there is no engine, and any other finds no weights.
        let error = merge(&home, run).await.unwrap_err();
        assert!(matches!(error, Error::EngineNotStarted { .. } | Error::EngineGone { .. }), "{error}");
        std::fs::remove_file(home.run_folder(run).join("model/adapter_config.json")).unwrap();
        merge(&home, run).await.unwrap();
    }

    /// Makes a program of a script, in place of the engine.
    #[cfg(unix)]
    pub(super) fn scripted(folder: &Path, script: &str) -> PathBuf {
        let engine = folder.join("engine");
        // Written by another process: what a test that runs beside this one starts would inherit
        // the file as open for writing, and such a file cannot be run.
        let mut write = std::process::Command::new("sh");
        write.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1""#, "sh"]);
        assert!(write.arg(&engine).arg(script).status().unwrap().success());
        engine
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_engine_is_told_what_to_merge_and_what_it_says_last_is_the_reason() {
        let (folder, home, run) = adapted().await;
        let said = folder.path().join("said");
        let merge_with =
            async |script: &str| merge_by(&scripted(folder.path(), script), &home, run, None).await;
        merge_with(&format!("echo \"$@\" > '{}'", said.display())).await.unwrap();
        let expected = format!("--home {} runs merge {run}\n", home.folder.display());
        assert_eq!(std::fs::read_to_string(&said).unwrap(), expected);

        let refused = "echo 'Reading the base model.' >&2; echo 'error: It is no more there.' >&2; exit 1";
        let error = merge_with(refused).await.unwrap_err();
        assert!(matches!(&error, Error::EngineGone { reason } if reason == "It is no more there."));
        assert_eq!(error.problem().code, ProblemCode::EngineGone);

        let error = merge_with("kill -9 $$").await.unwrap_err();
        assert!(error.to_string().contains("signal: 9"), "{error}");
    }

    /// A home with a run that ended early and has a checkpoint.
    #[cfg(unix)]
    async fn ended_early() -> (tempfile::TempDir, Home, i64) {
        let (folder, home, run) = adapted().await;
        home.store.interrupt_run(run).await.unwrap();
        let checkpoint = home.run_folder(run).join("checkpoints/step-00000002");
        std::fs::create_dir_all(&checkpoint).unwrap();
        std::fs::write(checkpoint.join("manifest.json"), "{}").unwrap();
        std::fs::write(log_path(&home, run), "what was said before\n").unwrap();
        (folder, home, run)
    }

    #[tokio::test]
    async fn a_run_that_goes_on_or_has_no_checkpoint_is_not_gone_on_with() {
        let (_folder, home, run) = adapted().await;
        let code = async |run| resume(&home, run, None).await.unwrap_err().problem().code;
        assert_eq!(code(run).await, ProblemCode::RunIsActive);
        home.store.interrupt_run(run).await.unwrap();
        assert_eq!(code(run).await, ProblemCode::NothingToResume);
        assert_eq!(code(99).await, ProblemCode::UnknownRun);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_engine_that_goes_on_with_a_run_is_waited_for_until_it_has_taken_it_up() {
        let (folder, home, run) = ended_early().await;
        let ended = folder.path().join("ended");
        let script = format!("echo \"$@\" >&2; while [ ! -e '{}' ]; do sleep 0.05; done", ended.display());
        let engine = scripted(folder.path(), &script);
        // This stands in for what the engine does to the history.
        let lock = runs::lock(&home, run).unwrap().unwrap();
        let take_up = async {
            tokio::time::sleep(LOOK).await;
            assert!(home.store.resume_run(run, 2).await.unwrap());
        };
        let (resumed, ()) = tokio::join!(resume_by(&engine, &home, run, None), take_up);
        resumed.unwrap();
        let home_folder = home.folder.display();
        let expected =
            format!("what was said before\n--home {home_folder} train --problem-stderr --resume {run}\n");
        assert_eq!(std::fs::read_to_string(log_path(&home, run)).unwrap(), expected);

        // One that ends without a word is noticed.
        drop(lock);
        std::fs::write(ended, "").unwrap();
        let noticed = async {
            while home.store.run(run).await.unwrap().status != RunStatus::Interrupted {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), noticed).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_engine_that_cannot_go_on_tells_why_and_leaves_the_run_as_it_was() {
        let (folder, home, run) = ended_early().await;
        let resume_with =
            async |script: &str| resume_by(&scripted(folder.path(), script), &home, run, None).await;
        let error = resume_with("echo 'error: Other texts.' >&2; exit 1").await.unwrap_err();
        assert!(matches!(&error, Error::EngineGone { reason } if reason == "Other texts."), "{error}");
        let error = resume_with("exit 7").await.unwrap_err();
        assert!(error.to_string().contains("exit status: 7"), "what was said before is no reason: {error}");
        assert_eq!(home.store.run(run).await.unwrap().status, RunStatus::Interrupted);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_engine_that_cannot_resume_on_its_device_gives_the_problem_and_is_given_another_one() {
        let (folder, home, run) = ended_early().await;
        let problem = Problem::new(ProblemCode::DeviceUnusable, "cuda:0 cannot be used: it is not there.")
            .with("device", "cuda:0")
            .with("kind", "not_listed");
        let line = serde_json::json!({ "problem": problem });
        let script = format!(
            "case \"$*\" in *' --device cpu --resume {run}') echo 'error: cpu' >&2; exit 1;; esac\n\
             echo 'error: {}' >&2; echo '{line}' >&2; exit 1",
            problem.message
        );
        let engine = scripted(folder.path(), &script);
        let error = resume_by(&engine, &home, run, None).await.unwrap_err();
        assert_eq!(error.problem(), problem);
        let error = resume_by(&engine, &home, run, Some(Device::Cpu)).await.unwrap_err();
        assert!(matches!(&error, Error::EngineGone { reason } if reason == "cpu"), "{error}");
        assert_eq!(home.store.run(run).await.unwrap().status, RunStatus::Interrupted);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_token_goes_to_the_engine_by_its_pipe_and_by_no_argument_and_no_environment() {
        let (folder, home, run) = adapted().await;
        let said = folder.path().join("said");
        let script = format!(
            "{{ echo \"$@\"; cat; echo; env; tr '\\0' '\\n' < /proc/$$/environ; }} > '{0}.new'; mv '{0}.new' '{0}'",
            said.display()
        );
        let engine = scripted(folder.path(), &script);
        for (token, arguments) in [
            (Some("hf_secret"), format!("train --run {run} --token-stdin")),
            (None, format!("train --run {run}")),
        ] {
            let token = token.map(|token| Token::parse(token).unwrap());
            let mut child = spawn(&engine, &home, &["--run"], run, token.as_ref()).unwrap();
            assert!(child.wait().await.unwrap().success());
            let text = std::fs::read_to_string(&said).unwrap();
            let (first, rest) = text.split_once('\n').unwrap();
            assert!(first.ends_with(&arguments), "{first}");
            assert_eq!(text.matches("hf_secret").count(), usize::from(token.is_some()), "{text}");
            assert_eq!(rest.starts_with("hf_secret\n"), token.is_some());
            assert!(!rest.contains("HF_TOKEN=") && !rest.contains("HF_HUB_TOKEN="), "{rest}");
        }
        let mut config = home.store.run(run).await.unwrap().config;
        config.push_to_hub = Some("me/mine".to_owned());
        assert!(token_for(&home, &TrainConfig { push_to_hub: None, ..config.clone() }).unwrap().is_none());
    }
}
