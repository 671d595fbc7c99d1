"""Effects on single outcomes: with the scatter of the periods themselves, which the expected effect leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.its.estimators import Averaged, Estimated, Measured, One
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.model import Functional, Model
from evaltoolkit.designs.its.working import INDEPENDENT, working
from evaltoolkit.kernels.autoregression import correlated_squares, whitening
from evaltoolkit.kernels.residual_tests import autocorrelations
from evaltoolkit.kernels.t_mixture import Mixture

FloatArray = NDArray[np.float64]

_LIGHT = 1e-12


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the outcomes themselves may differ by from those expected without the program.

    Attributes
    ----------
    average, cumulative, first, last
        As the expected effects, with wider intervals.
    """

    average: One
    cumulative: One
    first: One
    last: One


def predicted(fitted: Fitted) -> Predicted:
    """Return the effects as differences of outcomes: the same estimates, intervals with the scatter of the periods."""
    model = fitted.model
    after = model.after.astype(np.float64)
    ends = np.flatnonzero(model.after)[[0, -1]]
    points = np.zeros((3, after.size))
    points[0], points[1, ends[0]], points[2, ends[1]] = after / after.sum(), 1.0, 1.0
    shown = _measured(fitted, points, in_events=False)
    total = _measured(fitted, after[None, :], in_events=model.log_link)
    return Predicted(shown.one(0), total.one(), shown.one(1), shown.one(2))


def _measured(fitted: Fitted, weights: FloatArray, *, in_events: bool) -> Measured:
    main, model, level = fitted.main, fitted.model, fitted.level
    reach = weights * _size(main, model, in_events=in_events)
    functional = model.effect(weights, in_events=in_events)
    if isinstance(main.errors, Averaged) and fitted.options.errors == "marginal-ar1":
        return _mixed(fitted, functional, reach)
    plain = main.measure(functional, level)
    rho, spread = _plug_in(fitted)
    noise = spread**2 * correlated_squares(reach, model.steps, np.array([rho]))[0]
    error = np.sqrt(plain.std_error**2 + noise)
    law = Mixture(plain.estimate[None, :], error[None, :], np.ones(1), _df(plain, model))
    tail = (1 - level) / 2
    return Measured(plain.estimate, error, law.quantile(tail), law.quantile(1 - tail), law.p_value(), float(law.df))


def _df(plain: Measured, model: Model) -> int:
    return model.df if plain.df is None else int(plain.df)


def _size(main: Estimated, model: Model, *, in_events: bool) -> FloatArray:
    """Return what an error of the working model is multiplied by to be in the unit of the weights, shape (n,)."""
    if not model.log_link:
        return np.ones(model.steps.size)
    mu = np.exp(model.offset + model.expected @ main.likelihood)
    theta = next((p.value for p in main.how.parameters if p.name == "theta"), float("inf"))
    root = np.sqrt(mu * (1 + mu / theta))
    return np.asarray(root if in_events else model.scale * root)


def _mixed(fitted: Fitted, functional: Functional, reach: FloatArray) -> Measured:
    main, model = fitted.main, fitted.model
    assert isinstance(main.errors, Averaged)
    fit, rows = main.errors.fit, working(fitted)
    heavy = fit.weights > _LIGHT
    values, gradients = functional(fit.coefficients[heavy])
    parameters = np.maximum(((gradients @ fit.covariances[heavy]) * gradients).sum(axis=-1), 0.0)
    keep, carry = whitening(model.steps, fit.rho[heavy])
    left = rows.response - fit.coefficients[heavy] @ rows.columns.T
    before = np.concatenate([np.zeros((left.shape[0], 1)), left[:, :-1]], axis=1)
    innovations = ((keep * (left - carry * before)) ** 2).sum(axis=1) / fit.df
    rho = fit.rho[heavy]
    noise = (innovations / (1 - rho**2))[:, None] * correlated_squares(reach, model.steps, rho)
    weights = fit.weights[heavy] / fit.weights[heavy].sum()
    law = Mixture(values, np.sqrt(parameters + noise), weights, fit.df)
    tail = (1 - fitted.level) / 2
    return Measured(law.mean, law.spread, law.quantile(tail), law.quantile(1 - tail), law.p_value(), float(fit.df))


def _plug_in(fitted: Fitted) -> tuple[float, float]:
    """Return the autocorrelation and spread of the working errors, where one covariance is plugged in."""
    rows, model = working(fitted), fitted.model
    left = rows.response - rows.columns @ fitted.main.errors.coefficients
    spread = float(np.sqrt(left @ left / model.df))
    if fitted.options.errors in INDEPENDENT:
        return 0.0, spread
    rho = fitted.main.how.autocorrelation
    return float(np.clip(autocorrelations(left, 1)[0] if rho is None else rho, -0.99, 0.99)), spread
