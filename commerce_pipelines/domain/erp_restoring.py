"""Taking back what we wrote into the ERP's product, and only that.

Belongs here: comparing how it was, what we wrote and how it is now. Does not belong
here: asking the ERP.
"""

from __future__ import annotations

from dataclasses import replace

from commerce_pipelines.domain.erp_products import ErpDetails, ErpVariant


def identified(wanted: ErpDetails, before: ErpDetails, now: ErpDetails) -> ErpDetails:
    """Returns what was wanted, new variants as the ERP has made them, with their ids.

    An ERP may give them titles of its own. One that cannot be found among those that are
    there now stays as it was wanted, without an id.
    """
    known = {each.external_id for each in before.variants}
    new = [each for each in now.variants if each.external_id not in known]
    variants = []
    for variant in wanted.variants:
        if variant.external_id is not None:
            variants.append(variant)
            continue
        found = next((each for each in new if _same(each, variant)), None) or next(
            (each for each in new if variant.sku and each.sku == variant.sku), None
        )
        if found is not None:
            new.remove(found)
        variants.append(found or variant)
    return replace(wanted, variants=tuple(variants))


def restored(before: ErpDetails, written: ErpDetails, now: ErpDetails) -> ErpDetails:
    """Returns how the product is without what we wrote: equal to `now` where nothing is ours.

    A field goes back where it still says what we wrote, a variant that we added goes where
    nobody has changed it, and one that we removed comes back.
    """
    was: dict[str | None, ErpVariant] = {each.external_id: each for each in before.variants}
    ours = {each.external_id: each for each in written.variants if each.external_id is not None}
    there = {each.external_id for each in now.variants}
    kept = []
    for variant in now.variants:
        mine, old = ours.get(variant.external_id or ""), was.get(variant.external_id)
        if mine is None:
            kept.append(variant)
        elif old is not None:
            kept.append(_variant_restored(old, mine, variant))
        elif variant != mine:
            kept.append(variant)
    back = [v for id_, v in was.items() if id_ not in ours and id_ not in there]
    return ErpDetails(
        title=before.title if now.title == written.title else now.title,
        description=before.description
        if now.description == written.description
        else now.description,
        variants=(*kept, *back),
    )


def _variant_restored(before: ErpVariant, written: ErpVariant, now: ErpVariant) -> ErpVariant:
    return replace(
        now,
        sku=before.sku if now.sku == written.sku else now.sku,
        title=before.title if now.title == written.title else now.title,
        options=before.options if now.options == written.options else now.options,
    )


def _same(one: ErpVariant, other: ErpVariant) -> bool:
    return replace(one, external_id=None) == replace(other, external_id=None)
