"""Models of counts on the log scale, with each kind of errors."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.averaging import averaged, how_averaged, taken_out
from evaltoolkit.designs.its.dependence import AVERAGED, ERROR_WORDS, ErrorModel, Errors, Family, Lags
from evaltoolkit.designs.its.estimated import Estimated, How, Parameter, too_good
from evaltoolkit.designs.its.exact import exact
from evaltoolkit.designs.its.lags import chosen_lags, lags_words
from evaltoolkit.designs.its.measures import Averaged, PlugIn
from evaltoolkit.designs.its.model import Model
from evaltoolkit.errors import NoVariationError
from evaltoolkit.kernels.autoregression import MarginalAR1
from evaltoolkit.kernels.count_regression import negative_binomial, poisson
from evaltoolkit.kernels.newey_west import newey_west

FloatArray = NDArray[np.float64]

_WORDS: Final = {
    "poisson": ERROR_WORDS["model-based"],
    "quasi-poisson": f"{ERROR_WORDS['model-based']}, their spread estimated",
    "negative-binomial": f"{ERROR_WORDS['model-based']} of a negative binomial model",
}


def counts(
    model: Model, family: Family, errors: Errors, details: ErrorModel | None, lags: int | Lags, where: str
) -> Estimated:
    """Fit by maximum likelihood, and measure by the chosen errors.

    Raises
    ------
    NoVariationError
        The outcome follows the model without error, or the counts allow no estimate.
    """
    X, y = model.observed, model.response
    b, mu, weight, parameters = _likelihood(model, family, where)
    pearson = (y - mu) / np.sqrt(mu)
    dispersion = float(pearson @ pearson) / model.df
    if errors in AVERAGED:
        try:
            found = _working(model, (b, mu, weight), errors, details)
        except ValueError:
            raise too_good(where) from None
        how = how_averaged(found, errors, details)
        return Estimated(
            model, Averaged(found.centre, found), b, pearson,
            dataclasses.replace(how, parameters=(*how.parameters, *parameters)), dispersion,
            whitened=taken_out(pearson, model.steps, found, errors, details),
        )  # fmt: skip
    bread = np.asarray(np.linalg.inv((X * weight[:, None]).T @ X), dtype=np.float64)
    if errors == "newey-west":
        scores = X * ((y - mu) * weight / mu)[:, None]
        used, words = chosen_lags(lags, scores, model)
        matrix = newey_west(scores, bread, used, model.steps)
        how = How(f"Newey-West, {used} lags{words}", lags_words(used, words), lags=used, parameters=parameters)
        return Estimated(model, PlugIn(b, matrix, float(model.df)), b, pearson, how, dispersion)
    if errors == "exact":
        how = How("exact, conditional on total and trend", ERROR_WORDS["exact"])
        return Estimated(model, exact(model, b, bread, where), b, pearson, how, dispersion)
    quasi = family == "quasi-poisson"
    plug = PlugIn(b, dispersion * bread if quasi else bread, float(model.df) if quasi else None)
    how = How("model-based", _WORDS[family], parameters=parameters)
    return Estimated(model, plug, b, pearson, how, dispersion)


def _likelihood(
    model: Model, family: Family, where: str
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[Parameter, ...]]:
    """Return coefficients, expected counts, the weight of each period and what else was estimated."""
    if family == "negative-binomial":
        fit = negative_binomial(model.observed, model.response, model.offset)
        if not fit.exists:
            raise _no_estimate(where)
        error = fit.theta_error if np.isfinite(fit.theta_error) else None
        return fit.coefficients, fit.expected, fit.weights, (Parameter("theta", fit.theta, error),)
    plain = poisson(model.observed, model.response[None, :], model.offset)
    if not plain.exists[0]:
        raise _no_estimate(where)
    return plain.coefficients[0], plain.expected[0], plain.expected[0], ()


def _working(
    model: Model, fit: tuple[FloatArray, FloatArray, FloatArray], errors: Errors, details: ErrorModel | None
) -> MarginalAR1:
    """Average over the autoregression of the working response, weighted by the root of its precision."""
    b, mu, weight = fit
    root = np.sqrt(weight)
    response = model.observed @ b + (model.response - mu) / mu
    return averaged(root[:, None] * model.observed, root * response, model.steps, errors, details)


def _no_estimate(where: str) -> NoVariationError:
    return NoVariationError(
        "the counts allow no estimate of the ratio (all of them are zero in some part of the model)",
        expected="counts above zero in every part", where=where,
        todo="use fewer effects or no season, longer periods, or family = 'gaussian'",
    )  # fmt: skip
