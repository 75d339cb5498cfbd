"""Our statements with values written into them, for a person to paste into `psql`.

Does not belong here: what is executed by us; there every value is bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import TextClause


def quoted(value: str) -> str:
    """Returns a text as SQL."""
    return "'{}'".format(value.replace("'", "''"))


def inlined(statement: TextClause, names: Mapping[str, str]) -> str:
    """Returns a statement with SQL in place of its parameters."""
    return re.sub(r"(?<![:\w]):(\w+)", lambda found: names[found[1]], statement.text.strip("\n"))
