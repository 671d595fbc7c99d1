"""Regressions with one effect for each cohort and period: interaction weighted, and extended two-way fixed effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.two_way import Regression, regression
from evaltoolkit.kernels.two_way_cells import CellEffects
from evaltoolkit.kernels.two_way_moments import Moments, moments
from evaltoolkit.kernels.two_way_normal import Design, plain
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError, blocks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Extended:
    """Which cells an extended two-way regression has.

    Attributes
    ----------
    comparison
        ``not-yet``: cells from the start on, so that all earlier observations are the comparison. ``never``: all cells
        but the last before the start.
    counted
        What the small-sample factor counts. ``cohorts``: cohort effects in place of unit effects, as R ``etwfe`` has
        them unless a unit is named. ``units``: unit effects, nested in clusters and so not counted.
    """

    comparison: Literal["not-yet", "never"] = "not-yet"
    counted: Literal["cohorts", "units"] = "cohorts"


def interaction_weighted(panel: Panel) -> CellEffects:
    r"""Regress on indicators of all cells but the last before each start (Sun and Abraham): effects by cohort.

    :math:`y_{it} = \sum_{g,t} \delta_{gt} 1\{G_i = g\} 1_t + x_{it}'\gamma + a_i + b_t + e_{it}`. Aggregations average
    cells by observations, as known numbers: ``aggregate(..., weights=found.weight)``. Where all units are treated,
    the last cohort is the comparison and periods from its start on are not used, as Sun and Abraham advise.
    Covariates enter as they are. Errors as in ``two_way.static``.
    Where period -1 was not observed (a gap), the last period before the start is left out instead.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods; weights and groups as for any two-way regression.

    Returns
    -------
    CellEffects

    Raises
    ------
    TwoWayError
        ``always-treated`` (with cells, no units), ``no-treated``, ``no-comparison``, ``collinear`` (a cell, which
        ``cells`` names), ``single-cluster``.

    References
    ----------
    Sun, L. and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment
    effects. Journal of Econometrics 225. doi:10.1016/j.jeconom.2020.09.006

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = interaction_weighted(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3])))
    >>> found.event_time.tolist(), abs(found.att.round(9)).tolist()
    ([-2, 0], [0.0, 6.0])
    """
    among, compared = _comparison(panel)
    size, n, known = _sizes(panel, among)
    place = _cells(panel, compared, n, every=True)
    p = 0 if panel.covariates is None else panel.covariates.shape[2]
    found = _fit(panel, plain(_indicators(place, among.shape), among, p), place, None, known)
    K = place[0].size
    j, t = place
    return CellEffects(
        panel.starts[j], panel.periods[t], found.coefficients[:K], found.scores[:, :K], size[j, t], n[j, t], found.df
    )


def extended_two_way(panel: Panel, rule: Extended | None = None) -> CellEffects:
    r"""Regress on cells, and on cells by covariates (Wooldridge): effects by cohort and period.

    :math:`y_{it} = \sum_{g,t} 1\{G_i = g\} 1_t (\tau_{gt} + (x_{it} - \bar x_g)'\kappa_{gt}) + x_{it}'(\xi_t + \zeta_g)
    + a_i + b_t + e_{it}`; the effect of a cell is averaged over its observations, :math:`\tau_{gt} + (\bar x_{gt} -
    \bar x_g)'\kappa_{gt}`, as R ``etwfe`` does with ``marginaleffects``; averages are known numbers in the errors.
    Differs from ``etwfe`` without ``ivar`` in that effects are of units, not cohorts: the same where the panel is
    complete, weights and covariates do not change within units; otherwise unit effects take out more.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.
    rule
        Which cells, and what the small-sample factor counts.

    Returns
    -------
    CellEffects
        With ``not-yet`` cells from the start on; with ``never`` those before the start too.

    Raises
    ------
    TwoWayError
        ``always-treated``, ``no-treated``, ``no-comparison``, ``collinear`` (a cell, which ``cells`` names: without
        comparison units in its period, or its covariates do not vary), ``single-cluster``.

    References
    ----------
    Wooldridge, J. (2025). Two-way fixed effects, the two-way Mundlak regression, and difference-in-differences
    estimators. Empirical Economics 69. doi:10.1007/s00181-025-02807-z

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> found = extended_two_way(two_way_panel(y, np.array([3, 3, NEVER, NEVER]), np.array([1, 2, 3])))
    >>> found.event_time.tolist(), found.att.round(9).tolist()
    ([0], [6.0])
    """
    rule = rule or Extended()
    among, compared = _comparison(panel)
    size, n, known = _sizes(panel, among)
    place = _cells(panel, compared, n, every=rule.comparison == "never")
    table = _indicators(place, among.shape)
    K, p = place[0].size, 0 if panel.covariates is None else panel.covariates.shape[2]
    design = _interacted(table, among, p)
    effects, slopes = int((n.sum(axis=1) > 0).sum()), int((n.sum(axis=0) > 0).sum())
    # fixest counts a slope of each covariate for every cohort and every period, though some are redundant.
    counted = effects - 1 + p * (effects + slopes) if rule.counted == "cohorts" else None
    found = _fit(panel, design, place, counted, known)
    j, t = place
    mean = _covariate_means(panel, among)[j, t]
    mix = np.eye(design.size)[:, :K]
    for c in range(p):
        mix[K + c * K + np.arange(K), np.arange(K)] = mean[:, c]
    return CellEffects(
        panel.starts[j], panel.periods[t], found.coefficients @ mix, found.scores @ mix, size[j, t], n[j, t], found.df
    )


def _comparison(panel: Panel) -> tuple[Mask, Mask]:
    """Return which observations are used, shape (J, T), and which cohorts have no effects, shape (J,)."""
    starts, size = panel.starts, np.bincount(panel.cohort, minlength=panel.starts.size)
    always = (starts <= panel.periods[0]) & (size > 0)
    if always.any():
        gone = np.flatnonzero(always[panel.cohort])
        raise TwoWayError("always-treated", units=tuple(gone.tolist()))
    never = starts == NEVER
    among = np.ones((starts.size, panel.periods.size), dtype=np.bool_)
    if never.all():
        raise TwoWayError("no-treated")
    if never.any():
        return among, never
    among[:, panel.periods >= starts[-1]] = False
    last = starts == starts[-1]
    if not (among & ~last[:, None] & panel.treated).any():
        raise TwoWayError("no-comparison")
    return among, last


def _sizes(panel: Panel, among: Mask) -> tuple[FloatArray, IntArray, Moments | None]:
    """Return weight and number of used observations by cohort and period, and the moments where they say all."""
    if panel.by_cohort:
        known = moments(panel)
        return known.mass[:, None] * among, known.size[:, None] * among, known
    size, n = np.zeros(among.shape), np.zeros(among.shape, dtype=np.int64)
    for rows in blocks(panel):
        size[rows.cohort] += rows.weight.sum(axis=0)
        n[rows.cohort] += (rows.weight > 0).sum(axis=0)
    return size * among, n * among, None


def _cells(panel: Panel, compared: Mask, n: IntArray, *, every: bool) -> tuple[IntArray, IntArray]:
    """Return cohort and period, as places, of the cells that have an effect."""
    wanted = (n > 0) & ~compared[:, None]
    for j in np.flatnonzero(~compared & n.any(axis=1)):
        before = np.flatnonzero((panel.periods < panel.starts[j]) & (n[j] > 0))
        if before.size == 0:
            raise TwoWayError("always-treated", units=tuple(np.flatnonzero(panel.cohort == j).tolist()))
        wanted[j, before[-1] if every else before] = False
    if not (wanted & panel.treated).any():
        raise TwoWayError("no-treated")
    cohort, period = np.nonzero(wanted)
    return cohort, period


def _indicators(place: tuple[IntArray, IntArray], shape: tuple[int, ...]) -> FloatArray:
    K = place[0].size
    table = np.zeros((*shape, K))
    table[place[0], place[1], np.arange(K)] = 1
    return table


def _interacted(table: FloatArray, among: Mask, p: int) -> Design:
    """Return cells, cells by covariates, and covariates by periods and by cohorts as nuisance."""
    J, T, K = table.shape
    parts = [np.zeros((J, T, p, 0))]
    by_period = np.broadcast_to(np.eye(T), (J, T, T))
    by_cohort = np.broadcast_to(np.eye(J)[:, None, :], (J, T, J))
    for values in (table, by_period, by_cohort):
        for c in range(p):
            part = np.zeros((J, T, p, values.shape[2]))
            part[:, :, c] = values
            parts.append(part)
    moving = np.concatenate(parts, axis=3)
    nuisance = np.zeros(K + moving.shape[3], dtype=np.bool_)
    nuisance[K + p * K :] = True
    return Design(table, among, moving, nuisance)


def _fit(
    panel: Panel, design: Design, place: tuple[IntArray, IntArray], counted: int | None, known: Moments | None
) -> Regression:
    """Regress on cells; an error names the cell."""
    K = place[0].size
    try:
        return regression(panel, design, np.arange(K), "cell", counted, known)
    except TwoWayError as error:
        if error.why != "collinear":
            raise
        crossed = design.nuisance.any() or error.kind == "cell"
        if not crossed:
            raise
        k = error.label % K
        cell = (int(panel.starts[place[0][k]]), int(panel.periods[place[1][k]]))
        raise TwoWayError(
            "collinear", error.kind, error.label // K if error.kind == "covariate" else k, (cell,)
        ) from None


def _covariate_means(panel: Panel, among: Mask) -> FloatArray:
    """Return weighted means of covariates (less their rough level) by cohort and period, shape (J, T, p)."""
    p = 0 if panel.covariates is None else panel.covariates.shape[2]
    total, size = np.zeros((*among.shape, p)), np.zeros(among.shape)
    if p:
        for rows in blocks(panel, p):
            total[rows.cohort] += np.einsum("bt,btp->tp", rows.weight, rows.covariates)
            size[rows.cohort] += rows.weight.sum(axis=0)
    found: FloatArray = total / np.where(size > 0, size, 1.0)[:, :, None]
    return found
