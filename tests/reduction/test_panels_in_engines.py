"""Panels reduced inside engines: the same sums as in memory, the same evaluation as from rows, small cells kept in."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.data import EngineSource, FrameSource, connect
from evaltoolkit.designs.did.design import DIFFERENCE_IN_DIFFERENCES as DESIGN
from evaltoolkit.designs.did.sums import sums
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.study import Study, study_from


def panel(n: int = 600, periods: int = 6, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = rng.choice([0, 2016, 2018, 2019, 2021], n, p=[0.3, 0.1, 0.2, 0.2, 0.2])
    kept = {
        "g": start, "x": rng.integers(0, 3, n), "sort": np.array(["a", "b"])[rng.integers(0, 2, n)],
        "state": rng.integers(0, 40, n), "w": rng.integers(1, 4, n) / 2, "pop": rng.integers(900, 1100, n),
    }  # fmt: skip
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), periods), "year": np.tile(np.arange(2016, 2016 + periods), n)})
    for name, values in kept.items():
        frame[name] = np.repeat(values, periods)
    on = (frame.g > 0) & (frame.year >= frame.g)
    frame["y"] = 100 + rng.normal(size=len(frame)) + frame.x + on * 1.5 + 0.2 * (frame.year - 2016) * frame.x
    frame["yes"] = (rng.uniform(size=len(frame)) < 0.3 + 0.1 * on).astype(int)
    frame["cases"] = rng.poisson(60 + 5 * on)
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


def in_engine(frame: pd.DataFrame, engine: str = "duckdb") -> EngineSource:
    if engine == "polars":
        return connect(ibis.polars.connect({"panel": polars.from_pandas(frame)}).table("panel"))
    return connect(laid_down(frame).table("panel"))


def laid_down(frame: pd.DataFrame) -> Any:
    connection = ibis.duckdb.connect()
    connection.con.register("given", frame)
    connection.raw_sql("create table panel as select * from given")
    return connection


def study(outcome: str | dict[str, Any] = "y", data: dict[str, Any] | None = None, **settings: Any) -> Study:
    return study_from({
        "design": "difference-in-differences", "title": "x", "unit": "id", "time": "year", "first_treated": "g",
        "outcome": {"column": outcome} if isinstance(outcome, str) else outcome, "data": data or {}, **settings,
    })  # fmt: skip


def summed(source: Any, asked: Study) -> PanelMoments:
    return sums(asked, DESIGN.parse(asked), source)


def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a panel in which some units lack periods, some values, and one all but a period."""
    rng = np.random.default_rng(2)
    frame = frame.drop(frame.index[rng.integers(0, len(frame), 60)])
    frame.loc[frame.index[rng.integers(0, len(frame), 20)], "y"] = np.nan
    return frame[(frame.id != 5) | (frame.year == 2017)]


def same(a: PanelMoments, b: PanelMoments) -> None:
    assert a.account == b.account
    assert a.values == b.values
    assert a.clusters == b.clusters
    for name in type(a.table).__slots__:
        mine, other = getattr(a.table, name), getattr(b.table, name)
        if mine is None:
            assert other is None
            continue
        scale = max(1.0, float(np.abs(mine).max(initial=0)))
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12 * scale, err_msg=name)
    if a.counts is not None and b.counts is not None:
        np.testing.assert_array_equal(a.counts, b.counts)


WAYS: list[dict[str, Any]] = [
    {}, {"covariates": ["x", "sort"]}, {"weights": "w"}, {"cluster": "state"}, {"covariates": ["sort"], "weights": "w"},
    {"cluster": "state", "weights": "w", "covariates": ["x"]},
]  # fmt: skip


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("outcome", ["y", {"column": "cases", "kind": "rate", "population": "pop", "per": 1000}])
def test_an_engine_finds_the_sums_that_memory_finds(engine: str, way: dict[str, Any], outcome: Any) -> None:
    frame = panel()
    frame.loc[frame.index[:9], "y"] = np.nan
    frame = frame.drop(frame.index[40:50])
    asked = study(outcome, **way)
    same(summed(in_engine(frame, engine), asked), summed(FrameSource(frame), asked))


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
@pytest.mark.parametrize(
    "way",
    [
        {}, {"covariates": ["x", "sort"]}, {"covariates": ["x"], "comparison": "never-treated", "anticipation": 1},
        {"covariates": ["x"], "adjust": "weighting", "base_period": "universal"}, {"cluster": "state"},
        {"weights": "w", "covariates": ["x"], "adjust": "regression"}, {"estimator": "twfe"},
        {"estimator": "sun-abraham"}, {"estimator": "imputation"}, {"estimator": "etwfe"},
    ],
)  # fmt: skip
def test_an_evaluation_in_an_engine_gives_the_rows_of_the_one_in_memory(engine: str, way: dict[str, Any]) -> None:
    frame = panel(800)
    asked = {"outcome": "y", "unit": "id", "time": "year", "first_treated": "g", "inference": "analytic", **way}
    here, there = ev.did(frame, **asked).tidy(), ev.did(in_engine(frame, engine), **asked).tidy()
    both = here.merge(there, on=["kind", "term"], suffixes=("", "_there"), validate="1:1")
    assert len(both) == len(here) == len(there)
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n_units", "n_obs"):
        np.testing.assert_allclose(both[column], both[f"{column}_there"], rtol=1e-10, atol=1e-10, err_msg=column)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
