-- Two people who answer one item of a checklist must not overwrite each other.
ALTER TABLE inspection_items ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- Uploads are listed by those who sent them, by site and by enterprise.
CREATE INDEX upload_of_account ON uploads (account_id, id);
CREATE INDEX upload_of_site ON uploads (site_id, id);
CREATE INDEX upload_of_enterprise ON uploads (enterprise_id, id);
