-- Finished runs, judged on data sets. A data set is named as text, so that what was found outlives it.
CREATE TABLE run_evaluations (
    run        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    data       TEXT    NOT NULL COLLATE NOCASE,
    created_at TEXT    NOT NULL,
    found      TEXT    NOT NULL, -- JSON
    PRIMARY KEY (run, data)
) STRICT, WITHOUT ROWID;
