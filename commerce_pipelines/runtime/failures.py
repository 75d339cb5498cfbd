"""What goes wrong with a stack.

Belongs here: exceptions of this package only; the tree they hang in is in
`commerce_pipelines.errors`.
"""

from __future__ import annotations

from commerce_pipelines.errors import CommerceError


class StackError(CommerceError):
    """A part of the stack did not start, or ended without being asked to."""
