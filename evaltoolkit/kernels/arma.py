"""Regression with ARMA errors by exact maximum likelihood, plain or restricted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from evaltoolkit.kernels.arma_process import Orders, expanded, polynomials_of, whiten

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Likelihood = Literal["ml", "reml"]

EDGE: Final = 0.99
"""An autoregression whose slowest part keeps more than this from one period to the next is at its boundary."""

_STEP: Final = 1e-4
_NEAR: Final = 0.1
_CLOSE: Final = 1e-8
_AWAY: Final = 0.5
_FLAT: Final = 1e-3
_MOST_SIGNS: Final = 3
_POLISH: Final = 4


@dataclass(frozen=True, slots=True)
class Arma:
    """A regression of n periods on k columns with ARMA errors.

    Attributes
    ----------
    coefficients
        Shape (k,).
    covariance
        s^2 (X'V^-1X)^-1 with s^2 = RSS/(n-k), as R ``nlme::gls`` prints for either likelihood, shape (k, k).
    by_hessian
        From the Hessian of the likelihood in all parameters with RSS/n, as R ``stats::arima``, shape (k, k).
    parameters
        ar, ma, seasonal ar, seasonal ma; MA with a plus sign, shape (r,).
    parameter_errors
        From the same Hessian, shape (r,).
    sigma2
        RSS/n of the innovations.
    log_likelihood
        At the maximum, with its constants; restricted where that was maximised.
    whitened
        Innovations, each divided by its standard deviation relative to the last, shape (n,).
    slowest
        Modulus of the largest inverse root of the autoregression: 1 is a random walk.
    df
        n - k.
    """

    coefficients: FloatArray
    covariance: FloatArray
    by_hessian: FloatArray
    parameters: FloatArray
    parameter_errors: FloatArray
    sigma2: float
    log_likelihood: float
    whitened: FloatArray
    slowest: float
    df: int

    @property
    def boundary(self) -> bool:
        """Whether the autoregression is at its boundary, where standard errors mean little."""
        return self.slowest > EDGE


def arma_regression(
    design: FloatArray, outcome: FloatArray, steps: IntArray, orders: Orders, likelihood: Likelihood = "reml"
) -> Arma:
    r"""Maximise the exact likelihood of :math:`y_t = x_t'\beta + u_t` with (seasonal) ARMA errors.

    With W such that :math:`W V W' = I`, :math:`RSS = \lVert W(y - Xb)\rVert^2` and N = n, or n - k if restricted,

    .. math:: \ell = -\tfrac{N}{2}(\log 2\pi + 1 + \log \tfrac{RSS}{N}) + \log|W| - \tfrac12 \log|X'V^{-1}X|

    where the last term is of the restricted likelihood only. The rows are filtered by the autoregression first, which
    leaves a banded covariance (Ansley); rows with gaps between them use the whole covariance matrix. Coefficients are
    searched as partial autocorrelations, so the errors stay stationary and invertible.

    Parameters
    ----------
    design
        Shape (n, k), of full column rank after differencing.
    outcome, steps
        Shape (n,); steps are whole numbers that rise. With differencing they must be consecutive.
    orders, likelihood
        The model of the errors.

    Returns
    -------
    Arma

    Raises
    ------
    ValueError
        Differencing with gaps, or an outcome without error.

    References
    ----------
    Ansley, C. (1979). An algorithm for the exact likelihood of a mixed autoregressive-moving average process.
    Biometrika 66. doi:10.1093/biomet/66.1.59
    Pinheiro, J. and Bates, D. (2000). Mixed-Effects Models in S and S-PLUS. doi:10.1007/b98882

    Examples
    --------
    >>> t = np.arange(40)
    >>> X = np.column_stack([np.ones(40), t])
    >>> fit = arma_regression(X, 1 + 0.1 * t + np.cos(2.4 * t) + np.sin(1.7 * t), t, Orders(1))
    >>> fit.coefficients.round(1).tolist(), fit.parameters.shape, fit.boundary
    ([1.0, 0.1], (1,), False)
    """
    if orders.differenced and int(steps[-1] - steps[0]) + 1 != steps.size:
        raise ValueError("differences need periods without gaps")
    rows = differenced(np.column_stack([design, outcome]), orders)
    X, y, at = rows[:, :-1], rows[:, -1], steps[orders.differenced :]
    total = float(((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2).sum())
    if total <= 1e-20 * max(float(y @ y), 1e-300):
        raise ValueError("the outcome follows the design without error")

    def _value(free: FloatArray) -> float:
        return -_profile(rows, at, orders, polynomials_of(free, orders), likelihood)

    best = _search(_value, orders)
    return _described(rows, at, orders, best, likelihood)


def differenced(rows: FloatArray, orders: Orders) -> FloatArray:
    """Return the differences of consecutive rows that the orders ask for, shape (n - lost, p).

    >>> differenced(np.array([[1.0], [2.0], [4.0]]), Orders(difference=1)).ravel().tolist()
    [1.0, 2.0]
    """
    for lag in [1] * orders.difference + [orders.cycle] * orders.seasonal_difference:
        rows = rows[lag:] - rows[:-lag]
    return rows


def _sums(rows: FloatArray, at: IntArray, orders: Orders, parameters: FloatArray) -> tuple[FloatArray, float]:
    white, log_det = whiten(rows, at, *expanded(parameters, orders))
    return white, log_det


def _profile(rows: FloatArray, at: IntArray, orders: Orders, parameters: FloatArray, likelihood: Likelihood) -> float:
    n, k = rows.shape[0], rows.shape[1] - 1
    try:
        white, log_det = _sums(rows, at, orders, parameters)
    except (np.linalg.LinAlgError, ValueError):
        return -np.inf
    r = np.asarray(np.linalg.qr(white, mode="r"), dtype=np.float64)
    size = n - k if likelihood == "reml" else n
    value = -size / 2 * (np.log(2 * np.pi) + 1 + np.log(r[k, k] ** 2 / size)) + log_det
    return float(value - (np.log(np.abs(np.diagonal(r)[:k])).sum() if likelihood == "reml" else 0.0))


def _search(value: Callable[[FloatArray], float], orders: Orders) -> FloatArray:
    """Search from no autocorrelation, as ``nlme``; where that ends at the boundary, look for a maximum inside it."""
    size = sum(orders.sizes)
    if not size:
        return np.zeros(0)
    found = _climb(value, np.zeros(size))
    if _slowest(found, orders) <= EDGE:
        return found
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=min(size, _MOST_SIGNS))))
    starts = np.zeros((len(signs), size))
    starts[:, : signs.shape[1]] = np.arctanh(_AWAY) * signs
    others = [_climb(value, start) for start in starts]
    inside = [o for o in others if _slowest(o, orders) <= EDGE and np.abs(_slopes(value, o)[0]).max() < _FLAT]
    return min(inside, key=value) if inside else found


def _climb(value: Callable[[FloatArray], float], start: FloatArray) -> FloatArray:
    """Search by BFGS, then polish by Newton steps on central differences."""
    with np.errstate(invalid="ignore"):
        at = np.asarray(optimize.minimize(value, start, method="BFGS", options={"gtol": 1e-6}).x)
    for _ in range(_POLISH):
        slope, curve = _slopes(value, at)
        if not (np.isfinite(slope).all() and np.isfinite(curve).all() and np.linalg.matrix_rank(curve) == at.size):
            break
        step = np.linalg.solve(curve, slope)
        if not (np.abs(step).max() < _NEAR and value(at - step) <= value(at) + 1e-12):
            break
        at = at - step
        if np.abs(step).max() < _CLOSE:
            break
    return at


def _slowest(free: FloatArray, orders: Orders) -> float:
    ar = expanded(polynomials_of(free, orders), orders)[0]
    return float(np.abs(np.roots(np.concatenate([[1.0], -ar]))).max()) if ar.any() else 0.0


def _slopes(value: Callable[[FloatArray], float], at: FloatArray) -> tuple[FloatArray, FloatArray]:
    size, h = at.size, _STEP * np.eye(at.size)
    slope = np.array([(value(at + h[i]) - value(at - h[i])) / (2 * _STEP) for i in range(size)])
    curve = np.array([
        [(value(at + h[i] + h[j]) - value(at + h[i] - h[j]) - value(at - h[i] + h[j]) + value(at - h[i] - h[j]))
         / (4 * _STEP**2) for j in range(size)]
        for i in range(size)
    ])  # fmt: skip
    return slope, curve


def _described(rows: FloatArray, at: IntArray, orders: Orders, free: FloatArray, likelihood: Likelihood) -> Arma:
    n, k = rows.shape[0], rows.shape[1] - 1
    parameters = polynomials_of(free, orders)
    white, _ = _sums(rows, at, orders, parameters)
    X, y = white[:, :k], white[:, k]
    b: FloatArray = np.asarray(np.linalg.lstsq(X, y, rcond=None)[0], dtype=np.float64)
    e = y - X @ b
    rss = float(e @ e)
    gram: FloatArray = np.asarray(X.T @ X, dtype=np.float64)
    r = parameters.size
    try:
        joint = np.asarray(np.linalg.inv(_hessian(rows, at, orders, parameters, b)), dtype=np.float64)
    except np.linalg.LinAlgError:  # a step across the boundary of stationarity
        joint = np.full((r + k, r + k), np.nan)
    spread = np.diag(joint)
    return Arma(
        coefficients=b, covariance=rss / (n - k) * np.linalg.inv(gram), by_hessian=joint[r:, r:],
        parameters=parameters, parameter_errors=np.sqrt(np.where(spread > 0, spread, np.nan))[:r], sigma2=rss / n,
        log_likelihood=_profile(rows, at, orders, parameters, likelihood), whitened=e, slowest=_slowest(free, orders),
        df=n - k,
    )  # fmt: skip


def _hessian(rows: FloatArray, at: IntArray, orders: Orders, parameters: FloatArray, b: FloatArray) -> FloatArray:
    """Return minus the second derivatives of the log likelihood in ARMA and regression coefficients, sigma profiled."""
    n, k, r = rows.shape[0], rows.shape[1] - 1, parameters.size

    def _at(p: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        white, log_det = _sums(rows, at, orders, p)
        e = white[:, k] - white[:, :k] @ b
        rss = float(e @ e)
        return n / 2 * np.log(rss / n) - log_det, -n / rss * white[:, :k].T @ e, n / rss * white[:, :k].T @ white[:, :k]

    out = np.zeros((r + k, r + k))
    out[r:, r:] = _at(parameters)[2]
    if r:
        h = _STEP * np.eye(r)
        out[:r, :r] = _slopes(lambda p: _at(p)[0], parameters)[1]
        out[:r, r:] = [(_at(parameters + h[i])[1] - _at(parameters - h[i])[1]) / (2 * _STEP) for i in range(r)]
        out[r:, :r] = out[:r, r:].T
    return out
