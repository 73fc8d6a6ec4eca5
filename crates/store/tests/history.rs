//! What the history must hold, whoever writes to it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mbti::Axis;
use record::{
    Assessment, AxisMetrics, Baseline, Estimate, Estimated, Evaluation, Finished, JudgedTexts, Judgement,
    Level, Notice, Origins, Problem, ProblemCode, RunEvaluation, RunStatus, Step, TrainConfig, Unusable,
    UsedDevice,
};
use store::{Error, NewDataSet, Stop, Store, Told, Wishes};

async fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("history.sqlite")).await.unwrap();
    (folder, store)
}

fn config(data: &str) -> TrainConfig {
    TrainConfig { data: data.into(), model: "words".into(), ..Default::default() }
}

fn step(step: u32) -> Step {
    Step {
        step,
        epoch: 0.5,
        loss: 0.7,
        learning_rate: 1e-5,
        grad_norm: Some(1.5),
        samples_per_second: 3.0,
        tokens_per_second: 90.0,
        seconds_left: 4.0,
        memory_mib: Some(300.0),
    }
}

fn evaluation(step: u32, accuracy: Option<f64>) -> Evaluation {
    let metrics = AxisMetrics {
        accuracy,
        f1: None,
        macro_f1: Some(0.4),
        balanced_accuracy: None,
        mcc: None,
        roc_auc: Some(0.7),
        log_loss: Some(0.5),
        expected_calibration_error: Some(0.1),
        majority_accuracy: Some(0.6),
        confusion: [[1, 2], [3, 4]],
    };
    Evaluation { step, loss: Some(0.6), axes: BTreeMap::from([(Axis::JudgingPerceiving, metrics)]) }
}

fn data_set(name: &str) -> NewDataSet {
    NewDataSet {
        name: name.into(),
        source: "x.csv".into(),
        made_up: false,
        examples: 2,
        authors: None,
        skipped: 1,
        types: BTreeMap::from([("INFP".into(), 2)]),
        bytes: 10,
        fingerprint: "0f".into(),
    }
}

fn estimate() -> Estimate {
    Estimate {
        measured: true,
        weights_mib: 90.0,
        gradients_mib: 90.0,
        optimizer_mib: 45.5,
        activations_mib: 200.0,
        rest_mib: 60.0,
        peak_mib: 485.5,
        available_mib: None,
        total_steps: 70,
        tokens: 123_456,
        training_seconds: Some(12.5),
        evaluation_seconds: None,
        checkpointing: None,
        tokens_per_pass: None,
    }
}

fn finished(run: i64) -> Finished {
    Finished {
        run,
        steps: 3,
        stopped: false,
        train_seconds: 1.5,
        tokens_per_second: 90.0,
        samples_per_second: 3.0,
        peak_rss_mib: None,
        optimizer_mib: 12.5,
        best_step: Some(2),
        stopped_early: false,
        axes: BTreeMap::new(),
    }
}

fn assessment(step: u32) -> Assessment {
    let by_text = Level {
        units: 10,
        axes: BTreeMap::new(),
        exact_match: Estimated { value: Some(0.25), interval: Some([0.125, 0.5]) },
        right_letters: Estimated::default(),
        majority_right_letters: None,
    };
    Assessment { step, by_text, by_author: None, calibration: BTreeMap::new(), sets: None }
}

fn run_evaluation(run: i64, data: &str, texts: i64) -> RunEvaluation {
    let model = Judgement {
        mean_balanced_accuracy: Estimated { value: Some(0.625), interval: Some([0.5, 0.75]) },
        by_text: assessment(0).by_text,
        by_author: None,
    };
    RunEvaluation {
        run,
        data: data.into(),
        made_up: false,
        texts: "0f".into(),
        created_at: String::new(),
        seconds: 0.5,
        temperatures: BTreeMap::from([(Axis::JudgingPerceiving, 1.25)]),
        overlap: None,
        all: JudgedTexts { texts, model, words: None, beside_words: None },
        unseen: None,
    }
}

/// A run that is running.
async fn running(store: &Store) -> i64 {
    let run = store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap();
    assert!(store.begin_run(run).await.unwrap());
    run
}

