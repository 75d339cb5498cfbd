"""What another system refuses while it is still tried, in words for a person.

A refused message is tried as often as any that fails, for a person may mend the cause
here or there; so it is told from its first refusal on, not only when it was given up.
Does not belong here: what was given up (`attention`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from commerce_pipelines.services.areas import Area, area_of, topics_of
from commerce_pipelines.services.attention import (
    MOST_TOLD,
    Concern,
    Concerns,
    brief,
    name_of,
)
from commerce_pipelines.store.inbox_health import RefusedMessage, count_refused, list_refused
from commerce_pipelines.store.messages import MOST_TRIES

_TRIED_AGAIN: Final = f"it comes again by itself, {MOST_TRIES} times in all."
_ADVICE: Final = f"Mend what the error names, here or in {{system}}; {_TRIED_AGAIN}"
_BY_KIND: Final = {
    "Unauthorised": f"Set the credentials of {{system}} anew, restart; {_TRIED_AGAIN}",
    "ConfigurationError": f"Set what the error names, restart; {_TRIED_AGAIN}",
}


def refused_concerns(
    connection: Connection, limit: int = MOST_TOLD, area: Area | None = None
) -> Concerns:
    """Returns what is refused, of one area if asked for one; a next refusal changes no word."""
    topics = topics_of(area)
    refused = list_refused(connection, limit, *topics)
    count = len(refused) if len(refused) < limit else count_refused(connection, *topics)
    return Concerns(count, [_concern_of(message) for message in refused])


def _concern_of(message: RefusedMessage) -> Concern:
    # What has no system of its own is about documents.
    system = name_of(area_of(message.topic).system or "sanity")
    return Concern(
        about="inbox",
        ids={"message_id": message.id},
        problem=f"Message {message.id} from {message.source}, here since "
        f"{message.received_at:%Y-%m-%d %H:%M:%SZ}, is refused: {brief(message.error)}",
        advice=_BY_KIND.get(message.kind, _ADVICE).format(system=system),
        commands={
            f"commerce-pipelines messages show {message.id}": "see what it brought, and its run"
        },
        run_id=message.run_id,
    )
