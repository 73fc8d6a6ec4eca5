//! A history that is damaged, that cannot be written, or that an older version wrote is answered for in bounded time.
#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Duration};

use record::{Notice, Origins, Problem, ProblemCode, Step, TrainConfig};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{Error, Part, Store};

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

/// A history with three runs of some thousand steps.
async fn filled(path: &Path) -> Vec<u8> {
    let store = Store::open(path).await.unwrap();
    for _ in 0..3 {
        let config = TrainConfig { data: "d".into(), model: "words".into(), ..Default::default() };
        let run = store.add_run(&config, false, &Origins::default(), 0).await.unwrap();
        store.begin_run(run).await.unwrap();
        store.add_steps(run, &(1..=2000).map(step).collect::<Vec<_>>()).await.unwrap();
        let problem = Problem::new(ProblemCode::NoTf32, "a long message ".repeat(1000));
        store.add_notice(run, &Notice { step: 1, problem }).await.unwrap();
        store.set_model_folder(run, &path.with_file_name(format!("runs/{run}/model"))).await.unwrap();
        store.interrupt_run(run).await.unwrap();
    }
    store.close().await;
    std::fs::read(path).unwrap()
}

/// Numbers as by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

const PAGE: usize = 4096;

fn damage(bytes: &mut Vec<u8>, seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let pages = bytes.len() / PAGE;
    match seed % 6 {
        // Single bytes anywhere.
        0 => {
            for _ in 0..=chance.below(40) {
                let place = chance.below(bytes.len());
                bytes[place] = chance.below(256) as u8;
            }
        }
        // Bytes in the heads of pages, where their kinds and their children are told.
        1 => {
            for _ in 0..=chance.below(8) {
                let place = chance.below(pages) * PAGE + chance.below(40);
                bytes[place] = chance.below(256) as u8;
            }
        }
        // One page in the place of another: circles in trees.
        2 => {
            for _ in 0..=chance.below(4) {
                let from = chance.below(pages) * PAGE;
                let to = chance.below(pages) * PAGE;
                bytes.copy_within(from..from + PAGE, to);
            }
        }
        // Numbers of pages in the place of others: in heads, cells and chains.
        3 => {
            for _ in 0..=chance.below(6) {
                let place =
                    chance.below(pages) * PAGE + [8, 0, PAGE - 4 - chance.below(200)][chance.below(3)];
                let page = (chance.below(pages) + 1) as u32;
                bytes[place..place + 4].copy_from_slice(&page.to_be_bytes());
            }
        }
        4 => bytes.truncate(chance.below(bytes.len())),
        // The file's own head.
        _ => {
            for _ in 0..=chance.below(6) {
                let place = 16 + chance.below(84);
                bytes[place] = chance.below(256) as u8;
            }
        }
    }
}

/// What every command asks for.
async fn read_all(path: &Path) -> Result<(), Error> {
    let store = Store::open(path).await?;
    for part in Part::ALL {
        store.names(part).await?;
    }
    store.data_sets().await?;
    store.models().await?;
    for run in store.runs().await? {
        store.run(run.id).await?;
        store.steps(run.id, 0).await?;
        store.evaluations(run.id, 0).await?;
        store.notices(run.id).await?;
    }
    store.remove_run(2).await?;
    store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_damaged_histories_are_each_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    let sound = filled(&folder.path().join("history.sqlite")).await;
    let (mut read, mut refused) = (0, 0);
    for seed in 0..200 {
        let home = folder.path().join(seed.to_string());
        std::fs::create_dir(&home).unwrap();
        let path = home.join("history.sqlite");
        let mut bytes = sound.clone();
        damage(&mut bytes, seed);
        std::fs::write(&path, bytes).unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(180), read_all(&path)).await;
        match answer.unwrap_or_else(|_| unreachable!("the history of seed {seed} hangs")) {
            Ok(()) => read += 1,
            Err(_) => refused += 1,
        }
        std::fs::remove_dir_all(home).unwrap();
    }
    println!("{read} were read, {refused} refused");
    assert!(refused > 50 && read > 0);
}

