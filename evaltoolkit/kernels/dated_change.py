"""A change sought at every date of a series whose errors are autocorrelated, all dates at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.autoregression import GRID, precision_sums, prior
from evaltoolkit.kernels.t_mixture import t_below

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NO_ROOM: Final = 1e-9
_DATES: Final = 32
"""Dates that are looked at together."""


@dataclass(frozen=True, slots=True)
class DatedChanges:
    """A change at each of m dates, averaged over the autocorrelation of the errors.

    Attributes
    ----------
    estimate
        The first added coefficient, shape (m,); NaN where it cannot be told from the other columns.
    std_error
        Root of the average squared scale and the variance of the centres, shape (m,).
    p_value
        Two-sided, from the mixture of t distributions, shape (m,).
    log_evidence
        Log of the marginal likelihood of each date, up to a constant, shape (m,): the prior of the added coefficients
        is as wide as what one period tells about them, so that dates near the ends are not favoured.
    df
        n less all columns.
    """

    estimate: FloatArray
    std_error: FloatArray
    p_value: FloatArray
    log_evidence: FloatArray
    df: int

    @property
    def chances(self) -> FloatArray:
        """How the data spread their support over the dates, adding up to one, shape (m,)."""
        known = np.where(np.isfinite(self.log_evidence), self.log_evidence, -np.inf)
        weights = np.exp(known - known.max())
        return np.asarray(weights / weights.sum())


def dated_changes(
    base: FloatArray,
    added: FloatArray,
    outcome: FloatArray,
    steps: IntArray,
    grid: FloatArray = GRID,
) -> DatedChanges:
    r"""Add the columns of one date after another to a regression with first-order autoregressive errors.

    Sums over periods are made once for all dates and autocorrelations. For each :math:`\rho` a date's columns D give
    :math:`S = D'MD` and :math:`c = D'My` (M takes the base out, in the metric of :math:`V^{-1}`), so that
    the coefficients are :math:`S^{-1}c`, the squared error falls by :math:`c'S^{-1}c`, and the determinant grows by
    :math:`|S|`. Weights over :math:`\rho` are those of ``marginal_ar1``, and a date gives what that function gives for
    the base and the date's columns together.

    Parameters
    ----------
    base
        Columns that every date shares, shape (n, k), of full rank.
    added
        Columns of each date, the one that is asked about first, shape (m, n, q).
    outcome
        Shape (n,).
    steps
        Period of each row, whole numbers that rise, shape (n,).
    grid
        Autocorrelations, shape (G,); a single 0 for independent errors.

    Returns
    -------
    DatedChanges

    References
    ----------
    Turner, S. et al. (2021). Evaluation of statistical methods used in the analysis of interrupted time series
    studies. BMC Medical Research Methodology 21. doi:10.1186/s12874-021-01364-0

    Examples
    --------
    >>> t = np.arange(24)
    >>> added = np.array([(t >= start) * 1.0 for start in (8, 12, 16)])[:, :, None]
    >>> found = dated_changes(np.ones((24, 1)), added, np.cos(2.4 * t) + 9 * (t >= 12), t)
    >>> found.estimate.round(0).tolist(), int(found.chances.argmax())
    ([2.0, 9.0, 2.0], 1)
    """
    m, n, q = added.shape
    parts = [_block(base, added[i : i + _DATES], outcome, steps, grid) for i in range(0, m, _DATES)]
    estimate, error, p, evidence = (np.concatenate([part[j] for part in parts]) for j in range(4))
    return DatedChanges(estimate, error, p, evidence, n - base.shape[1] - q)


def _block(
    base: FloatArray, added: FloatArray, outcome: FloatArray, steps: IntArray, grid: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    (m, n, q), k = added.shape, base.shape[1]
    factor = np.linalg.qr(base)[0]
    flat = np.moveaxis(added, 0, 1).reshape(n, m * q)
    left = flat - factor @ (factor.T @ flat)
    shared_rows = np.column_stack([factor, outcome - factor @ (factor.T @ outcome)])
    numbers, sums = precision_sums(shared_rows, steps, grid)
    gram = np.tensordot(numbers, sums, axes=1)
    across, own = (np.tensordot(numbers, each, axes=1) for each in _date_sums(shared_rows, left, steps, q))
    inside = np.linalg.solve(gram[:, :k, :k], np.concatenate([gram[:, :k, k:], across[:, :k]], axis=2))
    y_inside, d_inside = inside[:, :, 0], inside[:, :, 1:]
    rss = gram[:, k, k] - (gram[:, :k, k] * y_inside).sum(axis=1)
    c = (across[:, k] - (across[:, :k] * y_inside[:, :, None]).sum(axis=1)).reshape(-1, m, q)
    parts = across[:, :k].reshape(-1, k, m, q), d_inside.reshape(-1, k, m, q)
    s = own - (parts[0][..., :, None] * parts[1][..., None, :]).sum(axis=1)
    room = ((left**2).sum(axis=0) > _NO_ROOM * (flat**2).sum(axis=0)).reshape(m, q).all(axis=1)
    s = np.where(room[None, :, None, None], s, np.eye(q))
    inverse = np.linalg.inv(s)
    b = (inverse @ c[..., None])[..., 0]
    df = n - k - q
    s2 = np.maximum(rss[:, None] - (b * c).sum(axis=2), 1e-300) / df
    shared = prior(steps, grid) - np.linalg.slogdet(gram[:, :k, :k])[1] / 2
    evidence = np.where(room, shared[:, None] - df / 2 * np.log(s2), np.nan)
    return _averaged(b[:, :, 0], np.sqrt(s2 * inverse[:, :, 0, 0]), (evidence, np.linalg.slogdet(s)[1] / 2), df)


def _date_sums(shared: FloatArray, own: FloatArray, steps: IntArray, q: int) -> tuple[FloatArray, FloatArray]:
    """Return the sums of ``precision_sums`` between shared and dates' rows, and within each date's.

    Shapes (J, p, m q) and (J, m, q, q), in the same order of J.
    """
    n = own.shape[0]
    d = own.reshape(n, -1, q)
    gaps = np.diff(steps)
    across = [np.outer(shared[0], own[0])]
    within = [d[0][:, :, None] * d[0][:, None, :]]
    for gap in np.unique(gaps):
        here = np.flatnonzero(gaps == gap)
        a, b = here + 1, here
        across += [shared[a].T @ own[a], shared[a].T @ own[b] + shared[b].T @ own[a], shared[b].T @ own[b]]
        cross = _pairs(d[a], d[b])
        within += [_pairs(d[a], d[a]), cross + np.swapaxes(cross, 1, 2), _pairs(d[b], d[b])]
    return np.stack(across), np.stack(within)


def _pairs(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return sums over rows of products within each date, shape (m, q, q)."""
    return np.asarray(np.moveaxis(a, 0, 2) @ np.moveaxis(b, 0, 1))


def _averaged(
    centre: FloatArray, scale: FloatArray, logs: tuple[FloatArray, FloatArray], df: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Average over the autocorrelations, first axis; dates without room come out as NaN."""
    evidence, half_det = logs
    top = evidence.max(axis=0)
    total = np.exp(evidence - top).sum(axis=0)
    weights = np.exp(evidence - half_det - (evidence - half_det).max(axis=0))
    weights /= weights.sum(axis=0)
    mean = (weights * centre).sum(axis=0)
    error = np.sqrt((weights * (scale**2 + (centre - mean) ** 2)).sum(axis=0))
    below = (weights * t_below(df, -centre / scale)).sum(axis=0)
    return mean, error, 2 * np.minimum(below, 1 - below), top + np.log(total)
