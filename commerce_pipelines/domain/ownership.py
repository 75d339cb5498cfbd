"""Which system owns which field of a product: the one table.

Each system writes its own fields only, once both have brought a product. One that
only one of them has brought is that one's in every field, until the other brings it
too. Matched by external id; else by SKU, never by title. A price here is the PIM's
recommendation; what a customer pays is the price book's, which is the ERP's alone,
like stock and purchase rules. A variant stays as long as the PIM or the ERP has it.
"""

from __future__ import annotations

from typing import Final

PIM: Final = "pim"
ERP: Final = "erp"

PRODUCT_FIELDS: Final = {
    "title": PIM,
    "description": PIM,
    "status": PIM,
    "handle": PIM,
    "brand": PIM,
    "images": PIM,
    "options": PIM,
    "metadata": PIM,
}

VARIANT_FIELDS: Final = {
    "title": PIM,
    "options": PIM,
    "position": PIM,
    "manage_inventory": PIM,
    "prices": PIM,
    "sku": ERP,
}
