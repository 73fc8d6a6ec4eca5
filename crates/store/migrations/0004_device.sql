-- What a run computed on, and why not on a GPU. JSON.
ALTER TABLE runs ADD COLUMN used_device TEXT;
