//! What type words alone give away, as an engine finds out: this program has no bag of words to train.

use std::path::Path;

use record::{Leaks, SplitBy};

use super::{LOOK, answer, locate};
use crate::{Home, error::Result};

/// What [`data_sets::leaks`](crate::data_sets::leaks) tells, with what the bag of words makes of type words
/// alone. The engine is ended where `goes_on` answers `false`; it only reads, so that it leaves nothing.
pub async fn leaks(home: &Home, name: &str, by: SplitBy, goes_on: impl Fn() -> bool) -> Result<Leaks> {
    leaks_by(&locate()?, home, name, by, goes_on).await
}

async fn leaks_by(
    engine: &Path,
    home: &Home,
    name: &str,
    by: SplitBy,
    goes_on: impl Fn() -> bool,
) -> Result<Leaks> {
    let unwanted = async {
        while goes_on() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let arguments = ["datasets", "leaks", "--json", "--by", by.name(), "--", name];
    tokio::select! {
        found = answer(engine, home, &arguments) => found,
        () = unwanted => Err(data::Error::Stopped.into()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::tests::scripted, *};
    use crate::{Error, home::empty_home};
    use record::{Problem, ProblemCode};

    #[tokio::test]
    async fn the_engine_is_asked_for_the_whole_measurement_and_its_answer_is_read() {
        let (folder, home) = empty_home().await;
        crate::data_sets::import_sample(&home).await.unwrap();
        let name = crate::data_sets::SAMPLE_NAME;
        let mut leaks = crate::data_sets::leaks(&home, name, SplitBy::Text, |_, _| true).await.unwrap();
        leaks.type_words_alone = serde_json::from_str("{\"J-P\": 0.625}").unwrap();
        let script = format!(
            "[ \"$3 $4 $5 $6 $7 $8 $9\" = 'datasets leaks --json --by text -- {name}' ] || exit 1\n\
             echo 'Reading.' >&2; echo '{}'",
            serde_json::to_string(&leaks).unwrap()
        );
        let engine = scripted(folder.path(), &script);
        assert_eq!(leaks_by(&engine, &home, name, SplitBy::Text, || true).await.unwrap(), leaks);
    }

    #[tokio::test]
    async fn an_engine_that_fails_tells_why_and_one_that_is_unwanted_is_ended() {
        let (folder, home) = empty_home().await;
        let found = async |script: &str, wanted: bool| {
            let engine = scripted(folder.path(), script);
            leaks_by(&engine, &home, "d", SplitBy::Author, || wanted).await.unwrap_err()
        };
        let error = found("echo 'error: No such data set.' >&2; exit 1", true).await;
        assert!(matches!(&error, Error::EngineGone { reason } if reason == "No such data set."), "{error}");
        let problem =
            Problem::new(ProblemCode::UnknownDataSet, "There is no such data set.").with("name", "d");
        let line = serde_json::json!({ "problem": problem });
        let error = found(&format!("echo '{line}'; echo 'error: x' >&2; exit 1"), true).await;
        assert_eq!(error.problem(), problem);
        let error = found("echo 'no JSON'", true).await;
        assert_eq!(error.problem().code, ProblemCode::EngineGone);
        assert_eq!(found("exec sleep 600", false).await.problem().code, ProblemCode::Stopped);
    }
}
