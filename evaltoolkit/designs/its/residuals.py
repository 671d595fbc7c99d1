"""What is left of the series after the model: autocorrelation, its tests, and whether it wanders."""

from __future__ import annotations

import warnings
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
_FEWEST = 12
"""Periods below which tests of wandering say nothing."""
_KPSS_TABLE = (0.01, 0.10)


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
    before
        Augmented Dickey-Fuller and KPSS of the outcome before the start; none where it is short.
    left
        Ljung-Box of what is left after the autocorrelation that is part of the model is taken out; None where the
        model has none.
    """

    acf: FloatArray
    pacf: FloatArray
    tests: tuple[Test, ...]
    before: tuple[Test, ...]
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
    before = _wandering(main.model.shown[~main.model.after])
    acf = autocorrelations(e, min(_LAGS_SHOWN, n - 2))
    return Residuals(acf, partial_autocorrelations(acf), tuple(tests), before, left)


def _wandering(y: FloatArray) -> tuple[Test, ...]:
    """Test whether the outcome before the start wanders around its trend, with floor(4 (n/100)^(1/4)) lags.

    Dickey-Fuller: it does; KPSS: it does not. Residuals of the model are not tested, since the tables do not hold for a
    regression with a break. Those of KPSS end at 0.01 and 0.10; beyond them the p-value is left out.

    References
    ----------
    Dickey, D. and Fuller, W. (1979). Distribution of the estimators for autoregressive time series with a unit root.
    Journal of the American Statistical Association 74. doi:10.1080/01621459.1979.10482531
    Kwiatkowski, D., Phillips, P., Schmidt, P. and Shin, Y. (1992). Testing the null hypothesis of stationarity against
    the alternative of a unit root. Journal of Econometrics 54. doi:10.1016/0304-4076(92)90104-Y
    """
    if y.size < _FEWEST or np.ptp(y) == 0:
        return ()
    from statsmodels.tsa.stattools import adfuller, kpss

    lags = int(4 * (y.size / 100) ** 0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # beyond the ends of its table KPSS warns
        unit, p_unit = adfuller(y, maxlag=lags, regression="ct", autolag=None, result_object=False)[:2]
        level, p_level = kpss(y, regression="ct", nlags=lags, result_object=False)[:2]
    inside = _KPSS_TABLE[0] < p_level < _KPSS_TABLE[1]
    return (
        Test("Dickey-Fuller, augmented", float(unit), lags, float(p_unit)),
        Test("KPSS", float(level), lags, float(p_level) if inside else None),
    )


def _named(name: str, found: DependenceTest) -> Test:
    p = found.p_value if np.isfinite(found.p_value) else None
    return Test(name, found.statistic, found.df, p)
