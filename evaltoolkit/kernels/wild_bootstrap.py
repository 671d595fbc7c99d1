"""Wild cluster bootstrap of one coefficient, from sums by cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.multiplier import Law, blocks
from evaltoolkit.kernels.small_sample_fit import ClusteredFit
from evaltoolkit.kernels.small_sample_roots import by_cluster

FloatArray = NDArray[np.float64]

WEBB_UP_TO: Final = 12
"""Clusters up to which the automatic law is Webb's: 2^G Rademacher draws are too few for small p-values."""
LISTED: Final = 4096
"""Rademacher sign vectors up to which all are listed."""
SLACK: Final = 1e-9
"""Relative difference within which two t count as equal: listed draws contain the sample itself."""

FURTHEST: Final = 1e8
"""Standard errors from the estimate beyond which an interval counts as unbounded."""


@dataclass(frozen=True, slots=True)
class Wild:
    """How a wild cluster bootstrap is run.

    Attributes
    ----------
    law
        Of the multipliers; ``auto`` is Webb's up to 12 clusters, Rademacher's above.
    draws, seed
        B, and the seed. All sign vectors are listed, and the seed is of no account, where 2^G is at most 4096 with the
        Rademacher law.
    level
        Of the interval.
    residuals
        ``restricted`` imposes the null (WCR, the better test), ``unrestricted`` does not (WCU).
    null
        The value tested.
    """

    law: Literal["auto", "rademacher", "webb", "mammen"] = "auto"
    draws: int = 9999
    seed: int = 0
    level: float = 0.95
    residuals: Literal["restricted", "unrestricted"] = "restricted"
    null: float = 0.0