#[tokio::test]
async fn a_run_is_followed_from_queued_to_finished() {
    let (_folder, store) = open().await;
    let run = store.add_run(&config("d"), true, &Origins::default(), 0).await.unwrap();
    assert_eq!(store.run(run).await.unwrap().status, RunStatus::Queued);
    assert!(store.begin_run(run).await.unwrap());
    assert!(!store.begin_run(run).await.unwrap(), "a run is taken up once only");
    store.add_steps(run, &[step(1), step(2), step(3)]).await.unwrap();
    store.add_evaluation(run, &evaluation(2, Some(0.5))).await.unwrap();
    store.add_evaluation(run, &evaluation(3, None)).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert_eq!(found.last_step, Some(step(3)));
    assert_eq!(found.axes, evaluation(3, None).axes);
    assert_eq!(store.runs().await.unwrap(), [found]);
    assert_eq!(store.steps(run, 1).await.unwrap(), [step(2), step(3)]);
    assert_eq!(store.evaluations(run, 2).await.unwrap(), [evaluation(3, None)]);
    store.set_paused(run, true).await.unwrap();
    store.finish_run(&finished(run)).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert_eq!((found.best_step, found.optimizer_mib, found.paused), (Some(2), Some(12.5), false));
    assert_eq!((found.status, found.train_seconds, found.made_up), (RunStatus::Finished, Some(1.5), true));
    assert!(matches!(store.request_stop(run, Stop::Save).await, Err(Error::RunHasEnded { .. })));
}

#[tokio::test]
async fn what_a_run_computes_on_is_kept_with_the_reason_until_it_computes_on_something_else() {
    let (_folder, store) = open().await;
    let run = store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap();
    assert_eq!(store.run(run).await.unwrap().used_device, None);
    let old = Unusable::OldDriver { found: "535.183.01".into(), needed: "580".into() };
    let cpu = UsedDevice {
        device: "cpu".into(),
        name: "A processor".into(),
        gpu: Some("A card".into()),
        why_not_gpu: Some(old),
    };
    let gpu = UsedDevice { device: "cuda:0".into(), name: "A card".into(), gpu: None, why_not_gpu: None };
    for used in [cpu, gpu] {
        store.write_down(run, &[Told::Device(used.clone())]).await.unwrap();
        assert_eq!(store.run(run).await.unwrap().used_device, Some(used));
    }
}

#[tokio::test]
async fn what_was_expected_of_another_device_is_forgotten_and_of_the_same_one_kept() {
    let (_folder, store) = open().await;
    let run = store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap();
    let on = |device: &str, name: &str, gpu: Option<&str>| {
        let (gpu, why_not_gpu) = (gpu.map(str::to_owned), gpu.map(|_| Unusable::NoDriver));
        Told::Device(UsedDevice { device: device.into(), name: name.into(), gpu, why_not_gpu })
    };
    let held = async || {
        let found = store.run(run).await.unwrap();
        (found.estimate.map(|estimate| estimate.peak_mib), found.peak_rss_mib)
    };
    let end = Finished { peak_rss_mib: Some(400.0), ..finished(run) };
    let first = [on("cuda:0", "A card", None), Told::Estimate(estimate()), Told::Finished(end)];
    store.write_down(run, &first).await.unwrap();
    let known = held().await;
    assert!(known.0.is_some() && known.1.is_some());
    // The same once more, as where it is not known whether it was written.
    store.write_down(run, &first[..1]).await.unwrap();
    assert_eq!(held().await, known);
    for other in [on("cuda:0", "Another card", None), on("cpu", "Another card", Some("A card"))] {
        store.write_down(run, &[other]).await.unwrap();
        assert_eq!(held().await, (None, None));
        store.write_down(run, &first[1..]).await.unwrap();
    }
    // Another reason is no other device.
    store.write_down(run, &[on("cpu", "Another card", None)]).await.unwrap();
    assert_eq!(held().await, known);
}

#[tokio::test]
async fn a_run_that_has_ended_is_not_ended_again() {
    let (_folder, store) = open().await;
    let run = store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap();
    store.begin_run(run).await.unwrap();
    let problem = Problem::new(ProblemCode::LossNotFinite, "x").with("step", 3);
    store.fail_run(run, &problem).await.unwrap();
    store.interrupt_run(run).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert_eq!((found.status, found.failure), (RunStatus::Failed, Some(problem)));
}

#[tokio::test]
async fn a_stop_reaches_a_queued_run_at_once_and_a_running_one_as_a_wish() {
    let (_folder, store) = open().await;
    let (queued, running) = (
        store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap(),
        store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap(),
    );
    store.begin_run(running).await.unwrap();
    store.request_stop(queued, Stop::Save).await.unwrap();
    store.request_stop(running, Stop::Save).await.unwrap();
    assert_eq!(store.run(queued).await.unwrap().status, RunStatus::Stopped);
    assert!(!store.begin_run(queued).await.unwrap());
    assert_eq!(store.run(running).await.unwrap().status, RunStatus::Running);
    assert!(store.run(running).await.unwrap().stop_requested);
    assert_eq!(store.wishes(running).await.unwrap(), Wishes { stop: Some(Stop::Save), pause: false });
}

