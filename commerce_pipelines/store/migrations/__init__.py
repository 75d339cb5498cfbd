"""The store's schema as Alembic revisions."""
