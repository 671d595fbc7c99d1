"""Units one row each, what is estimated from them in memory, and whether an engine finds the same."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaltoolkit.data import EngineSource
from evaltoolkit.kernels.group_time import NEVER, Rule, Study, group_time_study
from evaltoolkit.reduction.influence import InfluenceSpec, influence_study

PERIODS = np.array([2000, 2001, 2003, 2004])  # a gap: 2002 was not observed
SHIFT = np.array([30.0, 30.5, 31.0, 31.5])
EFFECTS = 1e-10
ERRORS = 1e-8
"""The last step of Newton's method leaves coefficients alone but information at the one before it."""


def world(seed: int = 3, n: int = 2000) -> pd.DataFrame:
    """A panel with continuous covariates that correlate and matter; 2007 is a start after the last period."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=n), rng.gamma(2.0, size=n)
    start = np.array([2001, 2003, 2004, 2007])[rng.integers(0, 4, n)]
    start = np.where(rng.uniform(size=n) < 1 / (1 + np.exp(-x + 0.2 * u)), start, NEVER)
    y = rng.normal(size=(n, 1)) + 30 + (x + 0.3 * u**2)[:, None] * 0.3 * np.arange(4) + rng.normal(size=(n, 4))
    y += (PERIODS[None, :] >= start[:, None]) * 1.0
    frame = pd.DataFrame({"start": start, **{f"y{t}": y[:, t] - SHIFT[t] for t in range(4)}})
    # A level far from zero and another scale, and a covariate that correlates with the first.
    return frame.assign(
        z1=1e4 + 50 * x, z2=u + x, w=rng.uniform(0.5, 3, n), cluster=[f"c{i}" for i in rng.integers(0, 40, n)]
    )


def spec(
    rule: Rule, way: tuple[bool, bool] = (False, False), covariates: tuple[str, ...] = ("z1", "z2")
) -> InfluenceSpec:
    return InfluenceSpec(PERIODS, rule, covariates, SHIFT, *way)


def in_memory(frame: pd.DataFrame, given: InfluenceSpec) -> Study:
    y = frame[[f"y{t}" for t in range(4)]].to_numpy() + SHIFT
    design = np.column_stack([np.ones(len(frame)), frame[list(given.covariates)].to_numpy()])
    clusters = np.unique(frame["cluster"], return_inverse=True)[1] if given.clusters else None
    weights = frame["w"].to_numpy() if given.weights else None
    return group_time_study(y, frame["start"].to_numpy(), PERIODS, design[:, None], given.rule, clusters, weights)


def columns(study: Study) -> np.ndarray:
    return np.hstack([study.cells.scores, study.level_scores, study.sizes.by_cluster])


def same(found: Study, wanted: Study) -> None:
    for name in ("cohort", "period", "base", "n_treated", "n_comparison"):
        assert getattr(found.cells, name).tolist() == getattr(wanted.cells, name).tolist(), name
    np.testing.assert_allclose(found.cells.att, wanted.cells.att, rtol=0, atol=EFFECTS)
    np.testing.assert_allclose(found.levels, wanted.levels, rtol=EFFECTS)
    assert found.sizes.cohorts.tolist() == wanted.sizes.cohorts.tolist()
    np.testing.assert_allclose(found.sizes.counts, wanted.sizes.counts, rtol=EFFECTS)
    V, W = (columns(s).T @ columns(s) for s in (found, wanted))
    scale = np.sqrt(np.diag(W))
    scale[scale == 0] = 1.0
    np.testing.assert_allclose(V / np.outer(scale, scale), W / np.outer(scale, scale), rtol=0, atol=ERRORS)


def check(source: EngineSource, frame: pd.DataFrame, given: InfluenceSpec) -> None:
    same(influence_study(source, source.table, given), in_memory(frame, given))
