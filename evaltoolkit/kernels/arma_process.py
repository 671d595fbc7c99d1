"""Seasonal ARMA processes: coefficients, autocovariances and the matrix that whitens them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, signal

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Orders:
    r"""Orders of :math:`\phi(B)\Phi(B^s)\nabla^d\nabla_s^D u_t = \theta(B)\Theta(B^s) e_t`."""

    ar: int = 1
    ma: int = 0
    seasonal_ar: int = 0
    seasonal_ma: int = 0
    cycle: int = 1
    difference: int = 0
    seasonal_difference: int = 0

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Numbers of coefficients: ar, ma, seasonal ar, seasonal ma."""
        return self.ar, self.ma, self.seasonal_ar, self.seasonal_ma

    @property
    def differenced(self) -> int:
        """Periods lost to differencing."""
        return self.difference + self.cycle * self.seasonal_difference


def polynomials_of(free: FloatArray, orders: Orders) -> FloatArray:
    """Return coefficients from unbounded numbers: each group of partial autocorrelations is a tanh.

    >>> polynomials_of(np.arctanh([0.5, -0.3]), Orders(2)).round(6).tolist()
    [0.65, -0.3]
    """
    found, start = [], 0
    for i, size in enumerate(orders.sizes):
        part = coefficients_of(np.tanh(free[start : start + size]))
        found.append(part if i % 2 == 0 else -part)
        start += size
    return np.concatenate(found) if found else np.zeros(0)


def coefficients_of(partial: FloatArray) -> FloatArray:
    """Return autoregressive coefficients from partial autocorrelations (Durbin-Levinson), shape (..., p).

    >>> coefficients_of(np.array([0.5, -0.3])).tolist()
    [0.65, -0.3]
    """
    phi = partial[..., :0]
    for i in range(partial.shape[-1]):
        last = partial[..., i : i + 1]
        phi = np.concatenate([phi - last * phi[..., ::-1], last], axis=-1)
    return np.asarray(phi)


def autocovariances(ar: FloatArray, ma: FloatArray, lags: int) -> FloatArray:
    r"""Return :math:`\gamma(0), \ldots` of :math:`u_t = \sum \phi_i u_{t-i} + e_t + \sum \theta_j e_{t-j}`, var e = 1.

    >>> autocovariances(np.array([0.6]), np.zeros(0), 2).round(6).tolist()
    [1.5625, 0.9375, 0.5625]
    """
    p, q = ar.size, ma.size
    theta, psi = _impulse(ar, ma)
    right = np.zeros(max(p, q, lags) + 1)
    right[: q + 1] = np.correlate(theta, psi, "full")[q:]
    filled = np.concatenate([[1.0], -ar])
    far = np.abs(np.arange(p + 1)[:, None] - np.arange(p + 1))
    system = np.zeros((p + 1, p + 1))
    np.add.at(system, (np.arange(p + 1)[:, None], far), filled)
    first = np.linalg.solve(system, right[: p + 1])
    if lags <= p:
        return np.asarray(first[: lags + 1])
    state = signal.lfiltic([1.0], filled, first[::-1][:p])
    rest, _ = signal.lfilter([1.0], filled, right[p + 1 : lags + 1], zi=state)
    return np.concatenate([first, rest])


def _impulse(ar: FloatArray, ma: FloatArray) -> tuple[FloatArray, FloatArray]:
    theta = np.concatenate([[1.0], ma])
    pulse = np.zeros(ma.size + 1)
    pulse[0] = 1.0
    return theta, np.asarray(signal.lfilter(theta, np.concatenate([[1.0], -ar]), pulse)) if ar.size else theta


def expanded(parameters: FloatArray, orders: Orders) -> tuple[FloatArray, FloatArray]:
    """Return the plain autoregression and moving average that the seasonal products stand for.

    >>> ar, ma = expanded(np.array([0.5, 0.2]), Orders(1, 0, 1, 0, 4))
    >>> ar.tolist(), ma.tolist()
    ([0.5, -0.0, -0.0, 0.2, -0.1], [])
    """
    a, b, c, d = np.split(parameters, np.cumsum(orders.sizes)[:3])

    def _product(plain: FloatArray, seasonal: FloatArray, sign: float) -> FloatArray:
        spaced = np.zeros(orders.cycle * seasonal.size + 1)
        spaced[0] = 1.0
        spaced[orders.cycle :: orders.cycle] = sign * seasonal
        return np.asarray(sign * np.convolve(np.concatenate([[1.0], sign * plain]), spaced)[1:])

    return _product(a, c, -1.0), _product(b, d, 1.0)


def whiten(rows: FloatArray, steps: IntArray, ar: FloatArray, ma: FloatArray) -> tuple[FloatArray, float]:
    """Return W times the rows, shape (n, p), and log |W|, for innovations of variance one.

    >>> rows, log_det = whiten(np.array([[1.0], [2.0]]), np.arange(2), np.array([0.6]), np.zeros(0))
    >>> rows.round(6).ravel().tolist(), round(log_det, 6)
    ([0.8, 1.4], -0.223144)
    """
    n = rows.shape[0]
    if int(steps[-1] - steps[0]) + 1 != n:
        gamma = autocovariances(ar, ma, int(steps[-1] - steps[0]))
        lower = np.linalg.cholesky(gamma[np.abs(steps[:, None] - steps[None, :])])
        return linalg.solve_triangular(lower, rows, lower=True), -float(np.log(np.diag(lower)).sum())
    m = min(max(ar.size, ma.size), n)
    filtered = rows.copy()
    for i in np.flatnonzero(ar).tolist():
        filtered[m:] -= ar[i] * rows[m - i - 1 : n - i - 1]
    band = _band(n, m, ar, ma)
    lower = linalg.cholesky_banded(band, lower=True, check_finite=False)
    white = linalg.solve_banded((band.shape[0] - 1, 0), lower, filtered, check_finite=False)
    return np.asarray(white), -float(np.log(lower[0]).sum())


def _band(n: int, m: int, ar: FloatArray, ma: FloatArray) -> FloatArray:
    """Covariance of m values and n - m filtered ones, as the diagonals from the main one down."""
    theta, psi = _impulse(ar, ma)
    q = ma.size
    band = np.zeros((max(m, q + 1, 1), n))
    for lag in range(q + 1):
        cross = float(theta[lag:] @ psi[: q + 1 - lag])
        band[lag, : max(n - lag, 0)] = float(theta[lag:] @ theta[: q + 1 - lag])
        band[lag, max(m - lag, 0) : m] = cross if lag else band[lag, max(m - lag, 0) : m]
    gamma = autocovariances(ar, ma, max(m - 1, 0))
    for lag in range(m):
        band[lag, : m - lag] = gamma[lag]
    for lag in range(q + 1):
        band[lag, n - lag :] = 0.0
    return band
