"""Alembic's environment: it migrates over the connection it is handed."""

from __future__ import annotations

from alembic import context

from commerce_pipelines.store.schema import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
