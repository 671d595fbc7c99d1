"""Cluster-robust errors that hold with few clusters: CR2 and CR3 with degrees of freedom of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaltoolkit.kernels.bands import WaldTest
from evaltoolkit.kernels.small_sample_fit import ClusteredFit
from evaltoolkit.kernels.small_sample_roots import by_cluster, rooted

FloatArray = NDArray[np.float64]

Kind = Literal["iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR1S", "CR1-nested", "CR2", "CR3"]
Working = Literal["equal", "inverse-weights"]


@dataclass(frozen=True, slots=True)
class SmallSample:
    """Estimates of q contrasts with their errors.

    Attributes
    ----------
    estimate, std_error, df, p_value
        Shape (q,); p-values against zero, two-sided, from t with ``df``. NaN for contrasts of aliased columns.
    covariance
        Shape (q, q).
    scores
        Scores by cluster, shape (G, q), with ``covariance = scores.T @ scores``; by row for iid and HC kinds, where
        they are not kept (shape (0, q)).
    """

    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    scores: FloatArray


def small_sample(
    fit: ClusteredFit, kind: Kind = "CR2", contrasts: FloatArray | None = None, working: Working = "equal"
) -> SmallSample:
    r"""Return errors of contrasts with degrees of freedom of their own.

    The covariance is :math:`M \sum_c X_c' W_c A_c e_c e_c' A_c' W_c X_c M`, with :math:`M = (X'WX)^{-1}`.
    CR2 has :math:`A_c = D_c' (D_c [(I-H) \Phi (I-H)']_{cc} D_c')^{+1/2} D_c` with :math:`D_c'D_c = \Phi_c`, which makes
    it unbiased where errors have covariance :math:`\Phi`; CR3 has :math:`A_c = (I - H_{cc})^{+}`, close to the
    jackknife. Both have Satterthwaite's degrees of freedom
    :math:`\nu = (\sum_c p_{cc})^2 / \sum_{c,d} p_{cd}^2`, where :math:`p_{cd}` is the covariance of the terms of
    clusters c and d under :math:`\Phi`. Leverage of one (a cluster that alone decides a coefficient) gives a
    pseudo-inverse.

    The other kinds: CR0 has :math:`A_c = I`; CR1 times G/(G-1); CR1S times G(N-1)/((G-1)(N-K)), all effects counted in
    K (clubSandwich ``CR1S``, Stata ``regress``); CR1-nested the same with the absorbed effects counted as one constant
    (fixest, Stata ``xtreg``); these refer to t(G-1). HC0 to HC3 and iid ignore clusters and refer to t(N-K).

    Parameters
    ----------
    fit
        From ``clustered_fit``.
    kind
        Which covariance.
    contrasts
        Shape (q, k); None for each coefficient.
    working
        :math:`\Phi`: the identity (clubSandwich's choice for ``lm``, with or without weights), or one over the weights
        (clubSandwich ``inverse_var = TRUE``). The same without weights.

    Returns
    -------
    SmallSample

    References
    ----------
    Bell, R. and McCaffrey, D. (2002). Bias reduction in standard errors for linear regression with multi-stage samples.
    Survey Methodology 28.
    Pustejovsky, J. and Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and hypothesis
    testing in fixed effects models. Journal of Business and Economic Statistics 36. doi:10.1080/07350015.2016.1247004

    Examples
    --------
    The mean of six rows in three clusters of two: the variance is that of three cluster means.

    >>> from evaltoolkit.kernels.small_sample_fit import clustered_fit
    >>> fit = clustered_fit(np.ones((6, 1)), np.array([1.0, 3, 4, 6, 8, 8]), np.array([0, 0, 1, 1, 2, 2]))
    >>> found = small_sample(fit)
    >>> found.estimate.round(6).tolist(), (found.std_error**2).round(6).tolist(), found.df.round(6).tolist()
    ([5.0], [3.0], [2.0])
    """
    L = np.eye(fit.n_columns) if contrasts is None else np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    lost = np.abs(np.delete(L, fit.kept, axis=1)).sum(axis=1) > 0
    L = L[:, fit.kept]
    if kind in {"CR0", "CR1", "CR1S", "CR1-nested", "CR2", "CR3"}:
        covariance, df, scores = _clustered(fit, kind, L, working)
    else:
        covariance, df, scores = _by_rows(fit, kind, L)
    estimate = L @ fit.coefficients
    spread = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * special.stdtr(df, -np.abs(estimate) / spread)
    for values in (estimate, spread, df, p):
        values[lost] = np.nan
    covariance[lost, :] = np.nan
    covariance[:, lost] = np.nan
    return SmallSample(estimate, spread, df, p, covariance, scores)


def hotelling(
    fit: ClusteredFit, contrasts: FloatArray, kind: Literal["CR2", "CR3"] = "CR2", working: Working = "equal"
) -> WaldTest | None:
    r"""Test that q contrasts are all zero with an approximate Hotelling's statistic ("AHT", clubSandwich ``HTZ``).

    With :math:`Q = \theta' V^{-1} \theta` and :math:`\eta = q(q+1) / \sum_{s,t} Var(d_{st})`, where :math:`d` is V
    whitened by its expectation under the working covariance,
    :math:`F = Q (\eta - q + 1) / (\eta q) \sim F(q, \eta - q + 1)`.

    Parameters
    ----------
    fit, kind, working
        As in ``small_sample``.
    contrasts
        Shape (q, k), on columns that are not aliased.

    Returns
    -------
    WaldTest or None
        None where the contrasts depend on one another, touch an aliased column, or there are too few degrees of
        freedom.

    References
    ----------
    Pustejovsky and Tipton (2018), section 3.2. doi:10.1080/07350015.2016.1247004

    Examples
    --------
    One contrast gives the square of its t.

    >>> from evaltoolkit.kernels.small_sample_fit import clustered_fit
    >>> fit = clustered_fit(np.ones((6, 1)), np.array([1.0, 3, 4, 6, 8, 8]), np.array([0, 0, 1, 1, 2, 2]))
    >>> test = hotelling(fit, np.ones((1, 1)))
    >>> round(test.statistic, 6), round(test.df_reference, 6)
    (8.333333, 2.0)
    >>> bool(np.isclose(test.p_value, small_sample(fit).p_value[0]))
    True
    """
    L = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    q = L.shape[0]
    if np.delete(L, fit.kept, axis=1).any():
        return None
    L = L[:, fit.kept]
    theta = _theta(fit, working)
    a = rooted(fit, kind, L, theta)
    expected = _products(fit, a, theta).sum(axis=(2, 3), where=np.eye(fit.n_clusters, dtype=np.bool_))
    values, vectors = np.linalg.eigh(expected)
    if values[0] < 1e-10 * values[-1]:
        return None
    whitened = a @ (vectors / np.sqrt(values))
    P = _products(fit, whitened, theta)
    own = P[np.arange(q), np.arange(q)]
    spread = np.einsum("scd,tcd->st", own, own) + np.einsum("stcd,tscd->st", P, P)
    eta = q * (q + 1) / float(spread.sum())
    scores = by_cluster(fit, a * fit.residuals[:, None])
    covariance, estimate = scores.T @ scores, L @ fit.coefficients
    left = eta - q + 1
    if left <= 0 or np.linalg.cond(covariance) > 1e12:
        return None
    statistic = float(estimate @ np.linalg.solve(covariance, estimate))
    return WaldTest(statistic, q, left, float(special.fdtrc(q, left, statistic * left / (eta * q))))


def _theta(fit: ClusteredFit, working: Working) -> FloatArray:
    return np.ones(fit.weights.size) if working == "equal" else 1 / fit.weights


def _clustered(
    fit: ClusteredFit, kind: Kind, L: FloatArray, working: Working
) -> tuple[FloatArray, FloatArray, FloatArray]:
    g = fit.n_clusters
    if kind in {"CR2", "CR3"}:
        theta = _theta(fit, working)
        a = rooted(fit, kind, L, theta)
        scores = by_cluster(fit, a * fit.residuals[:, None])
        return scores.T @ scores, _satterthwaite(fit, a, theta), scores
    a = fit.weights[:, None] * (fit.design @ (fit.bread @ L.T))
    n = fit.weights.size
    free = n - (fit.kept.size + (fit.n_absorbed if kind == "CR1S" else min(fit.n_absorbed, 1)))
    spare = (n - 1) / free if free > 0 else np.nan
    factor = 1.0 if kind == "CR0" else g / (g - 1) * (1.0 if kind == "CR1" else spare)
    scores = by_cluster(fit, a * fit.residuals[:, None]) * np.sqrt(factor)
    return scores.T @ scores, np.full(L.shape[0], g - 1.0), scores


def _parts(fit: ClusteredFit, a: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rows of (I - H)'a after absorbed effects, and their sums with the design by cluster, (G, q, k) twice."""
    left = a - fit.weights[:, None] * fit.absorbed_means(a / fit.weights[:, None])
    q, k = a.shape[1], fit.design.shape[1]
    first, second = np.zeros((fit.n_clusters, q, k)), np.zeros((fit.n_clusters, q, k))
    for s in range(q):
        first[:, s] = by_cluster(fit, fit.design * left[:, [s]])
        second[:, s] = by_cluster(fit, fit.design * (fit.weights * theta * left[:, s])[:, None])
    return left, first, second


def _middle(fit: ClusteredFit, theta: FloatArray) -> FloatArray:
    half = fit.design * (fit.weights * np.sqrt(theta))[:, None]
    return np.asarray(fit.bread @ (half.T @ half) @ fit.bread, dtype=np.float64)


def _satterthwaite(fit: ClusteredFit, a: FloatArray, theta: FloatArray) -> FloatArray:
    """Sum p_cd = 1{c=d} d_c + h_c K h_d' over pairs of clusters without a G x G matrix."""
    left, first, second = _parts(fit, a, theta)
    own = by_cluster(fit, theta[:, None] * left**2)
    k = fit.design.shape[1]
    kernel = np.block([[_middle(fit, theta), -fit.bread], [-fit.bread, np.zeros((k, k))]])
    found = np.full(a.shape[1], np.nan)
    for s in range(a.shape[1]):
        h = np.concatenate([first[:, s], second[:, s]], axis=1)
        across = np.einsum("ci,ij,cj->c", h, kernel, h)
        turned = kernel @ (h.T @ h)
        squares = float(own[:, s] @ own[:, s] + 2 * own[:, s] @ across + np.einsum("ij,ji->", turned, turned))
        total = float((own[:, s] + across).sum())
        if total > 0 and squares > 0:
            found[s] = total**2 / squares
    return found


def _products(fit: ClusteredFit, a: FloatArray, theta: FloatArray) -> FloatArray:
    """Return p_cd of every pair of contrasts and of clusters, shape (q, q, G, G)."""
    left, first, second = _parts(fit, a, theta)
    q = a.shape[1]
    mixed = np.einsum("csi,ij,dtj->stcd", first, fit.bread, second)
    found = np.einsum("csi,ij,dtj->stcd", first, _middle(fit, theta), first) - mixed
    found -= np.einsum("csi,ij,dtj->stcd", second, fit.bread, first)
    each = np.arange(fit.n_clusters)
    for s in range(q):
        found[s][:, each, each] += by_cluster(fit, (theta * left[:, s])[:, None] * left).T
    return np.asarray(found, dtype=np.float64)


def _by_rows(fit: ClusteredFit, kind: Kind, L: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    w, q = fit.weights, L.shape[0]
    n = w.size
    free = float(n - fit.kept.size - fit.n_absorbed)
    df, none = np.full(q, free), np.zeros((0, q))
    if kind == "iid":
        return float(w @ fit.residuals**2) / free * (L @ fit.bread @ L.T), df, none
    a = w[:, None] * (fit.design @ (fit.bread @ L.T)) * fit.residuals[:, None]
    if kind in {"HC2", "HC3"}:
        leverage = w * np.einsum("ij,jk,ik->i", fit.design, fit.bread, fit.design) + fit.absorbed_leverage()
        room = np.where(leverage < 1 - 1e-8, 1 - leverage, np.inf)
        a = a / (np.sqrt(room) if kind == "HC2" else room)[:, None]
    return a.T @ a * (n / free if kind == "HC1" else 1.0), df, none
