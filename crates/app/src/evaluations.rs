//! Finished runs, judged on data sets: what is needed for it, and where what was found is kept.

use std::path::{Path, PathBuf};

use data::{Part, Split, Table, TextLogits};
use record::{DataSet, Run, RunEvaluation};

use crate::{Error, Home, data_sets, error::Result, runs};

/// A run that can be judged, and the folder of its model.
pub async fn ready(home: &Home, run: i64) -> Result<(Run, PathBuf)> {
    runs::reconcile(home).await?;
    let found = home.store.run(run).await?;
    if found.status.is_active() {
        return Err(store::Error::RunIsActive { run }.into());
    }
    let (_, folder) = runs::model_folder(home, Some(run)).await?;
    Ok((found, folder))
}

/// What a run learned from.
pub struct LearnedFrom {
    pub table: Table,
    pub data_set: DataSet,
    pub split: Split,
    /// The validation set of its own that the run was given, where that is still there.
    valid: Option<Table>,
    given: bool,
}

impl LearnedFrom {
    /// The texts that the run learned from.
    pub fn train(&self) -> Part<'_> {
        Part { table: &self.table, rows: &self.split.train }
    }

    /// The texts that the run was validated with; none where these are no longer there.
    pub fn valid(&self) -> Option<Part<'_>> {
        let table = if self.given { self.valid.as_ref()? } else { &self.table };
        Some(Part { table, rows: &self.split.valid })
    }
}

/// What a run learned from, where that is still there.
pub async fn learned_from(home: &Home, run: &Run) -> Result<Option<LearnedFrom>> {
    let Some(split) = split_of(home, run.id) else { return Ok(None) };
    let [of_data, of_valid] = split.fingerprints.each_ref().map(Option::as_deref);
    let data = of_the_run(home, run, &run.config.data, of_data).await?;
    let Some((table, data_set)) = data else { return Ok(None) };
    let valid = match &run.config.valid {
        Some(name) => of_the_run(home, run, name, of_valid).await?.map(|(valid, _)| valid),
        None => None,
    };
    let given = run.config.valid.is_some();
    let within = |rows: &[u32], table: &Table| rows.iter().all(|&row| (row as usize) < table.len());
    let is_of = |split: &Split| {
        let judged = if given { valid.as_ref() } else { Some(&table) };
        within(&split.train, &table) && judged.is_none_or(|judged| within(&split.valid, judged))
    };
    Ok(is_of(&split).then_some(LearnedFrom { table, data_set, split, valid, given }))
}

/// Which rows a run learned from and which judged it; none where that was not written down, or cannot be read.
pub fn split_of(home: &Home, run: i64) -> Option<Split> {
    let path = home.run_folder(run).join("split.json");
    let read = files::read_limited(&path, files::JSON_LIMIT).ok()?;
    serde_json::from_slice(&read).ok()
}

/// A data set that a run's settings name, by its fingerprint where that is known, whatever it is called now.
async fn of_the_run(
    home: &Home,
    run: &Run,
    name: &str,
    fingerprint: Option<&str>,
) -> Result<Option<(Table, DataSet)>> {
    let all = home.store.data_sets().await?;
    let same = all.iter().filter(|one| one.is(fingerprint, name, &run.created_at));
    // Of several with the same texts, the one that still has its name.
    match same.max_by_key(|one| one.name.eq_ignore_ascii_case(name)) {
        Some(found) => Ok(Some(data_sets::open(home, &found.name).await?)),
        None => Ok(None),
    }
}

/// Where the logits of a run on a data set are.
fn logits_path(home: &Home, run: i64, data: &str) -> PathBuf {
    home.run_folder(run).join("evaluations").join(format!("{data}.parquet"))
}

