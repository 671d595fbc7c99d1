"""How alike each cohort and its comparison units are before the start, and what weighting by the score does to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaltoolkit.kernels.balance import effective_size, standard_deviations
from evaltoolkit.kernels.cell_models import Stack, models, stack
from evaltoolkit.kernels.cell_terms import TRIM
from evaltoolkit.kernels.cohorts import CellError, Rule, cells, comparison_units

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Which quantiles of the score are kept."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """One cohort beside one set of comparison units.

    Attributes
    ----------
    cohort
        Its start.
    first, last
        Periods from which and to which the comparison is used.
    n_treated, n_comparison
        Units.
    scores
        Quantiles (``QUANTILES``) of the estimated score: treated, comparison; shape (2, 7).
    outside
        Share of the treated with a score beyond those of all comparison units, and the reverse.
    trimmed
        Comparison units with a score of ``TRIM`` or more, which get no weight.
    largest_share
        Largest weight of one comparison unit, as a share of the total.
    largest_odds
        Largest odds of a comparison unit.
    effective
        Kish's effective number of comparison units after weighting.
    before, after
        Standardized mean differences of each covariate, treated less comparison, before and after weighting by the
        odds; shape (k - 1,).
    problem
        None; or why there is no score: ``separation``, ``collinear``, ``empty`` (then all that rests on it is NaN).
    column
        Column of the design to blame, 0 for none.
    """

    cohort: int
    first: int
    last: int
    n_treated: int
    n_comparison: int
    scores: FloatArray
    outside: tuple[float, float]
    trimmed: int
    largest_share: float
    largest_odds: float
    effective: float
    before: FloatArray
    after: FloatArray
    problem: Literal["separation", "collinear", "empty"] | None
    column: int

    @property
    def worst(self) -> tuple[float, float]:
        """Largest absolute standardized difference before and after weighting; NaN where there is none."""
        found = [np.abs(v[np.isfinite(v)]) for v in (self.before, self.after)]
        before, after = (float(v.max()) if v.size else float("nan") for v in found)
        return before, after


def overlap(
    start: IntArray, periods: IntArray, design: FloatArray, rule: Rule, weights: FloatArray | None = None
) -> list[Overlap]:
    r"""Summarise the score of each cohort beside every set of comparison units that its effects use.

    The score is the logit of ``group_time``, and weights are its odds :math:`p / (1 - p)`, zero from ``TRIM`` on. It is
    looked at for ``regression`` too, where a cohort unlike its comparison units means that their regression is
    extrapolated. Standardized differences divide by the root of the average of both variances before weighting (one of
    0/1 columns is p(1 - p)), the same before and after. Where the logit has no estimate the row says so, and the others
    are still made.

    Parameters
    ----------
    start
        First treated period, ``NEVER`` for none, shape (n,).
    periods
        Ascending, shape (T,).
    design
        Intercept first: shape (n, 1, k), or (n, T, k), of which each cohort's base period is used. Rows with a missing
        value are left out.
    rule
        How cells are estimated.
    weights
        Above zero, shape (n,); None for ones.

    Returns
    -------
    list of Overlap
        By cohort and first period.

    References
    ----------
    Crump, R., Hotz, V., Imbens, G. and Mitnik, O. (2009). Dealing with limited overlap in estimation of average
    treatment effects. Biometrika 96. doi:10.1093/biomet/asn055
    Austin, P. (2009). doi:10.1002/sim.3697

    Examples
    --------
    >>> x = np.array([0.0, 1, 1, 0, 0, 1])
    >>> design = np.column_stack([np.ones(6), x])[:, None, :]
    >>> found = overlap(np.array([2, 2, 2, 9, 9, 9]), np.array([1, 2]), design, Rule())[0]
    >>> found.before.round(3).tolist(), abs(found.after.round(3)).tolist(), round(found.effective, 3)
    ([0.707], [0.0], 2.0)
    """
    found = []
    for (g, base, compared), used in _comparisons(start, periods, rule).items():
        at = int(np.searchsorted(periods, base)) if design.shape[1] > 1 else 0
        X = design[:, at]
        mine = start == g
        theirs = np.isin(start, np.array(compared, dtype=np.int64))
        rows = np.flatnonzero((mine | theirs) & np.isfinite(X).all(axis=1))
        w = np.ones(rows.size) if weights is None else weights[rows]
        span = (used[0], used[-1])
        found.append(_one(X[rows], mine[rows], w, g, span))
    return sorted(found, key=lambda o: (o.cohort, o.first))


def _comparisons(start: IntArray, periods: IntArray, rule: Rule) -> dict[tuple[int, int, tuple[int, ...]], list[int]]:
    """Return cohort, base and starts compared with, and the treated periods that use them."""
    starts = np.unique(start)
    found: dict[tuple[int, int, tuple[int, ...]], list[int]] = {}
    for cell in cells(start, periods, rule):
        g, t, base = cell
        if t >= g:
            compared = tuple(starts[comparison_units(starts, periods, rule, cell)].tolist())
            found.setdefault((g, base, compared), []).append(t)
    return found


def _one(X: FloatArray, treated: Mask, w: FloatArray, cohort: int, span: tuple[int, int]) -> Overlap:
    n1, n0 = int(treated.sum()), int((~treated).sum())
    nothing = np.full(X.shape[1] - 1, np.nan)
    blank = Overlap(
        cohort, *span, n1, n0, np.full((2, len(QUANTILES)), np.nan), (np.nan, np.nan), 0, np.nan, np.nan, np.nan,
        nothing, nothing, "empty", 0,
    )  # fmt: skip
    if n1 == 0 or n0 == 0:
        return blank
    scale = _scale(X[:, 1:], treated, w)
    blank = replace(blank, before=_differences(X[:, 1:], treated, w, scale))
    try:
        score = _scores(X, treated, w)
    except CellError as problem:
        return replace(blank, problem=problem.why, column=problem.column)
    return _filled(blank, X, treated, (w, score, scale))


def _filled(blank: Overlap, X: FloatArray, treated: Mask, parts: tuple[FloatArray, FloatArray, FloatArray]) -> Overlap:
    w, score, scale = parts
    mine, theirs = score[treated], score[~treated]
    odds = np.where(theirs < TRIM, theirs / (1 - np.minimum(theirs, TRIM)), 0.0)
    weight = odds * w[~treated]
    if weight.sum() <= 0:
        return replace(blank, problem="separation")
    after = w.copy()
    after[~treated] = weight
    edge = 1e-12
    return replace(
        blank,
        scores=np.stack([_quantiles(mine, w[treated]), _quantiles(theirs, w[~treated])]),
        outside=(
            float(np.average((mine < theirs.min() - edge) | (mine > theirs.max() + edge), weights=w[treated])),
            float(np.average((theirs < mine.min() - edge) | (theirs > mine.max() + edge), weights=w[~treated])),
        ),
        trimmed=int((theirs >= TRIM).sum()),
        largest_share=float(weight.max() / weight.sum()),
        largest_odds=float(odds.max()),
        effective=effective_size(weight),
        after=_differences(X[:, 1:], treated, after, scale),
        problem=None,
    )


def _scores(X: FloatArray, treated: Mask, w: FloatArray) -> FloatArray:
    """Return the estimated score of every row, by the fit that the effects use."""
    if X.shape[1] == 1:
        return np.full(w.size, float(w[treated].sum() / w.sum()))
    periods, start = np.array([0, 1]), np.where(treated, 1, 2)
    rows: Stack = stack(np.zeros((w.size, 2)), start, X, w)
    model = next(models(rows, periods, [(1, 1, 0)], Rule("never", "weighting")))
    assert model.score is not None
    score = np.empty(w.size)
    score[rows.order] = expit(model.score @ rows.X)
    return score


def _scale(X: FloatArray, treated: Mask, w: FloatArray) -> FloatArray:
    first, second = (standard_deviations(X[s], w[s]) for s in (treated, ~treated))
    found = np.sqrt((np.nan_to_num(first) ** 2 + np.nan_to_num(second) ** 2) / 2)
    return np.where(found > 0, found, np.nan)


def _differences(X: FloatArray, treated: Mask, w: FloatArray, scale: FloatArray) -> FloatArray:
    first, second = (w[s] @ X[s] / w[s].sum() for s in (treated, ~treated))
    found: FloatArray = (first - second) / scale
    return found


def _quantiles(values: FloatArray, w: FloatArray) -> FloatArray:
    """Return the smallest values with at least each share of the weight at or below them."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(w[order]) / w.sum()
    place = np.searchsorted(reached, np.array(QUANTILES) - 1e-12)
    return values[order][np.minimum(place, values.size - 1)]
