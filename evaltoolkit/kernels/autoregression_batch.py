"""Many series that share a design: intervals integrated over the autocorrelation, and by Newey-West, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.autoregression import GRID, precision_sums, prior, whitening
from evaltoolkit.kernels.t_mixture import Mixture

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK: Final = 256
_EXACT: Final = 1e-20


@dataclass(frozen=True, slots=True)
class Intervals:
    """m numbers of each of S series.

    Attributes
    ----------
    estimate, std_error, low, high, p_value
        Shape (S, m). NaN where a series follows the design without error.
    autocorrelation
        Mean autocorrelation of the errors of each series, shape (S,); None where none is estimated.
    df
        n - k.
    """

    estimate: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    autocorrelation: FloatArray | None
    df: int


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all series have in common: by autocorrelation, turned so that sums of squares are all that is left."""

    q: FloatArray
    plain: FloatArray
    turned: FloatArray
    squares: FloatArray
    products: FloatArray
    moves: FloatArray
    scales: FloatArray
    log_prior: FloatArray


def marginal_ar1_batch(
    outcomes: FloatArray, design: FloatArray, steps: IntArray, contrasts: FloatArray, level: float = 0.95,
    grid: FloatArray = GRID,
) -> Intervals:  # fmt: skip
    r"""Return linear numbers :math:`c'\beta` of many series by ``marginal_ar1`` and ``mixture``.

    Whatever hangs on the design alone is made once: for each autocorrelation, :math:`V^{-1}QL^{-T}` with
    :math:`Q` the orthonormal columns of the design and :math:`LL'` = :math:`Q'V^{-1}Q`. With w = a series times that,
    :math:`RSS = u'V^{-1}u - w'w`, u being its least-squares residual, and every number is its least-squares value plus
    a fixed row times w. Series are taken in blocks, so memory does not grow with their number.

    Parameters
    ----------
    outcomes
        Shape (S, n).
    design
        Shape (n, k), of full column rank.
    steps
        Period of each column of the outcomes, whole numbers that rise, shape (n,).
    contrasts
        Rows c, shape (m, k).
    level
        Confidence level.
    grid
        Autocorrelations, shape (G,).

    Returns
    -------
    Intervals

    References
    ----------
    As for ``marginal_ar1``.

    Examples
    --------
    >>> t = np.arange(30)
    >>> X = np.column_stack([np.ones(30), t])
    >>> found = marginal_ar1_batch(np.array([np.cos(2.4 * t), np.sin(5.1 * t)]), X, t, np.eye(2))
    >>> found.estimate.shape, bool((found.low < found.estimate).all()), found.df
    ((2, 2), True, 28)
    """
    n, k = design.shape
    shared = _shared(design, steps, contrasts, grid)
    blocks = [outcomes[i : i + _BLOCK] for i in range(0, len(outcomes), _BLOCK)]
    return joined([intervals_of(y, _projected(y, shared, k), level, grid, n - k) for y in blocks], n - k)


def marginal_ar1_each(
    outcomes: FloatArray, designs: FloatArray, steps: IntArray, contrasts: FloatArray, level: float = 0.95,
    grid: FloatArray = GRID,
) -> Intervals:  # fmt: skip
    r"""Return linear numbers :math:`c'\beta` of many series with a design each, by ``marginal_ar1`` and ``mixture``.

    For counts, whose working response is weighted by each series' own expected counts, and for one series under many
    designs. Sums over periods are made once for all autocorrelations, in blocks of series.

    Parameters
    ----------
    designs
        Shape (S, n, k), each of full column rank.
    outcomes, steps, contrasts, level, grid
        As for ``marginal_ar1_batch``.

    Returns
    -------
    Intervals

    References
    ----------
    As for ``marginal_ar1``.

    Examples
    --------
    >>> t = np.arange(30)
    >>> X = np.column_stack([np.ones(30), t])
    >>> y = np.array([np.cos(2.4 * t), np.sin(5.1 * t)])
    >>> each = marginal_ar1_each(y, np.stack([X, X]), t, np.eye(2))
    >>> bool(np.allclose(each.low, marginal_ar1_batch(y, X, t, np.eye(2)).low))
    True
    """
    n, k = designs.shape[1:]
    log_prior = prior(steps, grid)
    parts = []
    for i in range(0, len(outcomes), _BLOCK):
        y = outcomes[i : i + _BLOCK]
        parts.append(
            intervals_of(y, _own(y, designs[i : i + _BLOCK], steps, contrasts, log_prior, grid), level, grid, n - k)
        )
    return joined(parts, n - k)


