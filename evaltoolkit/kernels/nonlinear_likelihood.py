"""Cohort and period effects in linear, Poisson and logit models, with what the data cannot tell set apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

Family = Literal["linear", "poisson", "logit"]
Why = Literal["collinear", "separation", "no-outcome", "few-clusters", "no-degrees", "no-convergence"]

_ITERATIONS = 200
_STEP = 1e-9
_NOTHING = 1e-10
_CHUNK = 8192


class NonlinearError(ValueError):
    """A model cannot be fitted: why, and the regressor to blame (-1 for none).

    ``collinear``: the regressor is a combination of the effects and earlier regressors. ``separation``: the likelihood
    has no maximum, as with a regressor under which nothing ever happened. ``no-outcome``: every outcome is zero.
    ``few-clusters``: fewer than two. ``no-degrees``: as many parameters as observations. ``no-convergence``: none of
    these, yet no maximum was found.
    """

    def __init__(self, why: Why, column: int = -1) -> None:
        self.why = why
        self.column = column
        super().__init__(f"{why}, regressor {column}")


@dataclass(frozen=True, slots=True)
class Rows:
    """Sums of outcomes of m units, or groups of units alike, in T periods.

    Attributes
    ----------
    z
        Intercept and covariates, shape (m, q).
    cohort
        Number of the cohort 0 .. J - 1, ascending, shape (m,).
    total
        Weighted outcomes, shape (m, T).
    size
        Weights, times exposure where there is one, shape (m, T). Zero, as the total then is, where a row is left out.
    """

    z: FloatArray
    cohort: IntArray
    total: FloatArray
    size: FloatArray

    def blocks(self) -> list[tuple[int, slice]]:
        """Return number and rows of each cohort that has some."""
        edges = np.flatnonzero(np.diff(self.cohort, prepend=-1, append=-1)).tolist()
        return [(int(self.cohort[a]), slice(a, b)) for a, b in pairwise(edges)]

    def chunks(self) -> list[tuple[int, slice]]:
        """Return the blocks in pieces small enough for a processor's cache."""
        return [
            (j, slice(low, min(low + _CHUNK, which.stop)))
            for j, which in self.blocks()
            for low in range(which.start, which.stop, _CHUNK)
        ]

    @property
    def n_cohorts(self) -> int:
        """Return J."""
        return int(self.cohort[-1]) + 1

    def line(self, theta: FloatArray, j: int, which: slice) -> FloatArray:
        """Return the linear index of rows of cohort j, shape (m, T), from k = q (J + T) coefficients."""
        table = theta.reshape(-1, self.z.shape[1])
        found: FloatArray = self.z[which] @ (table[self.n_cohorts :] + table[j]).T
        return found


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit on k = q (J + T) columns, of which r are kept.

    Attributes
    ----------
    theta
        Coefficients, zero where a column is not kept, shape (k,).
    kept
        Columns, shape (r,).
    inverse
        Inverse of the information of the kept columns, shape (r, r).
    null
        Basis of the combinations of columns that the rows do not tell, shape (k, d).
    separated
        Entries fitted without error by a coefficient at infinity and left out, shape (m, T).
    """

    theta: FloatArray
    kept: IntArray
    inverse: FloatArray
    null: FloatArray
    separated: Mask


def curve(family: Family, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mean, its derivative and its integral at a linear index (canonical links).

    >>> [v.tolist() for v in curve("poisson", np.zeros(1))]
    [[1.0], [1.0], [1.0]]
    """
    if family == "linear":
        return eta, np.ones_like(eta), eta**2 / 2
    if family == "poisson":
        with np.errstate(over="ignore"):
            e = np.exp(eta)
        return e, e, e
    p = expit(eta)
    return p, p * expit(-eta), np.logaddexp(0.0, eta)


def independent(gram: FloatArray, lengths: FloatArray, tolerance: float = _NOTHING) -> IntArray:
    """Return the columns of which something is left once those kept before them are swept out of a Gram matrix.

    Parameters
    ----------
    gram
        Shape (k, k).
    lengths
        Squared lengths to compare with, shape (k,).
    tolerance
        Share of the squared length that counts as nothing.

    Examples
    --------
    >>> X = np.array([[1.0, 0, 1], [1, 1, 2], [1, 2, 3]])
    >>> independent(X.T @ X, (X**2).sum(axis=0)).tolist()
    [0, 1]
    """
    left, kept = gram.copy(), []
    for j in range(lengths.size):
        if left[j, j] > tolerance * lengths[j]:
            kept.append(j)
            left -= np.outer(left[:, j], left[j]) / left[j, j]
    return np.array(kept, dtype=np.int64)


