"""The estimate at starts that did not happen, and without one cohort or site."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.display import amount
from evaltoolkit.designs.did.estimators import cell_estimator, cell_study, path_estimator
from evaltoolkit.designs.did.explaining import FAILURES
from evaltoolkit.designs.did.family import Measured
from evaltoolkit.designs.did.fitted import Fitted, shown
from evaltoolkit.designs.did.inference import choose
from evaltoolkit.designs.did.path_study import path_study
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.aggregate import point
from evaltoolkit.kernels.placebo_time import PlaceboError, placebo_panel
from evaltoolkit.reduction import Panel
from evaltoolkit.results import Diagnostic, number, p_value, plural

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SIGN = 0.05
FURTHEST = 3
"""Periods by which starts are moved at most."""
MOST_REFITS = 300
"""Parts beyond which nothing is left out in turn, where each deletion is fitted anew."""


def measured_on(fitted: Fitted, panel: Panel) -> Measured | None:
    """Return the headline on another panel, by the study's estimator; None where it cannot be estimated.

    With covariates errors are analytic where the study's are by the jackknife, which would fit everything again for
    each cluster.
    """
    options, study = fitted.options, fitted.study
    if fitted.choice.way == "jackknife" and panel.covariates.shape[2]:
        study = study.model_copy(update={"inference": study.inference.model_copy(update={"method": "analytic"})})
    try:
        choice, law = choose(panel, options.rule if options.permutable else None, study, fitted.compared)
        estimator = cell_estimator(study, options, choice)
        if estimator is None:
            return shown(choice, path_study(panel, path_estimator(options), choice, study).effect).one(0, fitted.level)
        jackknife = choice.way == "jackknife"
        cells = cell_study(panel, estimator, options.shown, jackknife=jackknife, law=law)
        return shown(choice, cells.overall(options.headline)).one(0, fitted.level)
    except (*FAILURES, OptionError, np.linalg.LinAlgError, IndexError):
        return None


def placebo_in_time(fitted: Fitted) -> Diagnostic | None:
    """Return the estimate at starts moved before the real ones; None where there are too few earlier periods."""
    panel, options = fitted.panel, fitted.options
    if options.estimator in {"chaisemartin", "synthetic-did"}:
        return None
    for shift in range(FURTHEST, 0, -1):
        try:
            moved = placebo_panel(panel.outcome, panel.start, panel.periods, shift, options.anticipation)
        except PlaceboError:
            continue
        if moved.lost.size or moved.periods.size < 2:
            continue
        found = measured_on(fitted, _moved(panel, moved.units, moved.columns, moved.outcome, moved.start))
        if found is not None and found.p_value is not None:
            return _told(fitted, shift, found)
    return None


def _moved(panel: Panel, units: IntArray, columns: IntArray, outcome: FloatArray, start: IntArray) -> Panel:
    kept = np.zeros(panel.start.size, dtype=np.bool_)
    kept[units] = True
    part = panel.where(kept)
    changed = {
        name: value[:, columns]
        for name in ("covariates", "counts", "exposure", "treatment")
        if (value := getattr(part, name)) is not None
    }
    periods = panel.periods[columns]
    return dataclasses.replace(part, outcome=outcome, start=start, periods=periods, **changed)


def _told(fitted: Fitted, shift: int, found: Measured) -> Diagnostic:
    assert found.p_value is not None
    clear = found.p_value < SIGN
    unit = fitted.data.calendar.noun
    text = (
        f"Had the program started {plural(shift, unit)} earlier, with what came after the real start left out, the "
        f"estimate would be {amount(fitted, fitted.headline, found.estimate, signed=True)} (p = "
        f"{p_value(found.p_value)})"
    )
    text += ", a difference that the program cannot have made." if clear else ", no clear difference, as it should be."
    return Diagnostic(
        name="placebo-time", question="Is there an effect at a start that did not happen?",
        statistic=f"estimate {plural(shift, unit)} before the start", value=found.estimate, p_value=found.p_value,
        threshold=SIGN, verdict="caution" if clear else "pass", text=text,
        reference="Bertrand, Duflo and Mullainathan 2004, doi:10.1162/003355304772839588",
    )  # fmt: skip


def placebo_outcomes(fitted: Fitted) -> Diagnostic | None:
    """Return the estimates on outcomes that the program cannot have changed; None where none was named."""
    found = []
    for name, values in fitted.data.placebos:
        outcome = np.where(np.isfinite(fitted.panel.outcome), values, np.nan)
        changed = dataclasses.replace(fitted.panel, outcome=outcome, exposure=None)
        found.append((name.replace("_", " "), measured_on(fitted, changed)))
    known = [(name, m) for name, m in found if m is not None and m.p_value is not None]
    if not found:
        return None
    question = "Is there an effect where there cannot be one?"
    if not known:
        text = "The outcomes named as placebos allow no estimate."
        return Diagnostic(name="placebo-outcomes", question=question, verdict="not-applicable", text=text)
    # As many tests as outcomes: the smallest p-value times their number (Bonferroni).
    smallest = min(1.0, len(known) * min(m.p_value for _, m in known if m.p_value is not None))
    clear = smallest < SIGN
    said = "; ".join(f"{name}: {number(m.estimate, signed=True)} (p = {p_value(m.p_value)})" for name, m in known)
    return Diagnostic(
        name="placebo-outcomes", question=question, statistic="smallest p-value, times the number of outcomes",
        value=smallest, p_value=smallest, threshold=SIGN, verdict="caution" if clear else "pass",
        text=f"Estimates on outcomes that the program cannot have changed: {said}."
        + (" Something else changed in these places too." if clear else ""),
    )  # fmt: skip


def leave_one_out(fitted: Fitted) -> list[Diagnostic]:
    """Return how far the headline moves without one cohort, and without one site."""
    found = []
    if fitted.facts.cohorts.size > 1:
        starts, codes = np.unique(fitted.panel.start, return_inverse=True)
        found.append(_left_out(fitted, codes.astype(np.int64), starts <= fitted.panel.periods[-1], "cohort"))
    if not fitted.study.counts_people:
        whose = np.ones(fitted.panel.n_clusters, dtype=np.bool_)
        found.append(_left_out(fitted, fitted.panel.clusters, whose, "cluster"))
    return [d for d in found if d is not None]


def _left_out(fitted: Fitted, codes: IntArray, whose: NDArray[np.bool_], part: str) -> Diagnostic | None:
    values = _without(fitted, codes)[whose]
    values = values[np.isfinite(values)]
    if values.size < 2:
        return None
    m = fitted.headline
    same = bool((np.sign(values) == np.sign(m.estimate)).all())
    low, high = float(values.min()), float(values.max())
    noun = fitted.one_unit if part == "cluster" and fitted.options.cluster is None else part
    return Diagnostic(
        name=f"leave-one-{part}-out", question=f"Does the finding rest on one {noun}?",
        statistic=f"range of estimates without one {noun}", value=high - low, verdict="pass" if same else "caution",
        text=f"Leaving out one {noun} at a time, the estimate lies between {amount(fitted, m, low, signed=True)} and "
        f"{amount(fitted, m, high, signed=True)} ({number(values.size, 0)} estimates)"
        + (", always with the same sign." if same else ": one alone decides its sign."),
    )  # fmt: skip


def _without(fitted: Fitted, codes: IntArray) -> FloatArray:
    """Return the headline without each part, shape (parts,); missing where it cannot be estimated."""
    panel = fitted.panel
    size = int(codes.max()) + 1
    if fitted.cells is None:
        return _refitted(fitted, codes, size) if size <= MOST_REFITS else np.full(size, np.nan)
    estimator = cell_estimator(fitted.study, fitted.options, fitted.choice)
    assert estimator is not None
    quick = fitted.options.estimator == "callaway-santanna" and panel.covariates.shape[2] == 0
    if not quick and size > MOST_REFITS:
        return np.full(size, np.nan)
    if codes is panel.clusters and fitted.cells.deleted is not None:
        cells = fitted.cells
    else:
        parts = dataclasses.replace(panel, clusters=codes)
        cells = cell_study(parts, estimator, fitted.options.shown, jackknife=True)
    deleted, kind = cells.deleted, fitted.options.headline
    assert deleted is not None
    used = cells.among(kind)
    counts = deleted.counts if cells.weights is None else deleted.counts[:, used]
    cohorts = cells.sizes.cohorts if cells.weights is None else None
    c = cells.cells
    return point(kind, c.cohort[used], c.period[used], deleted.effects[:, used], counts, cohorts)[1]


def _refitted(fitted: Fitted, codes: IntArray, size: int) -> FloatArray:
    estimator = path_estimator(fitted.options)
    found = np.full(size, np.nan)
    for c in range(size):
        try:
            found[c] = estimator.fitted(fitted.panel.where(codes != c)).effect
        except (ValueError, np.linalg.LinAlgError, IndexError):
            continue
    return found
