"""What is left of the series after the model: autocorrelation, its tests, and spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.stattools import durbin_watson

from evaltoolkit.designs.its.estimators import Estimated
from evaltoolkit.kernels.least_squares import least_squares

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
    acf
        Autocorrelations at lags 1, 2, ... of the residuals of the plain fit.
    tests
        Durbin-Watson, Breusch-Godfrey and Ljung-Box of the residuals of the plain fit.
    left
        Ljung-Box of what is left after the autocorrelation that is part of the model is taken out; None where the
        model has none.
    """

    acf: FloatArray
    tests: tuple[Test, ...]
    left: Test | None


def look(main: Estimated) -> Residuals:
    """Look at the residuals of a fitted model. Periods without a value are passed over."""
    n = main.residuals.size
    lags = max(1, min(_MOST_LAGS, n // 5))
    tests = (
        Test("Durbin-Watson", float(durbin_watson(main.residuals)), None, None),
        breusch_godfrey(main, 1), breusch_godfrey(main, lags), ljung_box(main.residuals, 1),
        ljung_box(main.residuals, lags),
    )  # fmt: skip
    unique = {(test.name, test.df): test for test in tests}
    left = None if main.whitened is None else ljung_box(main.whitened, lags)
    return Residuals(autocorrelations(main.residuals, min(_LAGS_SHOWN, n - 2)), tuple(unique.values()), left)


def autocorrelations(residuals: FloatArray, lags: int) -> FloatArray:
    """Return autocorrelations at lags 1 to ``lags``, mean-corrected, as R's ``acf``."""
    e = residuals - residuals.mean()
    total = float(e @ e)
    return np.array([float(e[lag:] @ e[:-lag]) / total for lag in range(1, lags + 1)])


def breusch_godfrey(main: Estimated, lags: int) -> Test:
    """Return n times the R squared of the residuals on the columns and their own past, as R ``lmtest::bgtest``."""
    e, X = main.residuals, main.model.observed
    past = np.column_stack([np.concatenate([np.zeros(lag), e[:-lag]]) for lag in range(1, lags + 1)])
    left = least_squares(np.column_stack([X, past]), e).residuals
    statistic = e.size * (1 - float(left @ left) / float(e @ e))
    return Test("Breusch-Godfrey", statistic, lags, float(special.chdtrc(lags, statistic)))


def ljung_box(residuals: FloatArray, lags: int) -> Test:
    """Return the Ljung-Box test of the first ``lags`` autocorrelations."""
    found = acorr_ljungbox(residuals, lags=[lags])
    return Test("Ljung-Box", float(found["lb_stat"].iloc[0]), lags, float(found["lb_pvalue"].iloc[0]))
