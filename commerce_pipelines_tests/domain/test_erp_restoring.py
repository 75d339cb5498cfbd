from __future__ import annotations

from dataclasses import replace

from commerce_pipelines.domain.erp_products import ErpDetails, ErpVariant
from commerce_pipelines.domain.erp_restoring import identified, restored

SMALL = ErpVariant("v-1", "MUG-S", "Small")
LARGE = ErpVariant(None, "MUG-L", "Extra large")
BEFORE = ErpDetails("Mug", None, (SMALL,))
WANTED = replace(BEFORE, variants=(SMALL, LARGE))
# The ERP makes titles of its own.
MADE = replace(LARGE, external_id="v-2", title="L")


def test_a_variant_that_we_added_goes_also_where_the_erp_titled_it_itself() -> None:
    now = replace(BEFORE, variants=(SMALL, MADE))

    written = identified(WANTED, BEFORE, now)

    assert written.variants == (SMALL, MADE)
    assert restored(BEFORE, written, now) == BEFORE


def test_a_variant_that_we_added_and_somebody_changed_stays() -> None:
    written = identified(WANTED, BEFORE, replace(BEFORE, variants=(SMALL, MADE)))
    now = replace(BEFORE, variants=(SMALL, replace(MADE, title="Huge")))

    assert restored(BEFORE, written, now) == now
