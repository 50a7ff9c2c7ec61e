-- The core of the ledger. SQL that SQLite and PostgreSQL share; times in ms since 1970 UTC,
-- booleans as 0 or 1, JSON as TEXT, identifiers as UUIDv7 text (their order is that of creation).

-- What happened, in order, without gaps; never changed (0002). Everything else can be recomputed.
CREATE TABLE events (
    seq         BIGINT NOT NULL PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    actor       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    entity      TEXT NOT NULL,
    entity_id   TEXT NOT NULL,
    -- whose view shows it; null for what concerns no enterprise
    enterprise_id TEXT,
    -- what decisions of the machine rest on: contexts.sha256
    context     TEXT,
    data        TEXT NOT NULL
);
CREATE INDEX events_entity ON events (entity_id, seq);
CREATE INDEX events_enterprise ON events (enterprise_id, seq);

-- Which events still have to be told to other systems. A row for every event, from its commit on.
CREATE TABLE outbox (
    event_seq       BIGINT NOT NULL PRIMARY KEY REFERENCES events (seq),
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_attempt_ms BIGINT NOT NULL,
    delivered_ms    BIGINT,
    last_error      TEXT
);
CREATE INDEX outbox_pending ON outbox (next_attempt_ms, event_seq) WHERE delivered_ms IS NULL;

-- Model, rules and config digests and thresholds, once for each combination.
CREATE TABLE contexts (
    sha256      TEXT NOT NULL PRIMARY KEY,
    data        TEXT NOT NULL
);

CREATE TABLE enterprises (
    id          TEXT NOT NULL PRIMARY KEY,
    credit_code TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    industry    TEXT NOT NULL,
    -- {"combustible_dust": true, …}
    facts       TEXT NOT NULL,
    created_ms  BIGINT NOT NULL,
    version     BIGINT NOT NULL
);
CREATE INDEX enterprises_industry ON enterprises (industry, id);

-- Responsible persons of an enterprise; accounts are elsewhere.
CREATE TABLE persons (
    id            TEXT NOT NULL PRIMARY KEY,
    enterprise_id TEXT NOT NULL REFERENCES enterprises (id),
    name          TEXT NOT NULL,
    duty          TEXT NOT NULL,
    phone         TEXT,
    created_ms    BIGINT NOT NULL
);
CREATE INDEX persons_enterprise ON persons (enterprise_id, id);

CREATE TABLE sites (
    id            TEXT NOT NULL PRIMARY KEY,
    enterprise_id TEXT NOT NULL REFERENCES enterprises (id),
    name          TEXT NOT NULL,
    address       TEXT NOT NULL,
    -- IANA name: deadlines are days there
    time_zone     TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    version       BIGINT NOT NULL
);
CREATE INDEX sites_enterprise ON sites (enterprise_id, id);

