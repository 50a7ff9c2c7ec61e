-- What happened stays as it was written.
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER contexts_no_update BEFORE UPDATE ON contexts
BEGIN SELECT RAISE(ABORT, 'contexts are append-only'); END;
CREATE TRIGGER contexts_no_delete BEFORE DELETE ON contexts
BEGIN SELECT RAISE(ABORT, 'contexts are append-only'); END;