@pytest.mark.parametrize(
    "way", [{}, {"covariates": ["x"]}, {"cluster": "state"}, {"incomplete": "drop", "covariates": ["sort"]},
            {"weights": "w", "comparison": "never-treated"}],
)  # fmt: skip
def test_units_that_lack_periods_are_used_for_those_they_have(engine: str, way: dict[str, Any]) -> None:
    frame = with_holes(panel(800))
    asked = {"outcome": "y", "unit": "id", "time": "year", "first_treated": "g", "inference": "analytic", **way}
    here, there = ev.did(frame, **asked), ev.did(in_engine(frame, engine), **asked)
    both = here.tidy().merge(there.tidy(), on=["kind", "term"], suffixes=("", "_there"), validate="1:1")
    assert len(both) == len(here.tidy()) == len(there.tidy())
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n_units", "n_obs"):
        np.testing.assert_allclose(both[column], both[f"{column}_there"], rtol=1e-10, atol=1e-10, err_msg=column)
    same(summed(in_engine(frame, engine), study(**way)), summed(FrameSource(frame), study(**way)))
    flows = [[(step.label, step.n, step.excluded) for step in e.result.flow] for e in (here, there)]
    assert flows[0] == flows[1]


def test_people_who_lack_what_few_others_lack_are_left_out_and_counted() -> None:
    frame = panel(900)
    gone = frame.id.isin(frame[frame.g == 2018].id.unique()[:4]) & (frame.year == 2019)
    more = frame.id.isin(frame[frame.g == 0].id.unique()[:30]) & (frame.year == 2017)
    found = summed(in_engine(frame[~gone & ~more]), study(data=PEOPLE))
    assert (found.account.n_incomplete, found.account.n_kept, found.account.n_left) == (34, 30, 4)
    assert found.table.units.min() >= 11
    few = ev.did(
        in_engine(frame[~gone & ~more]), outcome="y", unit="id", time="year", first_treated="g", rows="people"
    )  # fmt: skip
    rest = frame[~gone & ~more & ~frame.id.isin(frame[gone].id)]
    wanted = ev.did(rest, outcome="y", unit="id", time="year", first_treated="g", rows="people", inference="analytic")
    assert few.result.headline.estimate == pytest.approx(wanted.result.headline.estimate, rel=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), periods=st.integers(2, 5), few=st.booleans())
def test_any_order_of_rows_and_any_split_of_queries_gives_the_same(seed: int, periods: int, *, few: bool) -> None:
    frame = panel(120, periods, seed)
    asked = study(covariates=["x"])
    with pytest.MonkeyPatch.context() as patch:
        if few:
            patch.setattr("evaltoolkit.reduction.by_ibis.AGGREGATES", 5)
        try:
            same(summed(in_engine(frame), asked), summed(FrameSource(frame), asked))
        except errors.TreatmentTimingError:
            assert not (frame.g > 0).any()


def test_starts_may_follow_from_a_column_of_zero_and_one() -> None:
    frame = panel()
    frame["on"] = ((frame.g > 0) & (frame.year >= frame.g)).astype(int)
    asked = study().model_copy(update={"settings": {"unit": "id", "time": "year", "treated": "on"}})
    a, b = summed(in_engine(frame), asked), summed(FrameSource(frame), asked)
    same(a, b)
    frame.loc[(frame.id == 3) & (frame.year == 2016), "on"] = 1
    frame.loc[(frame.id == 3) & (frame.year > 2016), "on"] = 0
    with pytest.raises(errors.TreatmentTimingError, match="switches off again in 1 unit"):
        summed(in_engine(frame), asked)


