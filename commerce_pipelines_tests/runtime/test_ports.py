import socket

import pytest

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.ports import FIRST_OUTGOING_PORT, free_port


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.bind((host, port))
    listener.listen()
    return listener


def test_a_free_port_is_given_as_preferred() -> None:
    port = free_port(20000)

    assert free_port(port) == port


def test_a_taken_port_gives_the_next_free_one() -> None:
    with listen(free_port(21000)) as listener:
        taken = listener.getsockname()[1]

        assert taken < free_port(taken) < FIRST_OUTGOING_PORT


def test_a_port_taken_on_all_addresses_is_taken() -> None:
    with listen(free_port(22000), "0.0.0.0") as listener:
        taken = listener.getsockname()[1]

        assert free_port(taken) > taken


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_a_port_taken_on_the_other_localhost_is_taken() -> None:
    with listen(free_port(23000), "::1") as listener:
        taken = listener.getsockname()[1]

        assert free_port(taken) > taken


def test_zero_gives_a_port_of_the_systems_choice() -> None:
    with listen(free_port(0)) as listener:
        assert listener.getsockname()[1] > 0


def test_no_free_port_is_a_configuration_error() -> None:
    with listen(0) as listener, pytest.raises(ConfigurationError, match="is free on"):
        taken = listener.getsockname()[1]
        assert taken >= FIRST_OUTGOING_PORT
        free_port(taken)
