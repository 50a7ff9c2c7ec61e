-- People and machines that may ask, and what opens the door for them.
CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    login TEXT NOT NULL UNIQUE,
    -- JSON array of names
    roles TEXT NOT NULL,
    -- JSON array of ids; NULL sees all enterprises
    enterprises TEXT,
    -- Argon2id, PHC string; NULL: keys only
    password_hash TEXT,
    disabled BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    label TEXT NOT NULL,
    -- SHA-256 of the key; the key itself is nowhere
    digest TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    revoked_ms BIGINT
);
CREATE INDEX api_key_of_account ON api_keys (account_id);

CREATE TABLE sessions (
    digest TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    expires_ms BIGINT NOT NULL
);
CREATE INDEX session_end ON sessions (expires_ms);

-- Answers to requests that carried an Idempotency-Key. Without a status: still at work.
CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    status BIGINT,
    location TEXT,
    etag TEXT,
    body TEXT,
    PRIMARY KEY (account_id, name)
);
CREATE INDEX idempotency_key_age ON idempotency_keys (created_ms);

-- A photo of a site, once however often it is sent. The original lies in the evidence folder.
CREATE TABLE photos (
    id TEXT PRIMARY KEY NOT NULL,
    enterprise_id TEXT NOT NULL REFERENCES enterprises (id),
    site_id TEXT NOT NULL REFERENCES sites (id),
    inspection_id TEXT REFERENCES inspections (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    taken_ms BIGINT,
    received_ms BIGINT NOT NULL,
    -- queued, working, judged, unreadable
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    judged_ms BIGINT,
    candidates BIGINT NOT NULL DEFAULT 0,
    -- JSON, as in a scan's document
    record TEXT,
    context TEXT REFERENCES contexts (sha256),
    -- 32 hexadecimal digits; alike for photos that look alike
    fingerprint TEXT,
    UNIQUE (site_id, sha256)
);
CREATE INDEX photo_queued ON photos (id) WHERE state = 'queued';
CREATE INDEX photo_working ON photos (id) WHERE state = 'working';
CREATE INDEX photo_of_enterprise ON photos (enterprise_id, id);
CREATE INDEX photo_of_site ON photos (site_id, id);
CREATE INDEX photo_of_inspection ON photos (inspection_id, id);
CREATE INDEX photo_content ON photos (sha256);

-- Photos that were sent together.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    enterprise_id TEXT NOT NULL REFERENCES enterprises (id),
    site_id TEXT NOT NULL REFERENCES sites (id),
    inspection_id TEXT REFERENCES inspections (id),
    created_ms BIGINT NOT NULL
);

CREATE TABLE upload_photos (
    upload_id TEXT NOT NULL REFERENCES uploads (id),
    place BIGINT NOT NULL,
    photo_id TEXT NOT NULL REFERENCES photos (id),
    name TEXT NOT NULL,
    -- whether it was there before
    known BIGINT NOT NULL,
    PRIMARY KEY (upload_id, place)
);
CREATE INDEX upload_photo_of ON upload_photos (photo_id);