CREATE TABLE points (
    id         TEXT NOT NULL PRIMARY KEY,
    site_id    TEXT NOT NULL REFERENCES sites (id),
    name       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX points_site ON points (site_id, id);

CREATE TABLE cameras (
    id         TEXT NOT NULL PRIMARY KEY,
    site_id    TEXT NOT NULL REFERENCES sites (id),
    point_id   TEXT REFERENCES points (id),
    name       TEXT NOT NULL,
    -- name of the source in the configuration: no address is ever taken from a user
    source     TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX cameras_site ON cameras (site_id, id);

-- enterprise_id null: a base checklist; else the overlay of that enterprise on it
CREATE TABLE checklists (
    id            TEXT NOT NULL PRIMARY KEY,
    enterprise_id TEXT REFERENCES enterprises (id),
    base_id       TEXT REFERENCES checklists (id),
    name          TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    CHECK ((enterprise_id IS NULL) = (base_id IS NULL)),
    UNIQUE (enterprise_id, base_id)
);

CREATE TABLE checklist_items (
    checklist_id TEXT NOT NULL REFERENCES checklists (id),
    -- the same key in an overlay replaces the item of the base
    item_key     TEXT NOT NULL,
    position     BIGINT NOT NULL,
    text_en      TEXT NOT NULL,
    text_zh      TEXT NOT NULL,
    hazard_code  TEXT,
    -- in an overlay: takes the item of the base away
    removed      BIGINT NOT NULL,
    PRIMARY KEY (checklist_id, item_key)
);

CREATE TABLE inspections (
    id            TEXT NOT NULL PRIMARY KEY,
    enterprise_id TEXT NOT NULL REFERENCES enterprises (id),
    site_id       TEXT NOT NULL REFERENCES sites (id),
    checklist_id  TEXT REFERENCES checklists (id),
    state         TEXT NOT NULL,
    planned_ms    BIGINT NOT NULL,
    created_ms    BIGINT NOT NULL,
    version       BIGINT NOT NULL
);
CREATE INDEX inspections_site ON inspections (site_id, id);
CREATE INDEX inspections_enterprise ON inspections (enterprise_id, id);
CREATE INDEX inspections_state ON inspections (state, id);

CREATE TABLE attendees (
    inspection_id TEXT NOT NULL REFERENCES inspections (id),
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    PRIMARY KEY (inspection_id, name, role)
);

-- The checklist of one inspection as it was when the inspection was planned, with the answers.
CREATE TABLE inspection_items (
    inspection_id TEXT NOT NULL REFERENCES inspections (id),
    item_key      TEXT NOT NULL,
    position      BIGINT NOT NULL,
    text_en       TEXT NOT NULL,
    text_zh       TEXT NOT NULL,
    hazard_code   TEXT,
    answer        TEXT NOT NULL,
    reason        TEXT NOT NULL,
    -- null: nobody and nothing has looked yet
    answered_by   TEXT,
    answered_ms   BIGINT,
    PRIMARY KEY (inspection_id, item_key)
);

CREATE TABLE findings (
    id             TEXT NOT NULL PRIMARY KEY,
    enterprise_id  TEXT NOT NULL REFERENCES enterprises (id),
    site_id        TEXT NOT NULL REFERENCES sites (id),
    zone           TEXT NOT NULL,
    camera_id      TEXT REFERENCES cameras (id),
    inspection_id  TEXT REFERENCES inspections (id),
    hazard_code    TEXT NOT NULL,
    suggested      TEXT NOT NULL,
    score          DOUBLE PRECISION,
    origin         TEXT NOT NULL,
    recurrence_of  TEXT REFERENCES findings (id),
    created_ms     BIGINT NOT NULL,
    updated_ms     BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    -- the part that the state machine keeps
    state          TEXT NOT NULL,
    severity       TEXT,
    major_proposed_by TEXT,
    ordered_ms     BIGINT,
    due_ms         BIGINT,
    proof_sha256   TEXT,
    proof_taken_ms BIGINT,
    proof_by       TEXT,
    merged_into    TEXT REFERENCES findings (id)
);
CREATE INDEX findings_created ON findings (created_ms, id);
CREATE INDEX findings_enterprise ON findings (enterprise_id, created_ms, id);
CREATE INDEX findings_enterprise_state ON findings (enterprise_id, state, created_ms, id);
CREATE INDEX findings_enterprise_counts ON findings (enterprise_id, hazard_code, state, severity, created_ms, due_ms);
CREATE INDEX findings_site ON findings (site_id, hazard_code, zone, state);
CREATE INDEX findings_inspection ON findings (inspection_id, created_ms, id) WHERE inspection_id IS NOT NULL;
CREATE INDEX findings_state ON findings (state, created_ms, id);
CREATE INDEX findings_code ON findings (hazard_code, created_ms, id);
CREATE INDEX findings_code_state ON findings (hazard_code, state, created_ms, id);
CREATE INDEX findings_severity ON findings (severity, created_ms, id);
CREATE INDEX findings_due ON findings (due_ms, id) WHERE state = 'ordered';
CREATE INDEX findings_recurrence ON findings (recurrence_of) WHERE recurrence_of IS NOT NULL;

-- One sighting. `source_key` says of what: the same sighting told twice is one.
CREATE TABLE occurrences (
    id           TEXT NOT NULL PRIMARY KEY,
    finding_id   TEXT NOT NULL REFERENCES findings (id),
    -- the finding under which it was filed, before any merge
    filed_as     TEXT NOT NULL REFERENCES findings (id),
    source_key   TEXT NOT NULL UNIQUE,
    photo_sha256 TEXT,
    camera_id    TEXT,
    seen_ms      BIGINT NOT NULL,
    -- fractions of the picture's width and height; null when nothing was outlined
    x1           DOUBLE PRECISION,
    y1           DOUBLE PRECISION,
    x2           DOUBLE PRECISION,
    y2           DOUBLE PRECISION,
    score        DOUBLE PRECISION,
    -- embedding of what was seen there: little-endian f32 in base64
    look         TEXT,
    -- the rule, its inputs and what it says to a person
    why          TEXT NOT NULL,
    context      TEXT REFERENCES contexts (sha256)
);
CREATE INDEX occurrences_finding ON occurrences (finding_id, id);
CREATE INDEX occurrences_photo ON occurrences (photo_sha256) WHERE photo_sha256 IS NOT NULL;

-- What a person has rejected: further candidates of that camera, place and look are not filed.
CREATE TABLE dismissals (
    id          TEXT NOT NULL PRIMARY KEY,
    finding_id  TEXT NOT NULL REFERENCES findings (id),
    site_id     TEXT NOT NULL REFERENCES sites (id),
    zone        TEXT NOT NULL,
    camera_id   TEXT,
    hazard_code TEXT NOT NULL,
    x1          DOUBLE PRECISION NOT NULL,
    y1          DOUBLE PRECISION NOT NULL,
    x2          DOUBLE PRECISION NOT NULL,
    y2          DOUBLE PRECISION NOT NULL,
    look        TEXT,
    created_ms  BIGINT NOT NULL,
    revoked_ms  BIGINT
);
CREATE INDEX dismissals_place ON dismissals (site_id, hazard_code, zone) WHERE revoked_ms IS NULL;
CREATE INDEX dismissals_finding ON dismissals (finding_id);

-- Every sighting that a dismissal kept out, so that the same one told twice counts once.
CREATE TABLE suppressions (
    source_key   TEXT NOT NULL PRIMARY KEY,
    dismissal_id TEXT NOT NULL REFERENCES dismissals (id),
    seen_ms      BIGINT NOT NULL
);

-- One for each order and each return; the newest is the one in force.
CREATE TABLE orders (
    id         TEXT NOT NULL PRIMARY KEY,
    finding_id TEXT NOT NULL REFERENCES findings (id),
    number     BIGINT NOT NULL,
    issued_by  TEXT NOT NULL,
    issued_ms  BIGINT NOT NULL,
    due_ms     BIGINT NOT NULL,
    -- time zone of the site when the order was given
    time_zone  TEXT NOT NULL,
    reason     TEXT,
    UNIQUE (finding_id, number)
);

-- Planned with the order; settled exactly once, as sent or as no longer needed.
CREATE TABLE reminders (
    order_id   TEXT NOT NULL REFERENCES orders (id),
    kind       TEXT NOT NULL,
    fire_ms    BIGINT NOT NULL,
    settled_ms BIGINT,
    sent       BIGINT,
    PRIMARY KEY (order_id, kind)
);
CREATE INDEX reminders_pending ON reminders (fire_ms) WHERE settled_ms IS NULL;

-- Which originals in the evidence store belong to a finding, and as what.
CREATE TABLE evidence_links (
    id           TEXT NOT NULL PRIMARY KEY,
    finding_id   TEXT NOT NULL REFERENCES findings (id),
    sha256       TEXT NOT NULL,
    role         TEXT NOT NULL,
    taken_ms     BIGINT,
    submitted_by TEXT NOT NULL,
    submitted_ms BIGINT NOT NULL,
    -- what the checks of a proof found: information for the verifier, never a verdict
    checks       TEXT NOT NULL
);
CREATE INDEX evidence_links_finding ON evidence_links (finding_id, id);
CREATE INDEX evidence_links_sha256 ON evidence_links (sha256);

-- How many findings stand where, by the UTC day of their creation and, as day -1, of all days: kept with every change, so
-- that statistics over a million findings need not read them.
CREATE TABLE finding_totals (
    day         BIGINT NOT NULL,
    hazard_code TEXT NOT NULL,
    state       TEXT NOT NULL,
    severity    TEXT NOT NULL,
    n           BIGINT NOT NULL,
    PRIMARY KEY (day, hazard_code, state, severity)
);
