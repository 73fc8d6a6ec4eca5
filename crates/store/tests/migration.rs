//! A history that an older version wrote is taken over with all that is in it.
#![allow(clippy::unwrap_used)]

use std::{borrow::Cow, path::Path};

use mbti::Axis;
use record::{RunStatus, Step};
use sqlx::{Connection, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use store::{Stop, Store, Wishes};

/// What the first version wrote: one run that was stopped, with the settings' old names.
const ROWS: &str = r#"
    INSERT INTO runs (status, config, made_up, created_at, started_at, finished_at, total_steps, train_seconds, stop_requested)
    VALUES ('stopped',
        '{"data":"posts","valid":null,"model":"minilm","axes":["J-P"],"epochs":2.0,"max_steps":null,"batch_size":4,
          "gradient_accumulation_steps":2,"learning_rate":0.00005,"weight_decay":0.01,"max_length":128,"eval_steps":null,
          "validation_fraction":0.25,"seed":3,"device":"auto","dtype":"bf16","trainable":"lora","lora_rank":4,"lora_alpha":8.0,
          "lora_dropout":0.0,"lora_target_modules":["q_proj"],"use_rslora":false,"gradient_checkpointing":true,
          "class_weights":"0.6,0.4"}',
        0, '2024-01-01T00:00:00Z', '2024-01-01T00:00:01Z', '2024-01-01T00:00:09Z', 20, 7.5, 1);
    INSERT INTO steps VALUES (1, 10, 0.5, 0.7, 0.00005, 3.0, 90.0, 4.0);
    INSERT INTO evaluations VALUES (1, 10, 0.6);
    INSERT INTO axis_metrics VALUES (1, 10, 'J-P', 0.75, 0.5, 0.5, NULL, NULL, 0.6, '[[1,2],[3,4]]');
"#;

/// Makes a history by the first migration alone, as the first version did.
async fn old_history(path: &Path) {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.migrations = Cow::Owned(migrator.migrations.iter().take(1).cloned().collect());
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_first_versions_runs_are_read_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    old_history(&path).await;
    let store = Store::open(&path).await.unwrap();

    let run = store.run(1).await.unwrap();
    assert_eq!((run.status, run.stop_requested, run.train_seconds), (RunStatus::Stopped, true, Some(7.5)));
    assert_eq!((run.config.num_train_epochs, run.config.per_device_train_batch_size), (Some(2.0), 4));
    assert_eq!((run.config.lora_rank, run.config.logging_steps), (4, 1));
    assert!(!run.pause_requested && !run.paused);
    assert_eq!((&run.estimate, &run.baseline, &run.assessment), (&None, &None, &None));
    assert_eq!((run.best_step, run.optimizer_mib, &run.used_device), (None, None, &None));
    let step = Step {
        step: 10,
        epoch: 0.5,
        loss: 0.7,
        learning_rate: 0.00005,
        grad_norm: None,
        samples_per_second: 3.0,
        tokens_per_second: 90.0,
        seconds_left: 4.0,
        memory_mib: None,
    };
    assert_eq!(run.last_step, Some(step));
    assert_eq!(store.steps(1, 0).await.unwrap(), [step]);
    let metrics = run.axes[&Axis::JudgingPerceiving];
    assert_eq!((metrics.accuracy, metrics.majority_accuracy, metrics.roc_auc), (Some(0.75), Some(0.6), None));
    assert_eq!(metrics.confusion, [[1, 2], [3, 4]]);
    assert_eq!(store.evaluations(1, 0).await.unwrap()[0].axes, run.axes);
    assert_eq!(store.runs().await.unwrap(), [run]);
    assert_eq!(store.notices(1).await.unwrap(), []);
    assert_eq!(store.run_evaluations(None).await.unwrap(), []);

    assert_eq!(store.wishes(1).await.unwrap(), Wishes { stop: Some(Stop::Save), pause: false });
    assert!(store.resume_run(1, 5).await.unwrap());
    assert_eq!(store.wishes(1).await.unwrap(), Wishes::default());
    assert_eq!(store.steps(1, 0).await.unwrap(), []);
    store.close().await;
    // A history that is up to date is opened as it is.
    assert_eq!(Store::open(&path).await.unwrap().runs().await.unwrap().len(), 1);
}
