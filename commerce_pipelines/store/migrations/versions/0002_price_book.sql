-- The price book: what the ERP says of variants.

CREATE TABLE asked_variant (
  variant_id TEXT NOT NULL,
  asked_at TIMESTAMP WITH TIME ZONE,
  faults TEXT[] DEFAULT '{}' NOT NULL,
  PRIMARY KEY (variant_id)
);

CREATE INDEX asked_variant_age ON asked_variant (asked_at NULLS FIRST);

CREATE INDEX asked_variant_faults ON asked_variant (variant_id) WHERE cardinality(faults) > 0;

CREATE TABLE company (
  name_key TEXT NOT NULL,
  name TEXT NOT NULL,
  customer_group TEXT DEFAULT '' NOT NULL,
  fetched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (name_key)
);

CREATE TABLE price_book (
  variant_id TEXT NOT NULL,
  currency_code TEXT NOT NULL,
  customer_group TEXT DEFAULT '' NOT NULL,
  min_quantities INTEGER[] NOT NULL,
  amounts NUMERIC(19, 4)[] NOT NULL,
  as_of TIMESTAMP WITH TIME ZONE NOT NULL,
  fetched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (variant_id, currency_code, customer_group),
  CONSTRAINT price_book_tiers CHECK (cardinality(min_quantities) = cardinality(amounts)),
  CONSTRAINT price_book_not_negative CHECK (0 <= ALL (amounts))
);

CREATE INDEX price_book_age ON price_book (fetched_at);

CREATE TABLE purchase_rule (
  variant_id TEXT NOT NULL,
  company_key TEXT NOT NULL,
  is_allowed BOOLEAN NOT NULL,
  as_of TIMESTAMP WITH TIME ZONE NOT NULL,
  fetched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (variant_id, company_key)
);

CREATE INDEX purchase_rule_of_company ON purchase_rule (company_key);

CREATE TABLE stock_level (
  variant_id TEXT NOT NULL,
  available INTEGER NOT NULL,
  allows_out_of_stock BOOLEAN NOT NULL,
  reserved INTEGER DEFAULT '0' NOT NULL,
  as_of TIMESTAMP WITH TIME ZONE NOT NULL,
  fetched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (variant_id),
  CONSTRAINT stock_reserved CHECK (reserved >= 0)
);

CREATE INDEX stock_level_age ON stock_level (fetched_at);