/// Keeps what was found just now, in place of what was found of the same run and data set before. The logits are there
/// before the record that tells of them.
pub async fn keep(home: &Home, found: RunEvaluation, logits: &TextLogits) -> Result<RunEvaluation> {
    let path = logits_path(home, found.run, &found.data);
    make_folder(found.run, path.parent().unwrap_or(&path))?;
    data::write_logits(&path, logits)?;
    Ok(home.store.keep_run_evaluation(found).await?)
}

/// A run's folder comes and goes with its record: one that was removed meanwhile is not made again.
fn make_folder(run: i64, folder: &Path) -> Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(store::Error::UnknownRun { run }.into())
        }
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::write(folder, error)),
        _ => Ok(()),
    }
}

/// What was found of a run, or of all runs: the newest run first, and of each the data sets by name.
pub async fn list(home: &Home, run: Option<i64>) -> Result<Vec<RunEvaluation>> {
    if let Some(run) = run {
        home.store.run(run).await?;
    }
    Ok(home.store.run_evaluations(run).await?)
}

/// What was found of two runs on the same texts, with their logits.
pub async fn both(home: &Home, runs: [i64; 2], data: &str) -> Result<[(RunEvaluation, TextLogits); 2]> {
    let [first, second] = runs;
    let both = [with_logits(home, first, data).await?, with_logits(home, second, data).await?];
    let [(_, one), (_, other)] = &both;
    if one.texts != other.texts || one.labels != other.labels {
        return Err(Error::OtherTexts { first, second, data: data.to_owned() });
    }
    Ok(both)
}