@dataclass(frozen=True, slots=True)
class Profiles:
    """By autocorrelation: centres (G, S, m), scales for an error of one (G, S or 1, m), RSS and log weight (S, G)."""

    centres: FloatArray
    scales: FloatArray
    rss: FloatArray
    log_weight: FloatArray


def _shared(design: FloatArray, steps: IntArray, contrasts: FloatArray, grid: FloatArray) -> _Shared:
    q, r = np.linalg.qr(design)
    gram = np.tensordot(*precision_sums(q, steps, grid), axes=1)
    factor = np.linalg.cholesky(gram)
    undone = np.linalg.inv(factor)
    keep, carry = whitening(steps, grid)
    main = keep**2
    main[:, :-1] += (keep[:, 1:] * carry[:, 1:]) ** 2
    beside = -(keep[:, 1:] ** 2) * carry[:, 1:]
    applied = main[:, :, None] * q
    applied[:, 1:] += beside[:, :, None] * q[:-1]
    applied[:, :-1] += beside[:, :, None] * q[1:]
    rows = np.linalg.solve(r.T, contrasts.T).T
    moves = np.einsum("gij,mj->gmi", undone, rows)
    return _Shared(
        q=q, plain=rows, turned=np.concatenate(list(np.einsum("gni,gji->gnj", applied, undone)), axis=1),
        squares=main.T, products=2 * beside.T, moves=moves, scales=np.sqrt((moves**2).sum(axis=2)),
        log_prior=prior(steps, grid) - np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1),
    )  # fmt: skip


def _projected(y: FloatArray, shared: _Shared, k: int) -> Profiles:
    plain = y @ shared.q
    left = y - plain @ shared.q.T
    turned = (left @ shared.turned).reshape(len(y), -1, k)
    rss = left**2 @ shared.squares + (left[:, 1:] * left[:, :-1]) @ shared.products - (turned**2).sum(axis=2)
    centres = (plain @ shared.plain.T)[None] + np.einsum("sgk,gmk->gsm", turned, shared.moves)
    return Profiles(centres, shared.scales[:, None, :], rss, np.broadcast_to(shared.log_prior, rss.shape))


def _own(
    y: FloatArray, designs: FloatArray, steps: IntArray, contrasts: FloatArray, log_prior: FloatArray, grid: FloatArray
) -> Profiles:
    k = designs.shape[2]
    q, r = np.linalg.qr(designs)
    plain = np.einsum("snk,sn->sk", q, y)
    numbers, sums = precision_sums(
        np.concatenate([q, (y - np.einsum("snk,sk->sn", q, plain))[:, :, None]], 2), steps, grid
    )
    gram = np.einsum("gj,sjab->gsab", numbers, sums, optimize=True)
    factor = np.linalg.cholesky(gram[..., :k, :k])
    rows = np.linalg.solve(np.swapaxes(r, 1, 2), contrasts.T[None])
    wanted = np.broadcast_to(rows, (grid.size, *rows.shape))
    solved = np.linalg.solve(factor, np.concatenate([gram[..., :k, k:], wanted], axis=3))
    w, moves = solved[..., 0], solved[..., 1:]
    return Profiles(
        centres=np.einsum("sk,skm->sm", plain, rows)[None] + np.einsum("gsk,gskm->gsm", w, moves),
        scales=np.sqrt((moves**2).sum(axis=2)), rss=(gram[..., k, k] - (w**2).sum(axis=2)).T,
        log_weight=log_prior - np.log(np.diagonal(factor, axis1=2, axis2=3)).sum(axis=2).T,
    )  # fmt: skip


