-- The history. Times are RFC 3339 in UTC. JSON stands where Rust records are kept whole.

CREATE TABLE data_sets (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    source      TEXT    NOT NULL,
    made_up     INTEGER NOT NULL,
    examples    INTEGER NOT NULL,
    authors     INTEGER,
    skipped     INTEGER NOT NULL,
    types       TEXT    NOT NULL, -- JSON: texts by type
    bytes       INTEGER NOT NULL,
    created_at  TEXT    NOT NULL
) STRICT;

CREATE TABLE models (
    name        TEXT    PRIMARY KEY COLLATE NOCASE,
    family      TEXT    NOT NULL,
    parameters  INTEGER,
    bytes       INTEGER NOT NULL,
    folder      TEXT    NOT NULL,
    built_in    INTEGER NOT NULL,
    created_at  TEXT    NOT NULL
) STRICT;

-- A run names its data set and model as text, so that the history outlives both.
CREATE TABLE runs (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    status            TEXT    NOT NULL
        CHECK (status IN ('queued', 'running', 'finished', 'stopped', 'interrupted', 'failed')),
    config            TEXT    NOT NULL, -- JSON
    made_up           INTEGER NOT NULL,
    split             TEXT,             -- JSON: its summary; the rows lie in the run's folder
    created_at        TEXT    NOT NULL,
    started_at        TEXT,
    finished_at       TEXT,
    total_steps       INTEGER,
    train_seconds     REAL,
    tokens_per_second REAL,
    peak_rss_mib      REAL,
    failure           TEXT,             -- JSON
    model_folder      TEXT,
    stop_requested    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE steps (
    run                INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step               INTEGER NOT NULL,
    epoch              REAL    NOT NULL,
    loss               REAL    NOT NULL,
    learning_rate      REAL    NOT NULL,
    samples_per_second REAL    NOT NULL,
    tokens_per_second  REAL    NOT NULL,
    seconds_left       REAL    NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
    run  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    loss REAL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE axis_metrics (
    run               INTEGER NOT NULL,
    step              INTEGER NOT NULL,
    axis              TEXT    NOT NULL CHECK (axis IN ('E-I', 'N-S', 'F-T', 'J-P')),
    accuracy          REAL,
    f1                REAL,
    macro_f1          REAL,
    balanced_accuracy REAL,
    mcc               REAL,
    majority_accuracy REAL,
    confusion         TEXT    NOT NULL, -- JSON
    PRIMARY KEY (run, step, axis),
    FOREIGN KEY (run, step) REFERENCES evaluations (run, step) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
