"""Regressions with unit and period effects beside slow twins with a dummy for every effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels import two_way_moments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.event_weights import static_weights
from evaltoolkit.kernels.saturated import Extended, extended_two_way, interaction_weighted
from evaltoolkit.kernels.two_way import Window, event_study, static, treated_cell_weights
from evaltoolkit.kernels.two_way_errors import covariance
from evaltoolkit.kernels.two_way_panel import Panel, TwoWayError, two_way_panel

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])  # a gap: 2003 was not observed
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"weights": 1},
    "holes": {"holes": True},
    "moving weights": {"weights": 2},
    "covariates": {"covariates": 2},
    "groups": {"groups": 3},
    "clusters": {"clusters": 20},
    "all": {"weights": 2, "holes": True, "covariates": 2, "groups": 2, "clusters": 20},
}


def arrays(
    seed: int = 3, n: int = 60, weights: int = 0, covariates: int = 0, groups: int = 0, clusters: int = 0, *,
    holes: bool = False,
) -> dict[str, Any]:  # fmt: skip
    rng = np.random.default_rng(seed)
    start = np.array([2002, 2004, 2005, NEVER])[rng.integers(0, 4, n)]
    T = len(PERIODS)
    y = rng.normal(size=(n, 1)) + np.arange(T) + rng.normal(size=(n, T)) * 0.5 + (start[:, None] <= PERIODS)
    found: dict[str, Any] = {"start": start, "periods": PERIODS}
    if covariates:
        found["covariates"] = rng.normal(size=(n, T, covariates)) + 5
        y = y + found["covariates"].sum(axis=2)
    if weights:
        found["weights"] = rng.uniform(0.5, 2, size=(n, T)[:weights])
    if groups:
        found["groups"] = rng.integers(0, groups, n)
    if clusters:
        found["clusters"] = np.r_[np.arange(clusters), rng.integers(0, clusters, n - clusters)]
    if holes:
        gone = rng.random((n, T)) < 0.1
        gone[:, 1] &= ~gone[:, 0]  # every unit has an untreated observation
        y[gone] = np.nan
    return {"outcome": y, **found}


class Twin:
    """The panel in long form, with dummies."""

    def __init__(self, a: dict[str, Any], among: np.ndarray | None = None) -> None:
        n, T = a["outcome"].shape
        y = a["outcome"].ravel()
        w = a.get("weights", np.ones(n))
        w = (w[:, None] * np.ones(T) if w.ndim == 1 else w).ravel()
        use = np.isfinite(y) & (True if among is None else among.ravel())
        self.unit, self.time = np.repeat(np.arange(n), T)[use], np.tile(np.arange(T), n)[use]
        group = a.get("groups", np.zeros(n, dtype=int))[self.unit]
        self.cluster = a.get("clusters", np.arange(n))[self.unit]
        self.y, self.w = y[use], w[use]
        self.start, self.period = a["start"][self.unit], a["periods"][self.time]
        p = a["covariates"].shape[2] if "covariates" in a else 0
        self.x = a["covariates"].reshape(-1, p)[use] if p else np.zeros((use.sum(), 0))
        units = (self.unit[:, None] == np.unique(self.unit)).astype(float)
        key = group * T + self.time
        self.periods = (key[:, None] == np.unique(key)).astype(float)
        self.dummies = np.hstack([units, self.periods])
        self.units = units.shape[1]

    def out(self, columns: np.ndarray) -> np.ndarray:
        root = np.sqrt(self.w)[:, None]
        return columns - self.dummies @ np.linalg.lstsq(self.dummies * root, columns * root, rcond=None)[0]

    def fit(self, columns: np.ndarray, nuisance: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return coefficients, bread, observation scores and residuals."""
        if nuisance:
            self.dummies = np.hstack([self.dummies, columns[:, -nuisance:]])
            columns = columns[:, :-nuisance]
        x, y = self.out(columns), self.out(self.y[:, None])[:, 0]
        bread = np.linalg.inv(x.T @ (x * self.w[:, None]))
        beta = bread @ x.T @ (self.w * y)
        e = y - x @ beta
        return beta, bread, (x * (self.w * e)[:, None]) @ bread, e

    def clustered(self, scores: np.ndarray, K: int) -> np.ndarray:
        sums = np.array([scores[self.cluster == c].sum(axis=0) for c in np.unique(self.cluster)])
        G, N = len(sums), self.y.size
        return G / (G - 1) * (N - 1) / (N - K) * sums.T @ sums


