"""Simultaneous bands and joint tests from a covariance matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WaldTest:
    """A joint test that q numbers are all zero: ``statistic`` with ``df`` (q, or q and the reference's) and ``p``."""

    statistic: float
    q: int
    df_reference: float | None
    p_value: float


def simultaneous_critical_value(covariance: FloatArray, level: float, *, draws: int, seed: int) -> float:
    r"""Return c with :math:`P(\max_j |Z_j| \le c) =` ``level`` for Z normal with the matrix's correlations.

    Multiplying influence functions by independent normal draws has exactly this law given the data, so no pass over the
    data is needed.

    Parameters
    ----------
    covariance
        Shape (m, m); rows without variance are left out.
    level
        Coverage of all m intervals together.
    draws, seed
        Random draws, and their seed.

    Returns
    -------
    float

    References
    ----------
    Montiel Olea, J. and Plagborg-Moller, M. (2019). Simultaneous confidence bands. Journal of Applied Econometrics 34.
    doi:10.1002/jae.2656

    Examples
    --------
    >>> c = simultaneous_critical_value(np.eye(1), 0.95, draws=200_000, seed=1)
    >>> abs(c - 1.96) < 0.02
    True
    """
    spread = np.sqrt(np.diag(covariance))
    kept = np.flatnonzero(np.isfinite(spread) & (spread > 0))
    if kept.size == 0:
        return float("nan")
    correlation = covariance[np.ix_(kept, kept)] / np.outer(spread[kept], spread[kept])
    values, vectors = np.linalg.eigh(correlation)
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((draws, kept.size)) @ (vectors * np.sqrt(np.clip(values, 0, None))).T
    largest = np.abs(z).max(axis=1)
    return float(np.quantile(largest, level))


def wald(values: FloatArray, covariance: FloatArray, df: float | None = None) -> WaldTest | None:
    r"""Test that all values are zero: :math:`W = \theta' V^{-1} \theta`, chi-square with q degrees of freedom.

    With ``df`` (of a covariance from :math:`\nu + 1` groups) the reference is Hotelling's:
    :math:`W (\nu - q + 1) / (\nu q) \sim F(q, \nu - q + 1)`.

    Parameters
    ----------
    values
        Shape (q,).
    covariance
        Shape (q, q).
    df
        Degrees of freedom of the covariance; None where it counts as known.

    Returns
    -------
    WaldTest or None
        None where the covariance has no inverse, or there are too few degrees of freedom.

    References
    ----------
    Hotelling, H. (1931). The generalization of Student's ratio. Annals of Mathematical Statistics 2.
    doi:10.1214/aoms/1177732979

    Examples
    --------
    >>> test = wald(np.array([1.96, 0.0]), np.eye(2))
    >>> round(test.statistic, 4), test.q, round(test.p_value, 4)
    (3.8416, 2, 0.1465)
    """
    q = int(values.size)
    if q == 0 or not np.isfinite(covariance).all() or not (np.diag(covariance) > 0).all():
        return None
    spread = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(spread, spread)
    if np.linalg.eigvalsh(correlation)[0] < 1e-10:
        return None
    z = values / spread
    statistic = float(z @ np.linalg.solve(correlation, z))
    if df is None:
        return WaldTest(statistic, q, None, float(special.chdtrc(q, statistic)))
    left = df - q + 1
    if left <= 0:
        return None
    return WaldTest(statistic, q, left, float(special.fdtrc(q, left, statistic * left / (df * q))))
