"""The release check: whether sums of a panel may leave, or a count of 1 to 10 people could be worked out from them.

Rule (CMS cell-size suppression policy): no count of people from 1 to threshold - 1 is shown, nor one that follows from
what is shown. Sums of a binary outcome and of its products are counts; so are n less a sum, and a sum less a product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohort_moments import CohortMoments, combined
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.moments import PanelMoments, cell_keys, observed
from evaltoolkit.reduction.plan import PanelPlan

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

DOMINANT: Final = 0.5
"""Share of a cell's total that one person may have, at most."""
_DUST: Final = 1e-6
"""What is left of a zero by rounding, at most."""

What = Literal["people", "totals", "complements", "pairs", "two-places", "dominance", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Numbers that may not leave: what kind, in how many cells, how many. Never the numbers themselves.

    Attributes
    ----------
    what
        The kind.
    cells, numbers
        How many cells, and how many numbers in them.
    words
        The kind in words, after "numbers are" or the like.
    """

    what: What
    cells: int
    numbers: int
    words: str


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What was checked, and what was found.

    Attributes
    ----------
    threshold, show_zero
        The small-cell rule.
    checked
        What was looked at, in words.
    findings
        Empty where all may leave.
    """

    threshold: int
    show_zero: bool
    checked: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def bad_cells(self) -> int:
        """Cells with a finding, each kind counted by itself."""
        return sum(finding.cells for finding in self.findings)


def release_report(moments: PanelMoments) -> ReleaseReport:
    """Check every number of a reduced panel that is, or gives away, a count of people.

    Rows that are people or events: units of each cell; totals of an outcome that counts; for a binary outcome the four
    cells of the table of any two periods; for counts the sums of products. Rows that are places: totals of an outcome
    that counts; where a cell has two places, their single values, which follow from a sum and a sum of squares.
    Outcomes of people that do not count: whether one of them has most of a total.

    Parameters
    ----------
    moments
        Before any are added; the plan says what a row is.
    """
    plan, checks = moments.plan, _checks(moments)
    findings = tuple(check.finding for check in checks if check.finding is not None)
    return ReleaseReport(plan.threshold, plan.show_zero, tuple(check.looked_at for check in checks), findings)


def kept_in(moments: PanelMoments) -> Mask:
    """Return which rows of sums (units by cell, or by cluster and cell) may not leave."""
    found = np.zeros(moments.table.units.size, dtype=np.bool_)
    for check in _checks(moments):
        found |= check.rows
    return found


def without(moments: PanelMoments, covariate: str) -> PanelMoments:
    """Return the sums that remain when cells no longer differ by a covariate."""
    i = moments.plan.covariates.index(covariate)
    cut = [row[:i] + row[i + 1 :] for row in moments.values]
    values = tuple(dict.fromkeys(cut))
    number = {row: float(k) for k, row in enumerate(values)}
    place = np.array([[number[row]] for row in cut])
    fine = moments.with_design(place)
    assert isinstance(fine, CohortMoments)
    table = combined(fine)
    at = {key: s for s, key in enumerate(cell_keys(table))}
    into = [at[key] for key in cell_keys(fine)]
    counts = dominance = None
    if moments.counts is not None:
        counts = np.zeros((len(at), table.periods.size))
        np.add.at(counts, into, moments.counts)
    if moments.dominance is not None:
        dominance = np.zeros((len(at), table.periods.size))
        np.maximum.at(dominance, into, moments.dominance)
    covariates = tuple(name for name in moments.plan.covariates if name != covariate)
    plan = dataclasses.replace(moments.plan, covariates=covariates)
    return dataclasses.replace(
        moments, plan=plan, table=table, values=values, counts=counts, dominance=dominance
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Check:
    """What was looked at, in words; the kind; which numbers may not leave, one row for each of sums; those in words."""

    looked_at: str
    what: What
    bad: Mask
    said: str

    @property
    def rows(self) -> Mask:
        """Which rows of sums hold such a number."""
        return np.array(self.bad.reshape(self.bad.shape[0], -1).any(axis=1))

    @property
    def finding(self) -> Finding | None:
        """None where all may leave."""
        numbers = int(self.bad.sum())
        return Finding(self.what, int(self.rows.sum()), numbers, self.said) if numbers else None


def _checks(moments: PanelMoments) -> list[_Check]:
    return [*_people(moments), *_totals(moments), *_products(moments), *_places(moments), *_dominant(moments)]


def _small(values: FloatArray, plan: PanelPlan) -> Mask:
    """Return which counts may not be shown."""
    zero = values <= _DUST
    small: Mask = ~zero & (values < plan.threshold - _DUST)
    return small if plan.show_zero else small | zero


def _people(moments: PanelMoments) -> Iterator[_Check]:
    if moments.plan.counts_people:
        bad = moments.table.units < moments.plan.threshold
        yield _Check("people in each cell", "people", bad, f"fewer than {moments.plan.threshold} people")


def _totals(moments: PanelMoments) -> Iterator[_Check]:
    plan, table = moments.plan, moments.table
    if not plan.outcome_counts:
        return
    words = f"totals of 1 to {plan.threshold - 1}" + ("" if plan.show_zero else ", or of 0")
    totals, seen = moments.counts, observed(table)
    if isinstance(table, ClusterMoments):
        seen = seen[table.cell]
    if isinstance(table, ClusterMoments) or totals is None:
        if plan.population is not None or plan.weights is not None:
            yield from _unchecked("totals of each cluster", table)
            return
        totals = _whole(table.m + np.outer(table.n, table.shift) * seen, plan)
    yield _Check("total of the outcome in each cell and period", "totals", _small(totals, plan) & seen, words)
    if plan.kind == "binary":
        rest = table.units[:, None] - totals
        missing = words.replace("totals", "people without the outcome, in numbers")
        bad = _small(rest, plan) & seen
        yield _Check("people without the outcome in each cell and period", "complements", bad, missing)


def _whole(values: FloatArray, plan: PanelPlan) -> FloatArray:
    """Return sums of whole numbers without what rounding left."""
    return np.rint(values) if plan.kind in {"binary", "count"} else values


def _unchecked(words: str, table: CohortMoments | ClusterMoments) -> Iterator[_Check]:
    yield _Check(f"{words}: cannot be checked", "unchecked", np.ones(table.units.size, dtype=np.bool_), words)


def _products(moments: PanelMoments) -> Iterator[_Check]:
    plan, table = moments.plan, moments.table
    if not plan.counts_people or plan.kind not in {"binary", "count"} or not isinstance(table, CohortMoments):
        return
    if plan.weights is not None or plan.population is not None:
        yield from _unchecked("products of two periods, which are weighted", table)
        return
    zero = table.shifted(np.zeros(table.shift.size))
    both, totals = np.rint(zero.Q), np.rint(zero.m)
    words = f"products of two periods of 1 to {plan.threshold - 1}"
    seen = observed(table)
    upper = np.triu(seen[:, :, None] & seen[:, None, :], k=plan.kind == "binary")
    bad = _small(both, plan) & upper
    if plan.kind == "binary":
        # What the table of two periods holds besides: the outcome in one alone, and in neither.
        alone = totals[:, :, None] - both
        neither = table.units[:, None, None] - totals[:, None, :] - alone
        distinct = upper | upper.transpose(0, 2, 1)
        bad = np.concatenate([bad, _small(alone, plan) & distinct, _small(neither, plan) & upper], axis=1)
        words = f"people with the outcome in both, one or none of two periods, 1 to {plan.threshold - 1} of them"
    yield _Check("sum of products of any two periods in each cell", "pairs", bad, words)


def _places(moments: PanelMoments) -> Iterator[_Check]:
    """Check cells of two places: a sum and a sum of squares give both values."""
    plan, table = moments.plan, moments.table
    two = table.units == 2
    if plan.counts_people or not plan.outcome_counts or not isinstance(table, CohortMoments) or not two.any():
        return
    words = f"single values of 1 to {plan.threshold - 1} that follow from the sums of two places"
    if moments.dominance is not None and moments.counts is not None:
        least = moments.counts * (1 - moments.dominance)
    elif plan.population is None and plan.weights is None:
        zero = table.shifted(np.zeros(table.shift.size))
        squares = np.diagonal(zero.Q, axis1=1, axis2=2)
        least = np.rint((zero.m - np.sqrt(np.maximum(2 * squares - zero.m**2, 0))) / 2)
    else:
        words = "sums of two places, whose single values follow from them and cannot be checked"
        least = np.full(table.m.shape, 1.0)
    bad = _small(least, plan) & two[:, None] & observed(table)
    yield _Check("values of places in cells of two", "two-places", bad, words)


def _dominant(moments: PanelMoments) -> Iterator[_Check]:
    plan = moments.plan
    if not plan.counts_people or plan.kind != "continuous":
        return
    if moments.dominance is None:
        yield from _unchecked("largest value of each cell", moments.table)
        return
    bad = moments.dominance > DOMINANT
    words = "totals of which one person has more than half"
    yield _Check("largest share of one person in each total", "dominance", bad, words)
