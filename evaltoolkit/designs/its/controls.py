"""What the treated series is compared with: one control, several, their mean, a matched set or a synthetic one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.data import Source, identifier_values
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.periods import Periods, positive
from evaltoolkit.designs.its.reading import read
from evaltoolkit.designs.its.sample import series_of
from evaltoolkit.designs.its.series import Choice, Control, Series
from evaltoolkit.errors import MissingValuesError, NoComparisonError, OptionError, did_you_mean
from evaltoolkit.kernels.controlled import ALIKE, alike_before
from evaltoolkit.kernels.segments import segment
from evaltoolkit.kernels.synthetic import noise, unit_weights
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import FlowStep
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MATCHING_LAGS = 1
"""Lags of the Newey-West errors by which matched controls are chosen, as Stata's ``itsamatch`` has them."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """J control series in the periods of the treated one, n of them; missing where a control has no value.

    Attributes
    ----------
    names
        Their names.
    steps
        Shape (n,), rising.
    counts
        Recorded values, shape (n, J).
    exposure
        Populations, shape (n, J); None without any.
    """

    names: tuple[str, ...]
    steps: IntArray
    counts: FloatArray
    exposure: FloatArray | None

    def among(self, kept: NDArray[np.bool_]) -> Candidates:
        """Return some of the controls, shape (J,)."""
        return Candidates(
            tuple(name for name, k in zip(self.names, kept, strict=True) if k), self.steps, self.counts[:, kept],
            None if self.exposure is None else self.exposure[:, kept],
        )  # fmt: skip

    @property
    def rates(self) -> FloatArray:
        """Values per head, or the values where there is no population, shape (n, J)."""
        return self.counts if self.exposure is None else self.counts / self.exposure

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Controls with a value in every period, shape (J,)."""
        return np.asarray(np.isfinite(self.rates).all(axis=0))


def prepare_controlled(study: Study, options: Options, source: Source) -> AnalysisSample[Series]:
    """Read the treated series and its controls, and return the series with its control beside it."""
    by_unit = options.unit is not None
    table = read(study, options, source, unit=options.unit, extra=control_columns(options))
    mine, flow = (table, table.flow) if not by_unit else _treated(table, study, options)
    known = mine.known
    found = _of_units(table, mine, options, study) if by_unit else _of_columns(table, study, options)
    if not by_unit:
        mine = dataclasses.replace(mine, columns={n: mine.columns[n] for n in options.covariates})
    mine = dataclasses.replace(mine.where(known), flow=_with_values(flow, known))
    series, steps = series_of(mine, study, options)
    found = _at(found, series)
    candidates = len(found.names)
    found = found.among(found.whole)
    _some(found, candidates, study, "with a value in every period of the treated series")
    chosen, weights = _chosen(found, series, study, options)
    series = dataclasses.replace(series, control=_control(chosen, weights, study, options, candidates))
    _usable(series, study, options)
    secret = identifier_values(table.frame, study.disclosure.secret_columns)
    return AnalysisSample(series, steps, secret)


def control_columns(options: Options) -> tuple[str, ...]:
    """Return the columns of controls and of their population, where controls are columns."""
    if options.control is None or options.unit is not None:
        return ()
    people = () if options.control_population is None else (options.control_population,)
    return (*_columns_of(options), *people)


def _columns_of(options: Options) -> tuple[str, ...]:
    assert options.control is not None
    return (options.control,) if isinstance(options.control, str) else options.control


def _treated(table: Periods, study: Study, options: Options) -> tuple[Periods, tuple[FlowStep, ...]]:
    name = str(options.treated_unit)
    if name not in table.names:
        raise OptionError(
            f"treated_unit = '{name}' is not in the column '{options.unit}'{did_you_mean(name, table.names)}",
            expected="a value of the unit column", todo="correct treated_unit", where=study.place("treated_unit"),
        )  # fmt: skip
    kept = table.units == table.names.index(name)
    noun = table.calendar.noun
    unit = f"{noun}s" if study.counts_people else "rows"
    step = FlowStep(label="Of the treated series", n=int(kept.sum()), unit=unit, excluded=int((~kept).sum()),
                    reason="of other units; those that serve as controls are used as such")  # fmt: skip
    return table.where(kept), (*table.flow, step)


def _with_values(flow: tuple[FlowStep, ...], known: NDArray[np.bool_]) -> tuple[FlowStep, ...]:
    if known.all():
        return flow
    step = FlowStep(label="With a value", n=int(known.sum()), unit=flow[-1].unit, excluded=int((~known).sum()),
                    reason="no value, population, covariate or control was recorded")  # fmt: skip
    return (*flow, step)


def _of_columns(table: Periods, study: Study, options: Options) -> Candidates:
    names = _columns_of(options)
    order = np.argsort(table.steps, kind="stable")
    counts = np.column_stack([table.columns[name] for name in names])[order]
    exposure = None
    if options.control_population is not None:
        column = positive(
            table.columns[options.control_population], options.control_population, study.place("control_population")
        )
        exposure = np.repeat(column[order][:, None], len(names), axis=1)
    elif table.exposure is not None:
        raise OptionError(
            "the outcome has a population, and the control has none", expected="control_population",
            todo="name the column with the population of the control", where=study.place("control"),
        )  # fmt: skip
    return Candidates(tuple(name.replace("_", " ") for name in names), table.steps[order], counts, exposure)


