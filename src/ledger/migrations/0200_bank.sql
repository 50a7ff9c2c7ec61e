-- The sample bank. A sample is never changed nor deleted: it is alive from one version of the bank
-- until another, perhaps more than once, so that every version can be had again.

CREATE TABLE bank_samples (
    id           TEXT NOT NULL PRIMARY KEY,
    role         TEXT NOT NULL,
    -- null: a clean reference of all kinds
    hazard_code  TEXT,
    scope        TEXT NOT NULL,
    -- an id of this ledger or a name; samples of other offices have sites that are not here
    site         TEXT NOT NULL,
    camera       TEXT NOT NULL,
    photo_sha256 TEXT NOT NULL,
    -- 0: only the embedding came from elsewhere
    photo_kept   BIGINT NOT NULL,
    -- fractions of the picture's width and height
    x1           DOUBLE PRECISION NOT NULL,
    y1           DOUBLE PRECISION NOT NULL,
    x2           DOUBLE PRECISION NOT NULL,
    y2           DOUBLE PRECISION NOT NULL,
    -- file, dataset:…, review, import:…
    origin       TEXT NOT NULL,
    finding_id   TEXT REFERENCES findings (id),
    added_by     TEXT NOT NULL,
    added_ms     BIGINT NOT NULL
);
CREATE INDEX bank_samples_photo ON bank_samples (photo_sha256);
CREATE INDEX bank_samples_finding ON bank_samples (finding_id) WHERE finding_id IS NOT NULL;

-- One row for each version: from 1, without gaps.
CREATE TABLE bank_changes (
    version   BIGINT NOT NULL PRIMARY KEY,
    kind      TEXT NOT NULL,
    event_seq BIGINT NOT NULL REFERENCES events (seq),
    undoes    BIGINT UNIQUE REFERENCES bank_changes (version)
);

CREATE TABLE bank_spans (
    sample_id     TEXT NOT NULL REFERENCES bank_samples (id),
    from_version  BIGINT NOT NULL REFERENCES bank_changes (version),
    until_version BIGINT REFERENCES bank_changes (version),
    PRIMARY KEY (sample_id, from_version)
);
CREATE UNIQUE INDEX bank_spans_alive ON bank_spans (sample_id) WHERE until_version IS NULL;
CREATE INDEX bank_spans_from ON bank_spans (from_version);
CREATE INDEX bank_spans_until ON bank_spans (until_version) WHERE until_version IS NOT NULL;

-- Numbers of one embedder in one version mean nothing to those of another.
CREATE TABLE bank_embeddings (
    sample_id  TEXT NOT NULL REFERENCES bank_samples (id),
    embedder   TEXT NOT NULL,
    dimensions BIGINT NOT NULL,
    -- little-endian f32 in base64
    embedding  TEXT NOT NULL,
    PRIMARY KEY (sample_id, embedder)
);
