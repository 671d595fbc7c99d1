"""Other covariances of a regression with unit and period effects, with the small-sample factors of R fixest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.kernels.sandwich import Covariance
from evaltoolkit.kernels.two_way import Regression
from evaltoolkit.kernels.two_way_moments import add_rows
from evaltoolkit.kernels.two_way_normal import Source
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError

FloatArray = NDArray[np.float64]

Kind = Literal["iid", "hetero", "cluster", "two-way", "driscoll-kraay", "newey-west", "CR1", "CR1S"]


@dataclass(slots=True)
class _Sums:
    """Sums over observations of their scores."""

    squares: float
    observations: FloatArray
    by_period: FloatArray
    by_cluster: FloatArray
    lags: FloatArray


def covariance(panel: Panel, found: Regression, kind: Kind, lag: int | None = None) -> Covariance:
    r"""Return the covariance of a regression's coefficients.

    With observation scores :math:`s_{it} = (\tilde X'W\tilde X)^{-1} w_{it} \tilde x_{it} e_{it}`, N observations and K
    parameters:

    - ``iid``: :math:`(\tilde X'W\tilde X)^{-1} \sum w e^2 / (N - K)`, all effects counted in K;
    - ``hetero``: :math:`\frac{N}{N-K} \sum s s'`, all effects counted;
    - ``cluster``: as ``Regression.covariance``; ``two-way``: clusters and periods, each with the factor of the smaller
      number, no effects counted, negative eigenvalues set to zero;
    - ``driscoll-kraay``: sums by period with Bartlett weights up to ``lag``, by default :math:`T^{1/4}`; period effects
      not counted;
    - ``newey-west``: products within units with Bartlett weights up to ``lag``; no effects counted;
    - ``CR1``: clusters, :math:`G / (G - 1)`; ``CR1S``: :math:`\frac{G}{G-1} \frac{N-1}{N-K}`, all effects counted (R
      clubSandwich on dummies).

    Lags count places in ``panel.periods``. ``driscoll-kraay`` and ``newey-west`` have the factor T/(T - 1) and T - 1
    degrees of freedom.

    Parameters
    ----------
    panel
        What the regression was run on.
    found
        The regression.
    kind
        Which covariance.
    lag
        For the two kinds that have one; below the number of periods.

    Returns
    -------
    Covariance

    Raises
    ------
    TwoWayError
        ``single-cluster``: there is only one cluster or period to sum over.

    References
    ----------
    Driscoll, J. and Kraay, A. (1998). Consistent covariance matrix estimation with spatially dependent panel data.
    Review of Economics and Statistics 80. doi:10.1162/003465398557825
    Cameron, A., Gelbach, J. and Miller, D. (2011). Robust inference with multiway clustering. Journal of Business and
    Economic Statistics 29. doi:10.1198/jbes.2010.07136

    Examples
    --------
    >>> from evaltoolkit.kernels.two_way import static
    >>> from evaltoolkit.kernels.two_way_panel import two_way_panel
    >>> y = np.array([[1.0, 4], [2, 6], [0, 1], [0, 2]])
    >>> panel = two_way_panel(y, np.array([2, 2, 9, 9]), np.array([1, 2]))
    >>> covariance(panel, static(panel), "iid").matrix.round(9).tolist()
    [[0.5]]
    """
    fit, n = found.fit, found.n_observations
    T, G = fit.counts.dates, fit.counts.clusters
    names = {"two-way": min(G, T), "driscoll-kraay": T, "newey-west": T}
    groups = names.get(kind, G)
    if groups < 2:
        raise TwoWayError("single-cluster")
    if kind == "cluster":
        return Covariance(found.covariance, (G,), G - 1, "CR1")
    steps = int(T**0.25) if lag is None else lag
    lagged = min(steps, T - 1) if kind in ("driscoll-kraay", "newey-west") else 0
    sums = _sums(panel, found, kind, lagged)
    whole = fit.kept.size + 1 + fit.counts.units - 1 + fit.counts.effects - 1
    if kind == "iid":
        return Covariance(fit.bread * sums.squares / max(n - whole, 1), (n,), n - whole, "iid")
    if kind == "hetero":
        return Covariance(n / max(n - whole, 1) * sums.observations, (n,), n - whole, "hetero")
    scale = groups / (groups - 1)
    if kind == "CR1":
        return Covariance(scale * sums.by_cluster.T @ sums.by_cluster, (G,), G - 1, kind)
    if kind == "CR1S":
        matrix = scale * (n - 1) / max(n - whole, 1) * sums.by_cluster.T @ sums.by_cluster
        return Covariance(matrix, (G,), G - 1, kind)
    counted = fit.kept.size + (fit.counts.units if kind == "driscoll-kraay" else 1)
    matrix = scale * (n - 1) / max(n - counted, 1) * _meat(sums, kind, lagged)
    return Covariance(matrix, (G, T) if kind == "two-way" else (T,), groups - 1, kind)


def _meat(sums: _Sums, kind: Kind, lagged: int) -> FloatArray:
    if kind == "two-way":
        both = sums.by_cluster.T @ sums.by_cluster + sums.by_period.T @ sums.by_period - sums.observations
        values, vectors = np.linalg.eigh(both)
        found: FloatArray = (vectors * np.clip(values, 0, None)) @ vectors.T
        return found
    matrix: FloatArray = sums.lags[0].copy()
    if kind == "driscoll-kraay":
        matrix = sums.by_period.T @ sums.by_period
    for m in range(1, lagged + 1):
        part = sums.by_period[m:].T @ sums.by_period[:-m] if kind == "driscoll-kraay" else sums.lags[m]
        matrix += (1 - m / (lagged + 1)) * (part + part.T)
    return matrix


def _sums(panel: Panel, found: Regression, kind: Kind, lagged: int) -> _Sums:
    """Return sums by observation (within cluster and period for ``two-way``), period, cluster and lag."""
    K, T, n = found.design.size, panel.periods.size, panel.outcome.shape[0]
    clusters = np.arange(n) if panel.clusters is None else panel.clusters
    coarse = kind == "two-way" and panel.clusters is not None
    clustered = kind in ("two-way", "CR1", "CR1S")
    cells = np.zeros((panel.n_clusters if coarse else 0, T * K))
    out = _Sums(
        0.0, np.zeros((K, K)), np.zeros((T, K)), np.zeros((panel.n_clusters if clustered else 0, K)),
        np.zeros((lagged + 1, K, K)),
    )  # fmt: skip
    for rows in Source(panel, None).rows(K + 1):
        x, e = found.fit.residuals(found.design, rows)
        w = found.design.weight(rows)
        s = np.einsum("bt,btk->btk", w * e, x) @ found.fit.bread
        out.squares += float((w * e**2).sum())
        out.by_period += s.sum(axis=0)
        for m in range(lagged + 1):
            out.lags[m] += s[:, m:].reshape(-1, K).T @ s[:, : T - m].reshape(-1, K)
        if clustered:
            add_rows(out.by_cluster, clusters[rows.index], s.sum(axis=1))
        if coarse:
            add_rows(cells, clusters[rows.index], s.reshape(-1, T * K))
    flat = cells.reshape(-1, K)
    out.observations = flat.T @ flat if coarse else out.lags[0]
    return out