#[tokio::test]
async fn a_stop_becomes_stronger_and_never_weaker_and_ends_a_pause() {
    let (_folder, store) = open().await;
    let run = running(&store).await;
    assert_eq!(store.wishes(run).await.unwrap(), Wishes::default());
    store.request_pause(run, true).await.unwrap();
    store.set_paused(run, true).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert!(found.pause_requested && found.paused && !found.stop_requested);
    store.request_stop(run, Stop::Save).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert!(!found.pause_requested && !found.paused && found.stop_requested);
    store.request_pause(run, true).await.unwrap();
    assert_eq!(store.wishes(run).await.unwrap(), Wishes { stop: Some(Stop::Save), pause: false });
    store.request_stop(run, Stop::Now).await.unwrap();
    store.request_stop(run, Stop::Save).await.unwrap();
    assert_eq!(store.wishes(run).await.unwrap().stop, Some(Stop::Now));
    assert!(store.run(run).await.unwrap().stop_requested);
    assert_eq!(store.wishes(99).await.unwrap().stop, Some(Stop::Now), "it was removed");
}

#[tokio::test]
async fn a_pause_is_wished_answered_and_taken_back_while_the_run_goes_on_only() {
    let (_folder, store) = open().await;
    let run = running(&store).await;
    store.request_pause(run, true).await.unwrap();
    assert!(store.wishes(run).await.unwrap().pause);
    store.request_pause(run, false).await.unwrap();
    assert!(!store.wishes(run).await.unwrap().pause);
    store.request_pause(run, true).await.unwrap();
    store.set_paused(run, true).await.unwrap();
    store.interrupt_run(run).await.unwrap();
    store.set_paused(run, true).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert!(!found.paused && !found.pause_requested, "nobody is there to wait");
    assert!(matches!(store.request_pause(run, true).await, Err(Error::RunHasEnded { .. })));
    assert!(matches!(store.request_pause(99, true).await, Err(Error::UnknownRun { .. })));
    assert!(matches!(store.request_stop(99, Stop::Now).await, Err(Error::UnknownRun { .. })));
}

