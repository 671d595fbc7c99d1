"""Errors for few clusters from moment tables beside those of the rows."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest

from evaltoolkit.designs.did.cell_study import CellStudy
from evaltoolkit.designs.did.estimators import Uncertainty, assembled, cell_study, path_estimator, steady_estimator
from evaltoolkit.designs.did.family import Family
from evaltoolkit.designs.did.inference import choose
from evaltoolkit.designs.did.method_words import brief
from evaltoolkit.designs.did.moment_estimators import cells_of
from evaltoolkit.designs.did.moment_inference import choice_of, means_of
from evaltoolkit.designs.did.moment_studies import deleted_of, panel_of, path_study_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.path_study import path_study
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.aggregate import Kind
from evaltoolkit.kernels.cluster_means import GroupMeans, cluster_means, group_means
from evaltoolkit.kernels.few_treated import welch
from evaltoolkit.kernels.group_time import NEVER
from evaltoolkit.kernels.moment_cells import MomentsError
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.kernels.placebo_cells import Sample
from evaltoolkit.reduction import Panel
from evaltoolkit.study import Inference, Outcome, Study
from tests.designs.test_did_moments import CELLS, PERIODS, options, table, world

CLOSE = 1e-10


def asking(method: str) -> Study:
    inference = Inference(method=method, draws=199)
    return Study(design="difference-in-differences", title="A world", outcome=Outcome("y"), inference=inference)


def counties(
    sizes: tuple[int, ...] = (6, 9, 20), starts: tuple[int, ...] = (2002, 2004, NEVER), seed: int = 5, **keys: Any
) -> Panel:
    """Clusters of units that start together, so that starts can be dealt out anew."""
    panel = world(seed, 160, **keys)
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    clusters = np.concatenate([np.arange(of.size), rng.integers(0, of.size, 160 - of.size)])
    start = np.array(starts)[of][clusters]
    y = panel.outcome + rng.normal(size=(of.size, 5))[clusters] + (start[:, None] <= panel.periods)
    return dataclasses.replace(panel, outcome=y, start=start, clusters=clusters)


def mixed(**keys: Any) -> Panel:
    """Few clusters that hold units of several starts."""
    panel = world(9, 160, starts=(2002, 2004, NEVER), **keys)
    return dataclasses.replace(panel, clusters=np.random.default_rng(2).integers(0, 9, 160))


def counted(panel: Panel) -> tuple[int, int, int, int]:
    treated = panel.start <= panel.periods[-1]
    cohorts = [np.unique(panel.clusters[panel.start == g]).size for g in np.unique(panel.start[treated])]
    sizes = [int(np.unique(panel.clusters[m]).size) for m in (treated, ~treated)]
    return min(cohorts), *sizes, panel.n_clusters  # type: ignore[return-value]


def same(found: Family | None, wanted: Family | None, tolerance: float = CLOSE) -> None:
    assert (found is None) == (wanted is None)
    if found is None or wanted is None:
        return
    assert found.labels.tolist() == wanted.labels.tolist()
    np.testing.assert_allclose(found.values, wanted.values, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.df, wanted.df, rtol=1e-8)
    V, W = found.covariance, wanted.covariance
    assert np.isnan(V).tolist() == np.isnan(W).tolist()
    scale = np.sqrt(np.diag(W))
    scale[~(scale > 0)] = 1.0
    np.testing.assert_allclose(V / np.outer(scale, scale), W / np.outer(scale, scale), rtol=0, atol=tolerance)
    assert (found.known is None) == (wanted.known is None)
    for a, b in zip(found.known or (), wanted.known or (), strict=True):
        for x, y in zip(dataclasses.astuple(a), dataclasses.astuple(b), strict=True):
            assert (x is None) == (y is None)
            assert x is None or x == pytest.approx(y, rel=1e-8, abs=1e-10)


def rows_and_table(panel: Panel, asked: Options, method: str) -> tuple[CellStudy, CellStudy]:
    study = asking(method)
    choice, law = choose(panel, asked.rule if asked.permutable else None, study)
    estimator = steady_estimator(asked, asked.rule)
    assert estimator is not None
    wanted = cell_study(panel, estimator, asked.shown, jackknife=choice.way == "jackknife", law=law)
    moments = table(panel)
    mine, own = choice_of(moments, asked.rule if asked.permutable else None, study, counted(panel))
    assert mine == choice
    found = cells_of(moments, asked)
    by = Uncertainty(deleted_of(moments, asked, found) if mine.way == "jackknife" else None, own)
    return assembled(found, asked.shown, PERIODS, mine.n_comparison, by), wanted


def same_studies(found: CellStudy, wanted: CellStudy) -> None:
    assert found.n_comparison_clusters == wanted.n_comparison_clusters
    for kind in get_args(Kind):
        same(found.overall(kind), wanted.overall(kind))
        same(found.family(kind), wanted.family(kind))
        same(found.log_ratio(kind), wanted.log_ratio(kind))
    same(found.family("cells"), wanted.family("cells"))


@pytest.mark.parametrize("estimator", CELLS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [counties, mixed])
def test_the_jackknife_equals_the_rows(estimator: str, make: Any, *, weighted: bool) -> None:
    if estimator == "imputation" and weighted:
        return
    panel = make(weighted=weighted)
    for comparison in ("never-treated", "not-yet-treated"):
        keys = {"comparison": comparison} if estimator in {"callaway-santanna", "etwfe"} else {}
        same_studies(*rows_and_table(panel, options(estimator, **keys), "jackknife"))


@pytest.mark.parametrize("adjust", ["doubly-robust", "regression"])
def test_the_jackknife_with_covariates_equals_the_rows(adjust: str) -> None:
    panel = mixed(adjusted=True)
    same_studies(*rows_and_table(panel, options(adjust=adjust, covariates=("x", "z")), "jackknife"))


def test_a_cohort_of_one_cluster_is_missing_without_it() -> None:
    for estimator in CELLS:
        found, wanted = rows_and_table(counties(sizes=(1, 4, 12)), options(estimator), "jackknife")
        assert found.deleted is not None
        assert wanted.deleted is not None
        for name in ("effects", "levels", "counts"):
            np.testing.assert_allclose(getattr(found.deleted, name), getattr(wanted.deleted, name), atol=CLOSE)
        assert np.isnan(found.deleted.effects[0]).any()
        assert found.deleted.present.tolist() == wanted.deleted.present.tolist()


def test_as_many_rows_as_the_model_has_coefficients_are_enough() -> None:
    """One unit-start pair for each cluster left: a model of units has rows to spare, and so do pairs."""
    panel = world(4, 60, starts=(2002, NEVER))
    panel = dataclasses.replace(panel, clusters=np.where(panel.start == 2002, 0, 1 + np.arange(60) % 2))
    found, wanted = rows_and_table(panel, options("etwfe", comparison="never-treated"), "jackknife")
    assert found.deleted is not None
    assert wanted.deleted is not None
    assert np.isfinite(found.deleted.effects[1:]).all()
    np.testing.assert_allclose(found.deleted.effects, wanted.deleted.effects, atol=CLOSE)


@pytest.mark.parametrize("method", ["auto", "welch", "scaled", "randomization", "conley-taber", "ferman-pinto",
                                    "bootstrap", "analytic"])  # fmt: skip
def test_by_cluster_every_method_is_that_of_the_rows(method: str) -> None:
    for keys in ({}, {"weighted": True}):
        same_studies(*rows_and_table(counties(**keys), options(), method))


@pytest.mark.parametrize("sizes", [(9, 9, 20), (31, 32, 40), (3, 3, 15), (1, 0, 12), (2, 2, 30)])
def test_by_cluster_auto_chooses_as_with_rows(sizes: tuple[int, ...]) -> None:
    panel = counties(sizes=sizes)
    same_studies(*rows_and_table(panel, options(), "auto"))
    same_studies(*rows_and_table(panel, options("sun-abraham"), "auto"))
    adjusted = counties(sizes=(4, 4, 16), adjusted=True)
    same_studies(*rows_and_table(adjusted, options(covariates=("x", "z"), adjust="regression"), "auto"))


@pytest.mark.parametrize("method", ["auto", "jackknife", "randomization", "bootstrap"])
@pytest.mark.parametrize("make", [counties, mixed])
def test_by_cluster_with_holes_every_method_is_that_of_the_rows(method: str, make: Any) -> None:
    panel = make(weighted=True)
    lost = np.random.default_rng(1).uniform(size=panel.outcome.shape) < 0.1
    panel = dataclasses.replace(panel, outcome=np.where(lost, np.nan, panel.outcome))
    if method == "randomization" and make is mixed:
        return
    same_studies(*rows_and_table(panel, options(), method))


def test_units_with_holes_have_analytic_errors() -> None:
    panel = world(11, 70, starts=(2002, 2004, NEVER))
    lost = np.random.default_rng(1).uniform(size=panel.outcome.shape) < 0.1
    panel = dataclasses.replace(panel, outcome=np.where(lost, np.nan, panel.outcome))
    found, law = choice_of(table(panel), options().rule, asking("auto"), counted(panel))
    assert (found.way, found.why, law) == ("analytic", "rows-stay", None)
    with pytest.raises(OptionError, match="units are missing in some periods"):
        choice_of(table(panel), options().rule, asking("welch"), counted(panel))


@pytest.mark.parametrize("estimator", ["twfe", "two-stage", "two-by-two"])
@pytest.mark.parametrize("method", ["auto", "jackknife", "analytic"])
def test_paths_equal_the_rows(estimator: str, method: str) -> None:
    one = estimator == "two-by-two"
    for panel in (
        counties(starts=(2002, 2002 if one else 2004, NEVER)),
        counties(starts=(2002, 2002 if one else 2004, NEVER), weighted=True, level=3.0),
        counties() if not one else counties(starts=(2002, 2002, NEVER), adjusted=True),
    ):
        asked = options(estimator, covariates=("x", "z")) if panel.covariates.shape[2] else options(estimator)
        study, moments = asking(method), table(panel)
        choice, _ = choose(panel, None, study, "last-compared" if estimator == "twfe" else "")
        mine, law = choice_of(moments, None, study, counted(panel), "last-compared" if estimator == "twfe" else "")
        assert mine == choice
        assert law is None
        found, wanted = path_study_of(moments, asked, mine), path_study(panel, path_estimator(asked), choice, study)
        for name in ("effect", "events", "log_ratio"):
            same(getattr(found, name), getattr(wanted, name))
        np.testing.assert_allclose(found.covariate_effects, wanted.covariate_effects, rtol=1e-8)


def test_without_never_treated_the_last_cohort_is_compared_with() -> None:
    panel = counties(starts=(2002, 2004, 2005))
    study, moments = asking("auto"), table(panel)
    choice, _ = choose(panel, None, study, "last-compared")
    assert choice_of(moments, None, study, counted(panel), "last-compared")[0] == choice
    alone = dataclasses.replace(panel, clusters=np.arange(160))
    choice, _ = choose(alone, None, study, "last-compared")
    found = choice_of(table(alone), None, study, counted(alone), "last-compared")[0]
    assert (found.n_comparison, found.smallest_cohort) == (choice.n_comparison, choice.smallest_cohort)


@pytest.mark.parametrize("adjusted", [False, True])
def test_means_by_start_equal_the_rows(*, adjusted: bool) -> None:
    panel = world(11, 60, starts=(2002, 2004, 2007, NEVER), adjusted=adjusted)
    rule = options(anticipation=1).rule
    sample = Sample(panel.outcome, panel.start, panel.periods, panel.design, rule, panel.clusters, np.ones(60))
    wanted, found = group_means(cluster_means(sample)), means_of(table(panel), rule)
    assert isinstance(found, GroupMeans)
    for name in ("starts", "clusters", "size", "mean", "covariance", "lost", "never"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-11)
    for kind in (*get_args(Kind), "cells"):
        a, b = welch(found, kind), welch(cluster_means(sample), kind)
        np.testing.assert_allclose(a.values, b.values, atol=CLOSE)
        np.testing.assert_allclose(a.std_error, b.std_error, rtol=CLOSE)
        np.testing.assert_allclose(a.df, b.df, rtol=CLOSE)
    twice = dataclasses.replace(panel, weights=np.full(60, 2.0))
    assert isinstance(means_of(table(twice), rule), GroupMeans)
    with pytest.raises(MomentsError):
        means_of(table(dataclasses.replace(panel, weights=np.linspace(1, 2, 60))), rule)


@pytest.mark.parametrize("method", ["auto", "welch"])
def test_units_that_are_clusters_have_the_errors_of_welch(method: str) -> None:
    panel = world(11, 70, starts=(2002, 2004, NEVER))
    same_studies(*rows_and_table(panel, options(), method))


def few_units(*, level: float = 30.0) -> Panel:
    """Starts of 3, 6 and 12 units."""
    panel = world(21, 120, starts=(2002, 2004, NEVER), level=level)
    kept = np.concatenate([np.flatnonzero(panel.start == g)[:k] for g, k in ((2002, 3), (2004, 6), (NEVER, 12))])
    return panel.where(np.isin(np.arange(120), kept))


@pytest.mark.parametrize("estimator", CELLS)
def test_without_each_unit_sums_say_what_the_rows_do(estimator: str) -> None:
    for comparison in ("never-treated", "not-yet-treated"):
        keys = {"comparison": comparison} if estimator in {"callaway-santanna", "etwfe"} else {}
        asked = options(estimator, **keys)
        found, wanted = rows_and_table(few_units(), asked, "jackknife")
        assert found.deleted is not None
        for kind in get_args(Kind):
            same(found.overall(kind), wanted.overall(kind))
            same(found.family(kind), wanted.family(kind))
            # The ratio is not linear in the means: its error agrees to what is of second order.
            a, b = found.log_ratio(kind), wanted.log_ratio(kind)
            assert a is not None
            assert b is not None
            assert a.std_error[0] == pytest.approx(b.std_error[0], rel=2e-3)
        same(found.family("cells"), wanted.family("cells"))
    if estimator != "callaway-santanna":
        same(rows_and_table(few_units(), options(estimator), "auto")[0].overall("group"),
             rows_and_table(few_units(), options(estimator), "jackknife")[1].overall("group"))  # fmt: skip


@pytest.mark.parametrize("estimator", CELLS)
def test_without_the_only_unit_of_a_start_there_is_no_error(estimator: str) -> None:
    panel = few_units()
    panel = panel.where((panel.start != 2002) | (np.cumsum(panel.start == 2002) == 1))
    found, wanted = rows_and_table(panel, options(estimator), "jackknife")
    for kind in get_args(Kind):
        same(found.family(kind), wanted.family(kind))
        same(found.overall(kind), wanted.overall(kind))


@pytest.mark.parametrize("estimator", ["twfe", "two-stage", "two-by-two"])
def test_paths_without_each_unit_equal_the_rows(estimator: str) -> None:
    panel = few_units()
    if estimator == "two-by-two":
        panel = panel.where(panel.start != 2004)
    asked, study = options(estimator), asking("auto")
    choice, _ = choose(panel, None, study, "last-compared" if estimator == "twfe" else "")
    mine, _ = choice_of(table(panel), None, study, counted(panel), "last-compared" if estimator == "twfe" else "")
    assert mine == choice
    assert mine.way == "jackknife"
    found, wanted = path_study_of(table(panel), asked, mine), path_study(panel, path_estimator(asked), choice, study)
    same(found.effect, wanted.effect)
    same(found.events, wanted.events)
    assert found.log_ratio is not None
    assert wanted.log_ratio is not None
    # Not linear in the means: with three treated units the error agrees to what is of second order.
    assert found.log_ratio.std_error[0] == pytest.approx(wanted.log_ratio.std_error[0], rel=1e-2)


def test_where_units_are_clusters_auto_says_what_it_cannot_do() -> None:
    study, small = asking("auto"), world(11, 70, starts=(2002, 2004, NEVER))
    uneven = dataclasses.replace(small, weights=np.linspace(1, 2, 70))
    found, law = choice_of(table(uneven), None, study, counted(uneven))
    assert (found.way, found.why, law) == ("analytic", "rows-stay", None)
    assert "need the rows" in brief(found)
    assert "tend to be too small" in brief(found)
    assert choice_of(table(uneven), options().rule, study, counted(uneven))[0].way == "analytic"
    many = world(n=400)
    found, law = choice_of(table(many), options().rule, study, counted(many))
    assert (found.way, found.why, law) == ("analytic", "many", None)
    few = world(11, 20, starts=(2002, 2004, NEVER))
    few = few.where(~((few.start == 2002) & (np.cumsum(few.start == 2002) > 3)))
    found, law = choice_of(table(few), options().rule, study, counted(few))
    assert (found.way, found.why) == ("welch", "rows-stay")


@pytest.mark.parametrize("method", ["randomization", "scaled", "conley-taber", "ferman-pinto", "bootstrap"])
def test_methods_that_need_units_say_so(method: str) -> None:
    panel = world(11, 70, starts=(2002, 2004, NEVER))
    with pytest.raises(OptionError, match="needs the rows") as caught:
        choice_of(table(panel), options().rule, asking(method), counted(panel))
    assert 'release = "open"' in caught.value.todo
    uneven = dataclasses.replace(panel, weights=np.linspace(1, 2, 70))
    with pytest.raises(OptionError, match="'jackknife' needs the rows"):
        choice_of(table(uneven), options().rule, asking("jackknife"), counted(uneven))


@pytest.mark.parametrize("method", ["cr1", "cr2", "cr3", "wild-cluster"])
def test_methods_that_need_rows_of_a_regression_say_so(method: str) -> None:
    panel = counties()
    with pytest.raises(OptionError, match="needs the rows"):
        choice_of(table(panel), None, asking(method), counted(panel))


def test_methods_that_do_not_fit_say_so_as_with_rows() -> None:
    for panel, method in (
        (mixed(), "welch"),
        (counties(sizes=(1, 4, 20)), "welch"),
        (counties(sizes=(4, 4, 3)), "scaled"),
    ):
        study = asking(method)
        with pytest.raises(OptionError) as wanted:
            choose(panel, options().rule, study)
        with pytest.raises(OptionError) as found:
            choice_of(table(panel), options().rule, study, counted(panel))
        assert found.value.message == wanted.value.message


def test_pairs_keep_the_weight_and_the_clusters() -> None:
    panel = counties(weighted=True)
    moments = table(panel)
    assert isinstance(moments, ClusterMoments)
    pairs = panel_of(moments)
    assert pairs.weights is not None
    assert panel.weights is not None
    assert pairs.weights.sum() == pytest.approx(panel.weights.sum())
    assert pairs.n_clusters == panel.n_clusters
    assert pairs.start.size <= 2 * moments.units.size
