-- A camera that is watched no more; what it has seen stays.
ALTER TABLE cameras ADD COLUMN retired_ms BIGINT;
-- A source of the configuration is one camera.
CREATE INDEX cameras_source ON cameras (source);
-- The camera of whose live view a photo is.
ALTER TABLE photos ADD COLUMN camera_id TEXT REFERENCES cameras (id);
