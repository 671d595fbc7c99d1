"""Outcomes without treatment, predicted from untreated observations, and scores of averages of what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.two_way_moments import ClusterSums, moments
from evaltoolkit.kernels.two_way_normal import Absorbed, CollinearError, Design, Source, absorb, plain
from evaltoolkit.kernels.two_way_panel import Panel, Rows, TwoWayError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Untreated:
    """A model of untreated outcomes, and what it leaves of all outcomes by cohort and period.

    Attributes
    ----------
    source
        The rows, with their panel.
    design, fit
        The regression on untreated observations.
    effects
        Period effects, shape (R, T).
    weight, weight_squared
        Sums of weights and of squared weights, shape (J, T).
    left, left_squared
        Means, by weight and by squared weight, of outcomes less predictions, shape (J, T).
    n
        Observations, shape (J, T).
    loads
        What a sum of weighted outcomes less predictions takes of each period effect, shape (R, J, T, T).
    covariate_loads
        The same for covariates, shape (J, T, p).
    """

    source: Source
    design: Design
    fit: Absorbed
    effects: FloatArray
    weight: FloatArray
    weight_squared: FloatArray
    left: FloatArray
    left_squared: FloatArray
    n: IntArray
    loads: FloatArray
    covariate_loads: FloatArray

    @property
    def panel(self) -> Panel:
        """The panel."""
        return self.source.panel


def untreated(panel: Panel) -> Untreated:
    r"""Fit :math:`y_{it} = a_i + b_t + x_{it}'\delta + e_{it}` on untreated observations and predict all.

    Parameters
    ----------
    panel
        Outcomes, n units in T periods.

    Returns
    -------
    Untreated

    Raises
    ------
    TwoWayError
        ``always-treated`` with the units that have no untreated observation (but treated ones); ``collinear`` with the
        covariate; ``no-treated``.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024). Revisiting event-study designs: robust and efficient estimation.
    Review of Economic Studies 91. doi:10.1093/restud/rdae007

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 2, 9], [0, 1, 8], [1, 2, 3], [4, 5, 6]])
    >>> untreated(two_way_panel(y, np.array([3, 3, 9, 9]), np.array([1, 2, 3]))).left.round(9)[0].tolist()
    [0.0, 0.0, 6.0]
    """
    if not panel.treated.any():
        raise TwoWayError("no-treated")
    source = Source(panel, moments(panel) if panel.by_cohort else None)
    p = 0 if panel.covariates is None else panel.covariates.shape[2]
    J, T = panel.treated.shape
    _check_units(panel)
    design = plain(np.zeros((J, T, 0)), ~panel.treated, p)
    try:
        fit = absorb(source, design)
    except CollinearError as error:
        raise TwoWayError("collinear", "covariate", error.column) from None
    effects = fit.effects[:, :, -1] - fit.effects[:, :, :-1] @ fit.coefficients
    sums, n = np.zeros((4, J, T)), np.zeros((J, T), dtype=np.int64)
    loads, covariate_loads = np.zeros((panel.n_groups, J, T, T)), np.zeros((J, T, p))
    for rows in source.rows(p + 1):
        j, w = rows.cohort, rows.weight
        share = _shares(design, rows)
        tau = _left(rows, share, effects, fit.coefficients)
        sums[:, j] += [w.sum(axis=0), (w**2).sum(axis=0), (w * tau).sum(axis=0), (w**2 * tau).sum(axis=0)]
        n[j] += (w > 0).sum(axis=0)
        loads[rows.group, j] += np.diag(w.sum(axis=0)) - w.T @ share
        x = rows.covariates - np.einsum("bt,btp->bp", share, rows.covariates)[:, None, :]
        covariate_loads[j] += np.einsum("bt,btp->tp", w, x)
    if source.moments is not None:
        m = source.moments
        n = np.broadcast_to(m.size[:, None], (J, T)).copy()
        sums[1] = m.mass_squared[:, None]
        every = np.stack([_maker(~panel.treated[j]) for j in range(J)])
        sums[3] = m.mass_squared[:, None] * np.einsum("jts,js->jt", every, m.mean_squared - effects[0])
    left, squared = sums[2] / np.where(sums[0] > 0, sums[0], 1), sums[3] / np.where(sums[1] > 0, sums[1], 1)
    return Untreated(
        source, design, fit, effects, sums[0], sums[1], left, squared, n, loads, covariate_loads
    )  # fmt: skip


def _check_units(panel: Panel) -> None:
    gone: list[int] = []
    if panel.complete:
        always = np.asarray(panel.treated.all(axis=1))
        gone = np.flatnonzero(always[panel.cohort]).tolist() if always.any() else []
    else:
        for rows in Source(panel, None).rows(1):
            free = rows.weight @ ~panel.treated[rows.cohort] > 0
            gone += rows.index[~free & (rows.weight.sum(axis=1) > 0)].tolist()
    if gone:
        raise TwoWayError("always-treated", units=tuple(sorted(gone)))


def _shares(design: Design, rows: Rows) -> FloatArray:
    """Return weights of the unit's untreated observations as shares, shape (B, T)."""
    w = design.weight(rows)
    total = w.sum(axis=1)
    found: FloatArray = w / np.where(total > 0, total, 1.0)[:, None]
    return found


