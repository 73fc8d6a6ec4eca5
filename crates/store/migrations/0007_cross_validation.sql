-- A cross-validation is a run, and so is each of its folds, which names it. What all folds told together is JSON.
ALTER TABLE runs ADD COLUMN fold_of INTEGER REFERENCES runs (id) ON DELETE SET NULL;
ALTER TABLE runs ADD COLUMN cross_validation TEXT;

CREATE INDEX runs_by_fold_of ON runs (fold_of);
