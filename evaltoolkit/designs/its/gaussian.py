"""Models of the outcome on its own scale, with each kind of errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.averaging import averaged, how_averaged, taken_out
from evaltoolkit.designs.its.dependence import AVERAGED, ERROR_WORDS, ErrorModel, Errors, Lags, name_of, orders_of
from evaltoolkit.designs.its.estimated import EDGE, Estimated, How, Parameter, too_good
from evaltoolkit.designs.its.lags import chosen_lags, lags_words
from evaltoolkit.designs.its.measures import Averaged, PlugIn
from evaltoolkit.designs.its.model import Model
from evaltoolkit.errors import CollinearityError, OptionError
from evaltoolkit.kernels.arma import Arma, arma_regression, differenced
from evaltoolkit.kernels.arma_process import Orders
from evaltoolkit.kernels.least_squares import LeastSquares, least_squares
from evaltoolkit.kernels.newey_west import newey_west
from evaltoolkit.kernels.prais_winsten import prais_winsten
from evaltoolkit.results import number

FloatArray = NDArray[np.float64]


def gaussian(model: Model, errors: Errors, details: ErrorModel | None, lags: int | Lags, where: str) -> Estimated:
    """Fit by least squares, and measure by the chosen errors.

    Raises
    ------
    NoVariationError
        The outcome follows the model without error.
    OptionError
        The error model cannot be estimated from this series.
    """
    X, y = model.observed, model.response
    fit = least_squares(X, y)
    s2 = float(fit.residuals @ fit.residuals) / model.df
    if s2 <= 1e-20 * float(y @ y) / y.size:
        raise too_good(where)
    if errors in AVERAGED:
        return _averaged(model, fit, errors, details)
    if errors == "prais-winsten":
        return _prais(model, fit, details or ErrorModel(), where)
    if errors in {"gls", "arma", "arima"}:
        return _by_likelihood(model, fit, errors, details, where)
    if errors == "newey-west":
        used, words = chosen_lags(lags, fit.scores, model)
        matrix = newey_west(fit.scores, fit.bread, used, model.steps)
        how = How(f"Newey-West, {used} lags{words}", lags_words(used, words), lags=used)
    else:
        matrix, how = s2 * fit.bread, How("ordinary least squares", ERROR_WORDS["ols"])
    return Estimated(model, PlugIn(fit.coefficients, matrix, float(model.df)), fit.coefficients, fit.residuals, how)


def _averaged(model: Model, fit: LeastSquares, errors: Errors, details: ErrorModel | None) -> Estimated:
    found = averaged(model.observed, model.response, model.steps, errors, details)
    return Estimated(
        model, Averaged(found.centre, found), fit.coefficients, fit.residuals, how_averaged(found, errors, details),
        whitened=taken_out(fit.residuals, model.steps, found, errors, details),
    )  # fmt: skip


def _prais(model: Model, fit: LeastSquares, details: ErrorModel, where: str) -> Estimated:
    kind = details.rho or "regress"
    try:
        found = prais_winsten(model.observed, model.response, model.steps, kind)
    except ValueError as error:
        raise _failed("prais-winsten", str(error), where) from None
    how = How(
        f"Prais-Winsten, rho by {kind}{', robust' if details.robust else ''}",
        f"{ERROR_WORDS['prais-winsten']} (autocorrelation {number(found.rho, 2)})", found.rho,
        parameters=(Parameter("autocorrelation", found.rho),), boundary=abs(found.rho) > EDGE,
    )  # fmt: skip
    matrix = found.robust if details.robust else found.covariance
    return Estimated(
        model, PlugIn(found.coefficients, matrix, float(found.df)), fit.coefficients, fit.residuals, how,
        whitened=found.whitened,
    )  # fmt: skip


def _by_likelihood(
    model: Model, fit: LeastSquares, errors: Errors, details: ErrorModel | None, where: str
) -> Estimated:
    orders = orders_of(errors, details)
    likelihood = "ml" if errors == "arima" else (details and details.likelihood) or "reml"
    kept = _kept(model, orders, where)
    try:
        found = arma_regression(model.observed[:, kept], model.response, model.steps, orders, likelihood)
    except ValueError as error:
        raise _failed(errors, str(error), where) from None
    plug = _plug(model, found, kept, errors, where)
    name = name_of(errors, orders)
    first = float(found.parameters[0]) if orders.sizes == (1, 0, 0, 0) else None
    how = How(
        f"{name}, {'ML' if likelihood == 'ml' else 'REML'}", f"{ERROR_WORDS[errors]}, {name}", first,
        parameters=_named(found, orders), boundary=found.boundary,
    )  # fmt: skip
    return Estimated(model, plug, fit.coefficients, fit.residuals, how, whitened=found.whitened)


def _plug(model: Model, found: Arma, kept: NDArray[np.bool_], errors: Errors, where: str) -> PlugIn:
    """Return the coefficients, those that differencing takes away from the mean of what the others leave."""
    k = len(model.names)
    matrix, b = np.zeros((k, k)), np.zeros(k)
    matrix[np.ix_(kept, kept)] = found.by_hessian if errors == "arima" else found.covariance
    if not np.isfinite(matrix).all() or (np.diag(matrix) < 0).any():
        raise _failed(errors, "the likelihood has no maximum that standard errors can be read off", where)
    b[kept] = found.coefficients
    if not kept.all():
        left = model.response - model.observed @ b
        b[~kept] = least_squares(model.observed[:, ~kept], left).coefficients
    return PlugIn(b, matrix, None if errors == "arima" else float(found.df))


def _kept(model: Model, orders: Orders, where: str) -> NDArray[np.bool_]:
    """Return the columns that differencing leaves."""
    if not orders.differenced:
        return np.ones(len(model.names), dtype=bool)
    if int(model.steps[-1] - model.steps[0]) + 1 != model.steps.size:
        raise _failed("arima", "differences need a value for every period", where)
    rows = differenced(model.observed, orders)
    kept = np.abs(rows).max(axis=0) > 1e-9 * np.abs(model.observed).max(axis=0)
    aliased = least_squares(rows[:, kept], np.zeros(len(rows))).aliased
    if aliased.size or len(rows) - kept.sum() < 2:
        lost = ", ".join(np.array(model.names)[kept][aliased].tolist()) or "all"
        raise CollinearityError(
            f"after differencing these terms follow from the others: {lost}",
            expected="terms that can be told apart in the differenced series",
            todo="take season out of the model, or difference less", where=where,
        )  # fmt: skip
    return np.asarray(kept)


def _named(found: Arma, orders: Orders) -> tuple[Parameter, ...]:
    sizes = zip(("ar", "ma", "seasonal ar", "seasonal ma"), orders.sizes, strict=True)
    names = [f"{name} {i + 1}" for name, size in sizes for i in range(size)]
    return tuple(
        Parameter(name, float(value), float(error) if np.isfinite(error) else None)
        for name, value, error in zip(names, found.parameters, found.parameter_errors, strict=True)
    )


def _failed(errors: str, why: str, where: str) -> OptionError:
    return OptionError(
        f"errors = '{errors}': {why}", expected="a series that this model of the errors fits",
        todo="choose errors = 'marginal-ar1', which has no such limit, or fewer orders", where=where,
    )  # fmt: skip
