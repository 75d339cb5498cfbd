"""`migrate`: the database at the newest schema."""

from __future__ import annotations

from commerce_pipelines.cli.options import AsJson, Home
from commerce_pipelines.cli.output import print_json, print_text
from commerce_pipelines.cli.session import open_store


def migrate(home: Home = None, as_json: AsJson = False) -> None:
    """Bring the database to the newest schema.

    One that is there already is left as it is; two at once take turns.

    Example: POSTGRES_URL=postgresql://shop@db/shop commerce-pipelines migrate
    """
    from commerce_pipelines.store import schema

    with open_store(home) as (_, engine):
        revision = schema.migrate(engine)
    if as_json:
        print_json({"revision": revision})
    else:
        print_text(f"The database is at revision {revision}, the newest.")
