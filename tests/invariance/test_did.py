"""What must not change the answer, and what must change it in a known way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev

# Sums in another order differ in the last digits; a refitted score by where its optimiser stops.
CLOSE = 1e-7
seeds = st.integers(0, 10_000)
ESTIMATORS: dict[str, dict[str, Any]] = {
    "cells": {}, "covariates": {"covariates": ["x"]}, "twfe": {"estimator": "twfe"},
    "universal": {"base_period": "universal", "comparison": "never-treated"}, "jackknife": {"inference": "jackknife"},
}  # fmt: skip
estimators = st.sampled_from(sorted(ESTIMATORS))


def world(seed: int, n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = np.array([2013, 2015, 0, 0])[np.arange(n) % 4]
    x = rng.normal(size=n)
    rows = []
    for t in range(2010, 2017):
        y = x + 0.2 * (t - 2010) * (1 + 0.3 * x) + (start > 0) * (t >= start) + rng.normal(size=n)
        rows.append(pd.DataFrame({"site": np.arange(n), "year": t, "start": start, "x": x, "y": y}))
    return pd.concat(rows, ignore_index=True)


def run(frame: pd.DataFrame, key: str, **changes: Any) -> Any:
    options = {"outcome": "y", "unit": "site", "time": "year", "first_treated": "start"} | ESTIMATORS[key] | changes
    return ev.did(frame, **options).result


def same(one: Any, two: Any, scale: float = 1.0) -> None:
    kinds = {"overall", "event-time", "group-time", "cohort", "calendar-time"}
    rows = [[e for e in result.estimates if e.kind in kinds] for result in (one, two)]
    assert len(rows[0]) == len(rows[1])
    for a, b in zip(*rows, strict=True):
        assert b.estimate == pytest.approx(scale * a.estimate, rel=CLOSE, abs=CLOSE * abs(scale))
        if a.std_error is None:
            assert b.std_error is None
        else:
            assert b.std_error == pytest.approx(abs(scale) * a.std_error, rel=1e-6)


@given(seeds, estimators)
@settings(max_examples=10, deadline=None)
def test_row_order_and_names_of_units_do_not_matter(seed: int, key: str) -> None:
    frame = world(seed)
    names = np.random.default_rng(seed).permutation(40)
    shuffled = frame.assign(site=[f"site {names[s]}" for s in frame["site"]]).sample(frac=1, random_state=seed)
    same(run(frame, key), run(shuffled, key))


@given(seeds, estimators)
@settings(max_examples=10, deadline=None)
def test_unit_and_period_constants_drop_out(seed: int, key: str) -> None:
    frame = world(seed)
    rng = np.random.default_rng(seed)
    units, periods = rng.normal(scale=5, size=40), rng.normal(scale=5, size=7)
    moved = frame.assign(y=frame["y"] + units[frame["site"]] + periods[frame["year"] - 2010])
    same(run(frame, key), run(moved, key))


@given(seeds, estimators, st.sampled_from([-3.0, 1e-3, 1e4]))
@settings(max_examples=10, deadline=None)
def test_scaling_the_outcome_scales_effects(seed: int, key: str, scale: float) -> None:
    frame = world(seed)
    same(run(frame, key), run(frame.assign(y=scale * frame["y"]), key), scale)


@given(seeds, estimators, st.integers(-300, 300))
@settings(max_examples=10, deadline=None)
def test_shifting_time_does_not_matter(seed: int, key: str, shift: int) -> None:
    frame = world(seed)
    start = np.where(frame["start"] > 0, frame["start"] + shift, 0)
    same(run(frame, key), run(frame.assign(year=frame["year"] + shift, start=start), key))


@given(seeds, estimators)
@settings(max_examples=6, deadline=None)
def test_always_treated_units_do_not_matter(seed: int, key: str) -> None:
    frame = world(seed)
    early = frame[frame["site"] < 5].assign(site=lambda f: f["site"] + 100, start=2009, y=lambda f: 50 * f["y"])
    same(run(frame, key), run(pd.concat([frame, early]), key))


@given(seeds, st.sampled_from(["dates", "words", "indicator", "inf", "missing"]))
@settings(max_examples=12, deadline=None)
def test_how_the_start_is_written_does_not_matter(seed: int, way: str) -> None:
    frame = world(seed)
    base = run(frame, "cells")
    if way == "dates":
        dates = pd.to_datetime(frame["start"].where(frame["start"] > 0).map("{:.0f}-01-01".format), errors="coerce")
        other = frame.assign(start=dates, year=pd.to_datetime(frame["year"].astype(str) + "-01-01"))
    elif way == "words":
        other = frame.assign(start=frame["start"].map(lambda s: str(s) if s else " "))
    elif way == "indicator":
        on = (frame["start"] > 0) & (frame["year"] >= frame["start"])
        same(base, run(frame.assign(on=on.astype(int)), "cells", first_treated=None, treated="on"))
        return
    else:
        value = np.inf if way == "inf" else np.nan
        other = frame.assign(start=frame["start"].replace({0: value}).astype(float))
    same(base, run(other, "cells"))


@given(seeds)
@settings(max_examples=6, deadline=None)
def test_two_periods_and_two_groups_are_the_same_by_every_estimator(seed: int) -> None:
    frame = world(seed)
    two = frame[frame["year"].isin([2012, 2013]) & (frame["start"] != 2015)]
    found = [
        run(two, key, **more).headline.estimate
        for key, more in (("cells", {}), ("twfe", {}), ("cells", {"estimator": "two-by-two"}), ("universal", {}))
    ]  # fmt: skip
    wide = two.pivot(index="site", columns="year", values="y")
    change = wide[2013] - wide[2012]
    treated = two.drop_duplicates("site").set_index("site")["start"] > 0
    assert found == pytest.approx([change[treated].mean() - change[~treated].mean()] * 4, abs=1e-9)


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_without_covariates_every_adjustment_is_the_same(seed: int) -> None:
    frame = world(seed)
    results = [run(frame, "cells", adjust=adjust) for adjust in ("doubly-robust", "weighting", "regression")]
    same(results[0], results[1])
    same(results[0], results[2])


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_units_as_clusters_are_the_default(seed: int) -> None:
    frame = world(seed)
    same(run(frame, "cells"), run(frame.assign(place=frame["site"]), "cells", cluster="place"))
