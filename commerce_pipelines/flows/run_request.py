"""What launcher and run server say to each other: one line of JSON each way, over loopback.

Belongs here: the words and the asking. Does not belong here: what follows from an
answer (`launcher`), and how it comes about (`run_server`).
"""

from __future__ import annotations

import socket

from pydantic import BaseModel, ValidationError

from commerce_pipelines.errors import Unavailable, Unknown
from commerce_pipelines.flows.run_worker import RunWorker

DEFINITIONS = "commerce_pipelines.definitions"
"""The module whose runs the run server executes."""

LOOPBACK = "127.0.0.1"
LONGEST_LINE_BYTES = 4096
_CONNECT_PATIENCE_SECONDS = 1.0
_ANSWER_PATIENCE_SECONDS = 10.0


class RunRequest(BaseModel):
    """Asks for a run."""

    secret: str
    run_id: str


class RunAnswer(BaseModel):
    """Answers a request.

    Attributes:
        worker: Who executes the run.
        refused: Why nobody does on this request.
    """

    worker: RunWorker | None = None
    refused: str | None = None


def ask(port: int, request: RunRequest) -> RunWorker:
    """Asks a run server for a run and returns who has claimed it.

    Raises:
        Unavailable: Nobody has, and nobody will on this request.
        Unknown: Somebody has, will or will not.
    """
    try:
        connection = socket.create_connection((LOOPBACK, port), _CONNECT_PATIENCE_SECONDS)
    except OSError as error:
        raise Unavailable(f"The run server on port {port} is not there: {error}") from error
    with connection:
        try:
            connection.settimeout(_ANSWER_PATIENCE_SECONDS)
            connection.sendall(request.model_dump_json().encode() + b"\n")
            answer = RunAnswer.model_validate_json(_read_line(connection))
        except (OSError, ValidationError) as error:
            raise Unknown(f"The run server did not answer: {error}") from error
    if answer.worker is None:
        raise Unavailable(f"The run server refused: {answer.refused}")
    return answer.worker


def _read_line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as answers:
        return answers.readline(LONGEST_LINE_BYTES)
