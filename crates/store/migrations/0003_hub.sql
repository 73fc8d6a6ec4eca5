-- Where models and texts are from on the Hugging Face Hub, and where models went. JSON in all three.
ALTER TABLE models ADD COLUMN origin TEXT;
ALTER TABLE runs ADD COLUMN origins TEXT;
ALTER TABLE runs ADD COLUMN pushed TEXT;