@dataclass(frozen=True, slots=True)
class WildTest:
    """Result for one coefficient.

    Attributes
    ----------
    estimate, std_error, statistic
        Coefficient, its CR1 error (factor G/(G-1); the bootstrap does not depend on the factor), their t for the null.
    p_value
        Two-sided, symmetric: share of draws with a t at least as large.
    lower, upper
        Values not rejected at 1 - ``level``; infinite where none is far enough to be rejected.
    law, draws, listed
        The law used, how many draws, whether they are all there are.
    """

    estimate: float
    std_error: float
    statistic: float
    p_value: float
    lower: float
    upper: float
    law: str
    draws: int
    listed: bool


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Numerator n0 - x n1 and squared error s0 - 2 x s1 + x^2 s2 of every draw at the null estimate + x, shape (B,)."""

    numerator: FloatArray
    squares: FloatArray
    std_error: float
    listed: bool

    def p_value(self, apart: float) -> float:
        """Return the p-value of a null this far from the estimate; infinity is the limit."""
        if np.isinf(apart):
            # t grows without bound with the null; so does a draw's t only where its error stays what it is.
            top = np.where(self.squares[2] > 1e-20 * self.squares[2].max(initial=0.0), 0.0, self.numerator[1])
            square, t = np.where(top == 0, 1.0, self.squares[0]), 1 / self.std_error
        else:
            top = self.numerator[0] - apart * self.numerator[1]
            square = self.squares[0] - 2 * apart * self.squares[1] + apart**2 * self.squares[2]
            t = abs(apart) / self.std_error
        # Products, not ratios: a draw that neither moves nor has spread counts as reaching any t.
        reached = np.abs(top) >= t * np.sqrt(np.clip(square, 0, None)) * (1 - SLACK)
        extra = 0 if self.listed else 1
        return float((reached.sum() + extra) / (top.size + extra))


def wild_cluster(fit: ClusteredFit, column: int, how: Wild | None = None) -> WildTest:
    r"""Test one coefficient by multiplying the residuals of whole clusters.

    A draw is :math:`y_c^* = X_c \tilde\beta + v_c \tilde u_c`, with residuals under the null (restricted) or not. With
    :math:`z_c = X_c' W_c \tilde u_c`, :math:`M = (X'WX)^{-1}` and its row :math:`m` for the coefficient,

    .. math:: \beta^* - r = \sum_c v_c m'z_c, \quad
        s_c^* = v_c m'z_c - m' X_c'W_cX_c M \textstyle\sum_d v_d z_d, \quad
        t^* = (\beta^* - r) / \sqrt{\sum_c (s_c^*)^2},

    so that B draws need a product of B x G and G x k, and no row. Both sums are polynomials in r: the interval inverts
    the test on the same draws. Absorbed effects must be nested in clusters, as ``clustered_fit`` makes sure of; then
    absorbing before or after multiplying is the same.

    Boottest counts draws with a larger absolute t; here draws of equal t count too, and the sample itself where draws
    are random, so that the p-value is not zero and the level of the test is kept. (Listed draws contain the sample with
    restricted residuals only; without the restriction a listed p-value may be zero.)

    Parameters
    ----------
    fit
        From ``clustered_fit``.
    column
        Index of the coefficient in the design given there.
    how
        Settings; None for the defaults.

    Returns
    -------
    WildTest

    Raises
    ------
    ValueError
        The column is aliased.

    References
    ----------
    Cameron, A., Gelbach, J. and Miller, D. (2008). Bootstrap-based improvements for inference with clustered errors.
    Review of Economics and Statistics 90. doi:10.1162/rest.90.3.414
    Roodman, D., Nielsen, M., MacKinnon, J. and Webb, M. (2019). Fast and wild: bootstrap inference in Stata using
    boottest. Stata Journal 19. doi:10.1177/1536867X19830877

    Examples
    --------
    Five clusters of one row, the mean of their numbers: all sign changes that leave the mean as far from zero.

    >>> from evaltoolkit.kernels.small_sample_fit import clustered_fit
    >>> fit = clustered_fit(np.ones((5, 1)), np.array([1.0, 2, 3, 4, 5]), np.arange(5))
    >>> found = wild_cluster(fit, 0, Wild(law="rademacher"))
    >>> found.p_value, found.listed, found.draws
    (0.0625, True, 16)
    """
    how = how or Wild()
    if column not in fit.kept:
        raise ValueError("the column is aliased")
    law = _law(how, fit.n_clusters)
    j = int(np.searchsorted(fit.kept, column))
    drawn = _draw(fit, j, how, law)
    estimate = float(fit.coefficients[j])
    apart = how.null - estimate
    if how.residuals == "restricted":
        low, high = (_end(drawn, 1 - how.level, side) for side in (-1.0, 1.0))
    else:
        high = _reach(drawn, 1 - how.level)
        low = -high
    return WildTest(
        estimate=estimate,
        std_error=drawn.std_error,
        statistic=-apart / drawn.std_error,
        p_value=drawn.p_value(apart),
        lower=estimate + low,
        upper=estimate + high,
        law=law,
        draws=drawn.numerator.shape[1],
        listed=drawn.listed,
    )


def _draw(fit: ClusteredFit, j: int, how: Wild, law: Law) -> _Drawn:
    g, m = fit.n_clusters, fit.bread[j]
    weighted = fit.design * fit.weights[:, None]
    # m' X_c'W_cX_c M, shape (G, k).
    through = by_cluster(fit, (weighted @ m)[:, None] * fit.design) @ fit.bread
    # Residuals under the null estimate + x are u - x d, with d the column less what the other columns explain.
    d = fit.design @ m / m[j] if how.residuals == "restricted" else np.zeros_like(fit.residuals)
    z = [by_cluster(fit, weighted * u[:, None]) for u in (fit.residuals, d)]
    own = [each @ m for each in z]
    factor = g / (g - 1)
    tops, squares = [], []
    for v in _signs(law, how, g):
        first, second = (v * mine - (v @ each) @ through.T for mine, each in zip(own, z, strict=True))
        tops.append(np.stack([v @ mine for mine in own]))
        squares.append(factor * np.stack([(a * b).sum(axis=1) for a, b in _pairs(first, second)]))
    std_error = float(np.sqrt(factor * own[0] @ own[0]))
    return _Drawn(np.concatenate(tops, axis=1), np.concatenate(squares, axis=1), std_error, _all(law, g))


def _pairs(first: FloatArray, second: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    return [(first, first), (first, second), (second, second)]


def _all(law: str, g: int) -> bool:
    return law == "rademacher" and 2**g <= LISTED


def _signs(law: Law, how: Wild, g: int) -> Iterator[FloatArray]:
    """Yield multipliers; where all signs are listed, half of them, as v and -v give one absolute t."""
    if _all(law, g):
        rest = (np.arange(2 ** (g - 1))[:, None] >> np.arange(g - 1)) & 1
        yield np.concatenate([np.ones((rest.shape[0], 1)), 1.0 - 2.0 * rest], axis=1)
    else:
        yield from blocks(law, how.draws, g, how.seed)


def _end(drawn: _Drawn, alpha: float, side: float) -> float:
    """Return the last null on one side, as distance from the estimate, whose p-value is above alpha."""
    if drawn.p_value(np.inf) > alpha:
        return side * np.inf
    far = drawn.std_error
    # Far enough is where no wider null is kept; p-values need not fall all the way.
    while any(drawn.p_value(side * far * 2.0**step) > alpha for step in range(12)):
        far *= 2
        if far > FURTHEST * drawn.std_error:
            return side * np.inf
    grid = np.linspace(0, far, 65)
    last = max(i for i, x in enumerate(grid.tolist()) if i == 0 or drawn.p_value(side * x) > alpha)
    low, high = float(grid[last]), float(grid[min(last + 1, 64)])
    while high - low > 1e-12 * far:
        middle = (low + high) / 2
        low, high = (middle, high) if drawn.p_value(side * middle) > alpha else (low, middle)
    return side * low


def _reach(drawn: _Drawn, alpha: float) -> float:
    """Return how far nulls are kept where draws do not depend on the null."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.sort(np.nan_to_num(np.abs(drawn.numerator[0]) / np.sqrt(drawn.squares[0]), nan=np.inf, posinf=np.inf))
    extra = 0 if drawn.listed else 1
    rank = int(np.floor(alpha * (t.size + extra) - extra + 1e-9)) + 1
    return float(t[-rank]) * drawn.std_error if rank > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """Result for m estimates from their scores.

    Attributes
    ----------
    std_error, p_value, lower, upper
        Root of the summed squares of scores; pointwise p-values against zero and intervals, shape (m,).
    p_adjusted, critical_value
        P-values that hold for all m together, shape (m,), and the critical value of the largest absolute t.
    """

    std_error: FloatArray
    p_value: FloatArray
    lower: FloatArray
    upper: FloatArray
    p_adjusted: FloatArray
    critical_value: float