def _left(rows: Rows, share: FloatArray, effects: FloatArray, slopes: FloatArray) -> FloatArray:
    """Return outcomes less predictions, shape (B, T)."""
    free = rows.outcome - effects[rows.group]
    if slopes.size:
        free = free - rows.covariates @ slopes
    found: FloatArray = free - np.einsum("bt,bt->b", share, free)[:, None]
    return found


def _maker(free: Mask) -> FloatArray:
    """Return the matrix that takes the mean over untreated periods out, shape (T, T)."""
    return np.eye(free.size) - free / max(int(free.sum()), 1)


def check_identified(model: Untreated, j: IntArray, t: IntArray) -> None:
    """Raise ``unidentified`` for cells whose period effect no untreated observation tells.

    Parameters
    ----------
    model
        The model.
    j, t
        Cohort and period of the cells, as places, shape (K,).

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> model = untreated(two_way_panel(np.zeros((2, 3)), np.array([2, 3]), np.array([1, 2, 3])))
    >>> try:
    ...     check_identified(model, np.array([0, 0]), np.array([1, 2]))
    ... except TwoWayError as error:
    ...     print(error.why, error.cells)
    unidentified ((2, 3),)
    """
    fit, lost = model.fit, []
    for k in range(j.size):
        load = model.loads[:, j[k], t[k]]
        back = np.einsum("rts,rsu,ru->rt", fit.normal, fit.inverse, load, optimize=True)
        if np.abs(back - load).max() > 1e-7 * max(float(np.abs(load).max()), 1e-300):
            lost.append((int(model.panel.starts[j[k]]), int(model.panel.periods[t[k]])))
    if lost:
        raise TwoWayError("unidentified", "cell", 0, tuple(lost))


def scores(model: Untreated, average: FloatArray, centre: FloatArray, factor: FloatArray | None = None) -> FloatArray:
    r"""Return scores of m numbers :math:`\sum_{it} a_{g(i)t} w_{it} \hat\tau_{it}`, summed by cluster.

    With :math:`\hat\tau` outcomes less predictions, :math:`\pi` the weight of the first stage and c the centre:
    :math:`\sum_t a_{gt} w_{it} (\hat\tau_{it} - c_{gt}) - \sum_{t: D = 0} w_{it} \hat\tau_{it} (\pi_t + x_{it}'\pi_x)`.

    Parameters
    ----------
    model
        The model.
    average
        a, shape (J, T, m).
    centre
        c, shape (J, T).
    factor
        What the first term is multiplied by, shape (J, T); None for ones.

    Returns
    -------
    array
        Shape (C, m), or rows with the same cross-product where units are the clusters and there are very many.

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[0.0, 3], [0, 5], [0, 1], [0, 0]])
    >>> model = untreated(two_way_panel(y, np.array([2, 2, 9, 9]), np.arange(1, 3)))
    >>> average = np.array([[[0], [0.5]], [[0], [0]]])
    >>> scores(model, average, model.left).ravel().round(9).tolist()
    [-0.5, 0.5, -0.25, 0.25]
    """
    first, first_x = _first_stage(model, average)
    scaled = average if factor is None else average * factor[:, :, None]
    free = ~model.panel.treated
    m = average.shape[2]
    if model.source.moments is not None:
        J, T = free.shape
        slope, shift = np.zeros((J, m, T)), np.zeros((J, m))
        for j in range(J):
            slope[j] = (scaled[j] - free[j][:, None] * first[0]).T @ _maker(free[j])
            shift[j] = -slope[j] @ model.effects[0] - scaled[j].T @ centre[j]
        return model.source.moments.scores(slope, shift)
    sums = ClusterSums(model.panel, m)
    for rows in model.source.rows(model.design.size + m + 1):
        j = rows.cohort
        tau = _left(rows, _shares(model.design, rows), model.effects, model.fit.coefficients)
        found = (rows.weight * (tau - centre[j])) @ scaled[j] - _first_scores(model, rows, tau, (first, first_x))
        sums.add(rows.index, found)
    return sums.scores()