def solve(gram: FloatArray, right: FloatArray) -> FloatArray:
    """Solve with a positive definite matrix whose columns may differ in scale by many orders.

    >>> solve(np.diag([1e-12, 1e12]), np.array([1e-12, 1e12])).tolist()
    [1.0, 1.0]
    """
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    right_scaled = (right.T / scale).T
    found: FloatArray = (np.linalg.lstsq(gram / np.outer(scale, scale), right_scaled, rcond=1e-15)[0].T / scale).T
    return found


def fit(rows: Rows, family: Family) -> Fit:
    r"""Maximise :math:`\sum S \eta - W b(\eta)` with :math:`\eta_{it} = z_i'(\alpha_{g(i)} + \gamma_t)`.

    S are the totals, W the sizes and b the integral of the mean; Newton's method with step halving. Entries whose
    fitted mean would need a coefficient at infinity (no outcome, or for ``logit`` nothing but the outcome) are found
    from Newton's direction, confirmed by a combination of columns that is zero on all other entries and points outwards
    on these, and left out: the others then have a maximum.

    Parameters
    ----------
    rows
        Sums and sizes.
    family
        Which mean.

    Returns
    -------
    Fit

    Raises
    ------
    NonlinearError
        ``no-convergence``.

    References
    ----------
    Correia, S., Guimaraes, P. and Zylkin, T. (2019). Verifying the existence of maximum likelihood estimates for
    generalized linear models. arXiv:1903.01633. doi:10.48550/arXiv.1903.01633

    Examples
    --------
    >>> rows = Rows(np.ones((2, 1)), np.array([0, 1]), np.array([[2.0, 4], [3, 0]]), np.array([[1.0, 1], [1, 0]]))
    >>> np.exp(rows.line(fit(rows, "poisson").theta, 1, slice(1, 2))).round(6).tolist()
    [[3.0, 6.0]]
    """
    rows = Rows(rows.z, rows.cohort, rows.total.copy(), rows.size.copy())
    separated = np.zeros(rows.total.shape, dtype=np.bool_)
    kept, null = structure(rows, rows.size > 0)
    theta = _start(rows, family, kept)
    value, score, information = _moments(rows, family, theta)
    for iteration in range(_ITERATIONS):
        step = np.zeros(theta.size)
        step[kept] = solve(information[np.ix_(kept, kept)], score[kept])
        size, trial = 1.0, _moments(rows, family, theta + step)
        while size > 1e-8 and not trial[0] >= value - 1e-12 * abs(value):
            size /= 2
            trial = _moments(rows, family, theta + size * step)
        theta = theta + size * step
        move = _moves(rows, step)
        value, score, information = trial
        if np.abs(move).max() <= _STEP:
            return Fit(theta, kept, solve(information[np.ix_(kept, kept)], np.eye(kept.size)), null, separated)
        gone = _separated(rows, family, move, step, kept) if iteration % 4 == 3 else None
        if gone is not None:
            separated |= gone
            rows.total[gone] = rows.size[gone] = 0.0
            before, (kept, null) = kept, structure(rows, rows.size > 0)
            theta = _without(theta, kept, null, np.setdiff1d(before, kept))
            value, score, information = _moments(rows, family, theta)
    raise NonlinearError("no-convergence")


def structure(rows: Rows, inside: Mask) -> tuple[IntArray, FloatArray]:
    """Return the columns that entries tell apart, shape (r,), and combinations that they do not, shape (k, k - r).

    >>> one = np.ones((1, 1))
    >>> structure(Rows(one, np.array([0]), one, one), np.array([[True]]))[1].tolist()
    [[-1.0], [1.0]]
    """
    sums = _Sums(rows)
    for j, which in rows.chunks():
        sums.add(j, rows.z[which], inside[which].astype(np.float64))
    gram = sums.gram()
    kept = independent(gram, np.diag(gram))
    lost = np.setdiff1d(np.arange(gram.shape[0]), kept)
    null = np.zeros((gram.shape[0], lost.size))
    null[lost, np.arange(lost.size)] = 1.0
    null[kept] = -solve(gram[np.ix_(kept, kept)], gram[np.ix_(kept, lost)])
    return kept, null


def _without(theta: FloatArray, kept: IntArray, null: FloatArray, dropped: IntArray) -> FloatArray:
    """Move coefficients of dropped columns to those kept, so that the index of no entry changes."""
    lost = np.setdiff1d(np.arange(theta.size), kept)
    found = theta - null[:, np.isin(lost, dropped)] @ theta[dropped]
    found[lost] = 0.0
    return found


