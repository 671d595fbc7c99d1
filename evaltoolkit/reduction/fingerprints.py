"""Fingerprints of units: whether one is in the sums of two agencies, without a list of names."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from evaltoolkit.errors import SetupError
from evaltoolkit.reduction.plan import PanelPlan

Kind = Literal["names", "keyed-sketch"]

KEY: Final = "EVALTOOLKIT_OVERLAP_KEY"
"""Environment variable with the key that all agencies share."""
MOST_NAMES: Final = 200_000
"""Names of places that are all looked at; of more, none are."""
SKETCH: Final = 4096
"""Fingerprints of people that leave, at most: the smallest of all."""
_SHORTEST_KEY: Final = 16


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Hashes of names of units under one plan.

    Attributes
    ----------
    kind
        ``names``: of every unit, for places, whose names are no secret. ``keyed-sketch``: under a key that only the
        agencies have, of people, and only the smallest ``SKETCH`` of them.
    n
        Units behind them.
    values
        16 hexadecimal digits each, ascending.
    key
        The same for all who have the same key, and telling nothing of it; empty without one.
    """

    kind: Kind
    n: int
    values: tuple[str, ...]
    key: str = ""

    def shared(self, other: Fingerprints) -> int:
        """Return how many fingerprints are in both."""
        return len(set(self.values) & set(other.values))

    @property
    def complete(self) -> bool:
        """Whether every unit has one, so that no overlap stays unseen."""
        return len(self.values) == self.n


def overlap_key() -> bytes | None:
    """Return the key that agencies share to find people who are in two files; None where there is none.

    Raises
    ------
    SetupError
        It is too short to be secret.
    """
    text = os.environ.get(KEY, "")
    if not text:
        return None
    if len(text) < _SHORTEST_KEY:
        raise SetupError(
            f"the key in {KEY} has {len(text)} characters", expected=f"at least {_SHORTEST_KEY}, made at random",
            todo="agree on a long random key among the agencies, and tell it nobody else", where="environment",
        )  # fmt: skip
    return text.encode()


def fingerprints(names: Iterable[str], plan: PanelPlan, key: bytes | None = None) -> Fingerprints | None:
    """Return fingerprints of units; None for people without a key, and for too many places.

    Names of people can be guessed one by one, so a hash of them without a key would give them away: none is made.
    The plan is part of every hash: files of two studies cannot be joined by them.

    Parameters
    ----------
    names
        Names of the units that are in the sums, as text.
    plan
        The plan of the sums.
    key
        ``overlap_key()``; used for people only.

    Examples
    --------
    >>> from evaltoolkit.reduction.plan import PanelPlan
    >>> plan = PanelPlan(
    ...     "county", "year", "start", None, "y", "continuous", None, 1.0, (), (), None, None, "aggregates", (), (),
    ...     None, (), (), 11, True)
    >>> a, b = fingerprints(["Elm", "Oak"], plan), fingerprints(["Oak", "Ash"], plan)
    >>> a.n, a.shared(b), a.complete
    (2, 1, True)
    """
    if not plan.counts_people:
        return _of_places(names, plan)
    if key is None:
        return None
    secret = hmac.new(key, plan.sha256.encode(), hashlib.sha256).digest()
    n = 0

    def _hashes() -> Iterable[str]:
        nonlocal n
        for name in names:
            n += 1
            yield hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()[:16]

    smallest = heapq.nsmallest(SKETCH, _hashes())
    check = hmac.new(secret, b"\x1fkey", hashlib.sha256).hexdigest()[:16]
    return Fingerprints("keyed-sketch", n, tuple(sorted(set(smallest))), check)


def _of_places(names: Iterable[str], plan: PanelPlan) -> Fingerprints | None:
    salt = plan.sha256.encode() + b"\x1f"
    found: list[str] = []
    for name in names:
        if len(found) == MOST_NAMES:
            return None
        found.append(hashlib.sha256(salt + name.encode()).hexdigest()[:16])
    return Fingerprints("names", len(found), tuple(sorted(found)))
