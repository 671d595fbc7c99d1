"""CR2, CR3 and degrees of freedom beside twins written with N x N matrices and dummies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

import evaltoolkit.kernels.small_sample_roots as roots
from evaltoolkit.kernels.jackknife import delete_one_least_squares
from evaltoolkit.kernels.small_sample import hotelling, small_sample
from evaltoolkit.kernels.small_sample_fit import NestingError, clustered_fit

CLOSE = 1e-8  # twins with dummies invert matrices of condition 1e3 and take roots of what is left of zero


def world(seed: int = 1, *, weighted: bool = False) -> dict[str, Any]:
    """Clusters of units of four periods; a treatment by unit, a covariate, period dummies."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(18), 4)
    clusters = np.repeat([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7, 7], 4)
    time = np.tile(np.arange(4), 18)
    kept = rng.random(72) > 0.1
    d = ((clusters % 3 == 0) & (time >= 2)).astype(float)
    X = np.column_stack([d, rng.normal(size=72), *[(time == t).astype(float) for t in (1, 2, 3)]])
    y = rng.normal(size=18)[units] + rng.normal(size=8)[clusters] * time + X[:, 1] + rng.normal(size=72)
    order = rng.permutation(np.flatnonzero(kept))
    w = rng.uniform(0.5, 3, size=72) if weighted else np.ones(72)
    return {"X": X[order], "y": y[order], "clusters": clusters[order], "units": units[order], "w": w[order]}


