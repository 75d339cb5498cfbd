"""Somebody else, who changes what a saga has changed, between its effect and its undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from commerce_pipelines_tests.crashes.ground import OLD, Ground

THEIRS = "Theirs"


@dataclass(frozen=True)
class Edit:
    """A change by somebody else.

    Attributes:
        make: Makes it; the document or product it is about may not be there.
        stands: Tells whether it is there.
    """

    make: Callable[[Ground], None]
    stands: Callable[[Ground], bool]


def _document(ground: Ground) -> dict[str, object]:
    """Returns the document of the first product, which the saga changes."""
    (found,) = [
        document
        for document in ground.cms.documents().values()
        if document.get("externalId") == OLD[0]["external_id"]
    ]
    return found


def _edit_document(field: str) -> Edit:
    def make(ground: Ground) -> None:
        ground.cms.edit(str(_document(ground)["_id"]), set={field: THEIRS})

    return Edit(make, lambda ground: _document(ground).get(field) == THEIRS)


def _change_row(ground: Ground) -> None:
    ground.shop.change(
        """UPDATE product SET title = :title, version = version + 1
           WHERE id = (SELECT internal_id FROM external_id WHERE external_id = :external_id
                       AND entity = 'product')""",
        title=THEIRS,
        external_id=OLD[0]["external_id"],
    )


EDITS = {
    "our field": _edit_document("title"),
    "another field": _edit_document("shelf"),
    "our row": Edit(_change_row, lambda ground: THEIRS in ground.shop.titles()),
}
