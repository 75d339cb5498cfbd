"""The assets of orders: the store's, and the ERP's beside them.

Nobody makes them whole: an order is placed by the checkout, exported and updated one by
one (`order_export.py`, `order_status_import.py`), which show here what they did.
"""

from typing import Final

import dagster as dg

from commerce_pipelines.flows.tables import ORDER_COLUMNS

STORE_ORDERS: Final = dg.AssetKey(["store", "orders"])
ERP_ORDERS: Final = dg.AssetKey(["erp", "orders"])
OWNERS: Final = ["team:commerce"]
GROUP: Final = "orders"

specs: Final = [
    dg.AssetSpec(
        STORE_ORDERS,
        description="What customers have ordered, with the status that the ERP said last.",
        metadata={"dagster/table_name": "store_order", "dagster/column_schema": ORDER_COLUMNS},
        kinds={"postgres"},
        group_name=GROUP,
        owners=OWNERS,
    ),
    dg.AssetSpec(
        ERP_ORDERS,
        deps=[STORE_ORDERS],
        description="The ERP's orders: ours, each once under its id here, and others.",
        kinds={"api"},
        group_name=GROUP,
    ),
]
