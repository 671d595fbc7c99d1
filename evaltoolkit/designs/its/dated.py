"""Changes sought at other dates, and the effect without each period in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.working import Working, working
from evaltoolkit.kernels.dated_change import DatedChanges, dated_changes
from evaltoolkit.kernels.left_out import without_each_period
from evaltoolkit.kernels.several_breaks import segmentations
from evaltoolkit.kernels.unknown_break import ave_f_p_value, break_path, exp_f_p_value, sup_f_p_value

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SIDE: Final = 4
"""Periods on either side of a date at which a change is sought."""
SUPPORT: Final = 0.9
TRIM: Final = 0.15


@dataclass(frozen=True, slots=True)
class Placebos:
    """A level change sought at dates before the start, and at the start, in the same way.

    Attributes
    ----------
    dates
        The earlier dates, shape (m,).
    found
        A level at each of them, in the periods before the start.
    own
        A level at the start, in all periods until the next interruption.
    """

    dates: IntArray
    found: DatedChanges
    own: DatedChanges

    @property
    def sure(self) -> int:
        """How many earlier dates have a change by their own test, at the 5 percent level."""
        return int((self.found.p_value < 0.05).sum())

    @property
    def as_clear(self) -> int:
        """How many earlier dates have a change as clear as the one at the start, in standard errors."""
        ratio = np.abs(self.found.estimate / self.found.std_error)
        return int((ratio >= abs(float(self.own.estimate[0] / self.own.std_error[0])) * (1 - 1e-12)).sum())

    @property
    def rank_p(self) -> float:
        """The share of dates, the start among them, with a change as clear as that at the start."""
        return (1 + self.as_clear) / (1 + self.dates.size)


@dataclass(frozen=True, slots=True)
class BreakDate:
    """Where the data put a single break, when they are not told the start.

    Attributes
    ----------
    dates, chances
        Dates, and how the data spread their support over them, each of shape (m,).
    """

    dates: IntArray
    chances: FloatArray

    @property
    def best(self) -> int:
        """The date with the most support."""
        return int(self.dates[int(self.chances.argmax())])

    @property
    def likely(self) -> IntArray:
        """The fewest dates that hold 90 percent of the support, rising."""
        order = np.argsort(-self.chances, kind="stable")
        many = int(np.searchsorted(np.cumsum(self.chances[order]), SUPPORT - 1e-12)) + 1
        return np.sort(self.dates[order[:many]])


@dataclass(frozen=True, slots=True)
class BreakTests:
    """Tests of a break of every coefficient at an unknown date, and the best segmentation, errors taken as unrelated.

    Attributes
    ----------
    tests
        Name, statistic and p-value of each.
    best
        First period after the break with the largest statistic.
    several
        First periods of the segments that Schwarz's criterion keeps, the first segment left out; None where no
        segmentation fits.
    """

    tests: tuple[tuple[str, float, float], ...]
    best: int
    several: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Dated:
    """What was found at other dates; None where the series is too short for it."""

    placebos: Placebos | None
    break_date: BreakDate | None
    break_tests: BreakTests | None
    left_out: FloatArray | None


def look_at_dates(fitted: Fitted) -> Dated:
    """Look at other dates and without each period."""
    rows = working(fitted)
    return Dated(
        _placebos(fitted, rows), _break_date(fitted, rows), _break_tests(fitted, rows), _left_out(fitted, rows)
    )


def _until_next(fitted: Fitted, rows: Working) -> Working:
    starts = fitted.series.starts
    if len(starts) == 1:
        return rows.only(np.ones(rows.steps.size, dtype=np.bool_))
    return rows.only(rows.steps < starts[1])


def _placebos(fitted: Fitted, rows: Working) -> Placebos | None:
    start = fitted.series.starts[0]
    early = rows.steps < start
    if int(early.sum()) <= 2 * SIDE:
        return None
    before = rows.only(early)
    dates = before.steps[SIDE : before.steps.size - SIDE + 1]
    if before.steps.size - before.calm.shape[1] - 1 < 2:
        return None
    found = dated_changes(before.calm, before.levels(dates), before.response, before.steps, rows.grid)
    known = np.isfinite(found.estimate) & (found.std_error > 0)
    until = _until_next(fitted, rows)
    if until.steps.size - until.calm.shape[1] - 1 < 2 or not known.any():
        return None
    own = dated_changes(until.calm, until.levels(np.array([start])), until.response, until.steps, rows.grid)
    if not np.isfinite(own.estimate[0]):
        return None
    kept = DatedChanges(
        found.estimate[known], found.std_error[known], found.p_value[known], found.log_evidence[known], found.df
    )
    return Placebos(dates[known], kept, own)


def _break_date(fitted: Fitted, rows: Working) -> BreakDate | None:
    if len(fitted.series.starts) > 1:
        return None
    all_rows = _until_next(fitted, rows)
    dates = rows.steps[SIDE : rows.steps.size - SIDE + 1]
    start = fitted.series.starts[0]
    if start not in dates or rows.steps.size - all_rows.calm.shape[1] - 2 < 2:
        return None
    slopes = "slope" in fitted.options.effects
    added = all_rows.levels_and_slopes(dates) if slopes else all_rows.levels(dates)
    found = dated_changes(all_rows.calm, added, all_rows.response, all_rows.steps, rows.grid)
    return BreakDate(dates, found.chances) if np.isfinite(found.log_evidence).any() else None


def _break_tests(fitted: Fitted, rows: Working) -> BreakTests | None:
    """Test every coefficient of a straight trend; the seasons and other columns are taken out first."""
    n = rows.steps.size
    trend = np.column_stack([np.ones(n), (rows.steps - rows.steps[0]).astype(np.float64)]) * rows.root[:, None]
    rest = rows.calm - trend @ np.linalg.lstsq(trend, rows.calm, rcond=None)[0]
    rest = rest[:, (rest**2).sum(axis=0) > 1e-9 * (rows.calm**2).sum(axis=0)]
    outcome = rows.response
    if rest.shape[1]:
        whole = np.column_stack([rows.columns])
        b = np.linalg.lstsq(whole, outcome, rcond=None)[0]
        belongs = _trend_and_changes(fitted)
        outcome = outcome - whole[:, ~belongs] @ b[~belongs]
    try:
        path = break_path(trend, outcome, TRIM)
    except ValueError:
        return None
    try:
        several = tuple(int(rows.steps[i]) for i in segmentations(trend, outcome, TRIM).best)
    except ValueError:
        several = None
    tests = (
        ("Sup F", path.sup_f, sup_f_p_value(path.sup_f, path.q, path.trim_ratio)),
        ("Average F", path.ave_f, ave_f_p_value(path.ave_f, path.q, path.share)),
        ("Exponential F", path.exp_f, exp_f_p_value(path.exp_f, path.q, path.share)),
    )
    return BreakTests(tests, int(rows.steps[path.best]), several)


def _trend_and_changes(fitted: Fitted) -> NDArray[np.bool_]:
    """Return which columns are the intercept, the trend, or belong to an interruption."""
    model = fitted.model
    belongs = (model.observed != model.expected).any(axis=0)
    belongs[[i for i, name in enumerate(model.names) if name in {"intercept", "trend"}]] = True
    return np.asarray(belongs)


def _left_out(fitted: Fitted, rows: Working) -> FloatArray | None:
    """Return the tested headline without each period, to first order for a ratio."""
    model = fitted.model
    if model.df < 3:
        return None
    if fitted.ratio:
        functional = model.log_ratio()
    else:
        after = model.after.astype(np.float64)
        functional = model.effect(after[None, :] / after.sum())
    centre = fitted.main.errors.coefficients
    value, gradient = functional(centre)
    found = without_each_period(rows.columns, rows.response, gradient.reshape(-1), rows.steps, rows.grid)
    return np.asarray(float(value[0]) + found - float(gradient.reshape(-1) @ centre))
