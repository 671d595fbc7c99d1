"""Abadie-Imbens errors of matching estimators, known or estimated score aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaltoolkit.kernels.least_squares import least_squares
from evaltoolkit.kernels.line_neighbours import nearest_window
from evaltoolkit.kernels.pairing import Pairs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

TIE = 1e-12
"""Relative difference within which two distances in several dimensions count as equal."""


@dataclass(frozen=True, slots=True)
class MatchingEffect:
    """An average of f focal units' differences to their matches, with its error.

    Attributes
    ----------
    estimate
        Treated less comparison, in the outcome's units.
    std_error
        For the average in the population the units come from.
    sample_std_error
        For the average among these very units, given their covariates.
    gaps
        The difference of each focal unit, shape (f,), in order of ``focal``.
    focal
        Rows of the focal units, ascending, shape (f,).
    reuse
        How often each unit serves as a match, ties counted in parts, shape (n,).
    """

    estimate: float
    std_error: float
    sample_std_error: float
    gaps: FloatArray
    focal: IntArray
    reuse: FloatArray


def abadie_imbens(
    outcome: FloatArray,
    treated: Mask,
    pairs: Pairs,
    variances: FloatArray | None = None,
    predicted: FloatArray | None = None,
) -> MatchingEffect:
    r"""Average the differences between focal units and their matches; matches may be reused.

    With :math:`\hat\tau_i` the difference of focal unit i to the mean of its matches, :math:`K_i = \sum_p w_p` and
    :math:`K_i' = \sum_p w_p^2` over the pairs in which i is the match, and f focal units,

    .. math:: \hat V = \frac{1}{f^2} \Big[ \sum_{i\ \mathrm{focal}} (\hat\tau_i - \hat\tau)^2
        + \sum_i \hat\sigma^2_i \big(K_i^2 - K_i' + 2 K_i 1\{i\ \mathrm{focal}\}\big) \Big],

    theorems 6 and 7 of Abadie and Imbens (2006): the treated are focal for the effect on the treated, everybody for the
    average effect. The error for these very units is the root of :math:`\sum_i \hat\sigma^2_i (1\{i\ \mathrm{focal}\} +
    K_i)^2 / f^2`. Without ``variances``, one :math:`\sigma^2` is half the mean squared difference within pairs around
    the estimate (R ``Matching`` with ``Var.calc = 0``).

    Without replacement no K is above :math:`K'`, and what is left is the variance of the differences over f, as in
    Abadie and Imbens (2012).

    Parameters
    ----------
    outcome, treated
        Shape (n,).
    pairs
        Matches of every focal unit, each with one over their number as weight; ties may all be in.
    variances
        Variance of the outcome given what was matched on, shape (n,), from ``conditional_variances``.
    predicted
        Outcome predicted without and with treatment, shape (n, 2), from ``arm_predictions``: a match's outcome is
        moved by the difference of the predictions at the focal unit and at the match (bias adjustment).

    Returns
    -------
    MatchingEffect

    Raises
    ------
    ValueError
        There are no pairs.

    References
    ----------
    Abadie, A. and Imbens, G. (2006). Large sample properties of matching estimators for average treatment effects.
    Econometrica 74. doi:10.1111/j.1468-0262.2006.00655.x
    Abadie, A. and Imbens, G. (2011). Bias-corrected matching estimators for average treatment effects. Journal of
    Business and Economic Statistics 29. doi:10.1198/jbes.2009.07333
    Abadie, A. and Imbens, G. (2012). A martingale representation for matching estimators. Journal of the American
    Statistical Association 107. doi:10.1080/01621459.2012.682537

    Examples
    --------
    Two treated share one match:

    >>> pairs = Pairs(np.array([0, 1]), np.array([2, 2]), np.ones(2))
    >>> found = abadie_imbens(np.array([3.0, 5, 1]), np.array([True, True, False]), pairs)
    >>> found.estimate, round(found.std_error**2, 6), found.reuse.tolist()
    (3.0, 0.75, [0.0, 0.0, 2.0])
    """
    if pairs.focal.size == 0:
        raise ValueError("there are no pairs")
    n, i, j, w = outcome.size, pairs.focal, pairs.match, pairs.weight
    partner = outcome[j]
    if predicted is not None:
        arm = treated[j].astype(np.int64)
        partner = partner + predicted[i, arm] - predicted[j, arm]
    within = np.where(treated[i], 1.0, -1.0) * (outcome[i] - partner)
    parts = np.bincount(i, weights=w, minlength=n)
    focal = np.flatnonzero(parts > 0)
    gaps = (np.bincount(i, weights=w * within, minlength=n)[focal] / parts[focal]).astype(np.float64)
    estimate, f = float(gaps.mean()), focal.size
    reuse = np.bincount(j, weights=w, minlength=n).astype(np.float64)
    squares = np.bincount(j, weights=w**2, minlength=n)
    if variances is None:
        variances = np.full(n, 0.5 * float(w @ (within - estimate) ** 2) / float(w.sum()))
    is_focal = (parts > 0).astype(np.float64)
    again = float(variances @ (reuse**2 - squares + 2 * is_focal * reuse))
    return MatchingEffect(
        estimate=estimate,
        std_error=float(np.sqrt(max(float(((gaps - estimate) ** 2).sum()) + again, 0.0))) / f,
        sample_std_error=float(np.sqrt(float(variances @ (is_focal + reuse) ** 2))) / f,
        gaps=gaps,
        focal=focal.astype(np.int64),
        reuse=reuse,
    )


def conditional_variances(
    place: FloatArray, outcome: FloatArray, treated: Mask, neighbours: int = 2, strata: IntArray | None = None
) -> FloatArray:
    r"""Estimate the variance of the outcome at each unit from its J nearest units of the same group.

    :math:`\hat\sigma_i^2` is the sample variance (n - 1) over unit i, its J nearest units with the same treatment, and
    all that are as near as the J-th (R ``Matching`` with ``Var.calc = J``). A unit alone in its group and stratum gets
    the mean of the others.

    Parameters
    ----------
    place
        What was matched on, shape (n,), or coordinates whose Euclidean distance was, shape (n, k).
    outcome, treated
        Shape (n,).
    neighbours
        J.
    strata
        Codes that neighbours must share, shape (n,); None for none.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        ``neighbours`` is below 1, or no unit has a neighbour.

    References
    ----------
    Abadie and Imbens (2006), section 4. doi:10.1111/j.1468-0262.2006.00655.x

    Examples
    --------
    >>> x, y, t = np.array([0.0, 1, 5, 6]), np.array([1.0, 3, 0, 4]), np.ones(4, dtype=bool)
    >>> conditional_variances(x, y, t, 1).tolist()
    [2.0, 2.0, 8.0, 8.0]
    """
    if neighbours < 1:
        raise ValueError("neighbours must be at least 1")
    cell = treated.astype(np.int64) if strata is None else 2 * np.asarray(strata, dtype=np.int64) + treated
    order = np.argsort(cell, kind="stable")
    edges = np.flatnonzero(np.concatenate([[True], np.diff(cell[order]) != 0, [True]]))
    found = np.full(outcome.size, np.nan)
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        rows = order[a:b]
        if rows.size > 1:
            one = _line_variances if place.ndim == 1 else _space_variances
            found[rows] = one(place[rows], outcome[rows], neighbours)
    alone = np.isnan(found)
    if alone.all():
        raise ValueError("no unit has a neighbour of its own group")
    found[alone] = found[~alone].mean()
    return found


def _line_variances(place: FloatArray, outcome: FloatArray, neighbours: int) -> FloatArray:
    order = np.argsort(place, kind="stable")
    x, y = place[order], outcome[order] - outcome.mean()
    window = nearest_window(x, x, neighbours + 1)
    size = window.size
    spread = (window.sums(y**2) - window.sums(y) ** 2 / size) / (size - 1)
    found = np.empty(place.size)
    found[order] = np.clip(spread, 0.0, None)
    return found


def _space_variances(place: FloatArray, outcome: FloatArray, neighbours: int) -> FloatArray:
    tree = cKDTree(place)
    k = min(neighbours + 1, place.shape[0])
    reach = np.asarray(tree.query(place, k=[k])[0], dtype=np.float64)[:, 0]
    found = np.empty(outcome.size)
    for a in range(0, outcome.size, 4096):
        here = slice(a, a + 4096)
        near = tree.query_ball_point(place[here], reach[here] * (1 + TIE) + 1e-300)
        found[here] = [outcome[rows].var(ddof=1) for rows in near]
    return found


def arm_predictions(covariates: FloatArray, outcome: FloatArray, treated: Mask, pairs: Pairs) -> FloatArray:
    """Predict outcomes without and with treatment by least squares on those who serve as matches.

    Each group's regression rests on its units that serve as matches, weighted by how often they do, as in Abadie and
    Imbens (2011). A group of which nobody serves gets zeros, which are never read.

    Parameters
    ----------
    covariates
        Without an intercept, shape (n, k).
    outcome, treated
        Shape (n,).
    pairs
        As in ``abadie_imbens``.

    Returns
    -------
    ndarray, shape (n, 2)

    References
    ----------
    Abadie and Imbens (2011). doi:10.1198/jbes.2009.07333

    Examples
    --------
    >>> x, t = np.array([[0.5], [0.0], [1.0]]), np.array([True, False, False])
    >>> pairs = Pairs(np.array([0, 0]), np.array([1, 2]), np.array([0.5, 0.5]))
    >>> arm_predictions(x, np.array([9.0, 1, 3]), t, pairs)[:, 0].round(6).tolist()
    [2.0, 1.0, 3.0]
    """
    n = outcome.size
    reuse = np.bincount(pairs.match, weights=pairs.weight, minlength=n)
    center, spread = covariates.mean(axis=0), covariates.std(axis=0)
    design = np.column_stack([np.ones(n), (covariates - center) / np.where(spread > 0, spread, 1.0)])
    predicted = np.zeros((n, 2))
    for arm in (0, 1):
        serves = (treated == bool(arm)) & (reuse > 0)
        if serves.any():
            fit = least_squares(design[serves], outcome[serves], reuse[serves])
            predicted[:, arm] = design[:, fit.kept] @ fit.coefficients[fit.kept]
    return predicted
