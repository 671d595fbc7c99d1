"""What a panel is reduced by: fixed before a number is read, and hashed, so that sums of several places go together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import Calendar
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PanelPlan:
    """How rows of a panel become sums: every choice that the sums depend on, and none that they do not.

    Attributes
    ----------
    unit, time, first_treated, treated
        Columns; one of the last two is None.
    outcome, kind, population, per
        The outcome column, what kind of number it is, and the denominator of a rate.
    covariates
        Columns whose values tell cells apart.
    grid
        Cut points of covariates that are made categories, by column.
    cluster, weights
        Columns, or None.
    rows
        What a row is.
    keep, missing
        Filters and codes for missing values.
    shift, periods, starts
        Stated beforehand, or None and empty.
    threshold, show_zero
        The small-cell rule.
    incomplete
        Whether units that lack a period are kept for those that they have (``keep``) or left out (``drop``).
    """

    unit: str
    time: str
    first_treated: str | None
    treated: str | None
    outcome: str
    kind: str
    population: str | None
    per: float
    covariates: tuple[str, ...]
    grid: tuple[tuple[str, tuple[float, ...]], ...]
    cluster: str | None
    weights: str | None
    rows: str
    keep: tuple[tuple[str, str, Any], ...]
    missing: tuple[str, ...]
    shift: float | tuple[float, ...] | None
    periods: tuple[Any, ...]
    starts: tuple[Any, ...]
    threshold: int
    show_zero: bool
    incomplete: str = "drop"

    @property
    def counts_people(self) -> bool:
        """Whether a number of units is a number of people."""
        return self.rows in {"people", "events"}

    @property
    def outcome_counts(self) -> bool:
        """Whether totals of the outcome are numbers of people or events."""
        return self.kind in {"count", "rate"} or (self.counts_people and self.kind in {"binary", "proportion"})

    def record(self) -> dict[str, Any]:
        """Return the plan as data for JSON."""
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return found

    @property
    def sha256(self) -> str:
        """Hash of every choice."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()


def panel_plan(study: Study, columns: dict[str, str | None], covariates: tuple[str, ...]) -> PanelPlan:
    """Return the plan of a study.

    Parameters
    ----------
    study
        The study.
    columns
        ``unit``, ``time``, ``first_treated``, ``treated``, ``cluster`` and ``weights``; and under ``incomplete`` what
        becomes of units that lack a period.
    covariates
        Columns that the estimator adjusts for.
    """
    outcome, rules, disclosure = study.outcome, study.moments, study.disclosure
    unit, time = columns["unit"], columns["time"]
    assert unit is not None
    assert time is not None
    cluster = columns["cluster"]
    return PanelPlan(
        unit=unit, time=time, first_treated=columns["first_treated"], treated=columns["treated"],
        outcome=outcome.column, kind=outcome.kind, population=outcome.population, per=float(outcome.per),
        covariates=covariates,
        grid=tuple((name, cuts) for name, cuts in sorted(rules.grid.items()) if name in covariates),
        cluster=None if cluster == unit else cluster, weights=columns["weights"], rows=study.data.rows,
        keep=tuple((f.column, f.op, f.value) for f in study.data.keep), missing=study.data.missing,
        shift=rules.shift, periods=rules.periods, starts=rules.starts, threshold=disclosure.threshold,
        show_zero=disclosure.show_zero, incomplete=columns["incomplete"] or "drop",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bound:
    """A plan with what the data say of time: which values of the columns stand for which period and start.

    Attributes
    ----------
    plan
        The plan.
    calendar
        How periods are written.
    periods, times
        The T periods, ascending, and the values of the time column that stand for each.
    starts, begun
        The J starts, ascending, ``NEVER`` for none, and the values of the start column that stand for each, None for
        an empty cell. Empty where the start follows from a column of 0 and 1.
    shift
        Taken out of the outcome of each period before it is summed, shape (T,).
    """

    plan: PanelPlan
    calendar: Calendar
    periods: IntArray
    times: tuple[tuple[Any, ...], ...]
    starts: IntArray
    begun: tuple[tuple[Any, ...], ...]
    shift: FloatArray

    @property
    def first(self) -> int:
        """The first period."""
        return int(self.periods[0])
