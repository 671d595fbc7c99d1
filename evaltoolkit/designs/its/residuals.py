"""What is left of the series after the model: autocorrelation, its tests, and spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.estimators import Estimated
from evaltoolkit.kernels.residual_tests import (
    DependenceTest,
    autocorrelations,
    box_pierce,
    breusch_godfrey,
    cumby_huizinga,
    durbin_watson,
    ljung_box,
    partial_autocorrelations,
)

FloatArray = NDArray[np.float64]

_MOST_LAGS = 10
_LAGS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Test:
    """A test of residuals: what it is called, its statistic, degrees of freedom and p-value."""

    name: str
    statistic: float
    df: int | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Residuals:
    """Residuals looked at.

    Attributes
    ----------
    acf, pacf
        Autocorrelations and partial autocorrelations at lags 1, 2, ... of the residuals of the plain fit.
    tests
        Durbin-Watson, Breusch-Godfrey, Cumby-Huizinga, Ljung-Box and Box-Pierce of the residuals of the plain fit.
    left
        Ljung-Box of what is left after the autocorrelation that is part of the model is taken out; None where the
        model has none.
    """

    acf: FloatArray
    pacf: FloatArray
    tests: tuple[Test, ...]
    left: Test | None


def look(main: Estimated) -> Residuals:
    """Look at the residuals of a fitted model. Periods without a value are passed over."""
    e, X, n = main.residuals, main.model.observed, main.residuals.size
    lags = max(1, min(_MOST_LAGS, n // 5))
    tests = [_named("Durbin-Watson", durbin_watson(e, X))]
    for many in dict.fromkeys((1, lags)):
        tests.append(_named("Breusch-Godfrey", breusch_godfrey(e, X, many)))
    tests.append(_named("Cumby-Huizinga, robust", cumby_huizinga(e, X, lags, robust=True)))
    for many in dict.fromkeys((1, lags)):
        tests.append(_named("Ljung-Box", ljung_box(e, many)))
    tests.append(_named("Box-Pierce", box_pierce(e, lags)))
    left = None if main.whitened is None else _named("Ljung-Box", ljung_box(main.whitened, lags))
    acf = autocorrelations(e, min(_LAGS_SHOWN, n - 2))
    return Residuals(acf, partial_autocorrelations(acf), tuple(tests), left)


def _named(name: str, found: DependenceTest) -> Test:
    p = found.p_value if np.isfinite(found.p_value) else None
    return Test(name, found.statistic, found.df, p)