def intervals_of(y: FloatArray, p: Profiles, level: float, grid: FloatArray, df: int) -> tuple[FloatArray, ...]:
    """Return estimate, standard error, ends, p-value and mean autocorrelation of one block of series."""
    s2 = p.rss / df
    floor = _EXACT * np.maximum((y**2).mean(axis=1), 1e-300)[:, None] * (1 - grid**2) ** 2
    exact = (s2 <= floor).any(axis=1)
    s2 = np.where(exact[:, None], 1.0, s2)
    log_weight = -df / 2 * np.log(s2) + p.log_weight
    weights = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    m = p.centres.shape[2]
    scales = np.sqrt(s2).T[:, :, None] * p.scales
    mixed = Mixture(
        p.centres.reshape(grid.size, -1), scales.reshape(grid.size, -1), np.repeat(weights.T, m, axis=1), df
    )
    tail = (1 - level) / 2
    numbers = (mixed.mean, mixed.spread, mixed.quantile(tail), mixed.quantile(1 - tail), mixed.p_value())
    lost = np.where(exact, np.nan, 1.0)
    return (*((a.reshape(-1, m) * lost[:, None]) for a in numbers), (weights @ grid) * lost)


def joined(parts: list[tuple[FloatArray, ...]], df: int) -> Intervals:
    """Put blocks of series one after another."""
    estimate, error, low, high, p, rho = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Intervals(estimate, error, low, high, p, rho, df)


def newey_west_batch(
    outcomes: FloatArray, design: FloatArray, steps: IntArray, contrasts: FloatArray, level: float = 0.95,
    *, lags: int,
) -> Intervals:  # fmt: skip
    r"""Return linear numbers :math:`c'\beta` of many series by least squares with ``newey_west`` errors and t(n-k).

    With :math:`a = X(X'X)^{-1}c` the variance is
    :math:`\frac{n}{n-k}\sum_l w_l \sum_t u_t u_{t-l} a_t a_{t-l}`: one matrix product for each lag.

    Parameters
    ----------
    outcomes, design, steps, contrasts, level
        As for ``marginal_ar1_batch``.
    lags
        L >= 0.

    Returns
    -------
    Intervals

    References
    ----------
    Newey, W. and West, K. (1987). A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix. Econometrica 55. doi:10.2307/1913610

    Examples
    --------
    >>> found = newey_west_batch(np.array([[1.0, 1, -1, -1]]), np.ones((4, 1)), np.arange(4), np.ones((1, 1)), lags=1)
    >>> round(float(found.std_error[0, 0] ** 2), 6)
    0.416667
    """
    n, k = design.shape
    q, r = np.linalg.qr(design)
    plain = outcomes @ q
    left = outcomes - plain @ q.T
    rows = np.linalg.solve(r.T, contrasts.T).T
    a = q @ rows.T
    place = (steps - steps[0]).astype(np.int64)
    full_u, full_a = np.zeros((len(outcomes), place[-1] + 1)), np.zeros((place[-1] + 1, len(contrasts)))
    full_u[:, place], full_a[place] = left, a
    variance = full_u**2 @ full_a**2
    for lag in range(1, min(lags, int(place[-1])) + 1):
        weight = 2 * (1 - lag / (lags + 1))
        variance += weight * ((full_u[:, lag:] * full_u[:, :-lag]) @ (full_a[lag:] * full_a[:-lag]))
    estimate = plain @ rows.T
    error = np.sqrt(np.maximum(n / (n - k) * variance, 0.0))
    reach = -float(special.stdtrit(n - k, (1 - level) / 2)) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(n - k, -np.abs(estimate / error))
    return Intervals(
        estimate, error, estimate - reach, estimate + reach, np.where(error > 0, p, np.nan), None, n - k
    )  # fmt: skip
