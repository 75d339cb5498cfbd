-- The rules of the ledger, true for every writer, also for a person with psql.

CREATE FUNCTION saga_step_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.state <> NEW.state THEN
    IF NOT (OLD.state || '>' || NEW.state = ANY (ARRAY[
        'intended>done', 'intended>refused', 'intended>absent', 'intended>parked',
        'done>undoing', 'done>parked',
        'undoing>undone', 'undoing>superseded', 'undoing>parked',
        'parked>intended', 'parked>undoing', 'parked>undone', 'parked>superseded',
        'parked>absent', 'absent>undone', 'absent>superseded', 'absent>parked'])
      OR (NEW.transactional AND OLD.state = 'done' AND NEW.state IN ('undone', 'superseded'))) THEN
      RAISE EXCEPTION 'saga % step %: % cannot become %', NEW.saga_id, NEW.seq, OLD.state, NEW.state
        USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state IN ('undoing', 'undone') AND OLD.state <> 'absent' AND EXISTS (
        SELECT FROM saga_step later
        WHERE later.saga_id = NEW.saga_id AND later.seq > NEW.seq
          AND later.state IN ('intended', 'done', 'undoing', 'parked')) THEN
      RAISE EXCEPTION 'saga % step % cannot be undone before the steps after it',
        NEW.saga_id, NEW.seq USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  IF TG_OP = 'INSERT' OR OLD.state <> NEW.state OR OLD.undo_tries < NEW.undo_tries THEN
    INSERT INTO saga_event (saga_id, seq, what, epoch, who, note)
    SELECT NEW.saga_id, NEW.seq, NEW.state, saga.epoch, saga.holder, NEW.error
    FROM saga WHERE saga.saga_id = NEW.saga_id;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER saga_step_rules BEFORE INSERT OR UPDATE ON saga_step
  FOR EACH ROW EXECUTE FUNCTION saga_step_rules();

CREATE FUNCTION saga_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.epoch < OLD.epoch THEN
      RAISE EXCEPTION 'saga %: the epoch never goes down', NEW.saga_id
        USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.status <> NEW.status THEN
      IF NOT OLD.status || '>' || NEW.status = ANY (ARRAY[
          'running>succeeded', 'running>aborting', 'running>parked',
          'aborting>compensated', 'aborting>parked',
          'parked>aborting', 'parked>running']) THEN
        RAISE EXCEPTION 'saga %: % cannot become %', NEW.saga_id, OLD.status, NEW.status
          USING ERRCODE = 'check_violation';
      END IF;
      IF NEW.status = 'succeeded' AND EXISTS (
          SELECT FROM saga_step step WHERE step.saga_id = NEW.saga_id
            AND step.state NOT IN ('done', 'refused')) THEN
        RAISE EXCEPTION 'saga % has steps that are not done', NEW.saga_id
          USING ERRCODE = 'check_violation';
      END IF;
      IF NEW.status = 'compensated' AND EXISTS (
          SELECT FROM saga_step step WHERE step.saga_id = NEW.saga_id
            AND step.state IN ('intended', 'done', 'undoing', 'parked')) THEN
        RAISE EXCEPTION 'saga % has steps that are not undone', NEW.saga_id
          USING ERRCODE = 'check_violation';
      END IF;
    END IF;
  END IF;
  IF TG_OP = 'INSERT' OR OLD.status <> NEW.status OR OLD.epoch <> NEW.epoch THEN
    INSERT INTO saga_event (saga_id, what, epoch, who, note)
    VALUES (NEW.saga_id, NEW.status, NEW.epoch, NEW.holder, NEW.reason);
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER saga_rules BEFORE INSERT OR UPDATE ON saga
  FOR EACH ROW EXECUTE FUNCTION saga_rules();

CREATE FUNCTION saga_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.finished_at IS NULL THEN
    RAISE EXCEPTION 'saga % is unfinished and cannot be deleted', OLD.saga_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN OLD;
END $$;

CREATE TRIGGER saga_kept BEFORE DELETE ON saga
  FOR EACH ROW EXECUTE FUNCTION saga_kept();

CREATE FUNCTION saga_step_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM saga WHERE saga.saga_id = OLD.saga_id) THEN
    RAISE EXCEPTION 'saga % step % is deleted with its saga only', OLD.saga_id, OLD.seq
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN OLD;
END $$;

CREATE TRIGGER saga_step_kept BEFORE DELETE ON saga_step
  FOR EACH ROW EXECUTE FUNCTION saga_step_kept();

CREATE FUNCTION saga_event_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'saga_event is append-only' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER saga_event_rules BEFORE UPDATE ON saga_event
  FOR EACH ROW EXECUTE FUNCTION saga_event_rules();