def power(matrix: np.ndarray, p: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    live = values > 1e-9
    return (vectors[:, live] * values[live] ** p) @ vectors[:, live].T


class Twin:
    """The formulae of Pustejovsky and Tipton with the whole hat matrix."""

    def __init__(self, X: np.ndarray, y: np.ndarray, clusters: np.ndarray, w: np.ndarray, theta: np.ndarray) -> None:
        M = linalg.pinv(X.T @ (w[:, None] * X))
        H = X @ M @ X.T * w[None, :]
        self.beta = M @ X.T @ (w * y)
        self.apart = np.eye(len(y)) - H
        self.e = self.apart @ y
        self.omega = self.apart @ np.diag(theta) @ self.apart.T
        self.M, self.X, self.w, self.theta, self.H = M, X, w, theta, H
        self.groups = [clusters == c for c in np.unique(clusters)]

    def rows(self, kind: str, L: np.ndarray) -> np.ndarray:
        """One matrix (q, N) for each cluster: what the residuals are multiplied by."""
        found = np.zeros((len(self.groups), len(L), len(self.e)))
        for c, mine in enumerate(self.groups):
            if kind == "CR2":
                D = np.diag(np.sqrt(self.theta[mine]))
                A = D @ power(D @ self.omega[np.ix_(mine, mine)] @ D, -0.5) @ D
            else:
                A = linalg.pinv(np.eye(mine.sum()) - self.H[np.ix_(mine, mine)], rtol=1e-9)
            found[c][:, mine] = L @ self.M @ self.X[mine].T @ np.diag(self.w[mine]) @ A
        return found

    def variance_df(self, kind: str, L: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows(kind, L)
        scores = rows @ self.e
        df = []
        for s in range(len(L)):
            P = rows[:, s] @ self.omega @ rows[:, s].T
            df.append(np.trace(P) ** 2 / (P**2).sum())
        return scores.T @ scores, np.array(df)

    def hotelling(self, kind: str, L: np.ndarray) -> tuple[float, float]:
        """F by definition: eta from the variance of each entry of the whitened covariance matrix."""
        rows = self.rows(kind, L)
        q = len(L)
        V = (rows @ self.e).T @ (rows @ self.e)
        expected = sum(r @ self.omega @ r.T for r in rows)
        white = linalg.inv(linalg.sqrtm(expected).real)
        total = 0.0
        for s in range(q):
            for t in range(q):
                # d_st = e' B e with a symmetric B; its variance is 2 tr(B Omega B Omega).
                B = sum(np.outer(white[s] @ r, white[t] @ r) for r in rows)
                B = (B + B.T) / 2
                total += 2 * np.trace(B @ self.omega @ B @ self.omega)
        eta = q * (q + 1) / total
        Q = (L @ self.beta) @ linalg.inv(V) @ (L @ self.beta)
        return float(Q), float(stats.f.sf((eta - q + 1) / (eta * q) * Q, q, eta - q + 1))


def dummies(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("working", ["equal", "inverse-weights"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_the_twin_with_dummies(kind: Any, working: Any, *, weighted: bool, absorb: bool, seed: int) -> None:
    a = world(seed, weighted=weighted)
    theta = np.ones(len(a["y"])) if working == "equal" else 1 / a["w"]
    whole = np.column_stack([a["X"], dummies(a["units"]) if absorb else np.ones(len(a["y"]))])
    twin = Twin(whole, a["y"], a["clusters"], a["w"], theta)
    X = a["X"] if absorb else whole
    fit = clustered_fit(X, a["y"], a["clusters"], a["w"], a["units"] if absorb else None)
    found = small_sample(fit, kind, np.eye(X.shape[1])[:2], working)
    variance, df = twin.variance_df(kind, np.eye(whole.shape[1])[:2])
    assert found.estimate == pytest.approx(twin.beta[:2], rel=CLOSE)
    assert found.covariance == pytest.approx(variance, rel=CLOSE, abs=1e-12)
    assert found.df == pytest.approx(df, rel=CLOSE)
    assert found.scores.T @ found.scores == pytest.approx(found.covariance, rel=1e-12)
    test = hotelling(fit, np.eye(X.shape[1])[:2], kind, working)
    statistic, p = twin.hotelling(kind, np.eye(whole.shape[1])[:2])
    assert test is not None
    assert (test.statistic, test.p_value) == pytest.approx((statistic, p), rel=1e-7)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("weights", ["none", "rows", "units"])
@pytest.mark.parametrize("working", ["equal", "inverse-weights"])
@pytest.mark.parametrize("absorb", [False, True])
def test_large_clusters_take_a_short_way_to_the_same(kind: Any, weights: str, working: Any, *, absorb: bool) -> None:
    rng = np.random.default_rng(5)
    units = np.repeat(np.arange(30), 5)
    clusters = units // 6
    X = np.column_stack([rng.normal(size=150), np.tile(np.arange(5), 30) == 2])
    y = rng.normal(size=150)
    w = {"none": np.ones(150), "rows": rng.uniform(1, 2, 150), "units": rng.uniform(1, 2, 30)[units]}[weights]
    fit = clustered_fit(X, y, clusters, w, units if absorb else None)
    short = small_sample(fit, kind, None, working)
    whole = np.column_stack([X, dummies(units)]) if absorb else X
    theta = np.ones(150) if working == "equal" else 1 / w
    variance, df = Twin(whole, y, clusters, w, theta).variance_df(kind, np.eye(whole.shape[1])[:2])
    assert short.covariance == pytest.approx(variance, rel=CLOSE, abs=1e-12)
    assert short.df == pytest.approx(df, rel=CLOSE)


def test_stacks_of_clusters_are_cut_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    a = world()
    fit = clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"])
    whole = small_sample(fit).covariance
    monkeypatch.setattr(roots, "BLOCK", 1)
    assert small_sample(fit).covariance == pytest.approx(whole, rel=1e-12)


def test_cr3_is_the_jackknife_centred_at_the_estimate() -> None:
    a = world(3)
    X = np.column_stack([np.ones(len(a["y"])), a["X"]])
    deleted = delete_one_least_squares(X, a["y"], a["clusters"])
    fit = clustered_fit(X, a["y"], a["clusters"])
    apart = deleted - fit.coefficients
    assert small_sample(fit, "CR3").covariance == pytest.approx(apart.T @ apart, rel=1e-9)


def test_cr2_is_unbiased_under_its_working_covariance() -> None:
    """By the formula, not by simulation: the sum of own terms under equal errors is the variance of the estimate."""
    a = world(2)
    fit = clustered_fit(np.column_stack([np.ones(len(a["y"])), a["X"]]), a["y"], a["clusters"])
    rows = roots.rooted(fit, "CR2", np.eye(6), np.ones(len(a["y"])))
    H = fit.design @ fit.bread @ fit.design.T
    total = np.zeros((6, 6))
    for lo, hi in zip(fit.edges[:-1], fit.edges[1:], strict=True):
        total += rows[lo:hi].T @ (np.eye(hi - lo) - H[lo:hi, lo:hi]) @ rows[lo:hi]
    assert total == pytest.approx(fit.bread, rel=1e-9, abs=1e-12)


def test_a_cluster_that_alone_decides_a_coefficient_adds_nothing() -> None:
    """Leverage of one: residuals are zero there, and the pseudo-inverse keeps the rest finite."""
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(6), 3)
    X = np.column_stack([np.ones(18), clusters == 0])
    found = small_sample(clustered_fit(X, rng.normal(size=18), clusters))
    assert np.isfinite(found.covariance).all()
    assert found.scores[0] == pytest.approx([0.0, 0.0], abs=1e-12)


def test_two_groups_of_clusters_give_the_variances_of_two_means() -> None:
    """With one row a cluster, CR2 of a difference in means is s1^2/n1 + s0^2/n0."""
    y = np.array([1.0, 4, 2, 8, 5, 7, 1])
    d = np.array([1.0, 1, 1, 0, 0, 0, 0])
    found = small_sample(clustered_fit(np.column_stack([np.ones(7), d]), y, np.arange(7)))
    assert found.covariance[1, 1] == pytest.approx(y[:3].var(ddof=1) / 3 + y[3:].var(ddof=1) / 4)
    # Under equal variances: (1/3 + 1/4)^2 / ((1/3)^2/2 + (1/4)^2/3).
    assert found.df[1] == pytest.approx((7 / 12) ** 2 / (1 / 18 + 1 / 48))


@pytest.mark.parametrize("kind", ["CR0", "CR3"])
def test_a_weight_of_two_is_a_row_twice(kind: Any) -> None:
    a = world(4)
    twice = np.concatenate([np.arange(len(a["y"])), np.arange(10)])
    w = np.ones(len(a["y"])) + (np.arange(len(a["y"])) < 10)
    X = np.column_stack([np.ones(len(w)), a["X"]])
    one = small_sample(clustered_fit(X, a["y"], a["clusters"], w), kind)
    two = small_sample(clustered_fit(X[twice], a["y"][twice], a["clusters"][twice]), kind)
    assert one.covariance == pytest.approx(two.covariance, rel=1e-9)


@pytest.mark.parametrize("kind", ["CR2", "CR3", "HC2", "HC3", "iid", "CR1S"])
def test_rows_without_weight_are_not_there(kind: Any) -> None:
    a = world(4, weighted=True)
    w = np.where(np.arange(len(a["y"])) % 5 == 0, 0.0, a["w"])
    there = w > 0
    one = small_sample(clustered_fit(a["X"], a["y"], a["clusters"], w, a["units"]), kind)
    two = small_sample(
        clustered_fit(a["X"][there], a["y"][there], a["clusters"][there], w[there], a["units"][there]), kind
    )
    assert one.std_error == pytest.approx(two.std_error, rel=1e-10)
    assert one.df == pytest.approx(two.df, rel=1e-10)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e3, 1e3), scale=st.floats(0.1, 1e3))
def test_order_shift_and_scale(seed: int, shift: float, scale: float) -> None:
    a = world(1)
    order = np.random.default_rng(seed).permutation(len(a["y"]))
    one = small_sample(clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"]))
    moved = (a["y"] * scale + shift * a["units"])[order]
    two = small_sample(clustered_fit(a["X"][order], moved, a["clusters"][order], None, a["units"][order]))
    assert two.std_error == pytest.approx(one.std_error * scale, rel=1e-6)
    assert two.df == pytest.approx(one.df, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["iid", "HC0", "HC1", "HC2", "HC3", "CR1S"])
def test_other_kinds_equal_statsmodels_with_dummies(kind: Any, *, weighted: bool) -> None:
    a = world(6, weighted=weighted)
    whole = np.column_stack([a["X"], dummies(a["units"])])
    fit = sm.WLS(a["y"], whole, weights=a["w"]).fit()
    if kind == "iid":
        other = fit
    elif kind == "CR1S":
        other = fit.get_robustcov_results("cluster", groups=a["clusters"], use_correction=True, df_correction=True)
    else:
        other = fit.get_robustcov_results(kind)
    found = small_sample(clustered_fit(a["X"], a["y"], a["clusters"], a["w"], a["units"]), kind)
    assert found.std_error == pytest.approx(np.asarray(other.bse)[:5], rel=1e-8)
    # Without clusters the reference is t(N - K); with clusters t(G - 1), eight clusters here.
    assert found.df == pytest.approx([7.0 if kind == "CR1S" else fit.df_resid] * 5)


def test_nested_effects_count_as_one_constant() -> None:
    a = world(6)
    fit = clustered_fit(a["X"], a["y"], a["clusters"], None, a["units"])
    n = a["y"].size
    ratio = small_sample(fit, "CR1-nested").std_error / small_sample(fit, "CR1").std_error
    assert ratio == pytest.approx([np.sqrt((n - 1) / (n - 5 - 1))] * 5)
    factor = small_sample(fit, "CR1").std_error / small_sample(fit, "CR0").std_error
    assert factor == pytest.approx([np.sqrt(8 / 7)] * 5)


def test_absorbed_and_repeated_columns_are_named_and_have_no_error() -> None:
    a = world()
    by_unit = (a["units"] % 2).astype(float)
    fit = clustered_fit(np.column_stack([by_unit, a["X"]]), a["y"], a["clusters"], None, a["units"])
    assert fit.kept.tolist() == [1, 2, 3, 4, 5]
    found = small_sample(fit)
    assert np.isnan(found.std_error[0])
    assert np.isnan(found.p_value[0])
    assert np.isfinite(found.std_error[1:]).all()
    assert hotelling(fit, np.eye(6)[:2]) is None


def test_refusals() -> None:
    X, y = np.ones((4, 1)), np.arange(4.0)
    with pytest.raises(ValueError, match="two clusters"):
        clustered_fit(X, y, np.zeros(4))
    with pytest.raises(NestingError):
        clustered_fit(np.arange(4.0)[:, None], y, np.array([0, 0, 1, 1]), absorbed=np.array([0, 1, 1, 0]))
    fit = clustered_fit(X, y, np.array([0, 0, 1, 1]))
    assert hotelling(fit, np.ones((2, 1))) is None
