"""The adapter `tryton` passes the port's cases on a real Tryton."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.connectors.erp_cases import ErpCases

pytestmark = pytest.mark.tryton


class TestTryton(ErpCases):
    """The cases."""
