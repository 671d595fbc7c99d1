"""Errors that follow an autoregression whose numbers are averaged over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.dependence import ERROR_WORDS, ErrorModel, Errors
from evaltoolkit.designs.its.estimated import How, Parameter, without_ar1
from evaltoolkit.kernels.arma_process import Orders, coefficients_of, expanded, whiten
from evaltoolkit.kernels.autoregression import MarginalAR1, marginal_ar1
from evaltoolkit.kernels.autoregression_wide import marginal_ar2, marginal_seasonal_ar
from evaltoolkit.results import number

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def averaged(X: FloatArray, y: FloatArray, steps: IntArray, errors: Errors, details: ErrorModel | None) -> MarginalAR1:
    """Fit by the autoregression that is asked for.

    Raises
    ------
    ValueError
        The outcome follows the columns without error.
    """
    if errors == "marginal-ar2":
        return marginal_ar2(X, y, steps)
    if errors == "marginal-seasonal-ar":
        return marginal_seasonal_ar(X, y, steps, _cycle(details))
    return marginal_ar1(X, y, steps)


def how_averaged(fit: MarginalAR1, errors: Errors, details: ErrorModel | None) -> How:
    """Return the words, with the mean of what was averaged over."""
    rho = fit.mean_rho
    if fit.second is None:
        return How("marginal AR(1)", f"{ERROR_WORDS[errors]} (mean {number(rho, 2)})", rho)
    second = float(fit.weights @ fit.second)
    means = f"(means {number(rho, 2)} and {number(second, 2)})"
    if errors == "marginal-ar2":
        at_two = Parameter("partial autocorrelation at 2, mean", second)
        return How("marginal AR(2)", f"{ERROR_WORDS[errors]} {means}", rho, parameters=(at_two,))
    cycle = _cycle(details)
    seasonal = Parameter(f"autocorrelation a cycle of {cycle} apart, mean", second)
    return How(f"marginal AR(1)(1){cycle}", f"{ERROR_WORDS[errors]} {means}", rho, parameters=(seasonal,))


def taken_out(
    residuals: FloatArray, steps: IntArray, fit: MarginalAR1, errors: Errors, details: ErrorModel | None
) -> FloatArray:
    """Take the dependence, at the means of its numbers, out of residuals."""
    if fit.second is None:
        return without_ar1(residuals, steps, fit.mean_rho)
    pair = np.array([fit.mean_rho, float(fit.weights @ fit.second)])
    orders = Orders(1, 0, 1, 0, _cycle(details))
    ar = coefficients_of(pair) if errors == "marginal-ar2" else expanded(pair, orders)[0]
    return whiten(residuals[:, None], steps, ar, np.zeros(0))[0][:, 0]


def _cycle(details: ErrorModel | None) -> int:
    return details.cycle if details is not None and details.cycle is not None else 12
