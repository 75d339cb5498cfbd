"""The cases that every adapter of the ERP's port passes, in its own world.

Written against the port only. An adapter's test inherits `ErpCases` and has a fixture
`world`. What one ERP cannot show (answers that are none, lost answers) stands with its
adapter's own tests.
"""

from __future__ import annotations

from commerce_pipelines_tests.connectors.erp_order_cases import OrderCases
from commerce_pipelines_tests.connectors.erp_price_cases import PriceCases
from commerce_pipelines_tests.connectors.erp_product_cases import ProductCases


class ErpCases(ProductCases, PriceCases, OrderCases):
    """What the port promises."""