def score_bootstrap(estimates: FloatArray, scores: FloatArray, how: Wild | None = None) -> ScoreTest:
    r"""Bootstrap t of any estimator from its scores by cluster.

    A draw is :math:`t^*_j = \sum_c v_c \psi_{cj} / \sqrt{\sum_c (v_c \psi_{cj} - \overline{v \psi_j})^2}`, and the
    estimate's t has the error :math:`\sqrt{\sum_c \psi_{cj}^2}`. The null is not imposed and leverage plays no part:
    with few treated clusters it rejects too often, as WCU does; ``how.null`` and ``how.residuals`` are of no account.

    Parameters
    ----------
    estimates
        Shape (m,).
    scores
        Summed by cluster, shape (G, m).
    how
        Settings; None for the defaults.

    Returns
    -------
    ScoreTest

    Raises
    ------
    ValueError
        Shapes disagree.

    References
    ----------
    Kline, P. and Santos, A. (2012). A score based approach to wild bootstrap inference. Journal of Econometric Methods
    1. doi:10.1515/2156-6674.1006

    Examples
    --------
    >>> scores = np.random.default_rng(1).normal(size=(200, 2)) / 200
    >>> found = score_bootstrap(np.array([0.0, 1.0]), scores, Wild(draws=1999))
    >>> found.p_value.tolist(), 1.9 < found.critical_value < 2.6
    ([1.0, 0.0005], True)
    """
    how = how or Wild()
    if scores.ndim != 2 or scores.shape[1] != estimates.size:
        raise ValueError("scores need a column for each estimate")
    g = scores.shape[0]
    law = _law(how, g)
    square = scores**2
    parts = []
    for v in _signs(law, how, g):
        total = v @ scores
        spread = np.sqrt(np.clip(v**2 @ square - total**2 / g, 0, None))
        # Products as scale: a draw of all clusters alike leaves rounding in place of spread.
        flat = spread <= 1e-9 * np.abs(total)
        parts.append(np.where(flat & (total != 0), np.inf, np.abs(total) / np.where(flat, 1.0, spread)))
    drawn = np.concatenate(parts)
    std_error = np.sqrt(square.sum(axis=0))
    live = std_error > 1e-12 * std_error.max(initial=0.0)
    std_error = np.where(live, std_error, np.nan)
    t = np.abs(estimates) / std_error
    extra = 0 if _all(law, g) else 1
    largest = np.where(live, drawn, 0.0).max(axis=1, initial=0.0)
    size = drawn.shape[0] + extra
    p = ((drawn >= t * (1 - SLACK)).sum(axis=0) + extra) / size
    adjusted = ((largest[:, None] >= t * (1 - SLACK)).sum(axis=0) + extra) / size
    reach = np.quantile(drawn, how.level, axis=0, method="inverted_cdf") * std_error
    critical = float(np.quantile(largest, how.level, method="inverted_cdf")) if live.any() else float("nan")
    nothing = np.where(live, 0.0, np.nan)
    return ScoreTest(std_error, p + nothing, estimates - reach, estimates + reach, adjusted + nothing, critical)


def _law(how: Wild, g: int) -> Law:
    if how.law != "auto":
        return how.law
    return "webb" if g <= WEBB_UP_TO else "rademacher"