#[tokio::test]
async fn a_run_that_ended_early_goes_on_from_its_checkpoint_and_a_finished_one_does_not() {
    let (_folder, store) = open().await;
    let run = running(&store).await;
    assert!(!store.resume_run(run, 2).await.unwrap(), "it has not ended");
    store.add_steps(run, &[step(1), step(2), step(3)]).await.unwrap();
    for at in [2, 3] {
        store.add_evaluation(run, &evaluation(at, Some(0.5))).await.unwrap();
    }
    let notice = Notice { step: 3, problem: Problem::new(ProblemCode::NoTf32, "x") };
    store.add_notice(run, &notice).await.unwrap();
    store.set_assessment(run, &assessment(3)).await.unwrap();
    store.request_stop(run, Stop::Now).await.unwrap();
    let began = store.run(run).await.unwrap().started_at;
    store.fail_run(run, &Problem::new(ProblemCode::OutOfMemory, "x")).await.unwrap();

    assert!(store.resume_run(run, 2).await.unwrap());
    let found = store.run(run).await.unwrap();
    assert_eq!((found.status, found.started_at), (RunStatus::Running, began));
    assert_eq!((found.finished_at, found.failure, found.assessment), (None, None, None));
    assert_eq!(found.last_step, Some(step(2)));
    assert_eq!(store.wishes(run).await.unwrap(), Wishes::default());
    assert_eq!(store.steps(run, 0).await.unwrap(), [step(1), step(2)]);
    assert_eq!(store.evaluations(run, 0).await.unwrap(), [evaluation(2, Some(0.5))]);
    assert_eq!(store.notices(run).await.unwrap(), [notice]);
    assert!(!store.resume_run(run, 2).await.unwrap(), "one engine goes on with it, and no other");

    store.finish_run(&finished(run)).await.unwrap();
    assert!(!store.resume_run(run, 0).await.unwrap(), "it is finished");
    assert_eq!(store.steps(run, 0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_found_out_about_a_run_is_kept_whole() {
    let (_folder, store) = open().await;
    let run = running(&store).await;
    let estimate = estimate();
    let baseline = Baseline { seconds: 0.5, assessment: assessment(40) };
    store.set_estimate(run, &estimate).await.unwrap();
    store.set_baseline(run, &baseline).await.unwrap();
    store.set_assessment(run, &assessment(70)).await.unwrap();
    let found = store.run(run).await.unwrap();
    assert_eq!((found.estimate, found.baseline.as_ref()), (Some(estimate), Some(&baseline)));
    assert_eq!(found.assessment, Some(assessment(70)));
    assert_eq!(store.runs().await.unwrap(), [found]);
}

#[tokio::test]
async fn a_run_has_the_notices_by_which_it_goes_nowhere_and_no_others() {
    let (_folder, store) = open().await;
    let [run, other] = [running(&store).await, running(&store).await];
    let codes = [ProblemCode::NoTf32, ProblemCode::GradientsClipped, ProblemCode::LossDiverged];
    for code in codes {
        store.add_notice(run, &Notice { step: 7, problem: Problem::new(code, "x") }).await.unwrap();
    }
    let found = store.run(run).await.unwrap();
    assert_eq!(found.collapse.iter().map(|problem| problem.code).collect::<Vec<_>>(), codes[1..]);
    let listed = store.runs().await.unwrap();
    assert_eq!(listed.iter().map(|run| run.collapse.len()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!((&listed[1], listed[0].id), (&found, other));
}

#[tokio::test]
async fn notices_are_told_in_the_order_in_which_they_came() {
    let (_folder, store) = open().await;
    let run = running(&store).await;
    let notice = |step, code| Notice { step, problem: Problem::new(code, "x").with("step", step) };
    let notices = [notice(7, ProblemCode::BatchHalved), notice(4, ProblemCode::CheckpointPassedOver)];
    for notice in &notices {
        store.add_notice(run, notice).await.unwrap();
    }
    assert_eq!(store.notices(run).await.unwrap(), notices);
    assert_eq!(store.notices(run + 1).await.unwrap(), []);
    store.interrupt_run(run).await.unwrap();
    store.remove_run(run).await.unwrap();
    assert_eq!(store.notices(run).await.unwrap(), [], "they go with their run");
}

#[tokio::test]
async fn removing_a_run_removes_its_curve_and_its_number_is_not_used_again() {
    let (_folder, store) = open().await;
    let run = store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap();
    store.begin_run(run).await.unwrap();
    store.add_steps(run, &[step(1)]).await.unwrap();
    store.add_evaluation(run, &evaluation(1, None)).await.unwrap();
    assert!(matches!(store.remove_run(run).await, Err(Error::RunIsActive { .. })));
    store.interrupt_run(run).await.unwrap();
    store.remove_run(run).await.unwrap();
    assert!(matches!(store.run(run).await, Err(Error::UnknownRun { .. })));
    assert_eq!(store.steps(run, 0).await.unwrap(), []);
    assert_eq!(store.evaluations(run, 0).await.unwrap(), []);
    assert!(store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap() > run);
}

#[tokio::test]
async fn a_name_is_taken_in_any_case_and_a_failed_placing_leaves_no_row() {
    let (_folder, store) = open().await;
    let placed = |good: bool| move || if good { Ok(()) } else { Err(Error::Record("placing".into())) };
    assert!(store.add_data_set(&data_set("a"), placed(false)).await.is_err());
    assert_eq!(store.data_sets().await.unwrap(), []);
    store.add_data_set(&data_set("a"), placed(true)).await.unwrap();
    let again = store.add_data_set(&data_set("A"), placed(true)).await.unwrap_err();
    assert!(matches!(again, Error::NameTaken { .. }), "{again}");
}

#[tokio::test]
async fn a_data_set_in_use_is_not_removed_and_an_unknown_one_names_those_there_are() {
    let (_folder, store) = open().await;
    store.add_data_set(&data_set("mine"), || Ok::<_, Error>(())).await.unwrap();
    let run = store.add_run(&config("Mine"), false, &Origins::default(), 0).await.unwrap();
    assert!(matches!(store.remove_data_set("mine").await, Err(Error::InUse { .. })));
    store.request_stop(run, Stop::Save).await.unwrap();
    let unknown = store.data_set("other").await.unwrap_err();
    assert!(unknown.to_string().contains("mine"), "{unknown}");
    store.remove_data_set("mine").await.unwrap();
}

#[tokio::test]
async fn two_writers_at_once_wait_for_each_other() {
    let (folder, store) = open().await;
    let other = Store::open(&folder.path().join("history.sqlite")).await.unwrap();
    let (first, second) = (
        store.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap(),
        other.add_run(&config("d"), false, &Origins::default(), 0).await.unwrap(),
    );
    let write = |store: Store, run| async move {
        for n in 1..=60 {
            store.add_steps(run, &[step(n)]).await.unwrap();
        }
    };
    tokio::join!(write(store.clone(), first), write(other, second));
    assert_eq!(store.steps(first, 0).await.unwrap().len(), 60);
    assert_eq!(store.steps(second, 0).await.unwrap().len(), 60);
}

#[tokio::test]
async fn a_file_that_is_no_history_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    std::fs::write(&path, "not a database, but long enough to look like one to anybody").unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(error.to_string().contains("history.sqlite"), "{error}");
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_is_passed_over_said_and_kept() {
    use sqlx::Connection;
    let (folder, store) = open().await;
    for name in ["one", "two"] {
        store.add_data_set(&data_set(name), || Ok::<(), Error>(())).await.unwrap();
        store.add_run(&config(name), false, &Origins::default(), 0).await.unwrap();
    }
    let path = folder.path().join("history.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    for damage in
        ["UPDATE data_sets SET types = '{' WHERE name = 'one'", "UPDATE runs SET config = 'x' WHERE id = 1"]
    {
        sqlx::query(damage).execute(&mut other).await.unwrap();
    }
    assert_eq!(store.data_sets().await.unwrap().iter().map(|one| &*one.name).collect::<Vec<_>>(), ["two"]);
    assert_eq!(store.runs().await.unwrap().iter().map(|one| one.id).collect::<Vec<_>>(), [2]);
    assert_eq!(store.active_runs().await.unwrap().len(), 1);
    let said = store.passed_over();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("data set one") && said[1].contains("run 1"), "{said:?}");
    let error = store.run(1).await.unwrap_err().to_string();
    assert!(error.contains("A row of it is damaged") && !error.contains("room"), "{error}");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM runs").fetch_one(&mut other).await.unwrap();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn a_run_is_judged_on_several_data_sets_and_keeps_the_newest_judgement_of_each_until_it_is_removed() {
    let (_folder, store) = open().await;
    let (first, second) = (running(&store).await, running(&store).await);
    for (run, data, texts) in [(first, "b", 1), (first, "a", 2), (second, "a", 3), (first, "B", 4)] {
        let kept = store.keep_run_evaluation(run_evaluation(run, data, texts)).await.unwrap();
        assert!(kept.created_at.ends_with('Z'));
        let found = store.run_evaluations(Some(run)).await.unwrap();
        assert!(found.contains(&kept));
    }
    let told = async |run| -> Vec<(i64, String, i64)> {
        let found = store.run_evaluations(run).await.unwrap();
        found.into_iter().map(|found| (found.run, found.data, found.all.texts)).collect()
    };
    assert_eq!(told(Some(first)).await, [(first, "a".into(), 2), (first, "B".into(), 4)]);
    assert_eq!(told(None).await[0], (second, "a".into(), 3));
    assert_eq!(told(None).await.len(), 3);
    store.finish_run(&finished(first)).await.unwrap();
    store.remove_run(first).await.unwrap();
    assert_eq!(told(None).await, [(second, "a".into(), 3)]);
    let gone = store.keep_run_evaluation(run_evaluation(first, "a", 2)).await;
    assert!(matches!(gone, Err(Error::UnknownRun { run }) if run == first));
}

#[tokio::test]
async fn the_folds_of_a_cross_validation_are_found_by_their_numbers_and_outlive_it() {
    let (_folder, store) = open().await;
    let whole = TrainConfig { folds: Some(2), ..config("d") };
    let run = store.add_run(&whole, false, &Origins::default(), 0).await.unwrap();
    let mut folds = Vec::new();
    for fold in [2, 1] {
        let config = whole.of_fold(fold);
        folds.push(store.add_fold(&config, false, &Origins::default(), 0, Some(run)).await.unwrap());
    }
    let found = store.folds(run).await.unwrap();
    assert_eq!(found.iter().map(|fold| fold.id).collect::<Vec<_>>(), [folds[1], folds[0]]);
    assert!(found.iter().all(|fold| fold.fold_of == Some(run)));
    assert_eq!(store.run(run).await.unwrap().fold_of, None);
    assert_eq!(store.folds(folds[0]).await.unwrap(), []);
    store.interrupt_run(run).await.unwrap();
    store.remove_run(run).await.unwrap();
    assert_eq!(store.run(folds[0]).await.unwrap().fold_of, None);
}
