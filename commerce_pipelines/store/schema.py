"""Bringing a database to the newest schema, and telling whether it is there."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.store.engine import DAGSTER_SCHEMA

VERSION_TABLE = "commerce_version"


def migrate(engine: Engine) -> str:
    """Brings the database to the newest schema and returns its revision.

    Two processes at once take turns; a database that is already there is left as it is.

    Raises:
        ConfigurationError: The database has a revision that this version does not know.
    """
    config = _config()
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('commerce_migrate'))"))
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigurationError(f"The database does not fit this version: {error}.") from error
    return newest_revision()


def newest_revision() -> str:
    """Returns the revision that this version of the code needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise ConfigurationError("The package has no migrations; install it again.")
    return head


def is_migrated(engine: Engine) -> bool:
    """Tells whether the database has the newest schema."""
    with engine.connect() as connection:
        try:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            return context.get_current_revision() == newest_revision()
        except ProgrammingError:
            return False


def _config() -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%")
    )
    return config
