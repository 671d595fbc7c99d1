"""Energy balancing: weights under which whole distributions are as near as they can be, by a quadratic programme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.spatial.distance import cdist

from evaltoolkit.kernels.score_weights import Estimand

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Keeps the programme strictly convex, as in the R package WeightIt.
_RIDGE = 1e-4
_ITERATIONS = 100
_TOLERANCE = 1e-10
# Rounds in which people change sides between some weight and none, after the interior point.
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class EnergyWeights:
    """Energy balancing weights of n people, with mean one in each weighted group.

    Attributes
    ----------
    weights
        Shape (n,).
    distance, unweighted
        Energy distance between the groups compared, with these weights and without any.
    iterations
        Of the interior-point method.
    converged
        Whether it met its tolerance.
    """

    weights: FloatArray
    distance: float
    unweighted: float
    iterations: int
    converged: bool


def energy_weights(X: FloatArray, treated: Mask, estimand: Estimand) -> EnergyWeights:
    r"""Weight people so that the energy distance to those meant is least.

    For ATT the others are weighted to the treated, for ATC the treated to the others:
    :math:`2 \sum_i \frac{w_i}{n_1 n_0} \sum_{j} d_{ij} - \frac{1}{n_0^2} w'Dw` plus a ridge of 1e-4 on
    :math:`w'w / n_0^2`, with :math:`\sum_i w_i = n_0` and :math:`w_i \ge 0`. For ATE both groups are weighted to
    everybody and to one another. Distances are Euclidean on standardized covariates.

    Parameters
    ----------
    X
        Covariates, shape (n, k). Memory and time grow as n^2 and n^3.
    treated
        Shape (n,).
    estimand
        ATT, ATC or ATE.

    Returns
    -------
    EnergyWeights

    References
    ----------
    Huling, J. and Mak, S. (2024). Energy balancing of covariate distributions. Journal of Causal Inference 12.
    doi:10.1515/jci-2022-0029

    Examples
    --------
    >>> X, t = np.array([[0.0], [1], [0], [1], [1]]), np.array([True, True, False, False, False])
    >>> e = energy_weights(X, t, "ATT")
    >>> e.weights.round(3).tolist(), e.converged, e.distance < e.unweighted
    ([1.0, 1.0, 1.5, 0.75, 0.75], True, True)
    """
    spread = X.std(axis=0, ddof=1)
    Z = X / np.where(spread > 0, spread, 1.0)
    if estimand == "ATE":
        return _both(Z, treated)
    meant = treated if estimand == "ATT" else ~treated
    return _one(Z, meant)


def _one(Z: FloatArray, meant: Mask) -> EnergyWeights:
    other = Z[~meant]
    m = len(other)
    near = cdist(other, Z[meant]).mean(axis=1)
    inside = cdist(other, other)
    own = float(cdist(Z[meant], Z[meant]).mean())
    v, count, done = _simplex_programme(-2 * inside + 2 * _RIDGE * np.eye(m), 2 * near, np.zeros(m, dtype=np.int64))

    def _energy(w: FloatArray) -> float:
        return float(2 * w @ near - w @ inside @ w - own)

    weights = np.ones(len(Z))
    weights[~meant] = m * v
    return EnergyWeights(weights, _energy(v), _energy(np.full(m, 1 / m)), count, done)


def _both(Z: FloatArray, treated: Mask) -> EnergyWeights:
    n = len(Z)
    D = cdist(Z, Z)
    near = D.mean(axis=1)
    own = float(near.mean())
    group = treated.astype(np.int64)
    same = group[:, None] == group[None, :]
    # To everybody from each group, and between the groups: 2 Σ_a (2 w_a'd - w_a'Dw_a) + 2 w_1'Dw_0 less constants.
    inside = np.where(same, 2.0, -1.0) * D
    sizes = np.where(treated, treated.sum(), (~treated).sum())
    v, count, done = _simplex_programme(-2 * inside + 2 * _RIDGE * np.eye(n), 2 * near, group)

    def _energy(w: FloatArray) -> float:
        return float(2 * w @ near - w @ inside @ w - 2 * own)

    return EnergyWeights(v * sizes, _energy(v), _energy(1 / sizes), count, done)


def _simplex_programme(P: FloatArray, q: FloatArray, group: NDArray[np.int64]) -> tuple[FloatArray, int, bool]:
    r"""Minimise :math:`\tfrac12 v'Pv + q'v` with v not negative and summing to one in each group.

    A primal-dual interior-point method with Mehrotra's predictor and corrector. P need be positive definite only on
    sums of zero, as energy distances are; a constant is added in each group to make it so.
    """
    groups = int(group.max()) + 1
    A = (group == np.arange(groups)[:, None]).astype(np.float64)
    shift = 8 * float(np.abs(P).max())
    P = P + shift * (A.T @ A)
    v, z, count, done = _interior(P, q, A, group)
    exact = _polished(P, q, A, v > z / shift) if done else None
    return (v if exact is None else exact), count, done


def _polished(P: FloatArray, q: FloatArray, A: FloatArray, some: Mask) -> FloatArray | None:
    """Solve exactly for those with some weight, until no sign disagrees; None where it does not settle."""
    n = q.size
    slack = 1e-9 * float(np.abs(q).max())
    for _ in range(_ROUNDS):
        factor = linalg.cho_factor(P[np.ix_(some, some)])
        inner = linalg.cho_solve(factor, np.column_stack([-q[some], A[:, some].T]))
        y = np.linalg.solve(A[:, some] @ inner[:, 1:], 1 - A[:, some] @ inner[:, 0])
        v = np.zeros(n)
        v[some] = inner[:, 0] + inner[:, 1:] @ y
        z = P @ v + q - A.T @ y
        below, wanted = some & (v < 0), ~some & (z < -slack)
        if not (below.any() or wanted.any()):
            return v
        some = (some & ~below) | wanted
    return None


def _interior(
    P: FloatArray, q: FloatArray, A: FloatArray, group: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, int, bool]:
    """Return v and its multipliers, the iterations, and whether the tolerance was met."""
    n, groups = q.size, len(A)
    v = 1 / A.sum(axis=1)[group]
    z = np.full(n, float(np.abs(P @ v + q).max()))
    y = np.zeros(groups)
    scale = max(1.0, float(np.abs(q).max()))
    for count in range(1, _ITERATIONS + 1):
        dual = P @ v + q - A.T @ y - z
        primal = A @ v - 1
        mu = float(v @ z) / n
        if max(float(np.abs(dual).max()) / scale, float(np.abs(primal).max()), mu * n / scale) <= _TOLERANCE:
            return v, z, count, True
        factor = linalg.cho_factor(P + np.diag(z / v), overwrite_a=True)
        step = _Step(factor, A, v, z)
        dv, _, dz = step.solve(-dual, -primal, -v * z)
        a, b = _longest(v, dv), _longest(z, dz)
        target = mu * (float((v + a * dv) @ (z + b * dz)) / n / mu) ** 3
        dv, dy, dz = step.solve(-dual, -primal, target - v * z - dv * dz)
        a, b = 0.995 * _longest(v, dv), 0.995 * _longest(z, dz)
        v, y, z = v + min(a, 1.0) * dv, y + min(b, 1.0) * dy, z + min(b, 1.0) * dz
    return v, z, _ITERATIONS, False


@dataclass(frozen=True, slots=True)
class _Step:
    factor: tuple[FloatArray, bool]
    A: FloatArray
    v: FloatArray
    z: FloatArray

    def solve(
        self, dual: FloatArray, primal: FloatArray, complement: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Solve the three blocks of Newton's equations."""
        right = dual + complement / self.v
        inner = linalg.cho_solve(self.factor, np.column_stack([right, self.A.T]))
        dy = np.linalg.solve(self.A @ inner[:, 1:], primal - self.A @ inner[:, 0])
        dv = inner[:, 0] + inner[:, 1:] @ dy
        return dv, dy, (complement - self.z * dv) / self.v


def _longest(v: FloatArray, dv: FloatArray) -> float:
    falling = dv < 0
    return float(min(1 / 0.995, (-v[falling] / dv[falling]).min())) if falling.any() else 1 / 0.995
