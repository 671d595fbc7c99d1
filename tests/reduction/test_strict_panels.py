"""Panels estimated inside an engine: the numbers of rows, while cross-products of the whole are all that leaves."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.data import EngineSource, connect


def panel(n: int = 700, periods: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    start = rng.choice([0, 2016, 2018, 2019], n, p=[0.4, 0.1, 0.25, 0.25])
    kept = {
        "g": start, "age": rng.normal(15, 2, n), "sort": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
        "state": rng.integers(0, 80, n), "w": rng.uniform(0.5, 2, n),
    }  # fmt: skip
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), periods), "year": np.tile(np.arange(2016, 2016 + periods), n)})
    for name, values in kept.items():
        frame[name] = np.repeat(values, periods)
    on = (frame.g > 0) & (frame.year >= frame.g)
    frame["y"] = 100 + rng.normal(size=len(frame)) + 0.1 * frame.age * (frame.year - 2016) + on * 1.5
    frame["yes"] = (rng.uniform(size=len(frame)) < 0.3 + 0.1 * on).astype(int)
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


def in_engine(frame: pd.DataFrame) -> EngineSource:
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    connection.raw_sql("create table panel as select * from given")
    return connect(connection.table("panel"))


ASKED = {"outcome": "y", "unit": "id", "time": "year", "first_treated": "g", "inference": "analytic"}


@pytest.mark.parametrize(
    "way",
    [
        {}, {"covariates": ["age", "sort"]}, {"covariates": ["age"], "adjust": "regression", "anticipation": 1},
        {"covariates": ["age"], "adjust": "weighting", "comparison": "never-treated"},
        {"covariates": ["age"], "cluster": "state", "base_period": "universal"},
        {"weights": "w", "covariates": ["age"]}, {"estimator": "twfe"}, {"estimator": "sun-abraham"},
        {"estimator": "imputation"}, {"estimator": "etwfe"}, {"estimator": "twfe", "weights": "w"},
    ],
)  # fmt: skip
def test_strict_gives_the_numbers_of_rows(way: dict[str, Any]) -> None:
    frame = panel()
    here = ev.did(frame, **ASKED, **way).tidy()
    there = ev.did(in_engine(frame), release="strict", **ASKED, **way).tidy()
    both = here[here.kind != "variant"].merge(there, on=["kind", "term"], suffixes=("", "_there"), validate="1:1")
    assert len(both) == len(there)
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n_units"):
        np.testing.assert_allclose(both[column], both[f"{column}_there"], rtol=1e-9, atol=1e-10, err_msg=column)


def test_where_everyone_starts_the_last_compare_there_too() -> None:
    frame = panel()
    frame = frame[frame.g > 2016]
    here, there = ev.did(frame, **ASKED), ev.did(in_engine(frame), release="strict", **ASKED)
    assert there.result.headline.estimate == pytest.approx(here.result.headline.estimate, rel=1e-10)
    assert there.result.headline.std_error == pytest.approx(here.result.headline.std_error, rel=1e-9)
    assert there.sample.content.last_as_comparison == here.sample.content.last_as_comparison


def test_sums_that_rest_on_few_fall_back_to_strict_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = panel()
    few = [*frame[frame.g == 2018].id.unique()[:5], *frame[frame.g == 0].id.unique()[:60]]
    few += [*frame[frame.g == 2019].id.unique()[:30]]
    frame["sort"] = frame.sort.where(~frame.id.isin(few), "d")
    left: list[pd.DataFrame] = []
    run = EngineSource.executed

    def executed(self: EngineSource, query: Any, what: str) -> pd.DataFrame:
        found = run(self, query, what)
        left.append(found)
        return found

    monkeypatch.setattr(EngineSource, "executed", executed)
    asked = {**ASKED, "covariates": ["sort"], "rows": "people"}
    found = ev.did(in_engine(frame), **asked)
    text = next(d.text for d in found.result.diagnostics if d.name == "sums-only")
    assert "fewer than 11" in text
    assert not any("q0_0" in part.columns or {"z0", "m0"} <= set(part.columns) for part in left)
    assert found.result.headline.estimate == pytest.approx(ev.did(frame, **asked).result.headline.estimate, rel=1e-9)


def test_a_cohort_of_few_people_lets_nothing_leave() -> None:
    frame = panel()
    few = frame.id.isin(frame[frame.g == 2019].id.unique()[:8])
    frame = frame[(frame.g != 2019) | few]
    with pytest.raises(errors.DisclosureError, match="fewer than 11 people"):
        ev.did(in_engine(frame), release="strict", rows="people", **ASKED)


def test_the_rarest_outcome_by_start_lets_nothing_leave() -> None:
    frame = panel()
    frame.loc[(frame.g == 2018) & (frame.year == 2016), "yes"] = 0
    frame.loc[frame[(frame.g == 2018) & (frame.year == 2016)].index[:3], "yes"] = 1
    asked = {**ASKED, "outcome": ev.Outcome("yes", kind="binary"), "rows": "people"}
    with pytest.raises(errors.DisclosureError, match="sums that rest on so few"):
        ev.did(in_engine(frame), release="strict", **asked)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"estimator": "twfe", "cluster": "state"}, "twfe' is asked for with cluster"),
        ({"inference": "jackknife"}, "inference 'jackknife'"),
    ],
)  # fmt: skip
def test_what_needs_groups_or_rows_is_refused(more: dict[str, Any], found: str) -> None:
    with pytest.raises(errors.OptionError, match=found):
        ev.did(in_engine(panel(80)), release="strict", **{**ASKED, **more})
