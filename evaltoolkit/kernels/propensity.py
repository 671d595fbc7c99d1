"""Yes/no regression of a million rows: logit, probit and complementary log-log, and Firth's penalized logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import expit, log_ndtr, ndtr

from evaltoolkit.kernels.standardized import Standardized, minimize

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]
Link = Literal["logit", "probit", "cloglog"]

_FIRTH_ITERATIONS = 500
_ENOUGH = 1e-10
_ROOT_TWO_PI = float(np.sqrt(2 * np.pi))
# Beyond this the complementary log-log is 0 or 1 in double precision.
_FAR = 700.0


@dataclass(frozen=True, slots=True)
class YesNoFit:
    """A yes/no regression of n rows on an intercept and k covariates.

    Attributes
    ----------
    coefficients
        On the covariates' own scale, the intercept first, shape (k + 1,).
    covariance
        Inverse of the expected information, shape (k + 1, k + 1).
    probability, line
        Fitted probability and x'b, shape (n,).
    score, curvature
        The estimating equations are sum of score_i x_i = 0; curvature_i is the fall of score_i with x_i'b, shape (n,).
    iterations
        Passes over all rows.
    gradient
        Largest absolute mean of the estimating equations, per row and standardized covariate.
    converged
        Whether an estimate was reached: false where covariates tell the groups apart.
    log_likelihood
        At the estimate.
    """

    coefficients: FloatArray
    covariance: FloatArray
    probability: FloatArray
    line: FloatArray
    score: FloatArray
    curvature: FloatArray
    iterations: int
    gradient: float
    converged: bool
    log_likelihood: float


def fit_yes_no(X: FloatArray, chosen: Mask, link: Link = "logit") -> YesNoFit:
    r"""Maximise :math:`\sum_i t_i \log p_i + (1 - t_i) \log(1 - p_i)` with :math:`p_i = F(\alpha + x_i'\beta)`.

    F is the logistic, the normal or the complementary log-log distribution function. Newton's method on standardized
    covariates, to a mean gradient of at most 1e-10.

    Parameters
    ----------
    X
        Covariates of full rank, without an intercept, shape (n, k).
    chosen
        Shape (n,).
    link
        Which F.

    Returns
    -------
    YesNoFit

    References
    ----------
    McCullagh, P. and Nelder, J. (1989). Generalized Linear Models, 2nd ed., chapter 4. doi:10.1201/9780203753736

    Examples
    --------
    >>> X = np.array([[0.0], [0], [0], [0], [1], [1], [1], [1]])
    >>> fit = fit_yes_no(X, np.array([0, 0, 0, 1, 0, 1, 1, 1], dtype=bool))
    >>> fit.coefficients.round(6).tolist(), fit.converged, fit.gradient < 1e-10
    ([-1.098612, 2.197225], True, True)
    """
    rows = Standardized.of(X)
    t = chosen.astype(np.float64)

    def _loss(part: slice, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value, score, curvature = _TERMS[link](t[part], line)
        return -value, score, curvature

    found = minimize(rows, _loss)
    probability = inverse_link(found.line, link)
    return YesNoFit(
        coefficients=rows.back() @ found.b,
        covariance=_covariance(rows, expected_information(found.line, probability, link)),
        probability=probability,
        line=found.line,
        score=found.score,
        curvature=found.curvature,
        iterations=found.iterations,
        gradient=found.gradient,
        converged=found.converged,
        log_likelihood=-found.value,
    )


def fit_firth(X: FloatArray, chosen: Mask) -> YesNoFit:
    r"""Fit a logit with Firth's penalty: maximise :math:`\ell(\beta) + \tfrac12 \log |X'WX|`.

    The estimate exists however well covariates tell the groups apart. Its equations are
    :math:`\sum_i \{t_i - p_i + h_i (\tfrac12 - p_i)\} x_i = 0` with :math:`h_i` the leverages.

    Parameters
    ----------
    X
        Covariates of full rank, without an intercept, shape (n, k).
    chosen
        Shape (n,).

    Returns
    -------
    YesNoFit
        ``log_likelihood`` is the penalized one.

    References
    ----------
    Firth, D. (1993). Bias reduction of maximum likelihood estimates. Biometrika 80. doi:10.1093/biomet/80.1.27
    Heinze, G. and Schemper, M. (2002). A solution to the problem of separation in logistic regression. Statistics in
    Medicine 21. doi:10.1002/sim.1047

    Examples
    --------
    >>> fit = fit_firth(np.array([[0.0], [0], [1], [1]]), np.array([False, False, True, True]))
    >>> fit.coefficients.round(6).tolist(), fit.converged
    ([-1.609438, 3.218876], True)
    """
    rows, t = Standardized.of(X), chosen.astype(np.float64)
    b = np.zeros(X.shape[1] + 1)
    state, count = _firth(rows, t, b), 1
    while state.gradient > _ENOUGH and count < _FIRTH_ITERATIONS:
        direction = linalg.cho_solve((state.factor, True), state.slope)
        size = 1.0
        while True:
            trial = _firth(rows, t, b + size * direction)
            count += 1
            better = trial.value >= state.value - 1e-12 * abs(state.value)
            if better or size < 1e-8 or count >= _FIRTH_ITERATIONS:
                break
            size /= 2
        b, state = b + size * direction, trial
    p = expit(state.line)
    return YesNoFit(
        coefficients=rows.back() @ b,
        covariance=_covariance(rows, p * (1 - p)),
        probability=p,
        line=state.line,
        score=state.score,
        curvature=p * (1 - p),
        iterations=count,
        gradient=state.gradient,
        converged=state.gradient <= _ENOUGH,
        log_likelihood=state.value,
    )


@dataclass(frozen=True, slots=True)
class _Firth:
    value: float
    slope: FloatArray
    factor: FloatArray
    line: FloatArray
    score: FloatArray
    gradient: float


def _firth(rows: Standardized, t: FloatArray, b: FloatArray) -> _Firth:
    line = rows.line(b)
    p = expit(line)
    w = p * (1 - p)
    try:
        factor = linalg.cholesky(rows.gram(w), lower=True)
    except linalg.LinAlgError:
        return _Firth(-np.inf, np.zeros(b.size), np.eye(b.size), line, np.zeros(t.size), np.inf)
    half = linalg.solve_triangular(factor, rows.Z, lower=True)
    h = w * np.einsum("ij,ij->j", half, half)
    score = t - p + h * (0.5 - p)
    slope = rows.total(score)
    value = float((t * line - np.logaddexp(0.0, line)).sum() + np.log(np.diag(factor)).sum())
    return _Firth(value, slope, factor, line, score, float(np.abs(slope).max()) / t.size)


def inverse_link(line: FloatArray, link: Link) -> FloatArray:
    """Return the probability at x'b.

    >>> [round(float(inverse_link(np.array([0.0]), link)[0]), 6) for link in ("logit", "probit", "cloglog")]
    [0.5, 0.5, 0.632121]
    """
    found: FloatArray
    if link == "cloglog":
        found = -np.expm1(-np.exp(np.minimum(line, _FAR)))
    else:
        found = expit(line) if link == "logit" else ndtr(line)
    return found


def density(line: FloatArray, probability: FloatArray, link: Link) -> FloatArray:
    """Return dp / d(x'b), shape (n,).

    >>> line = np.array([0.0])
    >>> [round(float(density(line, inverse_link(line, link), link)[0]), 6) for link in ("logit", "probit", "cloglog")]
    [0.25, 0.398942, 0.367879]
    """
    found: FloatArray
    if link == "logit":
        found = probability * (1 - probability)
    elif link == "probit":
        found = np.exp(-(line**2) / 2) / _ROOT_TWO_PI
    else:
        found = np.exp(np.minimum(line, _FAR) - np.exp(np.minimum(line, _FAR)))
    return found


def expected_information(line: FloatArray, probability: FloatArray, link: Link) -> FloatArray:
    """Return (dp/dx'b)^2 / {p (1 - p)}, shape (n,)."""
    if link == "logit":
        return density(line, probability, link)
    slope, both = density(line, probability, link), probability * (1 - probability)
    return np.divide(slope**2, both, out=np.zeros_like(both), where=both > 0)


def _covariance(rows: Standardized, information: FloatArray) -> FloatArray:
    gram = rows.gram(information)
    back = rows.back()
    found: FloatArray = back @ np.linalg.pinv(gram, hermitian=True) @ back.T
    return found


def _logit(t: FloatArray, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    p = expit(line)
    # log(1 + e^x) = max(x, 0) - log(max(p, 1 - p))
    value = float(t @ line - np.maximum(line, 0.0).sum() + np.log(np.maximum(p, 1 - p)).sum())
    return value, t - p, p * (1 - p)


def _probit(t: FloatArray, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    sign = 2 * t - 1
    s = sign * line
    tail = log_ndtr(s)
    mills = np.exp(-(s**2) / 2 - tail) / _ROOT_TWO_PI
    return float(tail.sum()), sign * mills, mills * (mills + s)


def _cloglog(t: FloatArray, line: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    rate = np.exp(np.minimum(line, _FAR))
    yes = t == 1
    # rate / (e^rate - 1), and how it falls with log rate
    share = np.where(rate < _FAR, rate / np.expm1(np.minimum(rate, _FAR)), 0.0)
    logs = np.where(yes, np.log(-np.expm1(-rate)), -rate)
    falls = share * (np.where(rate < 1e-5, rate / 2, rate + share - 1))
    return float(logs.sum()), np.where(yes, share, -rate), np.where(yes, falls, rate)


_TERMS = {"logit": _logit, "probit": _probit, "cloglog": _cloglog}
