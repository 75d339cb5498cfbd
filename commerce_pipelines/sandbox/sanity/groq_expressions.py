"""What the forms of a GROQ query evaluate to.

Belongs here: scopes, expressions, and how they are built from each other. Does
not belong here: the grammar (`groq_parser.py`), operators on plain values
(`groq_values.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.sandbox.sanity import groq_values as values
from commerce_pipelines.sandbox.sanity.document_rules import Document, Survey


class Scope:
    """Where an expression is evaluated: `this` is `@`, `parent.this` is `^`."""

    __slots__ = ("documents", "parent", "this")

    def __init__(
        self, documents: Mapping[str, Document], this: Any = None, parent: Scope | None = None
    ) -> None:
        self.documents = documents
        self.this = this
        self.parent = parent

    def inner(self, this: Any) -> Scope:
        """Returns the scope of one element."""
        return Scope(self.documents, this, self)


Evaluate = Callable[[Scope], Any]
MISSING: Any = object()


@dataclass(frozen=True)
class Expression:
    """Something to evaluate.

    Attributes:
        evaluate: Gives its value in a scope.
        many: What follows applies to each element of its value.
        name: What a projection calls it, if it is an attribute.
        constant: Its value, if it has one in every scope.
    """

    evaluate: Evaluate
    many: bool = False
    name: str | None = None
    constant: Any = MISSING


def constant(value: Any) -> Expression:
    """Returns the expression that is this value everywhere."""
    return Expression(lambda scope: value, constant=value)


def attribute(value: Any, name: str) -> Any:
    """Returns an attribute of an object; null of anything else."""
    return value.get(name) if isinstance(value, dict) else None


def for_each(base: Expression, change: Callable[[Scope, Any], Any]) -> Evaluate:
    """Returns the evaluation that changes a value, or each element of many."""
    if not base.many:
        return lambda scope: change(scope, base.evaluate(scope))

    def evaluate(scope: Scope) -> Any:
        items = base.evaluate(scope)
        return [change(scope, item) for item in items] if isinstance(items, list) else None

    return evaluate


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": values.same,
    "!=": lambda left, right: not values.same(left, right),
    "<": lambda left, right: _ordered(left, right, lambda order: order < 0),
    "<=": lambda left, right: _ordered(left, right, lambda order: order <= 0),
    ">": lambda left, right: _ordered(left, right, lambda order: order > 0),
    ">=": lambda left, right: _ordered(left, right, lambda order: order >= 0),
    "in": values.contained,
    "match": values.matches,
}


def _ordered(left: Any, right: Any, test: Callable[[int], bool]) -> bool | None:
    order = values.compare(left, right)
    return None if order is None else test(order)


def combined(operate: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    """Returns an operator between two expressions."""
    first, second = left.evaluate, right.evaluate
    return Expression(lambda scope: operate(first(scope), second(scope)))


def negated(value: Any) -> bool | None:
    """Returns `!value`."""
    return not value if isinstance(value, bool) else None


def refers(scope: Scope, arguments: list[Expression]) -> bool:
    """Tells whether `@` refers to any of the ids, as `references()` does."""
    wanted: set[str] = set()
    for argument in arguments:
        value = argument.evaluate(scope)
        wanted.update(value if isinstance(value, list) else [value])
    return isinstance(scope.this, dict) and not wanted.isdisjoint(Survey(scope.this).references)


def followed(scope: Scope, value: Any) -> Any:
    """Returns the document that a reference leads to."""
    target = attribute(value, "_ref")
    return scope.documents.get(target) if isinstance(target, str) else None


def filtered(base: Expression, condition: Expression) -> Expression:
    """Returns the elements for which the condition is true."""
    test = condition.evaluate

    def evaluate(scope: Scope) -> Any:
        items = base.evaluate(scope)
        if not isinstance(items, list):
            return None
        return [item for item in items if test(scope.inner(item)) is True]

    return Expression(evaluate, True, base.name)


def indexed(base: Expression, index: int) -> Expression:
    """Returns one element; negative indexes count from the end."""

    def evaluate(scope: Scope) -> Any:
        items = base.evaluate(scope)
        if not isinstance(items, list) or not -len(items) <= index < len(items):
            return None
        return items[index]

    return Expression(evaluate, name=base.name)


def in_order(scope: Scope, items: list[Any], keys: list[tuple[Evaluate, int]]) -> list[Any]:
    """Returns the items sorted by keys, each with 1 for ascending or -1."""
    ranked = list(items)
    # Sorting is stable, so the least important key goes first.
    for key, direction in reversed(keys):
        ranked.sort(key=_rank(scope, key), reverse=direction < 0)
    return ranked


def _rank(scope: Scope, key: Evaluate) -> Callable[[Any], Any]:
    comparable = functools.cmp_to_key(values.order)
    return lambda item: comparable(key(scope.inner(item)))
