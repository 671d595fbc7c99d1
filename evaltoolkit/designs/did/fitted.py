"""Everything that the tables, figures, checks and words of one study are made from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.contract import small_cells
from evaltoolkit.designs.did.cell_study import CellStudy
from evaltoolkit.designs.did.estimating import Otherwise, cells_by, compared_in, estimated
from evaltoolkit.designs.did.explaining import FAILURES, explained
from evaltoolkit.designs.did.facts import Facts
from evaltoolkit.designs.did.family import Family, Measured
from evaltoolkit.designs.did.inference import Choice, Compared
from evaltoolkit.designs.did.laws import Bootstrapped, Reassigned
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_study import PathStudy
from evaltoolkit.designs.did.sample import PanelStudy, unit_words
from evaltoolkit.designs.did.showing import Showing, showing
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.bands import WaldTest, simultaneous_critical_value, wald
from evaltoolkit.kernels.cohorts import Rule
from evaltoolkit.reduction import Panel
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

AGGREGATIONS = {
    "group": "average over cohorts by size",
    "simple": "average over all treated cohorts and periods",
    "dynamic": "average over time since the start",
    "calendar": "average over calendar periods",
}

FloatArray = NDArray[np.float64]

_ADJUST: tuple[Literal["doubly-robust", "weighting", "regression"], ...] = ("doubly-robust", "weighting", "regression")


@dataclass(frozen=True, slots=True)
class Variant:
    """The same effect estimated in another admissible way; None where it cannot be."""

    label: str
    found: Measured | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """One study, fitted.

    Attributes
    ----------
    overall
        The headline.
    log_ratio
        Log of the treated mean over its counterfactual; None where it does not exist or means little.
    events
        Effects by event time.
    cells, path
        Effects by cohort and period, or one effect and a path: what the estimator gives, else None.
    pretest
        Joint test of the periods before the start; None where there are none, or it cannot be computed.
    critical
        Critical value of the simultaneous band over event times, for a normal reference.
    reach
        By randomization: how far that band reaches at each event time; None otherwise.
    variants
        Other admissible estimates.
    """

    study: Study
    options: Options
    data: PanelStudy
    choice: Choice
    small: SmallCells
    show: Showing
    overall: Family
    log_ratio: Family | None
    events: Family
    cells: CellStudy | None
    path: PathStudy | None
    pretest: WaldTest | None
    critical: float
    reach: FloatArray | None
    variants: tuple[Variant, ...]

    @property
    def panel(self) -> Panel:
        """The panel."""
        return self.data.panel

    @property
    def facts(self) -> Facts:
        """Who was observed when, summed by start."""
        return self.data.facts

    @property
    def level(self) -> float:
        """The confidence level."""
        return self.study.inference.level

    @property
    def unit(self) -> str:
        """What a unit is, in the plural."""
        return unit_words(self.study, self.options)[1]

    @property
    def reference(self) -> int | None:
        """The event time that others are compared with; None where each period has its own."""
        if self.options.estimator == "callaway-santanna" and self.options.base_period == "varying":
            return None
        periods = self.facts.periods
        before = periods[-1] - periods[0] + 1
        times = {int(t - g) for g in self.facts.cohorts for t in periods}
        limit = -self.options.anticipation
        return max((e for e in times if e < limit), default=-int(before))

    @property
    def one_unit(self) -> str:
        """What a unit is, in the singular."""
        return unit_words(self.study, self.options)[0]

    @property
    def cluster_rule(self) -> SmallCells | None:
        """The small-cell rule for numbers of clusters, where clusters are people."""
        return self.small if self.study.counts_people and self.options.cluster is None else None

    @property
    def headline(self) -> Measured:
        """The headline with its interval."""
        return self.overall.one(0, self.level)

    @property
    def compared(self) -> Compared:
        """Who counts as compared with when a method of inference is chosen."""
        return compared_in(self.options)

    @property
    def staggered(self) -> bool:
        """Whether there are several starts."""
        return self.facts.cohorts.size > 1


def fit(study: Study, options: Options, data: PanelStudy, *, around: bool = True) -> Fitted:
    """Estimate everything; with ``around`` false, only what the headline needs: no test, band or other estimates.

    Raises
    ------
    EvaluationError
        A covariate separates or follows from others, or nobody is left to compare with.
    """
    small = small_cells(study)
    show = showing(data.facts, study, small)
    places = tuple(study.place("covariates", i) for i in data.covariate_owner)
    try:
        found = estimated(study, options, data)
    except FAILURES as error:
        label = data.calendar.label(getattr(error, "cohort", 0))
        raise explained(error, label, data.covariate_names, places) from None
    choice, cells, path = found.choice, found.cells, found.path
    overall, events, log_ratio = _headline(options, cells, path)
    overall, events = shown(choice, overall), shown(choice, events)
    log_ratio = None if log_ratio is None else shown(choice, log_ratio)
    critical = _critical(study, cells, events) if around else np.nan
    return Fitted(
        study=study, options=options, data=data, choice=choice, small=small, show=show, overall=overall,
        log_ratio=log_ratio if study.outcome.kind != "continuous" and show.relative else None, events=events,
        cells=cells, path=path,
        pretest=_pretest(options, choice, cells, events) if around else None, critical=critical,
        reach=_reach(cells, events) if around else None, variants=_variants(study, options, data) if around else (),
    )  # fmt: skip


def _reach(cells: CellStudy | None, events: Family) -> FloatArray | None:
    if cells is None or not isinstance(cells.law, Reassigned) or not events.labels.size:
        return None
    return cells.law.reach(cells.average("dynamic", events.labels))


def _df(choice: Choice) -> float:
    if choice.way == "jackknife":
        return float(min(choice.n_treated, choice.n_comparison) - 1)
    return float(choice.n_clusters - 1)


def _critical(study: Study, cells: CellStudy | None, events: Family) -> float:
    inference = study.inference
    if cells is not None and isinstance(cells.law, Bootstrapped) and cells.before is None and events.labels.size:
        return cells.law.drawn(events).critical_value
    return simultaneous_critical_value(_finite(events), inference.level, draws=inference.draws, seed=inference.seed)


def _headline(
    options: Options, cells: CellStudy | None, path: PathStudy | None
) -> tuple[Family, Family, Family | None]:
    if cells is not None:
        return cells.overall(options.headline), cells.family("dynamic"), cells.log_ratio(options.headline)
    assert path is not None
    return path.effect, path.events, path.log_ratio


def shown(choice: Choice, family: Family) -> Family:
    """Return what may be said of a family: the estimates alone where no interval can be given.

    By randomization there is a p-value even then.
    """
    return family.without_errors() if choice.none_possible and family.known is None else family


def _finite(family: Family) -> np.ndarray:
    usable = np.isfinite(family.spread).all(axis=0) & (family.df >= 1)
    spread = np.where(usable, family.spread, 0.0)
    found: np.ndarray = spread.T @ spread
    return found


def _pretest(options: Options, choice: Choice, cells: CellStudy | None, events: Family) -> WaldTest | None:
    """Test the periods before the start together: every cell if analytic, event times if by the jackknife.

    The reference is F with clusters less one, not the chi-square of R did: with 20 clusters in a cohort and 11 numbers
    to test, the chi-square calls 23 of 100 parallel worlds unlike at the 5 percent level, F calls 6.
    """
    df = _df(choice)
    if cells is not None and isinstance(cells.law, Reassigned):
        c = cells.cells
        W, p = cells.law.pretest((c.period + options.anticipation < c.cohort) & ~c.reference)
        q = int(((c.period + options.anticipation < c.cohort) & ~c.reference).sum())
        return WaldTest(W, q, None, p) if np.isfinite(p) else None
    if choice.none_possible:
        return None
    if cells is not None and choice.way == "analytic":
        c = cells.cells
        early = (c.period + options.anticipation < c.cohort) & ~c.reference
        family = cells.family("cells")
    else:
        family = events
        early = (events.labels < -options.anticipation) & (np.abs(events.spread).sum(axis=0) > 0)
        early &= np.isfinite(events.spread).all(axis=0)
    if not early.any():
        return None
    values, spread = family.values[early], family.spread[:, early]
    if values.size > df:
        # Too few clusters to test so many periods together: test their average.
        values, spread = values.mean(keepdims=True), spread.mean(axis=1, keepdims=True)
    return wald(values, spread.T @ spread, df)


def _variants(study: Study, options: Options, data: PanelStudy) -> tuple[Variant, ...]:
    todo: list[tuple[str, Otherwise]] = []
    if data.engine is not None:
        # Each would look at all rows several times again.
        return ()
    if options.estimator != "callaway-santanna":
        label = "group-time effects (Callaway and Sant'Anna)" + (", no covariates" if data.covariate_names else "")
        todo.append((label, Otherwise(Rule(), covariates=False, own=False)))
    else:
        rule = options.rule
        other: Literal["never", "not-yet"] = "never" if rule.comparison == "not-yet" else "not-yet"
        several = data.facts.cohorts.size > 1
        if several and data.last_as_comparison is None:
            words = "never-treated" if other == "never" else "not-yet-treated"
            todo.append((f"{words} comparison", Otherwise(dataclasses.replace(rule, comparison=other))))
        if data.covariate_names:
            for adjust in _ADJUST:
                if adjust != rule.adjust:
                    todo.append((f"adjusted by {adjust}", Otherwise(dataclasses.replace(rule, adjust=adjust))))
            todo.append(("without covariates", Otherwise(rule, covariates=False)))
    found = []
    for label, way in todo:
        try:
            own = cells_by(study, options, data, way)
        except (*FAILURES, OptionError):
            found.append(Variant(label, None))
            continue
        assert own.cells is not None
        family = shown(own.choice, own.cells.overall(options.headline))
        found.append(Variant(label, family.one(0, study.inference.level)))
    return tuple(found)


def percent(fitted: Fitted) -> Measured | None:
    """Return the headline relative to what would have been without the program, in percent."""
    if fitted.log_ratio is None:
        return None
    m = fitted.log_ratio.one(0, fitted.level)
    low, high = (None if v is None else 100 * float(np.expm1(v)) for v in (m.low, m.high))
    se = None if m.std_error is None else 100 * float(np.exp(m.estimate)) * m.std_error
    return Measured(100 * float(np.expm1(m.estimate)), se, low, high, fitted.headline.p_value, m.df)


def banded(fitted: Fitted, i: int) -> tuple[float, float] | None:
    """Return the simultaneous band at one event time.

    The chance that one normal interval of the band misses is carried over to the t reference of each event time.
    """
    m = fitted.events.one(i, fitted.level)
    if fitted.reach is not None and m.low is not None and m.high is not None and np.isfinite(fitted.reach[i]):
        # Never inside the interval of the one event time, which comes from another test.
        return min(m.estimate - fitted.reach[i], m.low), max(m.estimate + fitted.reach[i], m.high)
    if m.std_error is None or not np.isfinite(fitted.critical):
        return None
    miss = float(special.ndtr(-fitted.critical))
    reach = (fitted.critical if m.df is None else -float(special.stdtrit(m.df, miss))) * m.std_error
    return m.estimate - reach, m.estimate + reach