def test_cut_points_make_categories_in_the_engine_as_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = panel()
    frame["age"] = np.repeat(np.random.default_rng(0).uniform(0, 30, 600), 6)[np.argsort(np.argsort(frame.id * 6))]
    asked = study(covariates=["age"], moments={"grid": {"age": (10.0, 20.0)}})
    a, b = summed(in_engine(frame), asked), summed(FrameSource(frame), asked)
    same(a, b)
    assert a.values == ((0.0,), (1.0,), (2.0,))
    monkeypatch.setattr("evaltoolkit.reduction.by_ibis.MOST_CELLS", 50)
    with pytest.raises(errors.OptionError, match=r"different values together.*grid"):
        summed(in_engine(frame), study(covariates=["age"]))


def recorded(source: EngineSource, monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Return what leaves the engine, as it leaves."""
    left: list[pd.DataFrame] = []
    run = EngineSource.executed

    def executed(self: EngineSource, query: Any, what: str) -> pd.DataFrame:
        frame = run(self, query, what)
        left.append(frame)
        return frame

    monkeypatch.setattr(EngineSource, "executed", executed)
    return left


PEOPLE = {"rows": "people"}


def test_a_cell_of_ten_people_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = panel(900)
    ten = frame.id.isin(frame[(frame.g == 2018) & (frame.x == 1)].id.unique()[:10])
    frame["x"] = frame.x.where(ten, frame.x % 2)
    frame.loc[ten, "x"] = 7
    source = in_engine(frame)
    left = recorded(source, monkeypatch)
    with pytest.raises(errors.DisclosureError, match=r"1 of \d+ cells hold fewer than 11 people.*grid"):
        summed(source, study(covariates=["x"], data=PEOPLE))
    assert not any("m0" in part.columns or "q0_0" in part.columns for part in left)
    eleven = frame.id.isin([*frame[ten].id.unique(), frame[(frame.g == 2018) & (frame.x == 1)].id.iloc[0]])
    frame.loc[eleven, "x"] = 7
    assert summed(in_engine(frame), study(covariates=["x"], data=PEOPLE)).table.units.min() == 11


@pytest.mark.parametrize("at_once", [400, 10])
@pytest.mark.parametrize("planted", ["few ones", "few zeros", "few pairs", "few alone", "few in neither"])
def test_sums_of_ones_that_rest_on_few_do_not_leave(
    planted: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltoolkit.reduction.by_ibis.AGGREGATES", at_once)
    frame = panel(900).sort_values(["id", "year"]).reset_index(drop=True)
    frame["yes"] = np.random.default_rng(5).integers(0, 2, len(frame))
    never = frame.g == 0
    if planted in {"few pairs", "few alone", "few in neither"}:
        # Each of the last two years has many ones and zeros, but three people alone have a one in both, in the first
        # of them alone, or in none.
        ids = frame[never].id.unique()
        one, other = {
            "few pairs": (ids[:60], ids[57:120]), "few alone": (ids[:60], ids[3:120]),
            "few in neither": (ids[:150], ids[100:-3]),
        }[planted]  # fmt: skip
        for year, who in ((2020, one), (2021, other)):
            frame.loc[never & (frame.year == year), "yes"] = 0
            frame.loc[never & (frame.year == year) & frame.id.isin(who), "yes"] = 1
    else:
        few = int(planted == "few ones")
        frame.loc[never & (frame.year == 2017), "yes"] = 1 - few
        frame.loc[frame[never & (frame.year == 2017)].index[:3], "yes"] = few
    asked = study({"column": "yes", "kind": "binary"}, data=PEOPLE)
    with pytest.raises(errors.DisclosureError, match="cells hold fewer"):
        summed(in_engine(frame), asked)
    whole = panel(900)
    whole["yes"] = np.random.default_rng(5).integers(0, 2, len(whole))
    summed(in_engine(whole), asked)


def test_one_person_with_most_of_a_sum_keeps_it_in() -> None:
    frame = panel(900)
    frame.loc[(frame.id == frame.id.iloc[0]) & (frame.year == 2017), "y"] = 1e6
    with pytest.raises(errors.DisclosureError, match="cells hold fewer"):
        summed(in_engine(frame), study(data=PEOPLE))
    summed(in_engine(frame), study())


def test_places_of_few_people_may_leave_but_not_their_small_counts() -> None:
    frame = panel(60)
    asked = study({"column": "cases", "kind": "count"})
    summed(in_engine(frame), asked)
    frame.loc[(frame.g == 2018) & (frame.year == 2016), "cases"] = 0
    frame.loc[frame[(frame.g == 2018) & (frame.year == 2016)].index[0], "cases"] = 5
    with pytest.raises(errors.DisclosureError, match="1 of"):
        summed(in_engine(frame), asked)


def test_two_places_whose_counts_follow_from_their_sums_keep_them_in() -> None:
    frame = panel(60)
    two = frame[frame.g == 2018].id.unique()[:2]
    frame = frame[(frame.g != 2018) | frame.id.isin(two)]
    asked = study({"column": "cases", "kind": "count"})
    summed(in_engine(frame), asked)
    frame.loc[(frame.id == two[0]) & (frame.year == 2016), "cases"] = 4
    with pytest.raises(errors.DisclosureError, match="1 of"):
        summed(in_engine(frame), asked)


def broken(change: str) -> pd.DataFrame:
    frame = panel(60)
    if change == "twice":
        return pd.concat([frame, frame.iloc[[3]]], ignore_index=True)
    if change == "start moves":
        frame.loc[frame.index[frame.id == 5][0], "g"] = 2020
        return frame
    if change == "covariate moves":
        frame.loc[frame.index[frame.id == 5][0], "x"] = 9
        return frame
    column, value = {
        "no time": ("year", None), "no unit": ("id", None), "below zero": ("cases", -1), "no people": ("pop", 0),
        "huge": ("y", 2.0**60), "no weight": ("w", None), "endless": ("y", np.inf), "no state": ("state", None),
    }[change]  # fmt: skip
    frame[column] = frame[column].astype(float if column in {"y", "w"} else object)
    frame.loc[frame.index[7], column] = value
    return frame.infer_objects() if value is not None else frame.assign(**{column: frame[column].astype("Float64")})


RATE = {"column": "cases", "kind": "rate", "population": "pop"}


@pytest.mark.parametrize(
    ("change", "more", "found"),
    [
        ("twice", {}, "several rows stand for the same unit and period in 1 unit"),
        ("start moves", {}, "first treated period in 'g' changes"),
        ("covariate moves", {"covariates": ["x"]}, "covariate in 'x' changes"),
        ("no time", {}, "time column 'year' is empty in 1 row"),
        ("no unit", {}, "unit column 'id' is empty in 1 row"),
        ("no state", {"cluster": "state"}, "cluster column 'state' is empty in 1 row"),
        ("below zero", {"outcome": RATE}, "below zero in 1 row"),
        ("no people", {"outcome": RATE}, "population 'pop' is not above zero, or infinite, in 1 row"),
        ("huge", {}, "beyond 2\\^53 in 1 row"),
        ("endless", {}, "beyond 2\\^53 in 1 row"),
        ("no weight", {"weights": "w"}, "weight 'w' is empty or not above zero, or infinite, in 1 row"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_named_by_their_number(change: str, more: dict[str, Any], found: str) -> None:
    with pytest.raises(errors.EvaluationError, match=found):
        summed(in_engine(broken(change)), study(**more))


def test_a_table_that_changes_between_passes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = laid_down(panel(60))
    source = connect(connection.table("panel"))
    run = EngineSource.executed

    def executed(self: EngineSource, query: Any, what: str) -> pd.DataFrame:
        frame = run(self, query, what)
        if what == "periods and levels":
            connection.raw_sql("delete from panel where id = 7")
        return frame

    monkeypatch.setattr(EngineSource, "executed", executed)
    with pytest.raises(errors.DataChangedError, match="360 rows of the study at first and 354 later"):
        summed(source, study())


def test_periods_and_starts_that_a_plan_does_not_name_are_refused() -> None:
    frame = panel(60)
    for key in ("periods", "starts"):
        asked = study(moments={key: (2018, 2019)})
        for source in (in_engine(frame), FrameSource(frame)):
            with pytest.raises(errors.PeriodError, match="the plan does not name"):
                summed(source, asked)


def test_what_will_leave_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    source = in_engine(panel(200))
    left = recorded(source, monkeypatch)
    asked = study(
        covariates=["x"], moments={"periods": tuple(range(2016, 2022)), "starts": (2016, 2018, 2019, 2021)}, data=PEOPLE
    )
    told = DESIGN.explanation(asked, DESIGN.parse(asked), source)
    assert not left
    assert all(step.sql.startswith("SELECT") for step in told.steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaltoolkit.reduction.small_sums.too_small", lambda cells, bound: None)
        summed(source, asked)
    named = {numbers.numbers for numbers in told.leaves}
    assert {tuple(part.columns) for part in left if "n" not in part.columns or len(part.columns) > 1} <= named


def test_a_report_says_that_no_row_left() -> None:
    found = ev.did(in_engine(panel()), outcome="y", unit="id", time="year", first_treated="g")
    names = [d.name for d in found.result.diagnostics]
    assert "sums-only" in names
    assert not {"placebo-time", "leave-one-out"} & set(names)
    with pytest.raises(errors.DisclosureError, match="this needs rows"):
        found.sample.content.panel  # noqa: B018
