-- The store's tables, then the ledger of sagas and its rules.

CREATE TABLE brand (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  description TEXT,
  logo_url TEXT,
  gone_at TIMESTAMP WITH TIME ZONE,
  version BIGINT DEFAULT '1' NOT NULL,
  saga_id TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name_key)
);

CREATE TABLE foreign_brand (
  external_id TEXT NOT NULL,
  brand_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  logo_url TEXT,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  brand_version BIGINT NOT NULL,
  gone_at TIMESTAMP WITH TIME ZONE,
  saga_id TEXT,
  PRIMARY KEY (external_id),
  FOREIGN KEY(brand_id) REFERENCES brand (id) ON DELETE CASCADE
);

CREATE INDEX foreign_brand_of ON foreign_brand (brand_id);

CREATE INDEX foreign_brand_changed ON foreign_brand (updated_at);

CREATE TABLE brand_revision (
  saga_id TEXT NOT NULL,
  brand_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  before JSONB,
  at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  undone_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (saga_id, brand_id)
);

CREATE TABLE watermark (
  name TEXT NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  total BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE external_id (
  system TEXT NOT NULL,
  entity TEXT NOT NULL,
  external_id TEXT NOT NULL,
  internal_id TEXT NOT NULL,
  saga_id TEXT,
  PRIMARY KEY (system, entity, external_id)
);

CREATE INDEX external_id_of ON external_id (internal_id, entity, system);

CREATE TABLE message (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  source TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  part INTEGER DEFAULT '0' NOT NULL,
  parts INTEGER DEFAULT '1' NOT NULL,
  topic TEXT NOT NULL,
  aggregate TEXT,
  item_count INTEGER DEFAULT '1' NOT NULL,
  body BYTEA,
  body_sha256 BYTEA NOT NULL,
  state TEXT DEFAULT 'new' NOT NULL,
  tries INTEGER DEFAULT '0' NOT NULL,
  saga_id TEXT,
  run_id TEXT,
  next_try_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  finished_at TIMESTAMP WITH TIME ZONE,
  last_error TEXT,
  outcome JSONB,
  PRIMARY KEY (id),
  CONSTRAINT message_once UNIQUE (source, webhook_id, part),
  CONSTRAINT message_state CHECK (state IN ('new', 'claimed', 'done', 'dead'))
);

CREATE INDEX message_due ON message (topic, id, next_try_at) WHERE state IN ('new', 'claimed');

CREATE INDEX message_in_order ON message (aggregate, id) WHERE state IN ('new', 'claimed') AND tries > 0;

CREATE INDEX message_of_saga ON message (saga_id);

CREATE INDEX message_dead ON message (id) WHERE state = 'dead';

CREATE TABLE product_revision (
  product_id TEXT NOT NULL,
  saga_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  before JSONB,
  at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  undone_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (product_id, saga_id)
);

CREATE INDEX product_revision_of_saga ON product_revision (saga_id);

CREATE TABLE message_conflict (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  message_id BIGINT NOT NULL,
  body_sha256 BYTEA NOT NULL,
  body BYTEA,
  received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT message_conflict_once UNIQUE (message_id, body_sha256),
  FOREIGN KEY(message_id) REFERENCES message (id) ON DELETE CASCADE
);

CREATE TABLE message_event (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  message_id BIGINT NOT NULL,
  at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
  what TEXT NOT NULL,
  who TEXT NOT NULL,
  note TEXT NOT NULL,
  last_error TEXT,
  PRIMARY KEY (id),
  FOREIGN KEY(message_id) REFERENCES message (id) ON DELETE CASCADE
);

CREATE INDEX message_event_of_message ON message_event (message_id, id);

CREATE TABLE product (
  id TEXT NOT NULL,
  title TEXT NOT NULL,
  handle TEXT COLLATE "C" NOT NULL,
  description TEXT,
  status TEXT DEFAULT 'published' NOT NULL,
  brand_id TEXT,
  images JSONB DEFAULT '[]' NOT NULL,
  metadata JSONB DEFAULT '{}' NOT NULL,
  feed_hash BYTEA,
  erp_hash BYTEA,
  message_id BIGINT DEFAULT '0' NOT NULL,
  version BIGINT DEFAULT '1' NOT NULL,
  saga_id TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT product_status CHECK (status IN ('draft', 'proposed', 'published', 'rejected', 'archived')),
  UNIQUE (handle),
  FOREIGN KEY(brand_id) REFERENCES brand (id)
);

CREATE INDEX product_of_brand ON product (brand_id) WHERE brand_id IS NOT NULL;

CREATE TABLE product_document (
  product_id TEXT NOT NULL,
  document_id TEXT NOT NULL,
  content_hash BYTEA NOT NULL,
  product_version BIGINT NOT NULL,
  revision TEXT,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (product_id),
  FOREIGN KEY(product_id) REFERENCES product (id) ON DELETE CASCADE,
  UNIQUE (document_id)
);

CREATE TABLE product_option (
  product_id TEXT NOT NULL,
  title TEXT NOT NULL,
  position SMALLINT NOT NULL,
  values TEXT[] NOT NULL,
  PRIMARY KEY (product_id, title),
  FOREIGN KEY(product_id) REFERENCES product (id) ON DELETE CASCADE
);

CREATE TABLE variant (
  id TEXT NOT NULL,
  product_id TEXT NOT NULL,
  position SMALLINT NOT NULL,
  title TEXT NOT NULL,
  sku TEXT,
  options JSONB DEFAULT '{}' NOT NULL,
  manage_inventory BOOLEAN DEFAULT 'true' NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT variant_sku UNIQUE (sku) DEFERRABLE INITIALLY DEFERRED,
  FOREIGN KEY(product_id) REFERENCES product (id) ON DELETE CASCADE
);

CREATE INDEX variant_of_product ON variant (product_id);

CREATE TABLE price (
  variant_id TEXT NOT NULL,
  currency_code TEXT NOT NULL,
  min_quantity INTEGER DEFAULT '1' NOT NULL,
  amount NUMERIC(19, 4) NOT NULL,
  PRIMARY KEY (variant_id, currency_code, min_quantity),
  CONSTRAINT price_not_negative CHECK (amount >= 0),
  CONSTRAINT price_tier CHECK (min_quantity > 0),
  FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE
);

CREATE TABLE saga (
  saga_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  lock_key TEXT NOT NULL,
  root_run_id TEXT,
  last_run_id TEXT,
  status TEXT DEFAULT 'running' NOT NULL,
  pivoted BOOLEAN DEFAULT 'false' NOT NULL,
  epoch BIGINT DEFAULT '0' NOT NULL,
  holder TEXT,
  lease_until TIMESTAMP WITH TIME ZONE,
  next_try_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  reason TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  finished_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (saga_id),
  CONSTRAINT saga_status CHECK (status IN ('running', 'succeeded', 'aborting', 'compensated', 'parked')),
  CONSTRAINT saga_finished CHECK ((status IN ('succeeded', 'compensated')) = (finished_at IS NOT NULL)),
  CONSTRAINT saga_leased CHECK ((holder IS NULL) = (lease_until IS NULL)),
  CONSTRAINT saga_forward_only CHECK (NOT (pivoted AND status IN ('aborting', 'compensated')))
);

CREATE UNIQUE INDEX saga_one_live ON saga (kind, lock_key) WHERE status IN ('running', 'aborting', 'parked');

CREATE INDEX saga_run ON saga (last_run_id);

CREATE INDEX saga_stale ON saga (lease_until) WHERE status = 'running';

CREATE INDEX saga_work ON saga (next_try_at) WHERE status = 'aborting';

CREATE TABLE saga_event (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
  saga_id TEXT NOT NULL,
  seq INTEGER,
  what TEXT NOT NULL,
  epoch BIGINT,
  who TEXT,
  note TEXT,
  PRIMARY KEY (id)
);

CREATE INDEX saga_event_of_saga ON saga_event (saga_id, id);

CREATE TABLE saga_step (
  saga_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  label TEXT NOT NULL,
  idem_key TEXT NOT NULL,
  transactional BOOLEAN NOT NULL,
  state TEXT NOT NULL,
  plan JSONB NOT NULL,
  result JSONB,
  undo_result JSONB,
  error TEXT,
  undo_tries INTEGER DEFAULT '0' NOT NULL,
  intent_epoch BIGINT NOT NULL,
  settle_at TIMESTAMP WITH TIME ZONE,
  audit_at TIMESTAMP WITH TIME ZONE,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (saga_id, seq),
  CONSTRAINT saga_step_state CHECK (state IN ('intended', 'done', 'refused', 'absent', 'undoing', 'undone', 'superseded', 'parked')),
  CONSTRAINT saga_step_result CHECK (state NOT IN ('done', 'undoing', 'undone') OR result IS NOT NULL),
  CONSTRAINT saga_step_parked CHECK (state <> 'parked' OR error IS NOT NULL),
  CONSTRAINT saga_step_settles CHECK (transactional OR settle_at IS NOT NULL),
  CONSTRAINT saga_step_never_doubt CHECK (NOT (transactional AND state = 'intended')),
  CONSTRAINT saga_step_audited CHECK (audit_at IS NULL OR state = 'absent'),
  FOREIGN KEY(saga_id) REFERENCES saga (saga_id) ON DELETE CASCADE,
  UNIQUE (idem_key)
);

CREATE UNIQUE INDEX saga_step_named ON saga_step (saga_id, name, label);

CREATE INDEX saga_step_audit ON saga_step (audit_at) WHERE audit_at IS NOT NULL;

CREATE INDEX saga_step_open_parked ON saga_step (saga_id) WHERE state = 'parked';

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
