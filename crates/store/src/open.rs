//! Opening the history: made by one at a time, answered in bounded time whatever is in the file, and read where it
//! cannot be written.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::{
    Connection, SqliteConnection,
    migrate::Migrator,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePool, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use crate::{
    Error, HomeLock, Store,
    error::{Result, lacks_room, primary_code},
};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(15);
/// How long a statement may compute. Even to forget a long run takes seconds only; a damaged file may go in a circle.
const STATEMENT: Duration = Duration::from_secs(60);
/// Between two looks at the clock, in instructions of SQLite: some milliseconds.
const LOOK: i32 = 100_000;
/// Up to this size, in bytes, a history is looked through for damage when it is opened, which takes some 10 ms a MB.
const LOOKED_THROUGH: u64 = 16 << 20;
/// The most memory that SQLite may take in this process, in bytes. What a damaged file says is never all believed.
const MEMORY: &str = "1000000000";

impl Store {
    /// Opens the history at this path, makes it where it is not there yet, and brings its tables up to date. Of
    /// several that open a new one at once, one makes it and the others wait.
    pub async fn open(path: &Path) -> Result<Store> {
        if let Some(store) = Store::open_made(path).await? {
            return Ok(store);
        }
        let _lock = HomeLock::exclusive(&home_of(path)).await?;
        // Whoever had the lock may have made it.
        if let Some(store) = Store::open_made(path).await? {
            return Ok(store);
        }
        if is_empty(path) {
            make(path).await.map_err(wrong(path))?;
        }
        let pool = connect(path, options(path).journal_mode(SqliteJournalMode::Wal), 4).await?;
        MIGRATIONS.run(&pool).await.map_err(|error| wrong(path)(error.into()))?;
        Ok(Store { pool, home: home_of(path), path: path.to_owned(), passed_over: Default::default() })
    }

    /// Opens a history that nothing is written to, as it may lie on a disk that takes no writing.
    pub async fn open_to_read(path: &Path) -> Result<Store> {
        let mut options = options(path).read_only(true);
        // Without somebody who writes, its index would have to be made beside it; then the file is all there is.
        if !beside(path, "-shm").exists() || is_empty(&beside(path, "-wal")) {
            options = options.immutable(true);
        }
        let pool = connect(path, options, 4).await?;
        Ok(Store { pool, home: home_of(path), path: path.to_owned(), passed_over: Default::default() })
    }

    /// Another access to the same history, which gives up at once where somebody else writes.
    pub async fn hasty(&self) -> Result<Store> {
        let options = options(&self.path).busy_timeout(Duration::from_millis(100));
        let pool = connect(&self.path, options, 1).await?;
        Ok(Store { pool, home: self.home.clone(), path: self.path.clone(), passed_over: Default::default() })
    }

    /// `None` where it is not there or not up to date.
    async fn open_made(path: &Path) -> Result<Option<Store>> {
        if is_empty(path) {
            return Ok(None);
        }
        let pool = match connect(path, options(path), 4).await {
            Err(Error::Open { source, .. }) if lacks_room(&source) => {
                // The index that all who have it open share takes room; one that has it alone needs none.
                let alone = options(path).locking_mode(SqliteLockingMode::Exclusive);
                connect(path, alone, 1).await?
            }
            pool => pool?,
        };
        if !is_up_to_date(&pool).await.map_err(wrong(path))? {
            let foreign = is_foreign(&pool).await;
            pool.close().await;
            return match foreign.map_err(wrong(path))? {
                true => Err(Error::Foreign { path: path.to_owned() }),
                false => Ok(None),
            };
        }
        Ok(Some(Store { pool, home: home_of(path), path: path.to_owned(), passed_over: Default::default() }))
    }
}

fn wrong(path: &Path) -> impl Fn(sqlx::Error) -> Error {
    use sqlx::migrate::MigrateError::{VersionMismatch, VersionMissing, VersionTooNew};
    move |source| {
        let path = path.to_owned();
        match &source {
            sqlx::Error::Migrate(error)
                if matches!(**error, VersionMissing(_) | VersionMismatch(_) | VersionTooNew(..)) =>
            {
                Error::Newer { path }
            }
            // SQLITE_CORRUPT and SQLITE_NOTADB.
            _ if matches!(primary_code(&source), Some(11 | 26)) => {
                Error::Damaged { path, reason: record::one_line(&source.to_string()).into_owned() }
            }
            _ => Error::Open { path, source },
        }
    }
}

fn home_of(path: &Path) -> PathBuf {
    path.parent().filter(|home| !home.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.len() == 0) || !path.exists()
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("temp_store", "memory")
        .pragma("cell_size_check", "on")
        .pragma("trusted_schema", "off")
        .pragma("hard_heap_limit", MEMORY)
}

/// Connects, and looks the history through for damage where that is quick.
async fn connect(path: &Path, options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .after_connect(|connection, _| Box::pin(limit(connection)))
        .before_acquire(|connection, _| {
            Box::pin(async move {
                limit(connection).await?;
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(wrong(path))?;
    let bytes = |path: &Path| path.metadata().map_or(0, |about| about.len());
    if bytes(path) + bytes(&beside(path, "-wal")) <= LOOKED_THROUGH {
        let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(&pool).await;
        let error = match found {
            Ok(found) if found == "ok" => return Ok(pool),
            Ok(found) => {
                let reason = record::one_line(&found).into_owned();
                Error::Damaged { path: path.to_owned(), reason }
            }
            Err(source) => wrong(path)(source),
        };
        // Whoever tries it another way is not to meet this one.
        pool.close().await;
        return Err(error);
    }
    Ok(pool)
}

/// Ends whatever the connection does from now on once it has computed for too long.
async fn limit(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let begin = Instant::now();
    connection.lock_handle().await?.set_progress_handler(LOOK, move || begin.elapsed() < STATEMENT);
    Ok(())
}

async fn is_up_to_date(pool: &SqlitePool) -> sqlx::Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(tables).fetch_one(pool).await? == 0 {
        return Ok(false);
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await?;
    let done = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
    let done: Vec<(i64, Vec<u8>)> = sqlx::query_as(done).fetch_all(pool).await?;
    let wanted = MIGRATIONS.iter().map(|one| (one.version, one.checksum.to_vec()));
    Ok(mode == "wal" && done.into_iter().eq(wanted))
}

/// Whether a database has tables that are not ours, and none of ours.
async fn is_foreign(pool: &SqlitePool) -> sqlx::Result<bool> {
    let tables = "SELECT count(*), coalesce(sum(name = '_sqlx_migrations'), 0) FROM sqlite_schema WHERE type = 'table'";
    let (all, ours): (i64, i64) = sqlx::query_as(tables).fetch_one(pool).await?;
    Ok(all > 0 && ours == 0)
}

/// Makes a new history beside its place, which only its owner may read, and puts it there when it is whole.
async fn make(path: &Path) -> sqlx::Result<()> {
    let new = home_of(path).join(".new-history.sqlite");
    // Whoever was making it has ended, since the lock is ours.
    for ending in ["", "-journal", "-wal", "-shm"] {
        files::remove_file_if_there(&beside(&new, ending))?;
    }
    let mut create = std::fs::File::options();
    create.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
    create.open(&new)?;
    let options = options(&new).synchronous(SqliteSynchronous::Full).journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    std::fs::rename(&new, path)?;
    files::sync_folder(path);
    Ok(())
}
