"""What may be shown of groups in which few people were counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.facts import Facts
from evaltoolkit.errors import DisclosureError
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Showing:
    """What may be shown.

    Attributes
    ----------
    lines
        Lines of group means: every cohort, all treated pooled, or none. Effects are differences from the comparison
        group's change, so a small count could be worked out from an effect and shown means, but not without them.
    hidden
        Cohorts of so few people that nothing about them alone is shown.
    stand_in
        A count that is hidden by the small-cell rule, for rows that rest on a hidden cohort.
    relative
        Whether the relative effect may be shown: with the effect it gives the treated mean since the start.
    """

    lines: Literal["cohorts", "pooled", "none"]
    hidden: frozenset[int]
    stand_in: int
    relative: bool

    def basis(self, cohorts: IntArray, n: int) -> int:
        """Return the count of people behind a row; hidden where exactly one hidden cohort could be worked out."""
        return self.stand_in if len(self.hidden & {int(g) for g in np.unique(cohorts)}) == 1 else n


def showing(facts: Facts, study: Study, cells: SmallCells) -> Showing:
    """Decide what may be shown of a sample.

    Raises
    ------
    DisclosureError
        People are the units, and there are too few of them in a group to show anything.
    """
    hidden: frozenset[int] = frozenset()
    counts = dict(zip(facts.cohorts.tolist(), facts.units.tolist(), strict=False))
    if study.counts_people:
        compared = facts.n_compared
        if any(cells.hides(n) for n in (sum(counts.values()), compared)):
            raise DisclosureError(
                f"one of the two groups has fewer than {cells.threshold} people",
                expected=f"at least {cells.threshold} people in each group, so that nobody can be recognized",
                todo="put periods or sites together, or state the agreement that allows less",
                where=study.place("disclosure", "threshold"),
            )  # fmt: skip
        small = sorted((n, g) for g, n in counts.items() if cells.hides(n))
        if len(small) == 1 and len(counts) > 1:
            small.append(min((n, g) for g, n in counts.items() if not cells.hides(n)))
        hidden = frozenset(g for _, g in small)
    stand_in = min((counts[g] for g in hidden), default=0)
    return Showing(_lines(facts, study, cells), hidden, stand_in, _relative(facts, study, cells))


def _lines(facts: Facts, study: Study, cells: SmallCells) -> Literal["cohorts", "pooled", "none"]:
    treated = facts.treated
    groups = [facts.starts == g for g in facts.cohorts]
    if not _small(facts, study, cells, [*groups, ~treated]):
        return "cohorts"
    pooled = len(groups) > 1 and not _small(facts, study, cells, [treated, ~treated])
    return "pooled" if pooled else "none"


def _relative(facts: Facts, study: Study, cells: SmallCells) -> bool:
    if facts.counts is None:
        return True
    on = facts.periods[None, :] >= facts.starts[:, None]
    total = int(np.ceil(facts.counts[on].sum()))
    seen = int(facts.seen[on].sum())
    others = [seen - total] if study.outcome.kind == "binary" else []
    return not any(cells.hides(n) for n in (total, *others))


def _small(facts: Facts, study: Study, cells: SmallCells, groups: list[NDArray[np.bool_]]) -> bool:
    return any(cells.hides(n) for group in groups if group.any() for n in totals(facts, study, group))


def totals(facts: Facts, study: Study, group: NDArray[np.bool_]) -> list[int]:
    """Return every count of people that the means of a group rest on."""
    seen = facts.seen[group].sum(axis=0)
    found = [int(facts.units[group].sum()), *seen.tolist()] if study.counts_people else []
    if facts.counts is not None:
        sums = facts.counts[group].sum(axis=0)
        found += np.ceil(sums).astype(int).tolist()
        if study.outcome.kind == "binary":
            found += (seen - sums).astype(int).tolist()
    return found
