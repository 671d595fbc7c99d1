"""Several breaks at unknown dates: the segmentation with the least squared error, and how many breaks to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segmentations:
    """The best segmentation for each number of breaks 0 .. M.

    Attributes
    ----------
    breaks
        Rows at which a new segment begins, for each number of breaks.
    rss
        Residual sums of squares, shape (M + 1,).
    bic
        Schwarz's criterion, shape (M + 1,).
    """

    breaks: tuple[tuple[int, ...], ...]
    rss: FloatArray
    bic: FloatArray

    @property
    def best(self) -> tuple[int, ...]:
        """The breaks of the segmentation with the smallest criterion."""
        return self.breaks[int(self.bic.argmin())]


def segmentations(
    design: FloatArray, outcome: FloatArray, shortest: float | int = 0.15, most: int | None = None
) -> Segmentations:
    r"""Return the segmentations by dynamic programming over the residual sums of every stretch of rows.

    :math:`BIC = n(\log RSS + 1 - \log n + \log 2\pi) + (k+1)(m+1)\log n`, as R ``strucchange::breakpoints``.

    Parameters
    ----------
    design, outcome
        Shapes (n, k) and (n,); every coefficient may differ between segments.
    shortest
        Shortest segment: rows, or a share of n (rounded down); more than k rows.
    most
        Most breaks; as many as fit (less one, as ``strucchange``) where it is None.

    Returns
    -------
    Segmentations

    Raises
    ------
    ValueError
        The shortest segment has no more rows than there are coefficients, or not even one break fits.

    References
    ----------
    Bai, J. and Perron, P. (2003). Computation and analysis of multiple structural change models. Journal of Applied
    Econometrics 18. doi:10.1002/jae.659

    Examples
    --------
    >>> y = np.r_[np.tile([0.0, 1.0], 6), np.tile([9.0, 10.0], 6), np.tile([3.0, 4.0], 6)]
    >>> segmentations(np.ones((36, 1)), y, 5, 3).best
    (12, 24)
    """
    n, k = design.shape
    h = int(np.floor(shortest * n)) if shortest < 1 else int(shortest)
    if h <= k:
        raise ValueError("the shortest segment must have more rows than there are coefficients")
    fits = max(int(np.ceil(n / h)) - 2, 0)
    m = fits if most is None else min(most, n // h - 1)
    if n < 2 * h:
        raise ValueError("no break fits")
    rss = stretch_rss(design, outcome, h)
    best, came = _program(rss, h, m)
    breaks = tuple(_traced(came, number) for number in range(m + 1))
    totals = np.array(best)
    bic = n * (np.log(totals) + 1 - np.log(n) + np.log(2 * np.pi)) + (k + 1) * np.arange(1, m + 2) * np.log(n)
    return Segmentations(breaks, totals, bic)


def _program(rss: FloatArray, h: int, m: int) -> tuple[list[float], list[IntArray]]:
    """Return the least total for each number of breaks, and where the last segment of each prefix begins."""
    n = rss.shape[0]
    cost = rss[0].copy()
    best, came = [float(cost[n - 1])], []
    for _ in range(m):
        # Prefix ending before row i, last segment from row i to row j.
        total = np.full((n, n), np.inf)
        starts = np.arange(h, n)
        total[starts] = cost[starts - 1][:, None] + rss[starts]
        came.append(total.argmin(axis=0))
        cost = total.min(axis=0)
        best.append(float(cost[n - 1]))
    return best, came


def _traced(came: list[IntArray], number: int) -> tuple[int, ...]:
    found: list[int] = []
    end = came[0].size - 1 if came else 0
    for layer in reversed(came[:number]):
        start = int(layer[end])
        found.append(start)
        end = start - 1
    return tuple(reversed(found))


def stretch_rss(design: FloatArray, outcome: FloatArray, shortest: int) -> FloatArray:
    """Return the residual sum of squares of rows i to j for every stretch of ``shortest`` rows or more, else infinity.

    Shape (n, n).

    Examples
    --------
    >>> stretch_rss(np.ones((3, 1)), np.array([0.0, 2.0, 4.0]), 2).round(6).tolist()
    [[inf, 2.0, 8.0], [inf, inf, 2.0], [inf, inf, inf]]
    """
    n = design.shape[0]
    q = np.linalg.qr(design)[0]
    left = outcome - q @ (q.T @ outcome)
    found = np.full((n, n), np.inf)
    start, end = np.triu_indices(n, shortest - 1)
    gram, score, square = (
        (sums := np.concatenate([np.zeros((1, *parts.shape[1:])), np.cumsum(parts, axis=0)]))[end + 1] - sums[start]
        for parts in (q[:, :, None] * q[:, None, :], q * left[:, None], left**2)
    )
    solved = np.linalg.solve(gram, score[:, :, None])[:, :, 0]
    found[start, end] = square - (score * solved).sum(axis=1)
    return found
