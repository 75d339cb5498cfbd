"""Questions whether a service takes work yet.

Belongs here: a question asked once. Does not belong here: waiting for the answer.
"""

from __future__ import annotations

import socket

import requests

_PATIENCE_SECONDS = 2.0


def answers_http(url: str) -> bool:
    """Returns whether a GET of the address is answered with a status below 400."""
    with requests.Session() as session:
        # A proxy of the user's environment must not be asked for our own machine.
        session.trust_env = False
        try:
            return session.get(url, timeout=_PATIENCE_SECONDS).ok
        except requests.RequestException:
            return False


def answers_port(port: int, host: str = "127.0.0.1") -> bool:
    """Returns whether somebody takes connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_SECONDS):
            return True
    except OSError:
        return False
