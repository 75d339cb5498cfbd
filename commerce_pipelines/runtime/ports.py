"""Ports to listen on.

Belongs here: finding one that nobody uses. Does not belong here: who listens on it.
"""

from __future__ import annotations

import errno
import socket

from commerce_pipelines.errors import ConfigurationError

# From here on Linux gives ports to outgoing connections, so a fixed one collides at random.
FIRST_OUTGOING_PORT = 32768


def free_port(preferred: int, host: str = "127.0.0.1") -> int:
    """Returns the preferred port, or the next free one above it.

    Nothing is reserved: the caller must listen soon.

    Args:
        preferred: The port to try first; 0 lets the system choose.
        host: The IPv4 address that will be listened on.

    Raises:
        ConfigurationError: Every port from the preferred one up is taken.
    """
    if preferred == 0:
        return _system_port(host)
    candidates = range(preferred, max(preferred + 1, FIRST_OUTGOING_PORT))
    found = next((port for port in candidates if _is_free(port, host)), None)
    if found is None:
        raise ConfigurationError(f"No port from {preferred} up is free on {host}.")
    return found


def _system_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int, host: str) -> bool:
    # Browsers and curl try ::1 first for "localhost", so a stranger there counts as taken.
    return _bind_error(socket.AF_INET, host, port) is None and (
        _bind_error(socket.AF_INET6, "::1", port) != errno.EADDRINUSE
    )


def _bind_error(family: socket.AddressFamily, host: str, port: int) -> int | None:
    try:
        with socket.socket(family) as probe:
            # A port whose last connections are still closing is free for a server.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.errno
    return None
