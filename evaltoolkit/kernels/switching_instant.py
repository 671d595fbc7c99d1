"""The effect of a change of treatment in the period in which it happens (the estimator DID_M)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.switching_paths import SwitchError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Instant:
    """Effects of all changes, of increases (joiners) and of decreases (leavers), in this order.

    Attributes
    ----------
    effects, scores
        Shapes (3,) and (C, 3); missing where there are none. ``scores.T @ scores`` is the covariance.
    placebos, placebo_scores
        The same for the period before.
    n_changes, n_stable
        Changes, and rows of units whose treatment stayed that they are compared with, shape (3,).
    n_placebo
        Changes in the placebos, shape (3,).
    """

    effects: FloatArray
    scores: FloatArray
    placebos: FloatArray
    placebo_scores: FloatArray
    n_changes: IntArray
    n_stable: IntArray
    n_placebo: IntArray


@dataclass(frozen=True, slots=True)
class _Part:
    point: float
    influence: FloatArray
    n_changes: int
    n_stable: int


def instant(
    outcome: FloatArray, treatment: FloatArray, clusters: IntArray | None = None, weights: FloatArray | None = None
) -> Instant:
    r"""Estimate :math:`DID_M`: changes of outcome of units whose treatment changes, against those whose does not.

    For a change from d in t, with :math:`\bar\Delta_{d,t}` the mean change of outcome of units that have treatment d in
    t - 1 and t,

    .. math:: DID_M = \frac{\sum S_{it} (Y_{it} - Y_{i,t-1} - \bar\Delta_{d,t})}{\sum |D_{it} - D_{i,t-1}|},

    with S the sign of the change, over all changes that have such units; for a binary treatment the mean over joiners
    and leavers. It is an effect on the outcome of the same period: where earlier treatment matters, see ``switching``.
    The placebo has the change of outcome in the period before, among units with the same treatment in t - 2 and t - 1.

    Scores are those of the estimator in random sampling of units, numbers of changes included, without a small-sample
    factor: the large-sample counterpart of the bootstrap over clusters that did_multiplegt uses.

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed.
    treatment
        Shape (n, T), NaN where it is not known.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.
    weights
        Above zero, shape (n,); None for ones.

    Returns
    -------
    Instant

    Raises
    ------
    SwitchError
        No change has units to compare with.

    References
    ----------
    de Chaisemartin, C. and D'Haultfoeuille, X. (2020). Two-way fixed effects estimators with heterogeneous treatment
    effects. American Economic Review 110. doi:10.1257/aer.20181169

    Examples
    --------
    >>> y = np.array([[1.0, 4, 2], [0, 1, 2], [1, 3, 3], [5, 5, 4]])
    >>> d = np.array([[0.0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]])
    >>> found = instant(y, d)
    >>> found.effects.tolist(), found.n_changes.tolist(), found.n_stable.tolist()
    ([1.75, 2.0, 1.5], [2, 1, 1], [3, 1, 2])
    """
    w = np.ones(outcome.shape[0]) if weights is None else weights
    parts = _parts(outcome, treatment, w)
    if np.isnan(parts[0].point):
        raise SwitchError("comparison")
    table = np.stack([p.influence for p in parts], axis=1)
    if clusters is not None:
        C = int(clusters.max()) + 1
        table = np.stack([np.bincount(clusters, weights=v, minlength=C) for v in table.T], axis=1)
    return Instant(
        effects=np.array([p.point for p in parts[:3]]),
        scores=table[:, :3],
        placebos=np.array([p.point for p in parts[3:]]),
        placebo_scores=table[:, 3:],
        n_changes=np.array([p.n_changes for p in parts[:3]], dtype=np.int64),
        n_stable=np.array([p.n_stable for p in parts[:3]], dtype=np.int64),
        n_placebo=np.array([p.n_changes for p in parts[3:]], dtype=np.int64),
    )


def instant_points(outcome: FloatArray, treatment: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return the three effects and the three placebos of ``instant``, shape (6,); missing where there are none.

    Examples
    --------
    >>> instant_points(np.array([[1.0, 4], [0, 1]]), np.array([[0.0, 1], [0, 0]])).tolist()
    [2.0, 2.0, nan, nan, nan, nan]
    """
    w = np.ones(outcome.shape[0]) if weights is None else weights
    return np.array([p.point for p in _parts(outcome, treatment, w)])


def _parts(outcome: FloatArray, treatment: FloatArray, w: FloatArray) -> list[_Part]:
    return [_part(outcome, treatment, w, side, lag) for lag in (0, 1) for side in (0, 1, -1)]


def _part(outcome: FloatArray, treatment: FloatArray, w: FloatArray, side: int, lag: int) -> _Part:
    """Estimate from changes of one sign, or of both where ``side`` is 0; with lag 1 the placebo."""
    n, T = outcome.shape
    influence, dose = np.zeros(n), np.zeros(n)
    n_changes = n_stable = 0
    for t in range(1 + lag, T):
        change = treatment[:, t] - treatment[:, t - 1]
        gain = outcome[:, t - lag] - outcome[:, t - lag - 1]
        there = np.isfinite(change) & np.isfinite(gain)
        if lag:
            there &= treatment[:, t - 2] == treatment[:, t - 1]
        moves = there & (change * side > 0 if side else change != 0)
        for d in np.unique(treatment[moves, t - 1]).tolist():
            stable = there & (change == 0) & (treatment[:, t - 1] == d)
            if not stable.any():
                continue
            mine = moves & (treatment[:, t - 1] == d)
            sign = np.sign(change[mine])
            trend = float(w[stable] @ gain[stable] / w[stable].sum())
            influence[mine] += w[mine] * sign * (gain[mine] - trend)
            dose[mine] += w[mine] * np.abs(change[mine])
            influence[stable] -= w[stable] * (sign @ w[mine]) / w[stable].sum() * (gain[stable] - trend)
            n_changes, n_stable = n_changes + int(mine.sum()), n_stable + int(stable.sum())
    total = float(dose.sum())
    if total == 0:
        return _Part(np.nan, np.full(n, np.nan), 0, 0)
    point = float(influence.sum() / total)
    return _Part(point, (influence - point * dose) / total, n_changes, n_stable)
