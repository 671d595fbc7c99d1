"""Which units and periods can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.options import Options
from evaltoolkit.errors import EvaluationError, MissingValuesError, NoComparisonError, NoPrePeriodError, OptionError
from evaltoolkit.kernels.group_time import NEVER
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of n units and T periods are used.

    Attributes
    ----------
    start
        First treated period of every unit; ``NEVER`` also where it lies after the last period used, shape (n,).
    kept, inside
        Units and periods that are used, shapes (n,) and (T,).
    last_period
        The last period that is used.
    n_units, n_incomplete, n_left, n_always
        Units in the data, those that lack a period, those left out for it, and those left out for an early start.
    last_as_comparison
        Start of the last cohort where it stands in for never-treated units.
    """

    start: IntArray
    kept: Mask
    inside: Mask
    last_period: int
    n_units: int
    n_incomplete: int
    n_left: int
    n_always: int
    last_as_comparison: int | None

    @property
    def treated(self) -> Mask:
        """Which of the units that are used become treated in a period that is used."""
        return self.start[self.kept] <= self.last_period


def scope_of(start: IntArray, periods: IntArray, there: Mask, study: Study, options: Options) -> Scope:
    """Choose units and periods; ``there`` says which units were observed when, shape (n, T).

    Units already treated in the first period (plus anticipation) are left out. Where every unit becomes treated, and
    the comparison is with the not yet treated, the last cohort is the comparison group and the periods from its start
    on are left out, as in R ``did``.

    Raises
    ------
    MissingValuesError, NoPrePeriodError, NoComparisonError, OptionError
        Nothing is left to compare.
    """
    where = study.place("first_treated" if options.first_treated else "treated")
    whole = there.all(axis=1)
    fewest = 2 if options.panel else 1
    complete = there.sum(axis=1) >= min(fewest, periods.size) if options.keeps_incomplete else whole
    if not complete.any():
        raise nothing_left(0, periods.size, study, options)
    early = complete & (start <= int(periods[0]) + options.anticipation)
    kept = complete & ~early
    begun = np.where(start > int(periods[-1]) + options.anticipation, NEVER, start)
    inside = np.ones(periods.size, dtype=np.bool_)
    last: int | None = None
    _need_treated(begun[complete], begun[kept], periods, where)
    if not (begun[kept] == NEVER).any() and options.estimator != "twfe":
        last, inside = _last_cohort(begun[kept], periods, study, options)
        begun = np.where(begun >= last, NEVER, begun)
    elif options.estimator == "twfe":
        _need_two_groups(begun[kept], periods, where)
    if options.estimator == "two-by-two" and np.unique(begun[kept][begun[kept] != NEVER]).size > 1:
        raise OptionError(
            "units start the program in several periods", expected="one start for estimator = 'two-by-two'",
            todo="use estimator = 'callaway-santanna'", where=study.place("estimator"),
        )  # fmt: skip
    return Scope(
        begun,
        kept,
        inside,
        int(periods[inside][-1]),
        int(complete.size),
        int((~whole).sum()),
        int((~complete).sum()),
        int(early.sum()),
        last,
    )


def _need_treated(before: IntArray, after: IntArray, periods: IntArray, where: str) -> None:
    if (after <= periods[-1]).any():
        return
    if (before <= periods[-1]).any():
        raise _all_early(where)
    raise NoPrePeriodError(
        "no unit with complete data starts the program within the periods of the data",
        expected="a start after the first period and not after the last", todo="check the column of the start",
        where=where,
    )  # fmt: skip


def nothing_left(n_early: int, n_periods: int, study: Study, options: Options) -> EvaluationError:
    """Return the error where no unit can be used.

    Parameters
    ----------
    n_early
        Units that start in or before the first period.
    n_periods
        Periods.
    study, options
        For the message.
    """
    if n_early:
        return _all_early(study.place("first_treated" if options.first_treated else "treated"))
    much = "at least two periods" if options.keeps_incomplete else f"all {n_periods} periods"
    return MissingValuesError(
        f"no unit has complete data in {much}",
        expected="units observed in every period",
        todo="leave out periods or covariates that few units have, with data.keep", where=study.place("time"),
    )  # fmt: skip


def _all_early(where: str) -> NoPrePeriodError:
    return NoPrePeriodError(
        "every treated unit starts the program in or before the first period (with anticipation)",
        expected="at least one period before the start",
        todo="add earlier periods, lower anticipation, or check the column of the start", where=where,
    )  # fmt: skip


def _last_cohort(start: IntArray, periods: IntArray, study: Study, options: Options) -> tuple[int, Mask]:
    starts = np.unique(start)
    last = int(starts[-1])
    inside = periods < last - options.anticipation
    if options.comparison == "never-treated" or options.estimator == "two-by-two":
        raise NoComparisonError(
            "every unit with complete data becomes treated, so none is never treated",
            expected="units that never start the program",
            todo="use comparison = 'not-yet-treated' with estimator = 'callaway-santanna', or add units",
            where=study.place("comparison"),
        )  # fmt: skip
    usable = inside.any() and (starts[:-1] <= periods[inside][-1]).any() if inside.any() else False
    if starts.size < 2 or not usable:
        raise NoComparisonError(
            "all units start the program at the same time or too close together to compare them",
            expected="units that start later, or never", todo="add units without the program",
            where=study.place("comparison"),
        )  # fmt: skip
    return last, inside


def _need_two_groups(start: IntArray, periods: IntArray, where: str) -> None:
    if np.unique(np.where(start > periods[-1], NEVER, start)).size < 2:
        raise NoComparisonError(
            "all units start the program at the same time", expected="units that start later, or never",
            todo="add units without the program", where=where,
        )  # fmt: skip
