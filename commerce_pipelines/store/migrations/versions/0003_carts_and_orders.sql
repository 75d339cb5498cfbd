-- Carts, orders, reservations, and answers by idempotency key.

CREATE TABLE customer (
  id TEXT NOT NULL,
  email TEXT NOT NULL,
  company_name TEXT,
  company_key TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX customer_of_company ON customer (company_key);

CREATE TABLE discrepancy (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  day TEXT NOT NULL,
  kind TEXT NOT NULL,
  order_id TEXT,
  external_id TEXT,
  currency_code TEXT NOT NULL,
  here TEXT,
  there TEXT,
  amount_minor BIGINT NOT NULL,
  run_id TEXT NOT NULL,
  found_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  repaired_by TEXT,
  PRIMARY KEY (id),
  CONSTRAINT discrepancy_kind CHECK (kind IN ('missing_in_erp', 'missing_in_store', 'amount_differs', 'status_differs'))
);

CREATE INDEX discrepancy_of_day ON discrepancy (day);

CREATE TABLE idempotency_key (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  request_sha256 BYTEA NOT NULL,
  status SMALLINT NOT NULL,
  headers JSONB DEFAULT '{}' NOT NULL,
  body BYTEA NOT NULL,
  delivery TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_key_age ON idempotency_key (created_at);

CREATE UNIQUE INDEX idempotency_key_delivery ON idempotency_key (scope, delivery) WHERE delivery IS NOT NULL;

CREATE TABLE order_revision (
  order_id TEXT NOT NULL,
  saga_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  before JSONB,
  at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  undone_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (order_id, saga_id)
);

CREATE TABLE cart (
  id TEXT NOT NULL,
  currency_code TEXT NOT NULL,
  customer_id TEXT,
  email TEXT,
  shipping_address JSONB,
  billing_address JSONB,
  version BIGINT DEFAULT '1' NOT NULL,
  completed_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(customer_id) REFERENCES customer (id)
);

CREATE INDEX cart_open ON cart (id) WHERE completed_at IS NULL;

CREATE TABLE store_order (
  id TEXT NOT NULL,
  cart_id TEXT,
  customer_id TEXT,
  email TEXT NOT NULL,
  company_name TEXT,
  currency_code TEXT NOT NULL,
  total_minor BIGINT NOT NULL,
  shipping_address JSONB NOT NULL,
  billing_address JSONB NOT NULL,
  status TEXT DEFAULT 'placed' NOT NULL,
  erp_status TEXT,
  erp_changed_at TIMESTAMP WITH TIME ZONE,
  version BIGINT DEFAULT '1' NOT NULL,
  saga_id TEXT,
  placed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT order_total CHECK (total_minor >= 0),
  CONSTRAINT order_status CHECK (status IN ('placed', 'confirmed', 'processing', 'shipped', 'completed', 'cancelled')),
  UNIQUE (cart_id),
  FOREIGN KEY(customer_id) REFERENCES customer (id)
);

CREATE INDEX store_order_placed ON store_order (placed_at, id);

CREATE TABLE order_line (
  order_id TEXT NOT NULL,
  position SMALLINT NOT NULL,
  variant_id TEXT NOT NULL,
  external_id TEXT NOT NULL,
  sku TEXT,
  title TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  unit_price NUMERIC(19, 4) NOT NULL,
  total_minor BIGINT NOT NULL,
  PRIMARY KEY (order_id, position),
  CONSTRAINT order_line_quantity CHECK (quantity > 0),
  FOREIGN KEY(order_id) REFERENCES store_order (id) ON DELETE CASCADE
);

CREATE TABLE reservation (
  order_id TEXT NOT NULL,
  variant_id TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  confirmed_at TIMESTAMP WITH TIME ZONE,
  released_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (order_id, variant_id),
  CONSTRAINT reservation_quantity CHECK (quantity > 0),
  FOREIGN KEY(order_id) REFERENCES store_order (id) ON DELETE CASCADE
);

CREATE INDEX reservation_of_variant ON reservation (variant_id) WHERE released_at IS NULL;

CREATE INDEX reservation_open ON reservation (expires_at) WHERE released_at IS NULL;

CREATE TABLE cart_line (
  id TEXT NOT NULL,
  cart_id TEXT NOT NULL,
  variant_id TEXT NOT NULL,
  title TEXT NOT NULL,
  sku TEXT,
  quantity INTEGER NOT NULL,
  unit_price NUMERIC(19, 4) NOT NULL,
  min_quantity INTEGER NOT NULL,
  priced_at TIMESTAMP WITH TIME ZONE NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT cart_line_once UNIQUE (cart_id, variant_id),
  CONSTRAINT cart_line_quantity CHECK (quantity > 0),
  FOREIGN KEY(cart_id) REFERENCES cart (id) ON DELETE CASCADE,
  FOREIGN KEY(variant_id) REFERENCES variant (id) ON DELETE CASCADE
);
