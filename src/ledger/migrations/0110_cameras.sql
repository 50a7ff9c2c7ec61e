-- What the watch of a camera remembers, written together with what it files.
CREATE TABLE camera_watches (
    camera_id TEXT PRIMARY KEY NOT NULL REFERENCES cameras (id),
    -- of the numbers of its findings: another one where it began without memory
    epoch TEXT NOT NULL,
    -- JSON
    memory TEXT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- Since when its camera has seen that it is gone: a suggestion to close, taken back by the next sighting.
ALTER TABLE findings ADD COLUMN cleared_ms BIGINT;

-- Zones that were drawn over the API; they take the place of those of the configuration.
CREATE TABLE camera_zones (
    camera_id TEXT PRIMARY KEY NOT NULL REFERENCES cameras (id),
    -- JSON
    zones TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
