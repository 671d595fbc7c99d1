"""Cardinality matching: the largest groups whose means agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A count of nodes, not of seconds, stops the search, so that the same data give the same answer everywhere.
_NODES = 20_000


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest balanced sample.

    Attributes
    ----------
    chosen
        Who is in it, shape (n,); nobody where no sample fits.
    bound
        No balanced sample holds more focal units than this.
    """

    chosen: Mask
    bound: float


def largest_balanced(X: FloatArray, focal: Mask, tolerance: FloatArray, ratio: int = 1) -> Largest:
    r"""Choose as many focal units as possible, with ``ratio`` others for each, so that all means agree.

    Maximize :math:`\sum_i a_i` over 0/1 choices subject to :math:`\sum_j b_j = k \sum_i a_i` and
    :math:`|\sum_i a_i x_i - \tfrac1k \sum_j b_j x_j| \le \delta \sum_i a_i` for each covariate, by the mixed-integer
    solver HiGHS.

    Parameters
    ----------
    X
        Covariates, shape (n, k).
    focal
        Shape (n,).
    tolerance
        Largest difference in means, in units of each covariate, shape (k,).
    ratio
        Others for each focal unit.

    Returns
    -------
    Largest

    References
    ----------
    Zubizarreta, J., Paredes, R. and Rosenbaum, P. (2014). Matching for balance, pairing for heterogeneity in an
    observational study of the effectiveness of for-profit and not-for-profit high schools in Chile. Annals of Applied
    Statistics 8. doi:10.1214/13-AOAS713

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [9.0], [1.0], [2.0], [3.0]])
    >>> found = largest_balanced(X, np.array([True, True, True, False, False, False]), np.array([0.0]))
    >>> int(found.chosen.sum()), found.bound
    (4, 2.0)
    """
    sign = np.where(focal, 1.0, -1.0 / ratio)
    count = LinearConstraint(sign[None], 0, 0)
    sums = (X * sign[:, None]).T
    allowed = tolerance[:, None] * focal
    scale = np.abs(X).max(axis=0)[:, None] + 1e-300
    upper = LinearConstraint((sums - allowed) / scale, -np.inf, 0)
    lower = LinearConstraint((sums + allowed) / scale, 0, np.inf)
    found = milp(
        -focal.astype(np.float64), constraints=[count, upper, lower], integrality=np.ones(focal.size),
        bounds=Bounds(0, 1), options={"node_limit": _NODES, "mip_rel_gap": 0.0},
    )  # fmt: skip
    if found.x is None:
        return Largest(np.zeros(focal.size, dtype=np.bool_), 0.0)
    return Largest(found.x > 0.5, float(np.floor(-found.mip_dual_bound + 1e-6)))
