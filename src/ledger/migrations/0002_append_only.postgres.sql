-- What happened stays as it was written.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% are append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER contexts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON contexts
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