def panel_of(a: dict[str, Any]) -> Panel:
    return two_way_panel(**a)


@pytest.mark.parametrize("setting", SETTINGS)
def test_static_equals_dummies(setting: str) -> None:
    a = arrays(**SETTINGS[setting])
    found, twin = static(panel_of(a)), Twin(a)
    beta, _, scores, _ = twin.fit(np.column_stack([twin.period >= twin.start, twin.x]).astype(float))
    assert found.coefficients == pytest.approx(beta, abs=1e-11)
    expected = twin.clustered(scores, beta.size + twin.periods.shape[1])
    assert found.covariance == pytest.approx(expected, rel=1e-9, abs=1e-14)


WINDOWS = [
    Window(), Window((-2, -1)), Window(first=-3, last=1), Window(first=-2, last=1, outside="drop"),
    Window((-4,), last=0),
]  # fmt: skip


@pytest.mark.parametrize("setting", ["plain", "weights", "clusters", "all"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_event_study_equals_dummies(setting: str, window: Window) -> None:
    a = arrays(**SETTINGS[setting])
    found = event_study(panel_of(a), window)
    since = PERIODS - np.where(a["start"] == NEVER, 0, a["start"])[:, None]
    never = (a["start"] == NEVER)[:, None] & np.ones(5, dtype=bool)
    low, high = (window.first if window.first is not None else -99), (window.last if window.last is not None else 99)
    among = never | ((since >= low) & (since <= high)) if window.outside == "drop" else np.ones_like(never)
    twin = Twin(a, among)
    mine = np.clip(twin.period - np.where(twin.start == NEVER, 0, twin.start), low, high)
    mine = np.where(twin.start == NEVER, -999, mine)
    labels = [e for e in np.unique(mine) if e != -999 and e not in window.reference]
    assert found.labels.tolist() == labels
    beta, _, scores, _ = twin.fit(np.column_stack([*(mine == e for e in labels), twin.x]).astype(float))
    assert found.coefficients == pytest.approx(beta, abs=1e-10)
    expected = twin.clustered(scores, beta.size + twin.periods.shape[1])
    assert found.covariance == pytest.approx(expected, rel=1e-8, abs=1e-13)


@pytest.mark.parametrize("setting", ["plain", "covariates", "all"])
def test_other_errors_equal_sums_over_observations(setting: str) -> None:
    a = arrays(**SETTINGS[setting])
    panel, twin = panel_of(a), Twin(a)
    found = static(panel)
    beta, bread, s, e = twin.fit(np.column_stack([twin.period >= twin.start, twin.x]).astype(float))
    N, K, P, U = twin.y.size, beta.size, twin.periods.shape[1], twin.units
    whole = K + U + P - 1

    def summed(code: np.ndarray) -> np.ndarray:
        sums = np.array([s[code == c].sum(axis=0) for c in np.unique(code)])
        return sums.T @ sums

    G, T = np.unique(twin.cluster).size, 5
    least = min(G, T)
    two = summed(twin.cluster) + summed(twin.time) - summed(twin.cluster * T + twin.time)
    values, vectors = np.linalg.eigh(two)
    two = (vectors * np.clip(values, 0, None)) @ vectors.T
    by_time = np.array([s[twin.time == t].sum(axis=0) for t in range(T)])
    kraay, newey = by_time.T @ by_time, s.T @ s
    for lag in (1, 2):
        part = by_time[lag:].T @ by_time[:-lag]
        kraay = kraay + (1 - lag / 3) * (part + part.T)
        for i in range(N):
            j = np.flatnonzero((twin.unit == twin.unit[i]) & (twin.time == twin.time[i] - lag))
            if j.size:
                part = np.outer(s[i], s[j[0]])
                newey = newey + (1 - lag / 3) * (part + part.T)
    expected = {
        "iid": bread * (twin.w * e**2).sum() / (N - whole),
        "hetero": N / (N - whole) * s.T @ s,
        "two-way": least / (least - 1) * (N - 1) / (N - K - 1) * two,
        "driscoll-kraay": T / (T - 1) * (N - 1) / (N - K - U) * kraay,
        "newey-west": T / (T - 1) * (N - 1) / (N - K - 1) * newey,
        "CR1": G / (G - 1) * summed(twin.cluster),
        "CR1S": G / (G - 1) * (N - 1) / (N - whole) * summed(twin.cluster),
    }
    for kind, matrix in expected.items():
        assert covariance(panel, found, kind, 2).matrix == pytest.approx(matrix, rel=1e-8, abs=1e-14), kind
    assert covariance(panel, found, "cluster").matrix == pytest.approx(found.covariance)


@pytest.mark.parametrize("setting", ["plain", "holes", "clusters", "all"])
def test_interaction_weighted_equals_dummies(setting: str) -> None:
    a = arrays(**SETTINGS[setting])
    found, twin = interaction_weighted(panel_of(a)), Twin(a)
    columns = [(twin.start == g) & (twin.period == t) for g, t in zip(found.cohort, found.period, strict=True)]
    last = {2002: 2001, 2004: 2002, 2005: 2004}
    assert len(columns) == sum(t != last[g] for g in last for t in PERIODS)
    beta, _, scores, _ = twin.fit(np.column_stack([*columns, twin.x]).astype(float))
    K = len(columns)
    assert found.att == pytest.approx(beta[:K], abs=1e-10)
    expected = twin.clustered(scores, beta.size + twin.periods.shape[1])[:K, :K]
    assert found.scores.T @ found.scores == pytest.approx(expected, rel=1e-8, abs=1e-13)
    assert found.n.tolist() == [c.sum() for c in columns]
    assert found.weight == pytest.approx([twin.w[c].sum() for c in columns])


@pytest.mark.parametrize("comparison", ["not-yet", "never"])
@pytest.mark.parametrize("setting", ["holes", "all"])
def test_extended_two_way_equals_dummies(setting: str, comparison: Any) -> None:
    a = arrays(n=120, **(SETTINGS[setting] | {"covariates": 1}))
    found, twin = extended_two_way(panel_of(a), Extended(comparison, "units")), Twin(a)
    cells = [(twin.start == g) & (twin.period == t) for g, t in zip(found.cohort, found.period, strict=True)]
    K, x = len(cells), twin.x[:, 0]
    means = np.zeros(x.size)
    for g in np.unique(twin.start):
        means[twin.start == g] = np.average(x[twin.start == g], weights=twin.w[twin.start == g])
    dm = x - means
    more = [x * (twin.start == g) for g in np.unique(twin.start)] + [x * (twin.period == t) for t in PERIODS[1:]]
    columns = np.column_stack([*cells, *(c * dm for c in cells), *more]).astype(float)
    beta, _, scores, _ = twin.fit(columns, nuisance=len(more))
    mix = np.vstack([np.eye(K), np.diag([np.average(dm[c], weights=twin.w[c]) for c in cells])])
    assert found.att == pytest.approx(beta @ mix, abs=1e-9)
    expected = mix.T @ twin.clustered(scores, columns.shape[1] + twin.periods.shape[1]) @ mix
    assert found.scores.T @ found.scores == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_without_never_treated_the_last_cohort_is_compared() -> None:
    a = arrays()
    kept = a["start"] < NEVER
    y, start = a["outcome"][kept], a["start"][kept]
    found = interaction_weighted(two_way_panel(y, start, PERIODS))
    again = np.where(start == 2005, NEVER, start)
    expected = interaction_weighted(two_way_panel(y[:, :4], again, PERIODS[:4]))
    assert found.att == pytest.approx(expected.att, abs=1e-12)
    assert found.scores == pytest.approx(expected.scores, abs=1e-12)
    assert set(found.cohort.tolist()) == {2002, 2004}


@pytest.mark.parametrize("setting", ["plain", "weights", "holes", "moving weights"])
def test_treated_cells_weigh_as_the_residual_of_treatment(setting: str) -> None:
    a = arrays(**SETTINGS[setting])
    found, twin = treated_cell_weights(panel_of(a)), Twin(a)
    left = twin.out((twin.period >= twin.start)[:, None].astype(float))[:, 0] * twin.w
    total = left[twin.period >= twin.start].sum()
    for g, t, weight in zip(found.cohort, found.period, found.weight, strict=True):
        assert weight == pytest.approx(left[(twin.start == g) & (twin.period == t)].sum() / total, abs=1e-12)
    if setting == "plain":
        other = static_weights(a["start"], PERIODS)
        assert found.weight == pytest.approx(other.weight[other.treated], abs=1e-12)


def test_an_effect_by_cell_goes_into_the_static_coefficient_by_its_weight() -> None:
    a = arrays(covariates=1)
    cells = treated_cell_weights(panel_of(a))
    effect = np.random.default_rng(0).normal(size=cells.weight.size)
    added = a["outcome"].copy()
    for g, t, value in zip(cells.cohort, cells.period, effect, strict=True):
        added[a["start"] == g, PERIODS.tolist().index(t)] += value
    change = static(panel_of(a | {"outcome": added})).coefficients[0] - static(panel_of(a)).coefficients[0]
    assert change == pytest.approx(cells.weight @ effect, abs=1e-11)


@pytest.mark.parametrize("name", ["event", "saturated", "static"])
def test_cross_products_stand_in_for_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    how: Any = {"event": event_study, "saturated": interaction_weighted, "static": static}[name]
    for setting in ("plain", "weights", "holes"):
        panel = panel_of(arrays(**SETTINGS[setting]))
        rows = how(panel).scores
        monkeypatch.setattr(two_way_moments, "MANY", 10)
        few = how(panel).scores
        monkeypatch.undo()
        assert few.shape[0] == few.shape[1] < rows.shape[0]
        assert few.T @ few == pytest.approx(rows.T @ rows, rel=1e-9, abs=1e-14)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from evaltoolkit.kernels import two_way_panel as module

    panel = panel_of(arrays(n=500, **SETTINGS["all"]))
    one = event_study(panel)
    monkeypatch.setattr(module, "BLOCK", 1)
    two = event_study(panel)
    assert two.coefficients == pytest.approx(one.coefficients, abs=1e-12)
    assert two.scores == pytest.approx(one.scores, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    level=st.floats(-1e6, 1e6),
    scale=st.floats(0.01, 100),
    name=st.sampled_from([*SETTINGS]),
)
def test_order_level_and_scale(seed: int, level: float, scale: float, name: str) -> None:
    a = arrays(seed=seed, **SETTINGS[name])
    rng = np.random.default_rng(seed)
    order = rng.permutation(60)
    moved = {k: v if k == "periods" else v[order] for k, v in a.items()}
    moved["outcome"] = level + scale * moved["outcome"] + 10 * rng.normal(size=(60, 1))
    one, two = static(panel_of(a)), static(panel_of(moved))
    assert two.coefficients == pytest.approx(scale * one.coefficients, abs=1e-8 * max(scale, 1))
    assert two.covariance == pytest.approx(scale**2 * one.covariance, rel=1e-6, abs=1e-12 * max(scale**2, 1))


@pytest.mark.parametrize("how", [static, event_study, interaction_weighted, extended_two_way])
def test_twice_the_units_in_one_cluster_is_twice_the_weight(how: Any) -> None:
    a = arrays(covariates=1)
    n = 60
    doubled = {k: v if k == "periods" else np.concatenate([v, v]) for k, v in a.items()}
    twice = how(panel_of(doubled | {"clusters": np.tile(np.arange(n), 2)}))
    heavy = how(panel_of(a | {"weights": np.full(n, 2.0)}))
    field = "coefficients" if hasattr(heavy, "coefficients") else "att"
    assert getattr(twice, field) == pytest.approx(getattr(heavy, field), abs=1e-11)
    ratio = (twice.scores**2).sum() / (heavy.scores**2).sum()
    # Only the small-sample factor knows how many rows there were.
    assert ratio == pytest.approx(1, abs=0.15)
    assert np.corrcoef(twice.scores.ravel(), heavy.scores.ravel())[0, 1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("clusters", [0, 20])
def test_units_that_are_not_used_do_not_count(clusters: int) -> None:
    a = arrays(clusters=clusters)
    gone = np.flatnonzero(a["start"] == 2005)
    if clusters:
        gone = np.flatnonzero(np.isin(a["clusters"], [4, 7]))
    empty = a["outcome"].copy()
    empty[gone] = np.nan
    kept = np.delete(np.arange(60), gone)
    less = {k: v if k == "periods" else v[kept] for k, v in a.items()}
    if clusters:
        less["clusters"] = np.unique(less["clusters"], return_inverse=True)[1]
    one, two = panel_of(a | {"outcome": empty}), panel_of(less)
    assert static(one).df == static(two).df
    assert static(one).covariance == pytest.approx(static(two).covariance, rel=1e-9)
    for kind in ("iid", "hetero", "two-way", "driscoll-kraay", "newey-west", "CR1S"):
        found, expected = covariance(one, static(one), kind), covariance(two, static(two), kind)
        assert found.matrix == pytest.approx(expected.matrix, rel=1e-9), kind
        assert found.df == expected.df


@pytest.mark.parametrize("clusters", [0, 30])
def test_clusters_outside_the_window_do_not_count(clusters: int) -> None:
    a = arrays()
    if clusters:
        a["clusters"] = np.unique(np.r_[np.arange(60) // 2 + 100 * (a["start"] == 2002)], return_inverse=True)[1]
    window = Window((-4,), first=-5, last=-4, outside="drop")
    kept = a["start"] != 2002
    less = {k: v if k == "periods" else v[kept] for k, v in a.items()}
    if clusters:
        less["clusters"] = np.unique(less["clusters"], return_inverse=True)[1]
    one, two = event_study(panel_of(a), window), event_study(panel_of(less), window)
    assert one.labels.tolist() == [-5]
    assert one.df + 1 == (np.unique(less["clusters"]).size if clusters else kept.sum())
    assert two.df == one.df
    assert one.covariance == pytest.approx(two.covariance, rel=1e-9)


def test_large_levels_lose_no_digits() -> None:
    a = arrays(weights=1)
    far = a | {"outcome": a["outcome"] + 1e7 * np.arange(60)[:, None] + 1e7 * np.arange(5)}
    one, two = event_study(panel_of(a)), event_study(panel_of(far))
    assert two.coefficients == pytest.approx(one.coefficients, abs=1e-5)
    assert two.covariance == pytest.approx(one.covariance, rel=1e-5)


def caught(how: Any, *arguments: Any) -> TwoWayError:
    with pytest.raises(TwoWayError) as error:
        how(*arguments)
    return error.value


def test_what_is_not_identified_is_named() -> None:
    a = arrays(covariates=2)
    none = {k: v if k == "periods" else v[a["start"] < NEVER] for k, v in a.items()}
    error = caught(event_study, panel_of(none))
    assert (error.why, error.kind) == ("collinear", "event-time")
    assert event_study(panel_of(none), Window((-1, error.label))).labels.size > 0
    still = a | {"covariates": np.repeat(a["covariates"][:, :1], 5, axis=1)}
    error = caught(static, panel_of(still))
    assert (error.why, error.kind, error.label) == ("collinear", "covariate", 0)
    a["covariates"][:, :, 1] = 2 * a["covariates"][:, :, 0] + np.arange(5)
    error = caught(static, panel_of(a))
    assert (error.why, error.kind, error.label) == ("collinear", "covariate", 1)
    plain = arrays()
    assert caught(static, panel_of(plain | {"start": np.full(60, 1999)})).why == "collinear"
    assert caught(static, panel_of(plain | {"start": np.full(60, NEVER)})).why == "no-treated"
    assert caught(static, panel_of(plain | {"clusters": np.zeros(60, dtype=int)})).why == "single-cluster"
    early = plain["start"].copy()
    early[[3, 7]] = 2000
    error = caught(interaction_weighted, panel_of(plain | {"start": early}))
    assert (error.why, error.units) == ("always-treated", (3, 7))
    assert caught(interaction_weighted, panel_of(plain | {"start": np.full(60, 2004)})).why == "no-comparison"
    assert caught(interaction_weighted, panel_of(plain | {"start": np.full(60, NEVER)})).why == "no-treated"


def test_a_cell_without_comparison_is_named() -> None:
    a = arrays(n=30)
    a["outcome"][a["start"] == NEVER, 4] = np.nan
    error = caught(interaction_weighted, panel_of(a))
    assert error.why == "collinear"
    assert error.cells[0][1] == 2005


@pytest.mark.parametrize(
    "change",
    [
        {"weights": -np.ones(60)}, {"weights": np.zeros(60)}, {"weights": np.ones(59)}, {"periods": PERIODS[::-1]},
        {"start": np.full(59, 2002)}, {"clusters": np.zeros(3, dtype=int)}, {"outcome": np.full((60, 5), np.inf)},
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_used(change: dict[str, Any]) -> None:
    assert caught(panel_of, arrays() | change).why == "shape"
