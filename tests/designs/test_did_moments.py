"""The estimators of difference-in-differences on moment tables beside the same on rows."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.designs.did.cell_estimators import CellEstimator, Estimated, GroupTimes
from evaltoolkit.designs.did.estimators import path_estimator
from evaltoolkit.designs.did.family import Family
from evaltoolkit.designs.did.model_cells import Extended
from evaltoolkit.designs.did.moment_estimators import ON_MOMENTS, cells_of, check_moments, path_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_estimators import PathFit
from evaltoolkit.designs.did.path_study import _log_ratio
from evaltoolkit.designs.did.two_way_cells import Imputation, InteractionWeighted
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.cohort_moments import CohortMoments, cohort_moments, combined
from evaltoolkit.kernels.group_time import NEVER
from evaltoolkit.kernels.moment_clusters import ClusterMoments, cluster_moments, combined_clusters
from evaltoolkit.kernels.pattern_moments import pattern_clusters, pattern_moments
from evaltoolkit.reduction import Panel

PERIODS = np.array([2000, 2001, 2002, 2004, 2005])
CLOSE = 1e-10
CELLS = ("callaway-santanna", "sun-abraham", "imputation", "etwfe")
PATHS = ("twfe", "two-stage", "two-by-two")
Moments = CohortMoments | ClusterMoments


def options(estimator: str = "callaway-santanna", **keys: Any) -> Options:
    return Options.model_validate(
        {"unit": "u", "time": "t", "first_treated": "g", "estimator": estimator, "cluster": "c", **keys}
    )


def world(
    seed: int = 3, n: int = 160, starts: tuple[int, ...] = (2002, 2004, 2005, 2007, NEVER), *, adjusted: bool = False,
    weighted: bool = False, clustered: bool = False, level: float = 30.0,
) -> Panel:  # fmt: skip
    """A complete panel with discrete covariates; 2007 is a start after the last period."""
    rng = np.random.default_rng(seed)
    start = np.concatenate([np.tile(starts, 4), np.array(starts)[rng.integers(0, len(starts), n - 4 * len(starts))]])
    x = np.stack([rng.integers(0, 2, n).astype(float), rng.integers(0, 3, n) * 0.7], axis=1)
    y = level + 2 * rng.normal(size=(n, 1)) + rng.normal(size=(n, 5)) + 0.3 * x.sum(axis=1)[:, None] * np.arange(5)
    y += (start[:, None] <= PERIODS) * 1.5
    X = np.repeat(x[:, None], 5, axis=1) if adjusted else np.zeros((n, 5, 0))
    clusters = np.unique(rng.integers(0, 20, n), return_inverse=True)[1] if clustered else np.arange(n)
    w = rng.uniform(0.5, 3, n) if weighted else None
    return Panel(y, start, PERIODS, X, clusters.astype(np.int64), None, w, np.arange(n))


def table(panel: Panel, shift: np.ndarray | None = None) -> Moments:
    design = panel.design[:, 0]
    alone, by_cluster = (cohort_moments, cluster_moments) if panel.whole else (pattern_moments, pattern_clusters)
    if panel.n_clusters == panel.start.size:
        return alone(panel.outcome, panel.start, panel.periods, design, panel.weights, shift)
    return by_cluster(panel.outcome, panel.start, panel.periods, design, panel.clusters * 3 + 1, panel.weights, shift)


def by_rows(asked: Options) -> CellEstimator:
    return {
        "callaway-santanna": GroupTimes(asked.rule), "sun-abraham": InteractionWeighted(),
        "imputation": Imputation(), "etwfe": Extended("linear", asked.rule),
    }[asked.estimator]  # fmt: skip


def close(V: np.ndarray, W: np.ndarray, tolerance: float = CLOSE) -> None:
    """Whether two covariance matrices agree, as shares of the standard errors."""
    scale = np.sqrt(np.diag(W))
    scale[scale == 0] = 1.0
    np.testing.assert_allclose(V / np.outer(scale, scale), W / np.outer(scale, scale), rtol=0, atol=tolerance)


def columns(found: Estimated) -> np.ndarray:
    s = found.study
    return np.hstack([s.cells.scores, s.level_scores, s.sizes.by_cluster])


def same_cells(found: Estimated, wanted: Estimated, tolerance: float = CLOSE) -> None:
    a, b = found.study, wanted.study
    for name in ("cohort", "period", "base", "n_treated", "n_comparison"):
        assert getattr(a.cells, name).tolist() == getattr(b.cells, name).tolist(), name
    np.testing.assert_allclose(a.cells.att, b.cells.att, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(a.levels, b.levels, rtol=tolerance)
    assert a.sizes.cohorts.tolist() == b.sizes.cohorts.tolist()
    np.testing.assert_allclose(a.sizes.counts, b.sizes.counts, rtol=tolerance)
    assert found.df == wanted.df
    assert (found.weights is None) == (wanted.weights is None)
    if found.weights is not None and wanted.weights is not None:
        np.testing.assert_allclose(found.weights, wanted.weights, rtol=tolerance)
    # Effects, levels and sizes together: the covariance between them too.
    A, B = columns(found), columns(wanted)
    close(A.T @ A, B.T @ B, tolerance)
    assert (found.before is None) == (wanted.before is None)
    if found.before is not None and wanted.before is not None:
        assert found.before.labels.tolist() == wanted.before.labels.tolist()
        np.testing.assert_allclose(found.before.values, wanted.before.values, rtol=tolerance, atol=tolerance)
        close(found.before.covariance, wanted.before.covariance, tolerance)
        assert found.before.df.tolist() == wanted.before.df.tolist()


def same_paths(found: PathFit, wanted: PathFit, panel: Panel, tolerance: float = CLOSE) -> None:
    assert found.effect == pytest.approx(wanted.effect, rel=tolerance)
    assert found.scores @ found.scores == pytest.approx(wanted.scores @ wanted.scores, rel=tolerance)
    assert found.labels.tolist() == wanted.labels.tolist()
    assert (found.df, found.path_df.tolist()) == (wanted.df, wanted.path_df.tolist())
    np.testing.assert_allclose(found.path, wanted.path, rtol=tolerance, atol=tolerance)
    close(found.path_scores.T @ found.path_scores, wanted.path_scores.T @ wanted.path_scores, tolerance)
    np.testing.assert_allclose(found.covariate_effects, wanted.covariate_effects, rtol=1e-8, atol=1e-10)
    on = panel.periods >= panel.start[:, None]
    w = on * (1.0 if panel.weights is None else panel.weights[:, None])
    mean = float((w * panel.outcome).sum() / w.sum())
    assert found.level == pytest.approx(mean, rel=tolerance)
    psi = np.bincount(panel.clusters, weights=(w * (panel.outcome - mean)).sum(axis=1) / w.sum())
    assert found.level_scores is not None
    assert found.level_scores @ found.level_scores == pytest.approx(psi @ psi, rel=tolerance)
    assert found.level_scores @ found.scores == pytest.approx(
        psi @ wanted.scores, abs=tolerance * np.sqrt((psi @ psi) * (wanted.scores @ wanted.scores))
    )


RULES = list(itertools.product(("never-treated", "not-yet-treated"), ("varying", "universal"), (0, 1)))
KINDS = list(itertools.product((False, True), (False, True)))


def rules(estimator: str) -> list[dict[str, Any]]:
    keys = ("comparison", "base_period", "anticipation")
    if estimator == "callaway-santanna":
        return [dict(zip(keys, rule, strict=True)) for rule in RULES]
    if estimator == "etwfe":
        return [{"comparison": c, "anticipation": a} for c, b, a in RULES if b == "varying"]
    return [{}]


@pytest.mark.parametrize("estimator", CELLS)
@pytest.mark.parametrize(("weighted", "clustered"), KINDS)
def test_cells_equal_the_rows(estimator: str, *, weighted: bool, clustered: bool) -> None:
    panel = world(weighted=weighted, clustered=clustered)
    found = table(panel)
    for keys in rules(estimator):
        asked = options(estimator, **keys)
        if estimator == "imputation" and weighted and clustered:
            with pytest.raises(OptionError, match="sums of squared weights"):
                cells_of(found, asked)
            continue
        same_cells(cells_of(found, asked), by_rows(asked).estimated(panel))


@pytest.mark.parametrize("adjust", ["doubly-robust", "weighting", "regression"])
@pytest.mark.parametrize(("weighted", "clustered"), KINDS)
def test_cells_with_covariates_equal_the_rows(adjust: str, *, weighted: bool, clustered: bool) -> None:
    panel = world(adjusted=True, weighted=weighted, clustered=clustered)
    for keys in rules("callaway-santanna")[::3]:
        asked = options(adjust=adjust, covariates=("x", "z"), **keys)
        same_cells(cells_of(table(panel), asked), by_rows(asked).estimated(panel))


@pytest.mark.parametrize("clustered", [False, True])
def test_cells_of_a_panel_with_holes_equal_the_rows(*, clustered: bool) -> None:
    panel = world(weighted=True, clustered=clustered)
    lost = np.random.default_rng(1).uniform(size=panel.outcome.shape) < 0.15
    panel = dataclasses.replace(panel, outcome=np.where(lost, np.nan, panel.outcome))
    for keys in rules("callaway-santanna"):
        asked = options(**keys)
        same_cells(cells_of(table(panel), asked), by_rows(asked).estimated(panel))
    for estimator in (*CELLS[1:], *PATHS):
        with pytest.raises(OptionError, match="lack some period"):
            (cells_of if estimator in CELLS else path_of)(table(panel), options(estimator))


@pytest.mark.parametrize("estimator", CELLS)
def test_without_never_treated_cells_equal_the_rows(estimator: str) -> None:
    panel = world(starts=(2002, 2004, 2005))
    if estimator in {"imputation", "callaway-santanna"}:
        kept = np.flatnonzero(PERIODS < 2005)
        panel = dataclasses.replace(
            panel, outcome=panel.outcome[:, kept], periods=PERIODS[kept], covariates=panel.covariates[:, kept]
        )
    asked = options(estimator)
    same_cells(cells_of(table(panel), asked), by_rows(asked).estimated(panel))


@pytest.mark.parametrize(
    ("estimator", "window"),
    [("twfe", None), ("twfe", (-2, 1)), ("two-stage", None), ("two-stage", (-2, 1)), ("two-by-two", None)],
)
@pytest.mark.parametrize(("weighted", "clustered"), KINDS)
def test_paths_equal_the_rows(estimator: str, window: Any, *, weighted: bool, clustered: bool) -> None:
    one = estimator == "two-by-two"
    panel = world(starts=(2002, NEVER) if one else (2002, 2004, 2005, 2007, NEVER), weighted=weighted,
                  clustered=clustered, adjusted=one)  # fmt: skip
    keys = {"covariates": ("x", "z")} if one else {"event_window": window}
    asked = options(estimator, **keys)
    found, wanted = path_of(table(panel), asked), path_estimator(asked).fitted(panel)
    same_paths(found, wanted, panel)
    if not one:
        return
    bare = dataclasses.replace(panel, covariates=panel.covariates[:, :, :0])
    asked = options(estimator)
    same_paths(path_of(table(bare), asked), path_estimator(asked).fitted(bare), bare)


@pytest.mark.parametrize("estimator", ["twfe", "two-stage"])
def test_without_never_treated_paths_equal_the_rows(estimator: str) -> None:
    panel = world(starts=(2002, 2004, 2005))
    if estimator == "two-stage":
        panel = dataclasses.replace(
            panel, outcome=panel.outcome[:, :4], periods=PERIODS[:4], covariates=panel.covariates[:, :4]
        )
    asked = options(estimator)
    same_paths(path_of(table(panel), asked), path_estimator(asked).fitted(panel), panel)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6), estimator=st.sampled_from(CELLS + PATHS[:2]), clustered=st.booleans(),
    weighted=st.booleans(), level=st.sampled_from([0.0, 1e4]),
)  # fmt: skip
def test_parts_reduced_apart_any_shift_and_any_order_give_the_same(
    seed: int, estimator: str, *, clustered: bool, weighted: bool, level: float
) -> None:
    weighted = weighted and not (estimator == "imputation" and clustered)
    panel = world(seed, 120, weighted=weighted, clustered=clustered, level=level)
    asked = options(estimator)
    rng = np.random.default_rng(seed)
    part, mixed = rng.integers(0, 3, 120), rng.permutation(120)
    names = ("outcome", "start", "covariates", "clusters", "units", *(("weights",) if weighted else ()))
    pieces = [dataclasses.replace(panel, **{k: getattr(panel, k)[s] for k in names}) for s in
              (part == 0, part == 1, part == 2, mixed)]  # fmt: skip
    # A part's clusters keep their names, and units that are clusters of their own stay so.
    if clustered:
        tables = [cluster_moments(p.outcome, p.start, PERIODS, np.ones((p.start.size, 1)), p.clusters, p.weights)
                  for p in pieces]  # fmt: skip
        whole: list[Moments] = [combined_clusters(*tables[:3]), tables[3]]
    else:
        alone = [cohort_moments(p.outcome, p.start, PERIODS, np.ones((p.start.size, 1)), p.weights) for p in pieces]
        whole = [combined(*alone[:3]), alone[3]]
    whole.append(table(panel, np.round(panel.outcome.mean(axis=0) + rng.normal(size=5), 2)))
    tolerance = 1e-10 * max(1.0, level / 100)
    if estimator in CELLS:
        wanted = by_rows(asked).estimated(panel)
        for found in whole:
            same_cells(cells_of(found, asked), wanted, tolerance)
        return
    path = path_estimator(asked).fitted(panel)
    for found in whole:
        same_paths(path_of(found, asked), path, panel, tolerance)


def test_ratio_has_the_error_of_the_rows_where_rows_are_no_clusters() -> None:
    """The treated mean and the effect vary together."""
    panel = world(level=12.0)
    for estimator in ("twfe", "two-stage"):
        asked = options(estimator)
        found, wanted = path_of(table(panel), asked), path_estimator(asked).fitted(panel)
        mean = found.level
        assert mean is not None
        assert found.level_scores is not None
        without = mean - found.effect
        both = found.level_scores / mean - (found.level_scores - found.scores) / without
        none = np.zeros(1, dtype=np.int64)
        effect = Family(none, np.array([wanted.effect]), wanted.scores[:, None], np.array([9.0]))
        ratio = _log_ratio(panel, wanted, effect, None)
        assert ratio is not None
        assert both @ both == pytest.approx(float(ratio.covariance[0, 0]), rel=CLOSE)
        assert np.log(mean / without) == pytest.approx(float(ratio.values[0]), rel=CLOSE)


@pytest.mark.parametrize(
    "keys",
    [
        {"estimator": "stacked"}, {"estimator": "lp-did"}, {"estimator": "synthetic-did"},
        {"estimator": "triple-difference", "eligible": "e"}, {"estimator": "etwfe", "family": "poisson"},
        {"estimator": "etwfe", "covariates": ("x",)}, {"estimator": "twfe", "covariates": ("x",)},
        {"estimator": "twfe", "period_effects": "r"}, {"estimator": "twfe", "family": "poisson"},
        {"estimator": "imputation", "covariates": ("x",)}, {"panel": False},
        {"estimator": "chaisemartin", "first_treated": None, "treated": "d"},
    ],
    ids=str,
)  # fmt: skip
def test_what_needs_rows_says_so(keys: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="needs the rows") as caught:
        check_moments(options(**keys))
    assert 'release = "open"' in caught.value.todo
    assert all(f"'{name}'" in caught.value.expected for name in ("callaway-santanna", "two-by-two"))


def test_what_needs_no_rows_passes() -> None:
    for name in ON_MOMENTS:
        check_moments(options(name))
    check_moments(options(covariates=("x",)))
