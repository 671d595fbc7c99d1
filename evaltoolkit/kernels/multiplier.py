"""Multiplier bootstrap of scores: errors, simultaneous bands and p-values without a fit repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.bands import simultaneous_critical_value

FloatArray = NDArray[np.float64]

Law = Literal["gaussian", "rademacher", "webb", "mammen"]
BLOCK: Final = 4_000_000
"""Multipliers held at once."""
QUARTILES: Final = 2 * float(special.ndtri(0.75))
"""Interquartile range of a standard normal number."""


@dataclass(frozen=True, slots=True)
class Multiplied:
    """What B draws say about m estimates.

    Attributes
    ----------
    std_error
        Interquartile range of the draws over the normal one, as in R ``did``, shape (m,); its limit, the root of the
        variance, with gaussian multipliers. NaN where an estimate has no variance.
    critical_value
        Quantile of the largest absolute t over all estimates with variance.
    lower, upper
        Simultaneous band, estimate -/+ critical value times standard error, shape (m,).
    percentile_lower, percentile_upper
        Pointwise intervals from the quantiles of the draws around the estimate, shape (m,).
    p_value
        Pointwise, against zero: share of draws at least as far from zero, shape (m,).
    p_adjusted
        Share of draws whose largest absolute t is at least that of the estimate: valid for all estimates together,
        shape (m,).
    draws
        B.
    """

    std_error: FloatArray
    critical_value: float
    lower: FloatArray
    upper: FloatArray
    percentile_lower: FloatArray
    percentile_upper: FloatArray
    p_value: FloatArray
    p_adjusted: FloatArray
    draws: int


def multipliers(law: Law, draws: int, n: int, rng: np.random.Generator) -> FloatArray:
    r"""Draw independent multipliers of mean zero and variance one, shape (draws, n).

    Rademacher: -1 or 1. Webb: :math:`\pm\sqrt{1/2}, \pm 1, \pm\sqrt{3/2}` with chance 1/6 each. Mammen:
    :math:`-(\sqrt 5 - 1)/2` with chance :math:`(\sqrt 5 + 1)/(2 \sqrt 5)`, else :math:`(\sqrt 5 + 1)/2`.

    References
    ----------
    Webb, M. (2023). Reworking wild bootstrap-based inference for clustered errors. Canadian Journal of Economics 56.
    doi:10.1111/caje.12661
    Mammen, E. (1993). Bootstrap and wild bootstrap for high dimensional linear models. Annals of Statistics 21.
    doi:10.1214/aos/1176349025

    Examples
    --------
    >>> v = multipliers("webb", 6000, 1, np.random.default_rng(1))
    >>> np.unique(v**2).round(6).tolist(), round(float((v**2).mean()), 1)
    ([0.5, 1.0, 1.5], 1.0)
    """
    if law == "gaussian":
        return rng.standard_normal((draws, n))
    if law == "rademacher":
        signs: FloatArray = np.where(rng.integers(0, 2, (draws, n)) == 1, 1.0, -1.0)
        return signs
    if law == "webb":
        values: FloatArray = np.sqrt(np.array([0.5, 1.0, 1.5]))
        six: FloatArray = np.concatenate([-values, values])[rng.integers(0, 6, (draws, n))]
        return six
    five = np.sqrt(5.0)
    small = rng.random((draws, n)) < (five + 1) / (2 * five)
    found: FloatArray = np.where(small, (1 - five) / 2, (1 + five) / 2)
    return found


def blocks(law: Law, draws: int, n: int, seed: int) -> Iterator[FloatArray]:
    """Yield multipliers in blocks of rows, ``draws`` in all.

    Examples
    --------
    >>> sum(len(block) for block in blocks("rademacher", 999, 5, 1))
    999
    """
    rng = np.random.default_rng(seed)
    step = max(1, BLOCK // max(n, 1))
    for at in range(0, draws, step):
        yield multipliers(law, min(step, draws - at), n, rng)


def multiplier_bootstrap(
    estimates: FloatArray, scores: FloatArray, law: Law, *, level: float, draws: int, seed: int
) -> Multiplied:
    r"""Draw :math:`\theta^* - \hat\theta = \sum_c v_c \psi_c` for multipliers v and summarise as R ``did`` does.

    With gaussian multipliers the law given the scores is :math:`N(0, \sum_c \psi_c \psi_c')`: draws are made in m
    dimensions whatever the number of rows, standard errors and pointwise numbers need none, and the critical value is
    that of ``bands.simultaneous_critical_value``. The other laws are for few clusters, where their discreteness counts;
    they pass over the cluster sums. R ``did`` uses Mammen's.

    Parameters
    ----------
    estimates
        Shape (m,).
    scores
        Summed by cluster, shape (C, m).
    law
        Of the multipliers.
    level
        Coverage of intervals and band.
    draws, seed
        B, and the seed.

    Returns
    -------
    Multiplied

    Raises
    ------
    ValueError
        Shapes disagree.

    References
    ----------
    Callaway, B. and Sant'Anna, P. (2021). Difference-in-differences with multiple time periods. Journal of Econometrics
    225, algorithm 1. doi:10.1016/j.jeconom.2020.12.001

    Examples
    --------
    >>> scores = np.random.default_rng(1).normal(size=(50, 3))
    >>> found = multiplier_bootstrap(np.zeros(3), scores, "gaussian", level=0.95, draws=50_000, seed=1)
    >>> np.allclose(found.std_error, np.sqrt((scores**2).sum(axis=0))), 2.3 < found.critical_value < 2.4
    (True, True)
    """
    estimates = np.asarray(estimates, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != estimates.size:
        raise ValueError("scores need a column for each estimate")
    covariance = scores.T @ scores
    drawn = _drawn(scores, covariance, law, draws, seed)
    analytic = np.sqrt(np.diag(covariance))
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if law == "gaussian":
        spread, ends = analytic, special.ndtri(tails)[:, None] * analytic
    else:
        spread = np.diff(_quantiles(drawn, np.array([0.25, 0.75])), axis=0)[0] / QUARTILES
        ends = _quantiles(drawn, tails)
    live = spread > 1e-12 * analytic.max(initial=0.0)
    spread = np.where(live, spread, np.nan)
    t = np.abs(estimates) / spread
    largest = np.abs(drawn[:, live] / spread[live]).max(axis=1, initial=0.0)
    if law == "gaussian":
        critical, p = simultaneous_critical_value(covariance, level, draws=draws, seed=seed), 2 * special.ndtr(-t)
    else:
        critical, p = float(_quantiles(largest, np.array(level))), _share(np.abs(drawn), np.abs(estimates))
    if not live.any():
        critical = float("nan")
    ends, p = np.where(live, estimates + ends, np.nan), np.where(live, p, np.nan)
    adjusted = np.where(live, _share(largest[:, None], t), np.nan)
    band = critical * spread
    return Multiplied(spread, critical, estimates - band, estimates + band, ends[0], ends[1], p, adjusted, draws)


def _drawn(scores: FloatArray, covariance: FloatArray, law: Law, draws: int, seed: int) -> FloatArray:
    if law == "gaussian":
        values, vectors = np.linalg.eigh(covariance)
        z = np.random.default_rng(seed).standard_normal((draws, covariance.shape[0]))
        return np.asarray(z @ (vectors * np.sqrt(np.clip(values, 0, None))).T, dtype=np.float64)
    return np.concatenate([v @ scores for v in blocks(law, draws, scores.shape[0], seed)])


def _quantiles(drawn: FloatArray, at: FloatArray) -> FloatArray:
    """R ``did`` takes type 1, an observed draw."""
    found: FloatArray = np.quantile(drawn, at, axis=0, method="inverted_cdf")
    return found


def _share(drawn: FloatArray, observed: FloatArray) -> FloatArray:
    """Count the estimate among the draws, so that no p-value is zero."""
    reached = (drawn >= observed * (1 - 1e-12)).sum(axis=0)
    return np.asarray((reached + 1) / (drawn.shape[0] + 1), dtype=np.float64)
