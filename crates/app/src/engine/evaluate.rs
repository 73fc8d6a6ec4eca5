//! Finished runs, judged on data sets by an engine: this program has no model to judge with.

use std::path::Path;

use record::{RunComparison, RunEvaluation, WorkProgress};
use serde::Deserialize;
use tokio::sync::mpsc::unbounded_channel;

use super::{LOOK, answer, command, followed, locate, read_answer};
use crate::{Home, error::Result};

/// Lets an engine judge a run on a data set. `tell` hears how far it is, and a few times a second nothing; the engine is
/// ended where it answers `false`, and then nothing of it is kept.
pub async fn evaluate(
    home: &Home,
    run: i64,
    data: &str,
    tell: impl FnMut(Option<WorkProgress>) -> bool,
) -> Result<RunEvaluation> {
    evaluate_by(&locate()?, home, run, data, tell).await
}

async fn evaluate_by(
    engine: &Path,
    home: &Home,
    run: i64,
    data: &str,
    mut tell: impl FnMut(Option<WorkProgress>) -> bool,
) -> Result<RunEvaluation> {
    #[derive(Deserialize)]
    struct Told {
        progress: WorkProgress,
    }
    let mut command = command(engine, home);
    command.args(["evaluate", "--json", "--progress-stderr", &format!("--data={data}"), &run.to_string()]);
    let (told, mut heard) = unbounded_channel();
    let hear = |line: &[u8]| {
        if let Ok(Told { progress }) = serde_json::from_slice(line) {
            told.send(progress).ok();
        }
    };
    let work = followed(engine, &mut command, hear);
    tokio::pin!(work);
    let ended = loop {
        let progress = tokio::select! {
            ended = &mut work => break ended?,
            progress = heard.recv() => progress,
            () = tokio::time::sleep(LOOK) => None,
        };
        if !tell(progress) {
            return Err(data::Error::Stopped.into());
        }
    };
    read_answer(&ended)
}

/// Lets an engine tell whether one of two runs is better on a data set that both were judged on.
pub async fn compare(home: &Home, [first, second]: [i64; 2], data: &str) -> Result<RunComparison> {
    let (data, first, second) = (format!("--data={data}"), first.to_string(), second.to_string());
    answer(&locate()?, home, &["evaluate", "--json", &data, "--compare", &first, &second]).await
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::tests::scripted, *};
    use crate::{evaluations::tests::found, home::empty_home};
    use record::{Problem, ProblemCode};

    #[tokio::test]
    async fn the_engine_is_told_what_to_judge_and_how_far_it_is_is_heard() {
        let (folder, home) = empty_home().await;
        let expected = found(3, "a b");
        let script = format!(
            "[ \"$3 $4 $5 $6 $7\" = 'evaluate --json --progress-stderr --data=a b 3' ] || exit 1\n\
             echo 'Reading.' >&2\n\
             echo '{{\"progress\":{{\"kind\":\"texts\",\"done\":1,\"total\":4}}}}' >&2\n\
             echo '{{\"progress\":{{\"kind\":\"texts\",\"done\":3,\"total\":4}}}}' >&2\n\
             sleep 0.3; echo '{}'",
            serde_json::to_string(&expected).unwrap()
        );
        let engine = scripted(folder.path(), &script);
        let mut heard = Vec::new();
        let tell = |progress: Option<WorkProgress>| {
            heard.extend(progress);
            true
        };
        assert_eq!(evaluate_by(&engine, &home, 3, "a b", tell).await.unwrap(), expected);
        assert_eq!(heard, [1, 3].map(|done| WorkProgress::Texts { done, total: 4 }));
    }

    #[tokio::test]
    async fn an_engine_that_fails_tells_why_and_one_that_is_unwanted_is_ended() {
        let (folder, home) = empty_home().await;
        let error = async |script: &str, wanted: bool| {
            let engine = scripted(folder.path(), script);
            evaluate_by(&engine, &home, 3, "d", |_| wanted).await.unwrap_err()
        };
        let problem = Problem::new(ProblemCode::UnknownRun, "There is no run 3.").with("run", 3);
        let line = serde_json::json!({ "problem": problem });
        assert_eq!(error(&format!("echo '{line}'; exit 1"), true).await.problem(), problem);
        assert_eq!(error("echo 'no JSON'", true).await.problem().code, ProblemCode::EngineGone);
        assert_eq!(error("exec sleep 600", false).await.problem().code, ProblemCode::Stopped);
    }
}
