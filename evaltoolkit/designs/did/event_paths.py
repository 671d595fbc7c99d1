"""The path by event time against one base period, with its covariance, for tests of the periods before the start."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.did.estimating import Otherwise, cells_by
from evaltoolkit.designs.did.explaining import FAILURES
from evaltoolkit.designs.did.family import Family
from evaltoolkit.designs.did.fitted import Fitted
from evaltoolkit.errors import OptionError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ONE_BASE = frozenset({"twfe", "two-by-two", "sun-abraham", "stacked", "lp-did"})
"""Estimators whose path refers to one period."""
BY_RULE = frozenset({"callaway-santanna", "triple-difference"})
"""Estimators whose path does so with a universal base."""


@dataclass(frozen=True, slots=True)
class Path:
    """Effects by event time, neighbours one period apart but for the reference.

    Attributes
    ----------
    labels, estimates, covariance
        Shapes (m,), (m,) and (m, m); the reference is left out.
    df
        Degrees of freedom, infinite for the normal.
    n_before
        How many come before the reference.
    reference
        The event time that all refer to.
    """

    labels: IntArray
    estimates: FloatArray
    covariance: FloatArray
    df: float
    n_before: int
    reference: int


def one_base(fitted: Fitted) -> Path | None:
    """Return the path against one base; None where the estimator has none, or nothing gives its covariance."""
    options = fitted.options
    if fitted.choice.none_possible or fitted.choice.way in _WITHOUT_COVARIANCE:
        return None
    if options.estimator in BY_RULE:
        family = fitted.events if options.base_period == "universal" else _universal(fitted)
    elif options.estimator in ONE_BASE or (options.estimator == "etwfe" and options.comparison != _NOT_YET):
        family = fitted.events
    else:
        family = None
    return None if family is None else _path(family, -1 - options.anticipation)


_NOT_YET = "not-yet-treated"
_WITHOUT_COVARIANCE = frozenset({"randomization", "conley-taber", "ferman-pinto", "wild-cluster"})


def _universal(fitted: Fitted) -> Family | None:
    rule = dataclasses.replace(fitted.options.rule, base_period="universal")
    study = fitted.study
    try:
        cells = cells_by(study, fitted.options, fitted.data, Otherwise(rule)).cells
        assert cells is not None
    except (*FAILURES, OptionError):
        return None
    found = cells.family("dynamic")
    return None if found.known is not None else found


def _path(family: Family, reference: int) -> Path | None:
    """Return the longest run of neighbours around the reference with an error for each."""
    error = family.std_error
    known = {
        int(e): i
        for i, e in enumerate(family.labels)
        if np.isfinite(error[i]) and error[i] > 0 and family.df[i] >= 1 and e != reference
    }
    first = last = reference
    while first - 1 in known:
        first -= 1
    while last + 1 in known:
        last += 1
    chosen = [known[e] for e in range(first, last + 1) if e != reference]
    n_before = reference - first
    if n_before < 1 or last <= reference:
        return None
    kept = np.array(chosen)
    covariance = family.covariance[np.ix_(kept, kept)]
    df = float(family.df[kept].min())
    return Path(family.labels[kept], family.values[kept], covariance, df, n_before, reference)
