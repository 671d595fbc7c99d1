"""What a two-way fixed-effects coefficient is made of: every comparison of two cohorts and its weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.bacon_groups import Groups, group_means, groups, two_way_residuals
from evaltoolkit.kernels.cohorts import NEVER

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Kind = Literal[
    "earlier-later", "later-earlier", "treated-never", "later-always", "both-treated", "within", "remainder"
]  # fmt: skip

ALL_COHORTS: Final = -1
"""Stands for the two cohorts in rows that are no comparison of two cohorts."""

_ROUNDING = 1e-13
_AT_ONCE = 4_000_000


class DecompositionError(ValueError):
    """There is no coefficient to decompose.

    ``no-variation``: unit and period effects (and covariates) explain treatment fully. ``collinear``: a covariate, by
    its column, follows from the effects and the covariates before it.
    """

    def __init__(self, why: Literal["no-variation", "collinear"], column: int = -1) -> None:
        self.why = why
        self.column = column
        super().__init__(f"{why}, column {column}")


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A coefficient as a sum over m rows.

    Attributes
    ----------
    coefficient
        The two-way fixed-effects coefficient of treatment.
    treated, comparison
        Starts of the two cohorts of each row, shape (m,); ``ALL_COHORTS`` where a row is no comparison of two.
    kind
        What each row is.
    weight
        Shape (m,), summing to one.
    contribution
        Weight times estimate, shape (m,), summing to the coefficient.
    """

    coefficient: float
    treated: IntArray
    comparison: IntArray
    kind: tuple[Kind, ...]
    weight: FloatArray
    contribution: FloatArray

    @property
    def estimate(self) -> FloatArray:
        """The estimate of each row, shape (m,); NaN where its weight is zero."""
        zero = self.weight == 0
        return np.where(zero, np.nan, self.contribution / np.where(zero, 1.0, self.weight))

    def totals(self) -> dict[Kind, tuple[float, float]]:
        """Return weight and average estimate of each kind of comparison."""
        found: dict[Kind, tuple[float, float]] = {}
        for kind in dict.fromkeys(self.kind):
            rows = np.array([k == kind for k in self.kind])
            weight = float(self.weight[rows].sum())
            found[kind] = (weight, float(self.contribution[rows].sum()) / weight if weight else float("nan"))
        return found


Row = tuple[int, int, Kind, float, float]


def bacon(
    outcome: FloatArray,
    start: IntArray,
    periods: IntArray,
    weights: FloatArray | None = None,
    covariates: FloatArray | None = None,
) -> Decomposition:
    r"""Decompose the coefficient of treatment in :math:`y_{it} = a_i + b_t + \beta D_{it} + x_{it}'\gamma + e_{it}`.

    With :math:`\tilde D` what the effects leave of D, the coefficient is
    :math:`\sum w \tilde D y / \sum w \tilde D^2`. The weights :math:`w \tilde D` sum to zero in every period, so the
    numerator is a sum over pairs of units of
    :math:`\sum_t \lambda_t (\tilde D_{it} - \tilde D_{jt})(y_{it} - y_{jt})` with :math:`\lambda_t = w_i w_j / W_t`,
    over the periods in which both are observed. For a cohort k that starts before m let :math:`U` be the sum of
    :math:`\lambda` before k starts, in between, and from the start of m. The pair then gives

    * earlier against later (not yet treated): weight :math:`U_{mid} U_{pre} / U`; *treated-never* where m never starts,
    * later against earlier (already treated): weight :math:`U_{mid} U_{post} / U`; *later-always* where k always is
      treated,

    each with its own difference-in-differences over these periods. Without holes these are the weights of
    Goodman-Bacon.

    **Holes.** Sums of differences-in-differences of two units cannot reproduce the coefficient in general: with three
    units seen in periods 1-2, 2-3 and 1-3 no two share two periods. Here every pair of units is compared over the
    periods both were observed in, and what is left (unit effects fitted over all periods differ from those of the pair)
    is a row of its own, ``remainder``: the part of the coefficient that comes from who was observed when. R bacondecomp
    stops. Units observed once count nowhere.

    **Covariates.** D is residualised on effects and covariates, :math:`d`. ``within`` is what :math:`d` varies inside
    cohorts (its weight is Omega in bacondecomp); each pair of cohorts is one row, and its estimate is the slope of
    differences of cohort means in y on those in d. bacondecomp scales the weights of pairs to one; here they sum to
    one less Omega (and less the remainder).

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed.
    start
        First treated period, ``NEVER`` for none, shape (n,). Starts up to the first period are always treated and are
        one cohort under the first period; starts after the last one are ``NEVER``.
    periods
        Ascending, shape (T,).
    weights
        Above zero, shape (n,); None for ones.
    covariates
        Shape (n, T, p); a unit is not observed where one is missing.

    Returns
    -------
    Decomposition

    Raises
    ------
    DecompositionError
        Treatment does not vary, or a covariate is collinear.

    References
    ----------
    Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics 225.
    doi:10.1016/j.jeconom.2021.03.014

    Examples
    --------
    >>> y = np.array([[0.0, 2, 2, 2], [0, 0, 0, 4], [1, 1, 1, 1]])
    >>> found = bacon(y, np.array([2, 4, NEVER]), np.array([1, 2, 3, 4]))
    >>> list(zip(found.kind, found.weight.round(6).tolist(), found.estimate.round(6).tolist()))
    [('earlier-later', 0.2, 2.0), ('later-earlier', 0.2, 4.0), ('treated-never', 0.3, 2.0), ('treated-never', 0.3, 4.0)]
    >>> round(found.coefficient, 9), round(float(found.contribution.sum()), 9)
    (3.0, 3.0)
    """
    there = np.isfinite(outcome)
    if covariates is not None:
        there = there & np.isfinite(covariates).all(axis=2)
    found = groups(there, np.maximum(start, periods[0]), periods, weights)
    if found.size.size == 0:
        raise DecompositionError("no-variation")
    if covariates is not None:
        return _adjusted(found, outcome, covariates, weights)
    means = group_means(found, outcome, weights)
    left = two_way_residuals(found.treated[:, :, None], found.observed, found.size)[:, :, 0]
    mass = found.mass
    variance = float((mass * left**2).sum())
    if variance <= 1e-12 * float(mass.sum()):
        raise DecompositionError("no-variation")
    coefficient = float((mass * left * means).sum()) / variance
    first = int(periods[0])
    rows = [r for k, m in _cohort_pairs(found) for r in _timing_pair(found, means, (k, m), first)]
    return _table(coefficient, [(k, m, kind, w / variance, c / variance) for k, m, kind, w, c in rows])