#[test]
fn of_many_that_open_a_new_history_at_once_every_one_has_it() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.sqlite");
        let open = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(Store::open(&path)).map(drop)
        };
        std::thread::scope(|threads| {
            let all: Vec<_> = (0..8).map(|_| threads.spawn(open)).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
        assert!(!folder.path().join(".new-history.sqlite").exists());
    }
}

#[tokio::test]
async fn a_history_whose_maker_was_killed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    // What an older version left in the first moment, and what this one may leave.
    std::fs::write(&path, "").unwrap();
    std::fs::write(folder.path().join(".new-history.sqlite"), "half a history").unwrap();
    let store = Store::open(&path).await.unwrap();
    assert!(store.runs().await.unwrap().is_empty());
    assert!(!folder.path().join(".new-history.sqlite").exists());
}

#[tokio::test]
async fn paths_that_an_older_version_wrote_from_the_root_are_found_where_the_home_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    filled(&path).await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let told: String = sqlx::query_scalar("SELECT model_folder FROM runs WHERE id = 1")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(told, "runs/1/model");
    for old in [
        "UPDATE runs SET model_folder = '/gone/home/runs/1/model' WHERE id = 1",
        "INSERT INTO models VALUES ('tiny', 'bert', 1, 1, '/gone/home/models/tiny', 0, '2024-01-01T00:00:00Z', NULL)",
    ] {
        sqlx::raw_sql(old).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = Store::open(&path).await.unwrap();
    let here = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(store.run(1).await.unwrap().model_folder, Some(here("runs/1/model")));
    assert_eq!(store.model("tiny").await.unwrap().folder, here("models/tiny"));
}

#[tokio::test]
async fn a_history_is_read_without_anything_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let before = filled(&path).await;
    let store = Store::open_to_read(&path).await.unwrap();
    assert_eq!(store.runs().await.unwrap().len(), 3);
    assert!(store.remove_run(1).await.is_err());
    store.close().await;
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn one_that_does_not_wait_is_told_so_while_another_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    filled(&path).await;
    let store = Store::open(&path).await.unwrap();
    let hasty = store.hasty().await.unwrap();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    let told = [store::Told::Step(step(2001)), store::Told::Paused(true)];
    let error = hasty.write_down(1, &told).await.unwrap_err();
    assert!(error.may_pass() && !error.lacks_room(), "{error}");
    assert_eq!(hasty.steps(1, 2000).await.unwrap(), []);
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    hasty.write_down(1, &told).await.unwrap();
    hasty.write_down(1, &told).await.unwrap();
    assert_eq!(store.steps(1, 2000).await.unwrap(), [step(2001)]);
}

#[tokio::test]
async fn a_database_of_another_program_and_one_of_a_newer_version_stay_as_they_are() {
    use sqlx::{Connection, Executor};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let run = async |path: &std::path::Path, sql: &'static str| {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    };
    let other = folder.path().join("other.sqlite");
    run(&other, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").await;
    let bytes = std::fs::read(&other).unwrap();
    std::fs::copy(&other, &path).unwrap();
    assert!(matches!(Store::open(&path).await, Err(store::Error::Foreign { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    std::fs::remove_file(&path).unwrap();
    Store::open(&path).await.unwrap().close().await;
    run(&path, "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 1)").await;
    let error = Store::open(&path).await.map(drop).unwrap_err();
    assert!(matches!(error, store::Error::Newer { .. }), "{error}");
    std::fs::write(&path, "no database, whatever its name says, and long enough to be looked at".repeat(99))
        .unwrap();
    let error = Store::open(&path).await.map(drop).unwrap_err();
    assert!(matches!(error, store::Error::Damaged { .. }), "{error}");
}