def _first_stage(model: Untreated, average: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how much each period effect, shape (R, T, m), and covariate, shape (p, m), counts in averages."""
    fit = model.fit
    load = np.einsum("jtm,rjts->rsm", average, model.loads, optimize=True)
    load_x = np.einsum("jtm,jtp->pm", average, model.covariate_loads, optimize=True)
    x_effects = fit.effects[:, :, :-1]
    slopes = fit.bread @ (load_x - np.einsum("rtp,rtm->pm", x_effects, load, optimize=True))
    return fit.inverse @ load - x_effects @ slopes, slopes


def _first_scores(model: Untreated, rows: Rows, left: FloatArray, counts: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the first stage's part of the scores of a block, shape (B, m)."""
    e = model.design.weight(rows) * left
    found: FloatArray = e @ counts[0][rows.group]
    if counts[1].shape[0]:
        found = found + np.einsum("bt,btp->bp", e, rows.covariates) @ counts[1]
    return found


def leave_one_out_scores(model: Untreated, average: FloatArray) -> FloatArray:
    """Return ``scores`` where each cluster is compared with the mean of its cell over the other clusters.

    Parameters
    ----------
    model
        The model.
    average
        As in ``scores``, zero for untreated cells.

    Raises
    ------
    TwoWayError
        ``single-cluster``: cells with one cluster have no other.

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[0.0, 3], [0, 5], [0, 1], [0, 0]])
    >>> model = untreated(two_way_panel(y, np.array([2, 2, 9, 9]), np.arange(1, 3)))
    >>> leave_one_out_scores(model, np.array([[[0], [0.5]], [[0], [0]]])).ravel().round(9).tolist()
    [-1.0, 1.0, -0.25, 0.25]
    """
    panel, treated = model.panel, model.panel.treated
    J, T = treated.shape
    clusters = np.arange(panel.outcome.shape[0]) if panel.clusters is None else panel.clusters
    counts = _first_stage(model, average)
    total, mass = model.left_squared * model.weight_squared, model.weight_squared
    source, sums = Source(panel, None), ClusterSums(panel, average.shape[2])
    own = np.zeros((2, panel.n_clusters if panel.clusters is not None else 0, J, T))
    width = model.design.size + average.shape[2] + 1
    if panel.clusters is not None:
        for rows in source.rows(width):
            tau = _left(rows, _shares(model.design, rows), model.effects, model.fit.coefficients)
            for k, values in enumerate((rows.weight**2 * tau, rows.weight**2)):
                np.add.at(own[k, :, rows.cohort], clusters[rows.index], values)
    for rows in source.rows(width):
        j, w = rows.cohort, rows.weight
        tau = _left(rows, _shares(model.design, rows), model.effects, model.fit.coefficients)
        mine = (w**2 * tau, w**2) if panel.clusters is None else own[:, clusters[rows.index], j]
        rest = mass[j] - mine[1]
        alone = (w > 0) & treated[j] & (rest <= 1e-12 * mass[j])
        if alone.any():
            t = np.flatnonzero(alone.any(axis=0))
            raise TwoWayError(
                "single-cluster", "cell", 0, tuple((int(panel.starts[j]), int(panel.periods[u])) for u in t)
            )
        others = (total[j] - mine[0]) / np.where(rest > 0, rest, 1.0)
        sums.add(rows.index, (w * (tau - others)) @ average[j] - _first_scores(model, rows, tau, counts))
    return sums.scores()