def _cohort_pairs(found: Groups) -> Iterator[tuple[int, int]]:
    return combinations(np.unique(found.start).tolist(), 2)


def _timing_pair(found: Groups, means: FloatArray, pair: tuple[int, int], first: int) -> Iterator[Row]:
    """Yield the two comparisons of a cohort with a later one: unscaled weight and contribution."""
    k, m = pair
    mine, theirs = np.flatnonzero(found.start == k), np.flatnonzero(found.start == m)
    on_k, on_m = found.treated[mine[0]] > 0, found.treated[theirs[0]] > 0
    spells = (~on_k, on_k & ~on_m, on_m)
    sums = np.zeros((2, 2))
    for part in _blocks(mine, theirs.size):
        sums += _spell_sums(found, means, part, theirs, spells)
    yield k, m, "treated-never" if m == NEVER else "earlier-later", *sums[0].tolist()
    yield m, k, "later-always" if k == first else "later-earlier", *sums[1].tolist()


def _blocks(rows: IntArray, width: int) -> Iterator[IntArray]:
    step = max(1, _AT_ONCE // max(width, 1))
    return (rows[i : i + step] for i in range(0, rows.size, step))


def _spell_sums(
    found: Groups, means: FloatArray, mine: IntArray, theirs: IntArray, spells: tuple[NDArray[np.bool_], ...]
) -> FloatArray:
    """Return weight and contribution of the first and of the second comparison, summed over pairs of groups."""
    mass = found.mass
    total = np.where(mass.sum(axis=0) > 0, mass.sum(axis=0), 1.0)
    A, B = mass[mine] / total, mass[theirs]
    U = [A[:, s] @ B[:, s].T for s in spells]
    Z = [(A * means[mine])[:, s] @ B[:, s].T - A[:, s] @ (B * means[theirs])[:, s].T for s in spells]
    both = U[0] + U[1] + U[2]
    inverse = np.where(both > 0, 1 / np.where(both > 0, both, 1.0), 0.0)
    return np.array([
        [float((U[1] * U[s] * inverse).sum()), float(((Z[1] * U[s] - Z[s] * U[1]) * inverse).sum())] for s in (0, 2)
    ])  # fmt: skip


def _adjusted(found: Groups, outcome: FloatArray, covariates: FloatArray, weights: FloatArray | None) -> Decomposition:
    used = np.flatnonzero(found.code >= 0)
    code = found.code[used]
    seen = found.observed[code]
    w = np.ones(used.size) if weights is None else weights[used]
    x = np.where(seen[:, :, None], covariates[used], 0.0)
    both = two_way_residuals(np.concatenate([found.treated[code][:, :, None], x], axis=2), seen, w)
    d = _residual_of_first(both, x, seen, w)
    y = two_way_residuals(np.where(seen, outcome[used], 0.0)[:, :, None], seen, w)[:, :, 0]
    variance = float(w @ (d**2).sum(axis=1))
    coefficient = float(w @ (d * y).sum(axis=1)) / variance
    score, means = (_means_by_code(v, code, w, found) for v in (d, y))
    apart = d - score[code]
    within = np.array([w @ (apart**2).sum(axis=1), w @ (apart * y).sum(axis=1)])
    rows: list[Row] = []
    for g in np.unique(found.start).tolist():
        within = within + _slope_sums(found, score, means, (g, g)) / 2
    for k, m in _cohort_pairs(found):
        s = _slope_sums(found, score, means, (k, m))
        kind: Kind = "treated-never" if m == NEVER else "both-treated"
        rows.append((k, m, kind, float(s[0]) / variance, float(s[1]) / variance))
    rows.append((ALL_COHORTS, ALL_COHORTS, "within", float(within[0]) / variance, float(within[1]) / variance))
    return _table(coefficient, rows)


def _residual_of_first(both: FloatArray, raw: FloatArray, seen: NDArray[np.bool_], w: FloatArray) -> FloatArray:
    """Return what covariates leave of treatment, all less unit and period effects, shape (n, T)."""
    root = np.sqrt(w)[:, None, None]
    flat = (both * root).reshape(-1, both.shape[2])
    spread = np.sqrt(np.array([w @ ((v - v[seen].mean()) ** 2 * seen).sum(axis=1) for v in raw.transpose(2, 0, 1)]))
    X = flat[:, 1:]
    q, r = np.linalg.qr(X)
    left = np.abs(np.diag(r)) <= 1e-9 * np.where(spread > 0, spread, 1.0)
    if left.any():
        raise DecompositionError("collinear", int(np.flatnonzero(left)[0]))
    d = flat[:, 0] - q @ (q.T @ flat[:, 0])
    if float(d @ d) <= 1e-12 * float(w.sum()):
        raise DecompositionError("no-variation")
    found: FloatArray = d.reshape(both.shape[:2]) / root[:, :, 0]
    return found


def _means_by_code(values: FloatArray, code: IntArray, w: FloatArray, found: Groups) -> FloatArray:
    sums = np.stack([np.bincount(code, weights=w * v, minlength=found.size.size) for v in values.T], axis=1)
    means: FloatArray = sums / found.size[:, None]
    return means


def _slope_sums(found: Groups, d: FloatArray, y: FloatArray, pair: tuple[int, int]) -> FloatArray:
    """Return variance of differences in d, and their covariance with those in y, summed over pairs of groups."""
    mine, theirs = (np.flatnonzero(found.start == g) for g in pair)
    total = np.where(found.mass.sum(axis=0) > 0, found.mass.sum(axis=0), 1.0)
    sums = np.zeros(2)
    B = found.mass[theirs]
    for part in _blocks(mine, theirs.size):
        A = found.mass[part] / total
        U = A @ B.T
        inverse = np.where(U > 0, 1 / np.where(U > 0, U, 1.0), 0.0)
        apart = [(A * v[part]) @ B.T - A @ (B * v[theirs]).T for v in (d, y)]
        for place, v in enumerate((d, y)):
            cross = (A * d[part]) @ (B * v[theirs]).T + (A * v[part]) @ (B * d[theirs]).T
            joint = (A * (d * v)[part]) @ B.T + A @ (B * (d * v)[theirs]).T - cross
            sums[place] += float((joint - apart[0] * apart[place] * inverse).sum())
    return sums


def _table(coefficient: float, rows: list[Row]) -> Decomposition:
    """Leave out rows without weight and add what is missing to the coefficient as the remainder."""
    rows = [r for r in rows if abs(r[3]) > _ROUNDING]
    weight, part = 1 - sum(r[3] for r in rows), coefficient - sum(r[4] for r in rows)
    scale = max([abs(coefficient), *(abs(r[4]) for r in rows)], default=0.0)
    if abs(weight) > 1e-10 or abs(part) > 1e-10 * scale:
        rows.append((ALL_COHORTS, ALL_COHORTS, "remainder", weight, part))
    k, m, kind, weights, parts = zip(*rows, strict=True)
    return Decomposition(
        coefficient, np.array(k, dtype=np.int64), np.array(m, dtype=np.int64), tuple(kind),
        np.array(weights, dtype=np.float64), np.array(parts, dtype=np.float64),
    )  # fmt: skip
