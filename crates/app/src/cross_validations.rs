//! Cross-validations: runs whose folds are runs, too.

use record::Run;

use crate::{Error, Home, error::Result, runs};

/// Writes down a run for one fold, from 1, of a cross-validation, with the cross-validation's settings.
///
/// Errors: the data set or the model is not the one that the cross-validation was begun with.
pub async fn add_fold(home: &Home, whole: &Run, fold: u32) -> Result<i64> {
    let data = home.store.data_set(&whole.config.data).await?;
    let model = home.store.model(&whole.config.model).await?;
    let model = (!model.built_in).then_some((model.name, model.created_at));
    for (name, created_at) in [(data.name, data.created_at)].into_iter().chain(model) {
        // All in UTC and to the second, so that their order is that of the texts. One that came later only has the name.
        if created_at > whole.created_at {
            return Err(Error::OtherFolds { run: whole.id, name });
        }
    }
    runs::write_down(home, &whole.config.of_fold(fold), Some(whole.id)).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use record::{FoldProgress, ProblemCode, RunStatus, TrainConfig};

    use super::*;
    use crate::{data_sets, home::empty_home};

    async fn begun(home: &Home) -> Run {
        data_sets::import_sample(home).await.unwrap();
        let config = TrainConfig { folds: Some(3), ..runs::default_config(home).await.unwrap() };
        let run = runs::create(home, &config).await.unwrap();
        home.store.run(run).await.unwrap()
    }

    #[tokio::test]
    async fn a_cross_validation_can_be_resumed_without_a_checkpoint_and_goes_with_its_folds() {
        let (_folder, home) = empty_home().await;
        let whole = begun(&home).await;
        let fold = add_fold(&home, &whole, 2).await.unwrap();
        let shown = runs::show(&home, whole.id, 0).await.unwrap();
        let expected =
            FoldProgress { fold: 2, run: fold, status: RunStatus::Queued, step: 0, total_steps: None };
        assert_eq!((shown.folds, shown.resumable), (vec![expected], false));
        let found = home.store.run(fold).await.unwrap();
        assert_eq!((found.fold_of, found.config), (Some(whole.id), whole.config.of_fold(2)));

        home.store.interrupt_run(whole.id).await.unwrap();
        assert!(runs::show(&home, whole.id, 0).await.unwrap().resumable);
        assert!(!runs::show(&home, fold, 0).await.unwrap().resumable);
        let error = runs::remove(&home, whole.id).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::RunIsActive, "a fold is active");
        let error = runs::model_folder(&home, Some(whole.id)).await.unwrap_err();
        assert!(error.to_string().contains("is a cross-validation"), "{error}");
        home.store.interrupt_run(fold).await.unwrap();
        runs::remove(&home, whole.id).await.unwrap();
        assert_eq!(runs::list(&home).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_fold_of_another_data_set_of_the_same_name_is_refused() {
        let (_folder, home) = empty_home().await;
        let whole = begun(&home).await;
        let earlier = Run { created_at: "2001-01-01T00:00:00Z".into(), ..whole };
        let error = add_fold(&home, &earlier, 1).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::OtherFolds);
    }

    #[tokio::test]
    async fn what_is_predicted_with_by_default_is_no_model_of_a_fold() {
        let (_folder, home) = empty_home().await;
        let whole = begun(&home).await;
        let alone = runs::create(&home, &runs::default_config(&home).await.unwrap()).await.unwrap();
        let fold = add_fold(&home, &whole, 1).await.unwrap();
        for run in [alone, fold] {
            home.store.set_model_folder(run, &home.run_folder(run).join("model")).await.unwrap();
        }
        assert_eq!(runs::model_folder(&home, None).await.unwrap().0, alone);
    }

    #[tokio::test]
    async fn more_folds_than_there_are_authors_are_refused_before_anything_is_written_down() {
        let (_folder, home) = empty_home().await;
        let whole = begun(&home).await;
        // Forty of its texts are by forty authors at most.
        let config = TrainConfig { folds: Some(100), sample_fraction: 0.02, ..whole.config };
        let error = runs::create(&home, &config).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::TooFewAuthors);
        assert_eq!(runs::list(&home).await.unwrap().len(), 1);
    }
}
