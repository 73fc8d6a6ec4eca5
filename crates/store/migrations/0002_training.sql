-- What the training engine tells beyond the losses. Rows that are there already have nothing of it.

ALTER TABLE runs ADD COLUMN pause_requested INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN estimate TEXT;   -- JSON
ALTER TABLE runs ADD COLUMN baseline TEXT;   -- JSON
ALTER TABLE runs ADD COLUMN assessment TEXT; -- JSON
ALTER TABLE runs ADD COLUMN best_step INTEGER;
ALTER TABLE runs ADD COLUMN optimizer_mib REAL;
-- stop_requested is from now on 0: no, 1: stop and save, 2: stop now.

ALTER TABLE steps ADD COLUMN grad_norm REAL;
ALTER TABLE steps ADD COLUMN memory_mib REAL;

ALTER TABLE axis_metrics ADD COLUMN roc_auc REAL;
ALTER TABLE axis_metrics ADD COLUMN log_loss REAL;
ALTER TABLE axis_metrics ADD COLUMN expected_calibration_error REAL;

CREATE TABLE notices (
    id      INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step    INTEGER NOT NULL,
    problem TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX notices_by_run ON notices (run);