def _of_units(table: Periods, mine: Periods, options: Options, study: Study) -> Candidates:
    steps = np.unique(mine.steps)
    others = [i for i, name in enumerate(table.names) if name != str(options.treated_unit)]
    named = isinstance(options.control, tuple) or options.control not in {"mean", "all", "matched", "synthetic"}
    if named:
        wanted = _columns_of(options)
        for name in wanted:
            if name not in table.names or name == str(options.treated_unit):
                raise OptionError(
                    f"control = '{name}' is not another unit of '{options.unit}'{did_you_mean(name, table.names)}",
                    expected="units of the data, or mean, all, matched, synthetic", todo="correct control",
                    where=study.place("control"),
                )  # fmt: skip
        others = [table.names.index(name) for name in wanted]
    place = {unit: j for j, unit in enumerate(others)}
    row = np.searchsorted(steps, table.steps)
    inside = np.isin(table.units, others) & np.isin(table.steps, steps)
    column = np.array([place.get(int(u), 0) for u in table.units])
    counts = np.full((steps.size, len(others)), np.nan)
    counts[row[inside], column[inside]] = table.values[inside]
    exposure = None
    if table.exposure is not None:
        exposure = np.full(counts.shape, np.nan)
        exposure[row[inside], column[inside]] = table.exposure[inside]
    return Candidates(tuple(table.names[i] for i in others), steps, counts, exposure)


def _at(found: Candidates, series: Series) -> Candidates:
    """Return the candidates in the periods of the series."""
    rows = np.searchsorted(found.steps, series.steps)
    exposure = None if found.exposure is None else found.exposure[rows]
    return Candidates(found.names, series.steps, found.counts[rows], exposure)


def _some(found: Candidates, candidates: int, study: Study, what: str) -> None:
    if not found.names:
        raise NoComparisonError(
            f"none of {candidates:,} possible control{'s' if candidates != 1 else ''} is left {what}",
            expected="at least one control series", todo="choose other controls, or leave control out",
            where=study.place("control"),
        )  # fmt: skip


def _chosen(found: Candidates, series: Series, study: Study, options: Options) -> tuple[Candidates, FloatArray]:
    """Return the controls that are used and the weight of each."""
    per_head = 1.0 if series.exposure is None else series.exposure
    mine, before = series.values / per_head, ~series.after
    if options.control == "matched":
        level, trend = alike_before(mine, found.rates, _its_columns(series), series.steps, MATCHING_LAGS)
        kept = (level > ALIKE) & (trend > ALIKE)
        candidates = len(found.names)
        found = found.among(kept)
        _some(found, candidates, study, f"whose level and trend before the start were alike (p above {ALIKE:.2f})")
    if options.control == "synthetic":
        past, aim = found.rates[before].T, mine[before]
        # The ridge of synthetic difference-in-differences for one treated series keeps weights spread out.
        zeta = float((~before).sum()) ** 0.25 * noise(past)
        weights = unit_weights(past, aim, zeta, intercept=True)
        used = weights > 1e-9
        return found.among(used), weights[used] / weights[used].sum()
    return found, np.full(len(found.names), 1 / len(found.names))


def _its_columns(series: Series) -> FloatArray:
    """Return intercept, trend, and level and slope of each interruption, shape (n, k)."""
    t = (series.steps - series.steps[0]).astype(np.float64)
    forms: tuple[Literal["level", "slope"], ...] = ("level", "slope")
    shifts = [segment(series.steps, start, form) for start in series.starts for form in forms]
    return np.column_stack([np.ones(t.size), t, *shifts])


def _control(found: Candidates, weights: FloatArray, study: Study, options: Options, candidates: int) -> Control:
    pooled = options.counts and options.control != "synthetic"
    rates = found.rates @ weights
    people = found.counts.sum(axis=1) if study.outcome.kind in {"count", "rate"} else None
    if pooled:
        exposure = 1.0 if found.exposure is None else found.exposure.sum(axis=1)
        rates = found.counts.sum(axis=1) / exposure
    return Control(
        kind=_kind(options), names=found.names, weights=weights, rates=rates,
        each=found.rates, events=people, candidates=candidates,
    )  # fmt: skip


def _kind(options: Options) -> Choice:
    known: tuple[Choice, ...] = ("mean", "all", "matched", "synthetic")
    return next((kind for kind in known if options.unit is not None and options.control == kind), "named")


def _usable(series: Series, study: Study, options: Options) -> None:
    assert series.control is not None
    where = study.place("control")
    if not np.isfinite(series.control.rates).all():
        raise MissingValuesError(
            "the control series lacks values", expected="a value in every period", todo="choose other controls",
            where=where,
        )  # fmt: skip
    if options.counts and (series.control.rates <= 0).any():
        noun = series.calendar.noun
        raise OptionError(
            f"the control has no event in {int((series.control.rates <= 0).sum())} {noun}s",
            expected="counts above zero, to which the treated series is set in relation",
            todo="add up more controls, use longer periods, or family = 'gaussian'", where=where,
        )  # fmt: skip
