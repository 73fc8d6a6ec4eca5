-- A hash of a data set's texts with their authors and types, by which it is known under any name. Those of older versions
-- have none before they are evaluated on.
ALTER TABLE data_sets ADD COLUMN fingerprint TEXT;
