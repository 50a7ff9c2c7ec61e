-- An answer is kept with its effect since: what was at work when the service ended had none.
DELETE FROM idempotency_keys WHERE status IS NULL;

-- Who says when a photo was taken: sender, exif (with its offset), exif_site_clock (by the clock at the site).
ALTER TABLE photos ADD COLUMN taken_by TEXT;
UPDATE photos SET taken_by = 'sender' WHERE taken_ms IS NOT NULL;

-- Photos that look alike agree in one of the eight parts of their fingerprints at least.
CREATE INDEX photo_fingerprint_1 ON photos (substr(fingerprint, 1, 4));
CREATE INDEX photo_fingerprint_2 ON photos (substr(fingerprint, 5, 4));
CREATE INDEX photo_fingerprint_3 ON photos (substr(fingerprint, 9, 4));
CREATE INDEX photo_fingerprint_4 ON photos (substr(fingerprint, 13, 4));
CREATE INDEX photo_fingerprint_5 ON photos (substr(fingerprint, 17, 4));
CREATE INDEX photo_fingerprint_6 ON photos (substr(fingerprint, 21, 4));
CREATE INDEX photo_fingerprint_7 ON photos (substr(fingerprint, 25, 4));
CREATE INDEX photo_fingerprint_8 ON photos (substr(fingerprint, 29, 4));