async fn with_logits(home: &Home, run: i64, data: &str) -> Result<(RunEvaluation, TextLogits)> {
    let all = list(home, Some(run)).await?;
    let found = all.into_iter().find(|found| found.data.eq_ignore_ascii_case(data));
    let found = found.ok_or_else(|| Error::NotEvaluated { run, data: data.to_owned() })?;
    let logits = data::read_logits(&logits_path(home, run, &found.data))?;
    Ok((found, logits))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use data::Labels;
    use record::{Estimated, JudgedTexts, Judgement, Level, ProblemCode};

    use super::*;
    use crate::home::empty_home;

    async fn ended(home: &Home) -> i64 {
        data_sets::import_sample(home).await.unwrap();
        let run = runs::create(home, &runs::default_config(home).await.unwrap()).await.unwrap();
        home.store.interrupt_run(run).await.unwrap();
        run
    }

    pub(crate) fn found(run: i64, data: &str) -> RunEvaluation {
        let by_text = Level {
            units: 1,
            axes: BTreeMap::new(),
            exact_match: Estimated::default(),
            right_letters: Estimated::default(),
            majority_right_letters: None,
        };
        let model = Judgement { mean_balanced_accuracy: Estimated::default(), by_text, by_author: None };
        RunEvaluation {
            run,
            data: data.into(),
            made_up: true,
            texts: "0f".into(),
            created_at: String::new(),
            seconds: 1.0,
            temperatures: BTreeMap::new(),
            overlap: None,
            all: JudgedTexts { texts: 1, model, words: None, beside_words: None },
            unseen: None,
        }
    }

    fn said(texts: &str, logit: f64) -> TextLogits {
        let labels = Labels { types: vec!["INFP".parse().unwrap()], authors: vec![None], names: Vec::new() };
        let axes = vec![serde_json::from_str("\"J-P\"").unwrap()];
        TextLogits { texts: texts.into(), labels, overlaps: vec![false], axes, logits: vec![logit] }
    }

    #[tokio::test]
    async fn what_was_found_is_listed_and_its_logits_are_read_beside_those_of_another_run() {
        let (_folder, home) = empty_home().await;
        let (first, second) = (ended(&home).await, ended(&home).await);
        keep(&home, found(first, "Test"), &said("0f", 1.0)).await.unwrap();
        let missing = both(&home, [first, second], "test").await.unwrap_err();
        assert!(missing.to_string().contains(&format!("mbti evaluate {second} --data test")), "{missing}");
        assert_eq!(missing.problem().code, ProblemCode::NotEvaluated);
        keep(&home, found(second, "Test"), &said("0f", 2.0)).await.unwrap();
        let said_by_both = both(&home, [first, second], "test").await.unwrap().map(|(_, logits)| logits);
        assert_eq!(said_by_both, [said("0f", 1.0), said("0f", 2.0)]);
        keep(&home, found(second, "Test"), &said("ff", 2.0)).await.unwrap();
        let error = both(&home, [first, second], "test").await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::OtherTexts);
        assert_eq!(list(&home, Some(second)).await.unwrap().len(), 1);
        assert_eq!(list(&home, None).await.unwrap().len(), 2);
        assert_eq!(list(&home, Some(99)).await.unwrap_err().problem().code, ProblemCode::UnknownRun);
    }

    #[tokio::test]
    async fn a_run_that_goes_on_or_has_no_model_is_not_judged_and_one_that_was_removed_gets_no_folder() {
        let (_folder, home) = empty_home().await;
        let run = ended(&home).await;
        assert_eq!(ready(&home, run).await.unwrap_err().problem().code, ProblemCode::RunHasNoModel);
        let other = runs::create(&home, &home.store.run(run).await.unwrap().config).await.unwrap();
        assert_eq!(ready(&home, other).await.unwrap_err().problem().code, ProblemCode::RunIsActive);
        runs::remove(&home, run).await.unwrap();
        let error = keep(&home, found(run, "d"), &said("0f", 1.0)).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::UnknownRun);
        assert!(!home.run_folder(run).exists());
    }

    #[tokio::test]
    async fn what_a_run_learned_from_is_told_until_it_is_removed_or_another_has_its_name() {
        let (_folder, home) = empty_home().await;
        let run = ended(&home).await;
        let run = home.store.run(run).await.unwrap();
        assert!(learned_from(&home, &run).await.unwrap().is_none(), "no split was written");
        let (table, _) = data_sets::open(&home, &run.config.data).await.unwrap();
        let split = data::split_for(&table.labels, None, &run.config).unwrap();
        let path = home.run_folder(run.id).join("split.json");
        std::fs::write(&path, serde_json::to_vec(&split).unwrap()).unwrap();
        let known = learned_from(&home, &run).await.unwrap().unwrap();
        assert_eq!((&known.split, &known.data_set.name), (&split, &run.config.data));
        assert_eq!(known.train().rows, split.train);
        assert_eq!(known.valid().unwrap().rows, split.valid);
        let mut given = run.clone();
        given.config.valid = Some("gone".into());
        assert!(learned_from(&home, &given).await.unwrap().unwrap().valid().is_none());
        let earlier = Run { created_at: "2001-01-01T00:00:00Z".into(), ..run.clone() };
        assert!(learned_from(&home, &earlier).await.unwrap().is_none());
        let texts = data_sets::list(&home).await.unwrap().remove(0).fingerprint;
        assert!(texts.is_some());
        let known = Split { fingerprints: [texts, None], ..split.clone() };
        std::fs::write(&path, serde_json::to_vec(&known).unwrap()).unwrap();
        assert!(learned_from(&home, &earlier).await.unwrap().is_some(), "by its texts, though it came later");
        let others = Split { fingerprints: [Some("ff".into()), None], ..split.clone() };
        std::fs::write(&path, serde_json::to_vec(&others).unwrap()).unwrap();
        assert!(learned_from(&home, &run).await.unwrap().is_none(), "other texts of that name");
        let beyond = Split { train: vec![9_999_999], ..split };
        std::fs::write(&path, serde_json::to_vec(&beyond).unwrap()).unwrap();
        assert!(learned_from(&home, &run).await.unwrap().is_none());
        data_sets::remove(&home, &run.config.data).await.unwrap();
        assert!(learned_from(&home, &run).await.unwrap().is_none());
    }
}
