"""What a step is: an effect beside its undo.

A step in the store's own database is transactional: effect and ledger row are
one commit, so it is never in doubt. A step in somebody else's system may be in
doubt after a crash; it therefore also knows how to look.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy import Connection

JSON = dict[str, Any]


@dataclass(frozen=True)
class Undo:
    """What an undo did.

    Attributes:
        superseded: Nothing was ours any more; somebody changed it later and it was left alone.
        report: Counts and names for a person, kept in the ledger.
    """

    superseded: bool = False
    report: JSON = field(default_factory=dict)


class Step(ABC):
    """One effect of a saga and its undo.

    Attributes:
        name: The same in every saga of a kind; recovery finds the undo by it.
    """

    name: ClassVar[str]


class TransactionalStep(Step):
    """A step in the ledger's own database."""

    @abstractmethod
    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Makes the change and returns what its undo needs beside the plan."""

    @abstractmethod
    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Takes the change back where it is still ours."""


class ExternalStep(Step):
    """A step in another system.

    Attributes:
        settle_seconds: After this long a request that was sent has landed or never will.
        seals: `look` makes sure that an absent effect can never land, so it need not wait.
        is_pivot: From its intent on the saga only goes forward; the steps after it, and
            itself, may be taken again and again until they are done.
    """

    settle_seconds: ClassVar[float]
    seals: ClassVar[bool] = False
    is_pivot: ClassVar[bool] = False

    @abstractmethod
    def act(self, plan: JSON, key: str) -> JSON:
        """Sends the planned request; a repeat under the same key has no second effect.

        Raises:
            PermanentError: The system said a definite no; nothing was changed.
            TransientError: The effect may or may not exist.
        """

    @abstractmethod
    def look(self, plan: JSON, key: str) -> JSON | None:
        """Finds the result of an act that is in doubt; None when there is no effect.

        Raises:
            TransientError: It cannot be told now.
        """

    @abstractmethod
    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Looks first, then takes back what is still ours.

        Raises:
            TransientError: It may work later.
            NeedsPerson: Only a person may decide; the step is parked.
        """


Steps = Mapping[str, Step]
