"""Weights that are not negative and add up to one, by least squares with a ridge."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MANY: Final = 300
"""Columns beyond which the support is sought in the dual, which has one dimension for each row."""
_FLOOR: Final = 1e-12
"""Least ridge, as a share of the mean square of a column, so that the weights are unique."""
_ROUNDS: Final = 200
_ROUNDING: Final = 2e-16
"""Of a gradient whose columns have mean square one."""


def simplex_least_squares(columns: FloatArray, target: FloatArray, ridge: float) -> FloatArray:
    r"""Return :math:`\arg\min_x \|Ax - b\|^2 + \eta \|x\|^2` with :math:`x \ge 0` and :math:`\sum_j x_j = 1`.

    Exact up to rounding: the support is found by non-negative least squares (or, with many columns, by Newton's method
    in the dual), then the linear system of the support is solved by QR and the support is changed until the conditions
    of Karush, Kuhn and Tucker hold. Frank-Wolfe, as in R ``synthdid``, stops at a tolerance above this minimum.

    Parameters
    ----------
    columns
        A, shape (m, p).
    target
        b, shape (m,).
    ridge
        :math:`\eta`, not negative. Below 1e-12 of the mean square of a column it counts as that, so that of weights
        that fit equally well those closest to equal ones are returned.

    Returns
    -------
    array of shape (p,)

    Raises
    ------
    ValueError
        No column, or a value that is not finite.

    References
    ----------
    Lawson, C. and Hanson, R. (1995). Solving Least Squares Problems, chapter 23. doi:10.1137/1.9781611971217
    Wolfe, P. (1976). Finding the nearest point in a polytope. Mathematical Programming 11. doi:10.1007/BF01580381

    Examples
    --------
    >>> A = np.array([[1.0, 0, 5], [0, 1, 5]])
    >>> simplex_least_squares(A, np.array([0.25, 0.75]), 0.0).round(6).tolist()
    [0.25, 0.75, 0.0]
    """
    if columns.shape[1] == 0 or not (np.isfinite(columns).all() and np.isfinite(target).all()):
        raise ValueError("there must be columns, and all values must be finite")
    # The weights add up to one, so A x - b is (A - b 1') x: the point of a polytope that is nearest to zero.
    apart = columns - target[:, None]
    p = apart.shape[1]
    if p == 1:
        return np.ones(1)
    scale = float(np.sqrt((apart**2).sum() / p))
    if scale == 0:
        return np.full(p, 1 / p)
    apart = apart / scale
    eta = max(ridge / scale**2, _FLOOR)
    if apart.shape[0] > p:
        apart = linalg.qr(apart, mode="r", check_finite=False)[0][:p]
    support = _dual_support(apart, eta) if p > _MANY else _nonnegative_support(apart, eta)
    return _settled(apart, eta, support)


def _nonnegative_support(apart: FloatArray, eta: float) -> Mask:
    """Find the support by NNLS: min ||C u||^2 + (1'u - 1)^2 has the same directions as the problem on the simplex."""
    p = apart.shape[1]
    stacked = np.vstack([apart, np.sqrt(eta) * np.eye(p), np.ones((1, p))])
    aim = np.zeros(stacked.shape[0])
    aim[-1] = 1.0
    try:
        found: Mask = optimize.nnls(stacked, aim, maxiter=10 * p)[0] > 0
    except RuntimeError:
        found = np.zeros(p, dtype=np.bool_)
    return found


def _dual_support(apart: FloatArray, eta: float) -> Mask:
    r"""Minimise :math:`\|r\|^2/2 + \sum_j \max(0, \mu - c_j'r)^2 / (2\eta) - \mu`; weights are positive parts."""
    m, p = apart.shape
    bordered = np.vstack([-apart, np.ones((1, p))])
    fixed = np.append(np.ones(m), 0.0)
    linear = np.append(np.zeros(m), -1.0)
    at = np.append(apart.mean(axis=1), 0.0)
    at[-1] = float((apart.T @ at[:-1]).mean()) + eta / p
    for _ in range(_ROUNDS):
        inner = at @ bordered
        positive = inner > 0
        used = bordered[:, positive]
        gradient = fixed * at + used @ inner[positive] / eta + linear
        hessian = np.diag(fixed) + used @ used.T / eta
        hessian[np.diag_indices(m + 1)] *= 1 + 1e-15
        try:
            step = -np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        along, slope, length = step @ bordered, float(gradient @ step), 1.0
        bent, straight = float(fixed * step @ step), float((fixed * at + linear) @ step)
        # The slope along the step only rises: not far past zero, or half the way.
        while length > 1e-12:
            here = inner + length * along
            now = straight + length * bent + float(np.maximum(here, 0.0) @ along) / eta
            if now <= 0.1 * abs(slope):
                break
            length /= 2
        at = at + length * step
        if length == 1.0 and np.array_equal(here > 0, positive):
            break
    found: Mask = at @ bordered > 0
    return found


def _settled(apart: FloatArray, eta: float, support: Mask) -> FloatArray:
    """Solve on the support and change it, one weight at a time, until no condition of the optimum is broken."""
    p = apart.shape[1]
    x = np.zeros(p)
    if support.any():
        x[support] = 1 / support.sum()
    else:
        x[int(np.argmin((apart**2).sum(axis=0)))] = 1.0
    best, least = x, np.inf
    for _ in range(_ROUNDS + 3 * p):
        x = _inside(apart, eta, x)
        half = (apart.T @ (apart @ x)) + eta * x
        worth = float(x @ half)
        if worth >= least * (1 - 1e-13):
            break
        best, least = x, worth
        gap = half - worth  # not negative anywhere at the optimum
        enter = int(np.argmin(gap))
        if gap[enter] >= -max(1e-13 * worth, _ROUNDING):
            break
        x = x * (1 - 1e-12)
        x[enter] += 1e-12
    return best


def _inside(apart: FloatArray, eta: float, x: FloatArray) -> FloatArray:
    """Move to the optimum of the weights that are above zero, dropping those that would fall below it."""
    x = x.copy()
    while True:
        used = np.flatnonzero(x > 0)
        if used.size == 1:
            x[used] = 1.0
            return x
        aim = _equality(apart[:, used], eta)
        if (aim >= 0).all():
            x[:] = 0.0
            x[used] = aim / aim.sum()
            return x
        falling = aim < 0
        room = x[used][falling] / (x[used][falling] - aim[falling])
        step = float(room.min())
        x[used] += step * (aim - x[used])
        x[used[falling][room <= step]] = 0.0
        x[x < 0] = 0.0
        x /= x.sum()


def _equality(part: FloatArray, eta: float) -> FloatArray:
    """Minimise over weights that add up to one, of either sign."""
    m, k = part.shape
    ones = np.ones(k)
    if m < k:
        # eta (C'C + eta I)^-1 1, by what lies outside the rows of C and what lies inside
        _, size, rows = linalg.svd(part, full_matrices=False, check_finite=False)
        outside = ones - rows.T @ (rows @ ones)
        outside -= rows.T @ (rows @ outside)
        if float(outside @ outside) > 1e-12 * k:
            u = outside + rows.T @ (eta / (size**2 + eta) * (rows @ ones))
            return np.asarray(u / u.sum(), dtype=np.float64)
    elif eta > 1e-8:
        u = linalg.cho_solve(linalg.cho_factor(eta * np.eye(k) + part.T @ part), ones)
        return np.asarray(u / u.sum(), dtype=np.float64)
    # By QR in the directions that keep the sum, since cross-products would lose the ridge in rounding.
    middle = np.full(k, 1 / k)
    mirror = np.full(k, 1 / np.sqrt(k))
    mirror[0] -= 1.0
    stacked = np.vstack([part, np.sqrt(eta) * np.eye(k)])
    free = (stacked - np.outer(stacked @ mirror, 2 * mirror / (mirror @ mirror)))[:, 1:]
    q, r = linalg.qr(free, mode="economic", check_finite=False)
    move = np.append(0.0, linalg.solve_triangular(r, -q.T @ (stacked @ middle)))
    found: FloatArray = middle + move - 2 * mirror * float(mirror @ move) / float(mirror @ mirror)
    return found
