"""Imputation and two-stage estimates beside slow twins with a dummy for every effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.kernels import two_way_moments
from evaltoolkit.kernels.aggregate import Kind, Sizes, aggregate
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.imputation import imputation, pre_trends
from evaltoolkit.kernels.saturated import extended_two_way
from evaltoolkit.kernels.two_stage import two_stage, two_stage_cells
from evaltoolkit.kernels.two_way import Window
from tests.kernels.test_two_way import PERIODS, SETTINGS, Twin, arrays, caught, panel_of

NONE = Sizes(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 0)))


class Imputed:
    """First stage with dummies, and what it needs for errors."""

    def __init__(self, a: dict[str, Any]) -> None:
        twin = self.twin = Twin(a)
        self.treated = twin.period >= twin.start
        self.Z = np.hstack([twin.dummies, twin.x])
        free = ~self.treated
        root = np.sqrt(twin.w[free])[:, None]
        theta = np.linalg.lstsq(self.Z[free] * root, twin.y[free] * root[:, 0], rcond=None)[0]
        self.left = twin.y - self.Z @ theta
        gram = self.Z[free].T @ (self.Z[free] * twin.w[free][:, None])
        self.inverse = np.linalg.pinv(gram, rcond=1e-10)

    def observation_weights(self, wanted: np.ndarray) -> np.ndarray:
        """Return v such that v @ y is the estimate wanted @ left over treated observations."""
        v = wanted.copy()
        free = ~self.treated
        v[free] -= self.twin.w[free] * (self.Z[free] @ (self.inverse @ (self.Z.T @ wanted)))
        return v

    def clustered(self, terms: np.ndarray) -> np.ndarray:
        codes = np.unique(self.twin.cluster)
        return np.array([terms[self.twin.cluster == c].sum(axis=0) for c in codes])


@pytest.mark.parametrize("centre", ["all", "leave-one-out"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_imputation_equals_the_slow_twin(setting: str, centre: Any) -> None:
    a = arrays(n=80, **SETTINGS[setting])
    found, slow = imputation(panel_of(a), centre), Imputed(a)
    twin, K = slow.twin, found.att.size
    terms = np.zeros((twin.y.size, K))
    for k, (g, t) in enumerate(zip(found.cohort, found.period, strict=True)):
        inside = (twin.start == g) & (twin.period == t)
        wanted = np.where(inside, twin.w, 0) / twin.w[inside].sum()
        v = slow.observation_weights(wanted)
        assert found.att[k] == pytest.approx(v @ twin.y, abs=1e-10)
        assert found.att[k] == pytest.approx(wanted @ slow.left, abs=1e-10)
        assert found.n[k] == inside.sum()
        e = slow.left.copy()
        for i in np.flatnonzero(inside):
            others = inside & (twin.cluster != twin.cluster[i]) if centre == "leave-one-out" else inside
            e[i] = slow.left[i] - np.average(slow.left[others], weights=v[others] ** 2)
        terms[:, k] = v * e
    expected = slow.clustered(terms)
    assert found.scores.T @ found.scores == pytest.approx(expected.T @ expected, rel=1e-8, abs=1e-13)
    if setting == "all":
        assert found.scores == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("window", [None, Window(), Window(first=-2, last=1), Window((), first=0, outside="drop")])
def test_two_stage_equals_the_slow_twin(setting: str, window: Window | None) -> None:
    a = arrays(n=80, **SETTINGS[setting])
    found, slow = two_stage(panel_of(a), window), Imputed(a)
    twin = slow.twin
    since = np.where(twin.start == NEVER, -999, twin.period - np.where(twin.start == NEVER, 0, twin.start))
    if window is None:
        X = slow.treated[:, None].astype(float)
    else:
        drop = window.outside == "drop"
        low = -98 if window.first is None or drop else window.first
        clipped = np.where(since == -999, since, np.clip(since, low, 99 if window.last is None else window.last))
        X = np.column_stack([clipped == e for e in found.labels]).astype(float)
    wX = X * twin.w[:, None]
    bread = np.linalg.inv(X.T @ wX)
    beta = bread @ wX.T @ slow.left
    assert found.coefficients == pytest.approx(beta, abs=1e-10)
    u = slow.left - X @ beta
    first = (slow.Z * (~slow.treated * twin.w * slow.left)[:, None]) @ slow.inverse @ slow.Z.T @ wX
    terms = (wX * u[:, None] - first) @ bread
    expected = slow.clustered(terms)
    assert found.scores.T @ found.scores == pytest.approx(expected.T @ expected, rel=1e-8, abs=1e-13)
    assert found.weight == pytest.approx(wX.sum(axis=0))


@pytest.mark.parametrize("setting", ["plain", "all"])
def test_pre_trends_use_untreated_observations_only(setting: str) -> None:
    a = arrays(n=80, **SETTINGS[setting])
    found = pre_trends(panel_of(a), (-3, -2))
    twin = Twin(a, PERIODS[None, :] < a["start"][:, None])
    since = twin.period - np.where(twin.start == NEVER, 0, twin.start)
    never = twin.start == NEVER
    beta, _, scores, _ = twin.fit(np.column_stack([*((since == e) & ~never for e in (-3, -2)), twin.x]).astype(float))
    assert found.labels.tolist() == [-3, -2]
    assert found.coefficients == pytest.approx(beta, abs=1e-10)
    expected = twin.clustered(scores, beta.size + twin.periods.shape[1])
    assert found.covariance == pytest.approx(expected, rel=1e-8, abs=1e-13)
    later = a["outcome"] + 100 * (a["start"][:, None] <= PERIODS)
    assert pre_trends(panel_of(a | {"outcome": later}), (-3, -2)).coefficients == pytest.approx(beta, abs=1e-10)


@pytest.mark.parametrize("kind", ["simple", "dynamic", "group", "calendar"])
def test_aggregations_are_averages_of_observations(kind: Kind) -> None:
    a = arrays(n=80, holes=True)
    found, slow = imputation(panel_of(a)), Imputed(a)
    got = aggregate(kind, found.cohort, found.period, found.att, found.scores, NONE, found.weight)
    key = {"simple": slow.twin.start * 0, "dynamic": slow.twin.period - slow.twin.start, "group": slow.twin.start,
           "calendar": slow.twin.period}[kind]  # fmt: skip
    if kind == "simple":
        assert got.overall == pytest.approx(slow.left[slow.treated].mean(), abs=1e-11)
        return
    for label, value in zip(got.labels, got.rows, strict=True):
        assert value == pytest.approx(slow.left[slow.treated & (key == label)].mean(), abs=1e-11)
    rows = np.eye(found.att.size)[:2]
    assert found.weighted(rows)[0] == pytest.approx(found.att[:2])
    assert found.weighted(rows)[1] == pytest.approx(found.scores[:, :2])


def test_in_a_complete_panel_imputation_equals_the_extended_regression() -> None:
    panel = panel_of(arrays(weights=1))
    assert imputation(panel).att == pytest.approx(extended_two_way(panel).att, abs=1e-11)


def test_two_stage_cells_differ_from_imputation_only_where_weights_do() -> None:
    panel = panel_of(arrays())
    one, two = imputation(panel), two_stage_cells(panel)
    assert two.att == pytest.approx(one.att, abs=1e-12)
    assert two.scores == pytest.approx(one.scores, abs=1e-12)
    heavy = panel_of(arrays(weights=1))
    assert np.abs(imputation(heavy).scores - two_stage_cells(heavy).scores).max() > 1e-4


@pytest.mark.parametrize("how", [imputation, two_stage, two_stage_cells])
def test_cross_products_stand_in_for_rows(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in ("plain", "weights", "holes", "covariates"):
        panel = panel_of(arrays(**SETTINGS[setting]))
        rows = how(panel).scores
        monkeypatch.setattr(two_way_moments, "MANY", 10)
        few = how(panel).scores
        monkeypatch.undo()
        assert few.shape[0] == few.shape[1]
        assert few.T @ few == pytest.approx(rows.T @ rows, rel=1e-9, abs=1e-13)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), name=st.sampled_from([*SETTINGS]))
def test_order_level_and_scale(seed: int, scale: float, name: str) -> None:
    a = arrays(seed=seed, n=80, **SETTINGS[name])
    rng = np.random.default_rng(seed)
    order = rng.permutation(80)
    moved = {k: v if k == "periods" else v[order] for k, v in a.items()}
    moved["outcome"] = scale * moved["outcome"] + 1e3 * rng.normal(size=(80, 1)) + 1e3 * rng.normal(size=5)
    one, two = imputation(panel_of(a)), imputation(panel_of(moved))
    assert two.att == pytest.approx(scale * one.att, abs=1e-9 * max(scale, 1))
    close = {"rel": 1e-6, "abs": 1e-10 * max(scale**2, 1)}
    assert two.scores.T @ two.scores == pytest.approx(scale**2 * one.scores.T @ one.scores, **close)


def test_a_constant_effect_without_noise_is_found_exactly() -> None:
    a = arrays(n=40, holes=True, groups=2)
    unit, effects = np.arange(40.0)[:, None], np.array([[0, 1, 4, 2, 7.0], [3, 3, 1, 0, 0]])[a["groups"]]
    y = unit + effects + 5 * (a["start"][:, None] <= PERIODS)
    found = imputation(panel_of(a | {"outcome": np.where(np.isfinite(a["outcome"]), y, np.nan)}))
    assert found.att == pytest.approx(np.full(found.att.size, 5), abs=1e-10)
    assert np.abs(found.scores).max() < 1e-10


def test_what_is_not_identified_is_named() -> None:
    a = arrays()
    kept = {k: v if k == "periods" else v[a["start"] < NEVER] for k, v in a.items()}
    for how in (imputation, two_stage, two_stage_cells):
        error = caught(how, panel_of(kept))
        assert (error.why, error.kind) == ("unidentified", "cell")
        assert error.cells == ((2002, 2005), (2004, 2005), (2005, 2005))
        gone = a["outcome"].copy()
        gone[5] = np.where(PERIODS < 2002, np.nan, gone[5])
        starts = a["start"].copy()
        starts[5], starts[9] = 2002, 1990
        error = caught(how, panel_of(a | {"outcome": gone, "start": starts}))
        assert (error.why, error.units) == ("always-treated", (5, 9))
        error = caught(how, panel_of(a | {"covariates": np.ones((60, 5, 1)) * np.arange(5)[:, None]}))
        assert (error.why, error.kind, error.label) == ("collinear", "covariate", 0)
        assert caught(how, panel_of(a | {"start": np.full(60, NEVER)})).why == "no-treated"
        assert caught(how, panel_of(a | {"clusters": np.zeros(60, dtype=int)})).why == "single-cluster"
    assert caught(pre_trends, panel_of(a), (3,)).why == "no-treated"


@pytest.mark.parametrize("more", [{}, {"weights": 1}, {"clusters": 20}])
def test_a_cell_of_one_cluster_has_no_other(more: dict[str, Any]) -> None:
    a = arrays(**more)
    a["start"] = np.where(a["start"] == 2004, NEVER, a["start"])
    a["start"][4] = 2004
    error = caught(imputation, panel_of(a), "leave-one-out")
    assert (error.why, error.cells) == ("single-cluster", ((2004, 2004), (2004, 2005)))
    assert np.isfinite(imputation(panel_of(a)).scores).all()
