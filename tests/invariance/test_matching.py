"""What must not change the answer, and what must change it in a known way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev

# A refitted score moves by rounding only; the effect then agrees to far better than any digit that is shown.
CLOSE = 1e-7
seeds = st.integers(0, 10_000)


def world(seed: int, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    kind = np.array(["a", "b", "c"])[rng.integers(0, 3, n)]
    served = rng.random(n) < 1 / (1 + np.exp(0.7 - 0.6 * x - 0.3 * z))
    return pd.DataFrame(
        {"served": served.astype(int), "x": x, "z": z, "kind": kind, "y": x + served + rng.normal(size=n)}
    )


def run(frame: pd.DataFrame, **changes):
    options = {"covariates": ["x", "z", "kind"], "caliper": 0.5} | changes
    return ev.match(frame, treated="served", outcome="y", **options)


def same(one, two, scale: float = 1.0) -> None:
    assert two.estimate == pytest.approx(scale * one.estimate, rel=CLOSE, abs=CLOSE * abs(scale))
    assert two.std_error == pytest.approx(abs(scale) * one.std_error, rel=CLOSE)


@given(seeds, st.booleans())
@settings(max_examples=8, deadline=None)
def test_row_order_does_not_matter_without_ties(seed, replace) -> None:
    frame = world(seed)
    shuffled = frame.sample(frac=1, random_state=seed)
    same(run(frame, replace=replace).result.headline, run(shuffled, replace=replace).result.headline)


@given(seeds, st.sampled_from([1e-4, 12.0, 1e5]), st.floats(-50, 50))
@settings(max_examples=8, deadline=None)
def test_units_of_a_covariate_do_not_matter(seed: int, scale: float, shift: float) -> None:
    frame = world(seed)
    same(run(frame).result.headline, run(frame.assign(x=scale * (frame["x"] + shift))).result.headline)


@given(seeds)
@settings(max_examples=6, deadline=None)
def test_names_of_levels_and_order_of_covariates_do_not_matter(seed: int) -> None:
    frame = world(seed)
    renamed = frame.assign(kind=frame["kind"].map({"a": "zeta", "b": "mu", "c": "alpha"}))
    same(run(frame).result.headline, run(renamed, covariates=["kind", "z", "x"]).result.headline)


@given(seeds, st.floats(0.1, 1000), st.floats(-100, 100), st.sampled_from(["difference", "regression"]))
@settings(max_examples=8, deadline=None)
def test_the_effect_scales_with_the_outcome_and_ignores_its_origin(seed, scale, shift, effect) -> None:
    frame = world(seed)
    moved = frame.assign(y=scale * frame["y"] + shift)
    same(run(frame, effect=effect).result.headline, run(moved, effect=effect).result.headline, scale)


@given(seeds)
@settings(max_examples=6, deadline=None)
def test_turning_treatment_around_turns_att_into_minus_atc(seed: int) -> None:
    frame = world(seed)
    turned = frame.assign(served=1 - frame["served"])
    one = run(frame, replace=True).result.headline
    two = run(turned, replace=True, estimand="ATC").result.headline
    same(one, two, -1.0)


@given(seeds)
@settings(max_examples=6, deadline=None)
def test_a_tighter_caliper_never_pairs_more_nor_farther(seed: int) -> None:
    frame = world(seed)
    wide, tight = (run(frame, caliper=c, replace=True, effect="difference").sample.products for c in (0.5, 0.1))
    assert tight["pairs"].n_focal <= wide["pairs"].n_focal
    assert set(tight["pairs"].focal.tolist()) <= set(wide["pairs"].focal.tolist())
