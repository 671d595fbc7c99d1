"""Averages, rates and proportional effects over the cells of a cohort and period model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.aggregate import Aggregation, Kind, Sizes, aggregate
from evaltoolkit.kernels.nonlinear import NonlinearGroupTime

FloatArray = NDArray[np.float64]

_NOBODY = Sizes(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 0)))


def per_exposure(found: NonlinearGroupTime) -> NonlinearGroupTime:
    r"""Return the cells in units of a rate: sums over treated observations divided by the sum of their exposure.

    The effect becomes :math:`\sum w (\mu_1 - \mu_0) / \sum w E`, events per unit of exposure; large units count by
    their exposure. (The mean of each unit's own rate would count units alike; that is not what this is.) Ratios do not
    change.

    Parameters
    ----------
    found
        Cells, averages per observation.

    Returns
    -------
    NonlinearGroupTime
        With ``weight`` equal to ``exposure``, so that averages of cells are also sums over sums of exposure.

    Examples
    --------
    >>> from evaltoolkit.kernels.nonlinear import NEVER, Observed, nonlinear_group_time
    >>> y, start, people = np.array([[2.0, 9], [1, 2], [1, 2]]), np.array([2, NEVER, NEVER]), np.full((3, 2), 10.0)
    >>> found = nonlinear_group_time(Observed(y, start, np.array([1, 2]), people), "poisson")
    >>> found.att.round(6).tolist(), per_exposure(found).att.round(6).tolist()
    ([5.0], [0.5])
    """
    share = found.weight / np.where(found.exposure > 0, found.exposure, np.nan)
    return replace(
        found, levels=found.levels * share, counterfactual=found.counterfactual * share,
        level_scores=found.level_scores * share, counterfactual_scores=found.counterfactual_scores * share,
        weight=found.exposure,
    )  # fmt: skip


def average(kind: Kind, found: NonlinearGroupTime) -> Aggregation:
    """Average effects over treated observations (or exposure), cells without an effect left out.

    Rows, and ``simple``, are what averaging over the single observations would give, and so is the overall value of
    ``group``; overall values of ``dynamic`` and ``calendar`` average their rows with equal weights. Weights are known
    numbers, as in R etwfe.

    Parameters
    ----------
    kind
        Which aggregation.
    found
        The cells.

    Returns
    -------
    Aggregation

    Examples
    --------
    >>> from evaltoolkit.kernels.nonlinear import NEVER, Observed, nonlinear_group_time
    >>> y, start = np.array([[2.0, 9, 8], [1, 2, 3], [1, 2, 3]]), np.array([2, NEVER, NEVER])
    >>> found = nonlinear_group_time(Observed(y, start, np.array([1, 2, 3])), "poisson")
    >>> round(average("simple", found).overall, 6), average("dynamic", found).rows.round(6).tolist()
    (3.5, [5.0, 2.0])
    """
    return _aggregated(kind, found, found.att, found.scores)


def proportional(kind: Kind, found: NonlinearGroupTime) -> Aggregation:
    r"""Return logarithms of what happened to the treated over what would have: :math:`\log(\sum\mu_1/\sum\mu_0)`.

    Sums run over the treated observations of a row, or of all rows together for the overall value; ``exp(value) - 1``
    is the proportional effect. For ``dynamic`` and ``calendar`` the overall value is the ratio of the two averages of
    rows, with equal weights as in ``average``.

    Parameters
    ----------
    kind
        Which aggregation; ``simple`` for the overall proportional effect.
    found
        The cells.

    Returns
    -------
    Aggregation
        NaN where one of the sums is not above zero.

    References
    ----------
    Wooldridge, J. (2023). Simple approaches to nonlinear difference-in-differences with panel data. Econometrics
    Journal 26. doi:10.1093/ectj/utad016

    Examples
    --------
    >>> from evaltoolkit.kernels.nonlinear import NEVER, Observed, nonlinear_group_time
    >>> y, start = np.array([[2.0, 9, 8], [1, 2, 3], [1, 2, 3]]), np.array([2, NEVER, NEVER])
    >>> found = nonlinear_group_time(Observed(y, start, np.array([1, 2, 3])), "poisson")
    >>> round(float(np.exp(proportional("simple", found).overall)), 6)
    1.7
    """
    top = _aggregated(kind, found, found.levels, found.level_scores)
    bottom = _aggregated(kind, found, found.counterfactual, found.counterfactual_scores)
    rows, row_scores = _log_ratio((top.rows, top.row_scores), (bottom.rows, bottom.row_scores))
    overall, overall_scores = _log_ratio(
        (np.array([top.overall]), top.overall_scores[:, None]),
        (np.array([bottom.overall]), bottom.overall_scores[:, None]),
    )
    return Aggregation(top.labels, rows, row_scores, float(overall[0]), overall_scores[:, 0])


def _aggregated(kind: Kind, found: NonlinearGroupTime, values: FloatArray, scores: FloatArray) -> Aggregation:
    good = found.estimated
    return aggregate(
        kind, found.cohort[good], found.period[good], values[good], scores[:, good], _NOBODY, found.weight[good]
    )  # fmt: skip


def _log_ratio(
    top: tuple[FloatArray, FloatArray], bottom: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    positive = (top[0] > 0) & (bottom[0] > 0)
    upper, lower = np.where(positive, top[0], np.nan), np.where(positive, bottom[0], np.nan)
    found: FloatArray = top[1] / upper - bottom[1] / lower
    return np.log(upper / lower), found