class _Sums:
    """Sums of cross-products and of products with residuals, over the columns of the design."""

    def __init__(self, rows: Rows) -> None:
        self.q, self.n_cohorts, self.periods = rows.z.shape[1], rows.n_cohorts, rows.total.shape[1]
        self.n_columns = self.q * (self.n_cohorts + self.periods)
        self._products = np.zeros((self.n_cohorts, self.periods, self.q * self.q))
        self._residuals = np.zeros((self.n_cohorts, self.periods, self.q))

    def add(self, j: int, z: FloatArray, weight: FloatArray, rest: FloatArray | None = None) -> None:
        """Add rows of cohort j with weights, and residuals, of shape (m, T)."""
        pairs = z if self.q == 1 else (z[:, :, None] * z[:, None, :]).reshape(z.shape[0], self.q * self.q)
        self._products[j] += weight.T @ pairs
        if rest is not None:
            self._residuals[j] += rest.T @ z

    def gram(self) -> FloatArray:
        """Return weighted cross-products, shape (k, k)."""
        by_cell = self._products.reshape(self.n_cohorts, self.periods, self.q, self.q)
        total = self.n_cohorts + self.periods
        found = np.zeros((total, self.q, total, self.q))
        cohorts, columns = np.arange(self.n_cohorts), self.n_cohorts + np.arange(self.periods)
        found[cohorts, :, cohorts, :] = by_cell.sum(axis=1)
        found[columns, :, columns, :] = by_cell.sum(axis=0)
        found[: self.n_cohorts, :, self.n_cohorts :, :] = by_cell.transpose(0, 2, 1, 3)
        found[self.n_cohorts :, :, : self.n_cohorts, :] = by_cell.transpose(1, 2, 0, 3)
        return found.reshape(self.n_columns, self.n_columns)

    def score(self) -> FloatArray:
        """Return sums of columns times residuals, shape (k,)."""
        return np.concatenate([self._residuals.sum(axis=1).ravel(), self._residuals.sum(axis=0).ravel()])


def _moments(rows: Rows, family: Family, theta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    sums, value = _Sums(rows), 0.0
    for j, which in rows.chunks():
        eta, total, size = rows.line(theta, j, which), rows.total[which], rows.size[which]
        mean, slope, cumulant = curve(family, eta)
        inside = size > 0
        value += float((total * eta - np.where(inside, size * cumulant, 0.0)).sum())
        rest = np.where(inside, total - size * mean, 0.0)
        sums.add(j, rows.z[which], np.where(inside, size * slope, 0.0), rest)
    return value, sums.score(), sums.gram()


def _moves(rows: Rows, step: FloatArray) -> FloatArray:
    """Return the change of the index of every entry, zero where left out."""
    found = np.empty(rows.total.shape)
    for j, which in rows.chunks():
        found[which] = np.where(rows.size[which] > 0, rows.line(step, j, which), 0.0)
    return found


def _start(rows: Rows, family: Family, kept: IntArray) -> FloatArray:
    """Regress the link of means drawn half-way to the overall one; the overall one alone where that fails."""
    theta = np.zeros(rows.z.shape[1] * (rows.n_cohorts + rows.total.shape[1]))
    overall = rows.total.sum() / rows.size.sum()
    if family == "linear":
        return theta
    if overall <= 0 or (family == "logit" and overall >= 1):
        raise NonlinearError("no-outcome")
    for share in (0.5, 0.0):
        sums = _Sums(rows)
        for j, which in rows.chunks():
            size = rows.size[which]
            own = np.where(size > 0, rows.total[which] / np.where(size > 0, size, 1.0), overall)
            mean = share * own + (1 - share) * overall
            eta = np.log(mean) if family == "poisson" else np.log(mean / (1 - mean))
            weight = size * curve(family, eta)[1]
            sums.add(j, rows.z[which], weight, weight * eta)
        theta[kept] = solve(sums.gram()[np.ix_(kept, kept)], sums.score()[kept])
        if np.isfinite(_moments(rows, family, theta)[0]):
            break
    return theta


def _separated(rows: Rows, family: Family, move: FloatArray, step: FloatArray, kept: IntArray) -> Mask | None:
    """Return entries that a combination of columns moves outwards without touching any other entry."""
    if family == "linear":
        return None
    inside = rows.size > 0
    low = inside & (rows.total == 0) & (move < -0.5)
    high = inside & (rows.total >= rows.size * (1 - 1e-12)) & (move > 0.5) if family == "logit" else np.zeros_like(low)
    if not (low.any() or high.any()):
        return None
    others, null = structure(rows, inside & ~low & ~high)
    free = np.setdiff1d(kept, others)
    if free.size == 0:
        return None
    lost = np.setdiff1d(np.arange(step.size), others)
    basis = null[:, np.isin(lost, free)]
    direction = basis @ np.linalg.lstsq(basis, step, rcond=None)[0]
    outwards = np.where(low, -1.0, 1.0) * np.where(low | high, _moves(rows, direction), 0.0)
    largest = float(outwards.max())
    if largest <= 0 or float(outwards.min()) < -1e-7 * largest:
        return None
    return outwards > 1e-6 * largest
