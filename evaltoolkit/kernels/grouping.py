"""Strata of people who are alike: exact, coarsened, or by ranges of a score; and the weights that follow from sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Estimand = Literal["ATT", "ATC", "ATE"]
BinRule = Literal["sturges", "freedman-diaconis", "scott"]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SMALLEST_TAIL = 1 / 512


def set_weights(sets: IntArray, treated: Mask, estimand: Estimand = "ATT") -> FloatArray:
    r"""Return the weights of people in matched sets or strata.

    With :math:`n_{1s}, n_{0s}` the treated and comparison people of set :math:`s`: for ATT the treated have weight 1
    and the others :math:`w \propto n_{1s}/n_{0s}`; for ATC the same the other way round; for ATE
    :math:`w \propto n_s/n_{1s}` and :math:`n_s/n_{0s}`. Weights of a group that are not 1 have mean 1. Sets that lack
    one of the groups get no weight.

    Parameters
    ----------
    sets
        Code of each person's set, -1 for none, shape (n,).
    treated
        Shape (n,).
    estimand
        Whose effect.

    Returns
    -------
    ndarray, shape (n,)

    References
    ----------
    Hansen, B. (2004). Full matching in an observational study of coaching for the SAT. Journal of the American
    Statistical Association 99. doi:10.1198/016214504000000647

    Examples
    --------
    >>> set_weights(np.array([0, 0, 0, 1, 1, -1]), np.array([True, False, False, True, False, False])).round(3).tolist()
    [1.0, 0.75, 0.75, 1.0, 1.5, 0.0]
    """
    inside = sets >= 0
    code = np.unique(sets[inside], return_inverse=True)[1]
    t = treated[inside]
    n1, n0 = np.bincount(code, weights=t), np.bincount(code, weights=~t)
    both = (n1 > 0) & (n0 > 0)
    goal = {"ATT": n1, "ATC": n0, "ATE": n1 + n0}[estimand]
    with np.errstate(divide="ignore", invalid="ignore"):
        of_set = np.where(t, (goal / n1)[code], (goal / n0)[code])
    of_set = np.where(both[code], of_set, 0.0)
    weights = np.zeros(sets.size)
    weights[inside] = of_set
    for group in (treated, ~treated):
        used = group & (weights > 0)
        if used.any():
            weights[used] *= used.sum() / weights[used].sum()
    return weights


def same_values(columns: Sequence[NDArray[np.generic]], treated: Mask) -> IntArray:
    """Return strata of people who agree on every column, shape (n,); -1 where a stratum lacks one of the groups.

    >>> same_values([np.array([1, 1, 2, 2, 3])], np.array([True, False, True, False, True])).tolist()
    [0, 0, 1, 1, -1]
    """
    code = np.zeros(treated.size, dtype=np.int64)
    for column in columns:
        level = np.unique(column, return_inverse=True)[1].reshape(-1)
        code = np.unique(code * (int(level.max()) + 1) + level, return_inverse=True)[1].reshape(-1)
    both = (np.bincount(code, weights=treated) > 0) & (np.bincount(code, weights=~treated) > 0)
    number = np.where(both, np.cumsum(both) - 1, -1)
    return np.asarray(number[code], dtype=np.int64)


def coarsened(x: FloatArray, bins: BinRule | int | Sequence[float] = "sturges") -> IntArray:
    r"""Return the bin of each value, shape (n,).

    Bins are equally wide from the smallest to the largest value, or lie between the cutpoints that are given. A value
    on a cutpoint belongs to the bin above. The number of bins is
    :math:`\lceil \log_2 n + 1 \rceil` (``sturges``), or follows from the width :math:`2\,\mathrm{IQR}\,n^{-1/3}`
    (``freedman-diaconis``) or :math:`3.5\,s\,n^{-1/3}` (``scott``).

    Parameters
    ----------
    x
        Shape (n,).
    bins
        A rule, a number of bins, or cutpoints.

    References
    ----------
    Iacus, S., King, G. and Porro, G. (2012). Causal inference without balance checking: coarsened exact matching.
    Political Analysis 20. doi:10.1093/pan/mpr013

    Examples
    --------
    >>> coarsened(np.array([0.0, 1, 2, 3, 4]), 2).tolist(), coarsened(np.array([0.0, 1, 2]), [0.5, 2]).tolist()
    ([0, 0, 1, 1, 1], [0, 1, 2])
    """
    if not isinstance(bins, str | int):
        return np.searchsorted(np.unique(np.asarray(bins, dtype=np.float64)), x, side="right").astype(np.int64)
    count = bins if isinstance(bins, int) else _bin_count(x, bins)
    inner = np.linspace(x.min(), x.max(), count + 1)[1:-1]
    return np.searchsorted(inner, x, side="right").astype(np.int64)


def _bin_count(x: FloatArray, rule: str) -> int:
    n = x.size
    if rule == "sturges":
        return int(np.ceil(np.log2(n) + 1))
    width = _freedman_diaconis(x) if rule == "freedman-diaconis" else 3.5 * float(x.std(ddof=1))
    return max(1, int(np.ceil(float(np.ptp(x)) / width * n ** (1 / 3)))) if width > 0 else 1


def _freedman_diaconis(x: FloatArray) -> float:
    # Where the middle half is one value, wider and wider middles are tried, then the standard deviation.
    tail = 0.25
    low, high = np.quantile(x, [tail, 1 - tail])
    width = 2 * float(high - low)
    while width == 0 and tail / 2 >= _SMALLEST_TAIL:
        tail /= 2
        low, high = np.quantile(x, [tail, 1 - tail])
        width = float(high - low) / (1 - 2 * tail)
    return width if width > 0 else 3.5 * float(x.std(ddof=1))


def subclasses(score: FloatArray, treated: Mask, count: int, estimand: Estimand = "ATT") -> tuple[IntArray, FloatArray]:
    """Divide people into ranges of a score that hold about as many of those whose effect is asked for.

    Cutpoints are quantiles of the score of the treated (ATT), of the others (ATC) or of everybody (ATE); a score on a
    cutpoint belongs to the range above. Where a range lacks one of the groups, the nearest person of that group in a
    neighbouring range is moved into it, from the side where more of them are.

    Parameters
    ----------
    score, treated
        Shape (n,).
    count
        Number of ranges.
    estimand
        Whose effect.

    Returns
    -------
    tuple
        Range of each person, shape (n,), and cutpoints, shape (count + 1,).

    Raises
    ------
    ValueError
        A group has fewer people than there are ranges.

    References
    ----------
    Rosenbaum, P. and Rubin, D. (1984). Reducing bias in observational studies using subclassification on the
    propensity score. Journal of the American Statistical Association 79. doi:10.1080/01621459.1984.10478078

    Examples
    --------
    >>> score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    >>> treated = np.array([False, True, False, True, True, True])
    >>> subclasses(score, treated, 2)[0].tolist()
    [0, 0, 1, 0, 1, 1]
    """
    if min(int(treated.sum()), int((~treated).sum())) < count:
        raise ValueError("a group has fewer people than there are subclasses")
    of = {"ATT": score[treated], "ATC": score[~treated], "ATE": score}[estimand]
    cuts = np.quantile(of, np.linspace(0, 1, count + 1))
    found = np.clip(np.searchsorted(cuts, score, side="right") - 1, 0, count - 1).astype(np.int64)
    for group in (treated[0], not treated[0]):
        _fill(found, score, np.flatnonzero(treated == group), count)
    return found, cuts


def _fill(found: IntArray, score: FloatArray, rows: IntArray, count: int) -> None:
    """Move people of one group so that no range lacks them."""
    while True:
        sizes = np.bincount(found[rows], minlength=count)
        empty = np.flatnonzero(sizes == 0)
        if empty.size == 0:
            return
        here = int(empty[0])
        away = np.arange(count) - here
        spare = sizes > 1
        pull = float(((sizes - 1) / np.where(away == 0, 1, away))[spare].sum())
        below = here == count - 1 or (here > 0 and pull <= 0)
        sides = np.flatnonzero(sizes > 0)
        giver = int(sides[sides < here].max()) if below else int(sides[sides > here].min())
        theirs = rows[found[rows] == giver]
        nearest = score[theirs].max() if below else score[theirs].min()
        found[theirs[score[theirs] == nearest][-1]] = here
