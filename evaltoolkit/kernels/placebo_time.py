"""Starts moved to before the real ones, and estimates without one cohort or one cluster at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.aggregate import Kind, point
from evaltoolkit.kernels.bands import WaldTest, wald
from evaltoolkit.kernels.cohorts import NEVER, CellError, Rule
from evaltoolkit.kernels.group_time import effects
from evaltoolkit.kernels.jackknife import delete_one_group_time, jackknife_covariance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class PlaceboError(ValueError):
    """No treated unit has a period before the moved start: the shift is too large."""

    def __init__(self, shift: int) -> None:
        self.shift = shift
        super().__init__(f"no cohort is left with starts {shift} periods earlier")


@dataclass(frozen=True, slots=True)
class PlaceboPanel:
    """A panel without treated periods, in which treatment is taken to start earlier.

    Attributes
    ----------
    shift
        By how many observed periods.
    units
        Which units of the panel are left, shape (n',): take covariates, clusters and weights of these.
    columns
        Which periods are left, shape (T',).
    outcome
        Shape (n', T'); NaN from a unit's first period that treatment (or anticipation of it) can have reached.
    start
        Shape (n',); one of ``periods``, or ``NEVER``.
    periods
        Shape (T',).
    truly
        The real starts, shape (n',).
    lost
        Real starts of cohorts that had no period left before the moved start.
    """

    shift: int
    units: IntArray
    columns: IntArray
    outcome: FloatArray
    start: IntArray
    periods: IntArray
    truly: IntArray
    lost: IntArray


@dataclass(frozen=True, slots=True)
class PlaceboEstimates:
    """Estimates with S moved starts, which should be near zero.

    Attributes
    ----------
    shift
        By how many periods, shape (S,).
    estimate, std_error, p_value
        Shape (S,); NaN where no estimate exists.
    cohorts
        Cohorts that took part, shape (S,).
    test
        Joint test of all of them; None where scores are not by the same clusters, or clusters are too few.
    """

    shift: IntArray
    estimate: FloatArray
    std_error: FloatArray
    p_value: FloatArray
    cohorts: IntArray
    test: WaldTest | None


@dataclass(frozen=True, slots=True)
class Influence:
    """Estimates without each of R parts.

    Attributes
    ----------
    labels
        Cohort or cluster left out, shape (R,).
    size
        Units left out, shape (R,).
    estimate
        Shape (R,); NaN where none is left.
    full
        The estimate from everybody.
    """

    labels: IntArray
    size: IntArray
    estimate: FloatArray
    full: float

    @property
    def change(self) -> FloatArray:
        """How far leaving a part out moves the estimate, shape (R,)."""
        return self.estimate - self.full

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest estimate without a part; NaN where there is none."""
        found = self.estimate[np.isfinite(self.estimate)]
        return (float(found.min()), float(found.max())) if found.size else (float("nan"), float("nan"))

    @property
    def largest(self) -> int:
        """Label of the part that moves the estimate most; -1 where no estimate without a part exists."""
        change = np.abs(self.change)
        return int(self.labels[np.nanargmax(change)]) if np.isfinite(change).any() else -1

    @property
    def keeps_sign(self) -> bool:
        """Whether every estimate has the sign of the full one."""
        found = self.estimate[np.isfinite(self.estimate)]
        return bool((np.sign(found) == np.sign(self.full)).all())

    @property
    def std_error(self) -> float:
        """Jackknife standard error (CV3): meant where the parts are the clusters; NaN where an estimate is missing."""
        return float(np.sqrt(jackknife_covariance(self.estimate[:, None], np.array([self.full]))[0, 0]))


def placebo_panel(
    outcome: FloatArray, start: IntArray, periods: IntArray, shift: int, anticipation: int = 0
) -> PlaceboPanel:
    """Move every start ``shift`` observed periods earlier and drop what treatment can have reached.

    The moved start is ``shift`` periods before the first one that treatment, or anticipation of it, reached, so that
    each cohort has that many placebo periods. Cohorts without a period before it are left out, as are periods in which
    no treated unit remains. Comparisons with units that have not started yet use their moved starts.

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed.
    start
        First treated period, ``NEVER`` for none, shape (n,). Starts after the last period are ``NEVER``.
    periods
        Ascending, shape (T,).
    shift
        At least one.
    anticipation
        Periods before the start that are dropped too.

    Returns
    -------
    PlaceboPanel

    Raises
    ------
    PlaceboError
        No cohort is left.

    References
    ----------
    Bertrand, M., Duflo, E. and Mullainathan, S. (2004). How much should we trust differences-in-differences estimates?
    Quarterly Journal of Economics 119. doi:10.1162/003355304772839588

    Examples
    --------
    >>> y = np.arange(12.0).reshape(3, 4)
    >>> found = placebo_panel(y, np.array([4, 2, NEVER]), np.array([1, 2, 3, 4]), 1)
    >>> found.start[:1].tolist(), found.units.tolist(), found.lost.tolist(), found.outcome.tolist()
    ([3], [0, 2], [2], [[0.0, 1.0, 2.0], [8.0, 9.0, 10.0]])
    """
    if shift < 1:
        raise ValueError("a start moves by at least one period")
    ever = start <= periods[-1]
    clean = np.where(ever, np.searchsorted(periods + anticipation, np.where(ever, start, 0)), periods.size)
    kept = ~ever | (clean - shift >= 1)
    if not (kept & ever).any():
        raise PlaceboError(shift)
    units = np.flatnonzero(kept)
    columns = np.arange(int(clean[kept & ever].max()))
    y = outcome[units][:, columns].astype(np.float64)
    y[columns[None, :] >= clean[units, None]] = np.nan
    place = np.where(ever, clean - shift, 0)[units]
    moved = np.where(ever[units], periods[place], NEVER)
    return PlaceboPanel(shift, units, columns, y, moved, periods[columns], start[units], np.unique(start[ever & ~kept]))


def placebos_in_time(
    panel: tuple[FloatArray, IntArray, IntArray],
    shifts: Sequence[int],
    estimate: Callable[[PlaceboPanel], tuple[float, FloatArray]],
    anticipation: int = 0,
    df: float | None = None,
) -> PlaceboEstimates:
    """Estimate with starts moved earlier by each of several shifts.

    Parameters
    ----------
    panel
        Outcome, start and periods, as in ``placebo_panel``.
    shifts
        By how many periods.
    estimate
        From a placebo panel to an estimate and its scores, shape (C,), with ``scores @ scores`` its variance. For a
        joint test over shifts the C clusters are those of the whole panel, with zeros where one takes no part.
    anticipation
        As in ``placebo_panel``.
    df
        Degrees of freedom of the t reference; None for the normal.

    Examples
    --------
    >>> y, start = np.array([[1.0, 2, 9], [0, 2, 8], [1, 2, 3], [4, 5, 7]]), np.array([3, 3, NEVER, NEVER])
    >>> def change(p):
    ...     gap, mine = p.outcome[:, 1] - p.outcome[:, 0], p.start < NEVER
    ...     scores = np.where(mine, gap - gap[mine].mean(), gap[~mine].mean() - gap) / 2
    ...     return gap[mine].mean() - gap[~mine].mean(), scores
    >>> found = placebos_in_time((y, start, np.array([1, 2, 3])), [1, 2], change)
    >>> found.estimate.tolist(), found.std_error.round(3).tolist()
    ([0.5, nan], [0.354, nan])
    """
    rows: list[tuple[float, float, int]] = []
    scores: list[FloatArray] = []
    for shift in shifts:
        try:
            moved = placebo_panel(*panel, shift, anticipation)
            value, psi = estimate(moved)
        except (PlaceboError, CellError, np.linalg.LinAlgError):
            rows.append((np.nan, np.nan, 0))
            continue
        rows.append((value, float(np.sqrt(psi @ psi)), np.unique(moved.truly[moved.start < NEVER]).size))
        scores.append(psi)
    values, se, cohorts = (np.array(v) for v in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(np.where(se > 0, values / se, np.nan))
    p = 2 * (special.ndtr(-z) if df is None else special.stdtr(df, -z))
    return PlaceboEstimates(
        np.array(shifts, dtype=np.int64), values, se, p, cohorts.astype(np.int64), _joint(values, scores, df)
    )


def _joint(values: FloatArray, scores: list[FloatArray], df: float | None) -> WaldTest | None:
    if not scores or len({psi.size for psi in scores}) > 1:
        return None
    table = np.column_stack(scores)
    return wald(values[np.isfinite(values)], table.T @ table, df)


def leave_one_out(labels: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each label and the indices of everybody else.

    >>> [(label, kept.tolist()) for label, kept in leave_one_out(np.array([7, 5, 7]))]
    [(5, [0, 2]), (7, [1])]
    """
    for label in np.unique(labels).tolist():
        yield label, np.flatnonzero(labels != label)


def influence(points: Callable[[IntArray], float], labels: IntArray, which: IntArray | None = None) -> Influence:
    """Estimate again without each part.

    Parameters
    ----------
    points
        From indices of units to an estimate; a ``ValueError`` (such as ``CellError``) or a singular matrix is a missing
        estimate.
    labels
        Cohort or cluster of each unit, shape (n,).
    which
        Labels to leave out; None for all.

    Examples
    --------
    >>> y = np.array([1.0, 2, 3, 10])
    >>> found = influence(lambda kept: y[kept].mean(), np.array([0, 0, 1, 2]))
    >>> found.full, found.largest, found.span, found.keeps_sign
    (4.0, 0, (2.0, 6.5), True)
    """
    full = float(points(np.arange(labels.size)))
    rows = []
    for label, kept in leave_one_out(labels):
        if which is not None and label not in which:
            continue
        try:
            value = float(points(kept))
        except (ValueError, np.linalg.LinAlgError):
            value = float("nan")
        rows.append((label, labels.size - kept.size, value))
    names, size, values = zip(*rows, strict=True) if rows else ((), (), ())
    return Influence(np.array(names, dtype=np.int64), np.array(size, dtype=np.int64), np.array(values, float), full)


def group_time_influence(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    design: FloatArray,
    rule: Rule,
    kind: Kind,
    labels: IntArray,
) -> Influence:
    """Return the overall value of an aggregation without each cohort (``labels = start``) or cluster.

    Without covariates all deletions come from sums (``delete_one_group_time``); with them each is fitted anew. A
    cohort that is left out leaves the average, and its units the comparison; where a cell of a cohort that stays is
    lost, there is no estimate.

    Parameters
    ----------
    outcome, start, periods, design, rule
        As in ``group_time``.
    kind
        Which aggregation.
    labels
        Shape (n,).

    Returns
    -------
    Influence

    Raises
    ------
    CellError
        A cell cannot be estimated from everybody.

    Examples
    --------
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 5, 3], [4, 5, 6], [2, 3, 4]])
    >>> start = np.array([3, 3, 2, NEVER, NEVER])
    >>> found = group_time_influence(y, start, np.array([1, 2, 3]), np.ones((5, 1, 1)), Rule(), "simple", start)
    >>> found.full, found.labels[:2].tolist(), found.estimate[:2].tolist()
    (3.75, [2, 3], [6.0, 1.5])
    """
    every, full = effects(outcome, start, periods, design, rule)
    cohorts = np.unique(start[start <= periods[-1]])
    names, codes, size = np.unique(labels, return_inverse=True, return_counts=True)
    deleted = delete_one_group_time(outcome, start, periods, design, rule, codes.astype(np.int64))
    member = (start[:, None] == cohorts).astype(np.float64)
    counts = member.sum(axis=0) - np.stack([np.bincount(codes, weights=m, minlength=names.size) for m in member.T], 1)
    g, t = (np.array([c[m] for c in every], dtype=np.int64) for m in range(2))
    still = counts[:, np.searchsorted(cohorts, g)] > 0
    deleted[(np.isnan(deleted) & still).any(axis=1)] = np.nan
    overall = point(kind, g, t, np.vstack([full, deleted]), np.vstack([member.sum(axis=0), counts]), cohorts)[1]
    return Influence(names.astype(np.int64), size.astype(np.int64), overall[1:], float(overall[0]))
