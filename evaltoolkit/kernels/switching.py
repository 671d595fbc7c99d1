"""Effects of treatments that switch on and off or have many values (de Chaisemartin and D'Haultfoeuille)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.stacked_types import Linear, Types, linear_scores, types
from evaltoolkit.kernels.switching_paths import Paths, SwitchError, paths

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Switches:
    """What is estimated.

    Attributes
    ----------
    effects, placebos
        Number of each. Effect l is of being exposed to a changed treatment for l periods.
    direction
        Units whose first change is an increase (``in``), a decrease (``out``), or ``both``.
    variance
        Where residuals are taken. ``paper``: from means of cohorts, which are the units with the same first treatment,
        first change and its sign. ``corrected``: the same, scaled by the root of n / (n - 1) with n clusters of the
        cohort. ``package``: scaled too, but comparison units of all cohorts from one mean, and where n is 1 from the
        mean of switchers and comparison units together (did_multiplegt_dyn since 2025).
    """

    effects: int = 1
    placebos: int = 0
    direction: Literal["both", "in", "out"] = "both"
    variance: Literal["paper", "corrected", "package"] = "paper"


@dataclass(frozen=True, slots=True)
class Switching:
    """Effects and placebos, m rows, and the average effect per unit of treatment.

    Attributes
    ----------
    event_time
        Periods since the first change, shape (m,): l - 1 for effect l, -1 - l for placebo l; -1 is the reference.
        Effects that cannot be estimated are left out.
    effects, scores
        Shapes (m,) and (C, m). ``scores.T @ scores`` is the covariance. C is the number of clusters, or smaller where
        there are very many (then rows are no clusters).
    dose
        Mean cumulated change of treatment of the switchers in each row, shape (m,).
    average, average_scores
        Sum of effects over sum of changes of treatment, and its scores, shape (C,).
    n_switchers, n_comparison
        Switchers, and rows of comparison units (a unit counts in every period it serves), shape (m,).
    n_alone
        Cohorts of switchers in each row that are one cluster, shape (m,): without residuals, they add nothing to the
        variance unless it is the ``package``'s.
    """

    event_time: IntArray
    effects: FloatArray
    scores: FloatArray
    dose: FloatArray
    average: float
    average_scores: FloatArray
    n_switchers: IntArray
    n_comparison: IntArray
    n_alone: IntArray

    @property
    def normalized(self) -> FloatArray:
        """Effects per unit of cumulated treatment, shape (m,)."""
        return self.effects / self.dose

    @property
    def normalized_scores(self) -> FloatArray:
        """Scores of ``normalized``, shape (C, m)."""
        return self.scores / self.dose


@dataclass(frozen=True, slots=True)
class _Row:
    point: float
    slope: FloatArray
    constant: FloatArray
    weight: float
    dose: float
    now: float
    counts: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Units:
    """What is known of units beside their types."""

    paths: Paths
    cumulated: FloatArray
    clusters: IntArray | None


@dataclass(frozen=True, slots=True)
class _Cell:
    """Types that switch and that are compared, at one date, and the sums of their change of outcome, shape (J,)."""

    mine: Mask
    theirs: Mask
    gain: FloatArray


def switching(
    outcome: FloatArray,
    treatment: FloatArray,
    rule: Switches,
    clusters: IntArray | None = None,
    weights: FloatArray | None = None,
    strata: IntArray | None = None,
) -> Switching:
    r"""Estimate effects of having been exposed to a changed treatment for l = 1, 2, ... periods.

    Unit g has its first change in F, of sign S. With :math:`C` the units that have the same treatment in the first
    period and have not changed by F - 1 + l,

    .. math:: DID_{g,l} = Y_{g,F-1+l} - Y_{g,F-1} - |C|^{-1} \sum_C (Y_{F-1+l} - Y_{F-1}), \qquad
        DID_l = N_l^{-1} \sum_g S_g DID_{g,l},

    the effect of the path a unit followed against keeping its first treatment. ``normalized`` divides by the mean of
    :math:`\sum_{k<l} |D_{g,F+k} - D_{g,1}|`; ``average`` is
    :math:`\sum_l N_l DID_l / \sum_l \sum_g |D_{g,F-1+l} - D_{g,1}|`. Placebo l replaces :math:`Y_{F-1+l}` by
    :math:`Y_{F-1-l}`, for the units whose effect l exists, with the same comparison units (as did_multiplegt_dyn).

    The variance is the paper's, conditional on treatments: the influence :math:`U_{g,l}` of each unit (as switcher and
    as comparison unit) less its mean in the cohort of units with the same first treatment, F and S; summed in
    clusters, without a further factor. It is conservative where units of a cohort differ in mean. In a panel with
    holes the mean is of the cohort's units in each comparison. With small cohorts intervals are too short; then use
    another ``variance``. The package's cohorts of switchers also share the treatment in F, which differs from S with
    more than two treatments.

    As there, outcomes count only until a unit has been both above and below its first treatment, and periods are
    numbered as observed.

    Parameters
    ----------
    outcome
        Shape (n, T), NaN where a unit was not observed. A unit is in a comparison where F - 1 and F - 1 + l were
        observed, and for a placebo F - 1 - l too.
    treatment
        Shape (n, T). Two units share a first treatment where the numbers are equal.
    rule
        What is estimated.
    clusters
        Codes 0 .. C - 1, shape (n,); None where units are the clusters.
    weights
        Sampling weights, above zero, shape (n,); None for ones.
    strata
        Comparison units come from the same stratum, shape (n,); None for one.

    Returns
    -------
    Switching

    Raises
    ------
    SwitchError
        Nothing can be estimated.

    References
    ----------
    de Chaisemartin, C. and D'Haultfoeuille, X. (2024). Difference-in-differences estimators of intertemporal treatment
    effects. Review of Economics and Statistics. doi:10.1162/rest_a_01414

    Examples
    --------
    >>> y = np.array([[1.0, 4, 6], [0, 3, 5], [1, 2, 3], [4, 5, 6]])
    >>> d = np.array([[0.0, 1, 0], [0, 2, 2], [0, 0, 0], [0, 0, 0]])
    >>> found = switching(y, d, Switches(effects=2))
    >>> found.event_time.tolist(), found.effects.tolist(), found.normalized.tolist(), found.average
    ([0, 1], [2.0, 3.0], [1.3333333333333333, 1.2], 2.0)
    """
    found = paths(treatment, strata)
    table, offsets, rows = _estimate(outcome, found, rule, weights, clusters)
    if not (found.sign != 0 if rule.direction == "both" else found.sign == _SIGN[rule.direction]).any():
        raise SwitchError("no-switch")
    here = np.array([np.isfinite(r.point) for r in rows])
    if not here[offsets > 0].any():
        raise SwitchError("comparison")
    rows, offsets = [r for r, h in zip(rows, here, strict=True) if h], offsets[here]
    share = _shares(offsets, rows)
    point = np.array([r.point for r in rows])
    slope = np.stack([r.slope for r in rows], axis=1)
    slope = np.concatenate([slope, np.einsum("r,jrt->jt", share, slope)[:, None]], axis=1)
    constant = np.stack([r.constant for r in rows], axis=1)
    constant = np.column_stack([constant, constant @ share])
    used = np.asarray((slope != 0).any(axis=(1, 2)))
    scores = linear_scores(table, Linear(np.append(point, share @ point), slope, constant, used), clusters)
    counts = np.array([r.counts for r in rows], dtype=np.int64)
    return Switching(
        event_time=offsets - 1,
        effects=point,
        scores=scores[:, :-1],
        dose=np.array([r.dose for r in rows]),
        average=float(share @ point),
        average_scores=scores[:, -1],
        n_switchers=counts[:, 0],
        n_comparison=counts[:, 1],
        n_alone=counts[:, 2],
    )


def switching_points(
    outcome: FloatArray,
    treatment: FloatArray,
    rule: Switches,
    weights: FloatArray | None = None,
    strata: IntArray | None = None,
) -> FloatArray:
    """Return placebos from the earliest on, effects from the first on, and the average; missing where there is none.

    The same length whatever is in the panel: made for leaving out clusters.

    Examples
    --------
    >>> y = np.array([[1.0, 4, 6], [0, 3, 5], [1, 2, 3], [4, 5, 6]])
    >>> d = np.array([[0.0, 1, 0], [0, 2, 2], [0, 0, 0], [0, 0, 0]])
    >>> switching_points(y[1:], d[1:], Switches(effects=2, placebos=1)).tolist()
    [nan, 2.0, 3.0, 1.25]
    """
    _, offsets, rows = _estimate(outcome, paths(treatment, strata), rule, weights)
    point = np.array([r.point for r in rows])
    here = np.isfinite(point)
    average = float(_shares(offsets, rows) @ np.where(here, point, 0.0)) if here[offsets > 0].any() else np.nan
    return np.append(point, average)


_SIGN = {"in": 1, "out": -1}


def _estimate(
    outcome: FloatArray, found: Paths, rule: Switches, weights: FloatArray | None, clusters: IntArray | None = None
) -> tuple[Types, IntArray, list[_Row]]:
    """Return types, the offset of each row (l for effects, -l for placebos), and the rows."""
    label = np.column_stack([found.baseline, found.change, found.sign])
    table = types(np.where(found.kept, outcome, np.nan), label, weights)
    offsets = np.concatenate([np.arange(-rule.placebos, 0), np.arange(1, rule.effects + 1)]).astype(np.int64)
    units = _Units(found, np.cumsum(found.dose, axis=1), clusters)
    return table, offsets, [_row(table, units, int(o), rule) for o in offsets]


def _row(table: Types, units: _Units, offset: int, rule: Switches) -> _Row:
    reach, T = abs(offset), table.observed.shape[1]
    baseline, change, sign = table.label.T
    slope, constant = np.zeros(table.observed.shape), np.zeros(baseline.size)
    treated = np.zeros(baseline.size, dtype=np.bool_)
    total, effect, compared, alone = 0.0, 0.0, 0, 0
    switchers = (change < T) & (sign != -_SIGN.get(rule.direction, 0))
    for d, f in np.unique(np.column_stack([baseline, change])[switchers], axis=0).tolist():
        base, to = f - 1, f - 1 + offset
        if to < 0 or base + reach >= T:
            continue
        seen = (baseline == d) & table.observed[:, [base, to, base + reach]].all(axis=1)
        mine, theirs = seen & switchers & (change == f), seen & (change > base + reach)
        size = float(table.size[theirs].sum())
        if size == 0 or not mine.any():
            continue
        cell = _Cell(mine, theirs, table.total[:, to] - table.total[:, base])
        net = float(sign[mine] @ table.size[mine])
        for which, each in ((mine, sign[mine].astype(np.float64)), (theirs, np.full(theirs.sum(), -net / size))):
            effect += float(each @ cell.gain[which])
            center, factor, single = _residual(table, units.clusters, cell, which, rule)
            slope[which, to] += each * factor
            slope[which, base] -= each * factor
            constant[which] -= each * factor * center
            alone += single if which is mine else 0
        treated |= mine
        total += float(table.size[mine].sum())
        compared += int(table.units[theirs].sum())
    if total == 0:
        return _Row(np.nan, slope, constant, 0.0, np.nan, 0.0, (0, 0, 0))
    unit = np.flatnonzero(treated[table.code])
    w, last = table.weights[unit], units.paths.change[unit] - 1 + reach
    dose, now = (float(w @ v[unit, last]) for v in (units.cumulated, units.paths.dose))
    return _Row(effect / total, slope / total, constant / total, total, dose / total, now, (unit.size, compared, alone))


def _residual(
    table: Types, clusters: IntArray | None, cell: _Cell, which: Mask, rule: Switches
) -> tuple[FloatArray, FloatArray, int]:
    """Return from what residuals of types are taken, by what they are scaled, and how many cohorts are one cluster."""
    pool = rule.variance == "package" and which is cell.theirs
    names = np.zeros(int(which.sum()), dtype=np.int64) if pool else _codes(table.label[which])
    mean, n = _means(table, clusters, which, names, cell.gain)
    single = n[names] == 1
    alone = int((n == 1).sum())
    center, size = mean[names], n[names]
    if rule.variance == "package" and single.any():
        sign = table.label[:, 2]
        for s in np.unique(sign[which][single]):
            both = cell.theirs | (cell.mine & ((sign == s) | pool))
            union, many = _means(table, clusters, both, np.zeros(int(both.sum()), dtype=np.int64), cell.gain)
            here = single & ((sign[which] == s) | pool)
            center, size = np.where(here, union[0], center), np.where(here, many[0], size)
    scale = np.ones(size.size) if rule.variance == "paper" else np.sqrt(size / np.maximum(size - 1, 1))
    return center, scale, alone


def _codes(label: IntArray) -> IntArray:
    return np.unique(label, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _means(
    table: Types, clusters: IntArray | None, which: Mask, names: IntArray, gain: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean change of outcome of types of the same name, and the number of their clusters."""
    mean = np.bincount(names, weights=gain[which]) / np.bincount(names, weights=table.size[which])
    if clusters is None:
        return mean, np.bincount(names, weights=table.units[which]).astype(np.float64)
    place = np.full(which.size, -1, dtype=np.int64)
    place[which] = names
    mine = place[table.code]
    C = int(clusters.max()) + 1
    pairs = np.unique(mine[mine >= 0] * C + clusters[mine >= 0])
    return mean, np.bincount(pairs // C, minlength=mean.size).astype(np.float64)


def _shares(offsets: IntArray, rows: list[_Row]) -> FloatArray:
    """Return the weight of each row in the average effect per unit of treatment; zero for placebos."""
    weight = np.array([r.weight if o > 0 else 0.0 for o, r in zip(offsets, rows, strict=True)])
    change = sum(r.now for o, r in zip(offsets, rows, strict=True) if o > 0)
    return weight / change if change else np.full(weight.size, np.nan)
