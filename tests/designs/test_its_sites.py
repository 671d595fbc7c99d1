"""Many sites with an interrupted time series each: starts, pooling, words, disclosure and bad input."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.kernels.pooling import pool
from evaltoolkit.results import role_words, to_json
from evaltoolkit.study import language_findings
from evaltoolkit.study.models import Role

N, SITES = 48, 9
T = np.arange(N)


def panel(effect: float = 5.0, seed: int = 4, mean: float = 40.0) -> pd.DataFrame:
    """Return nine sites that start in different months, with effects that differ a little."""
    rng = np.random.default_rng(seed)
    parts = []
    for j in range(SITES):
        start = 20 + 3 * (j % 4)
        own = effect + rng.normal(0, 0.5) * (effect != 0)
        after = start <= T
        parts.append(pd.DataFrame({
            "site": f"Site {j}", "month": [f"{2015 + t // 12}-{t % 12 + 1:02d}" for t in T],
            "start": f"{2015 + start // 12}-{start % 12 + 1:02d}",
            "y": 30 + j + 0.1 * T + own * after + rng.normal(0, 1, N),
            "n": rng.poisson(mean * np.exp(own / 20 * after)), "youth": 8_000 + 50 * j,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def run(frame: pd.DataFrame | None = None, outcome: Any = "y", **changes: Any) -> Any:
    given: dict[str, Any] = {"time": "month", "unit": "site", "first_treated": "start", "program": "the training"}
    made = {key: value for key, value in (given | changes).items() if value is not None}
    return ev.its(panel() if frame is None else frame, outcome=outcome, **made)


def calls(**more: Any) -> ev.Outcome:
    return ev.Outcome(**({"column": "n", "kind": "rate", "population": "youth", "per": 10_000} | more))


@pytest.mark.parametrize("settings", [
    {}, {"errors": "newey-west"}, {"errors": "ols"}, {"season": {"harmonics": 1}},
    {"outcome": calls(), "family": "quasi-poisson", "effects": ["level"]},
    {"outcome": calls(), "family": "poisson", "errors": "newey-west", "effects": ["level"]},
])  # fmt: skip
def test_every_site_has_the_numbers_of_its_own_evaluation(settings: dict[str, Any]) -> None:
    """Sites are fitted together, and by the way that one series takes."""
    frame = panel()
    found = run(frame, **settings).sample.products
    for i in (0, 5):
        name = found["sites"][i]
        mine = frame[frame["site"] == name]
        alone = run(mine, unit=None, first_treated=None, interruption=mine["start"].iloc[0], **settings).result.headline
        numbers = [found[key][i] for key in ("estimate", "conf_low", "conf_high")]
        expected = [alone.estimate, alone.conf_low, alone.conf_high]
        if alone.is_ratio:
            expected = np.log(expected).tolist()
        assert numbers == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_the_headline_pools_the_sites() -> None:
    e = run()
    s, h = e.sample.products, e.result.headline
    p = pool(s["estimate"], s["std_error"])
    assert [h.estimate, h.std_error, h.conf_low, h.conf_high] == pytest.approx(
        [p.estimate, p.std_error, p.low, p.high], rel=1e-12
    )
    assert h.estimate == pytest.approx(5, abs=1)
    assert (h.n_units, h.df) == (SITES, SITES - 1)
    new = next(x for x in e.result.estimates if x.term == "a further site")
    assert new.conf_low <= h.conf_low < h.conf_high <= new.conf_high


def test_the_path_is_aligned_on_each_site_s_start() -> None:
    found = {x.event_time: x for x in run().result.estimates if x.kind == "event-time"}
    assert min(found) == 0
    # Starts lie 20, 23, 26 and 29 months into 48; nine in ten sites or more are seen until the shortest end.
    assert max(found) == N - 1 - 29
    level = next(x for x in run().result.estimates if x.term == "level")
    assert found[0].estimate == pytest.approx(level.estimate, rel=1e-9)


def test_one_start_for_all_is_the_same_as_a_column_of_it() -> None:
    frame = panel().assign(start="2017-01")
    a, b = run(frame), run(frame, first_treated=None, interruption="2017-01")
    assert a.result.headline.estimate == b.result.headline.estimate


def test_the_order_of_rows_and_another_name_change_nothing() -> None:
    frame = panel()
    a = run(frame).result.headline
    b = run(frame.sample(frac=1, random_state=2)).result.headline
    c = run(frame.assign(site=frame["site"].map(lambda s: "z" + s[::-1]))).result.headline
    for other in (b, c):
        assert other.estimate == pytest.approx(a.estimate, rel=1e-12)
        assert other.conf_low == pytest.approx(a.conf_low, rel=1e-10)


def test_a_scale_of_the_outcome() -> None:
    a, b = run(), run(panel().assign(y=lambda f: 10 * f["y"] + 3))
    assert b.result.headline.estimate == pytest.approx(10 * a.result.headline.estimate, rel=1e-6)
    assert b.result.headline.conf_high == pytest.approx(10 * a.result.headline.conf_high, rel=1e-5)


def test_sites_without_a_usable_series_are_left_out_and_counted() -> None:
    frame = panel()
    frame.loc[frame["site"] == "Site 2", "start"] = "2015-02"
    frame.loc[frame["site"] == "Site 3", "start"] = None
    frame.loc[frame["site"] == "Site 4", "y"] = 7.0
    result = run(frame).result
    assert result.headline.n_units == SITES - 3
    step = next(s for s in result.flow if s.label == "Sites with a usable series")
    assert step.excluded == 3
    for words in ("too few periods", "no start", "no variation"):
        assert words in step.reason


def test_holes_are_counted_and_not_filled() -> None:
    frame = panel().drop(index=[3, 60, 61])
    check = next(d for d in run(frame).result.diagnostics if d.name == "calendar")
    assert (check.verdict, check.value) == ("caution", 3.0)
    assert "at 2 sites" in check.text


@pytest.mark.parametrize("pooling", ["reml", "paule-mandel", "dersimonian-laird", "common-effect"])
def test_every_way_to_pool(pooling: str) -> None:
    result = run(pooling=pooling).result
    others = [x.term for x in result.estimates if x.kind == "variant"]
    assert len(others) >= 5
    assert 4 < result.headline.estimate < 6


@pytest.mark.parametrize("role", [*get_args(Role), None])
@pytest.mark.parametrize("effect", [5.0, -5.0, 0.0])
def test_words_claim_no_more_than_the_role_allows(role: str | None, effect: float) -> None:
    words = run(panel(effect), ev.Outcome("y", label="Minors recognized", role=role, better="higher")).result.statements
    said = " ".join([words.bottom_line, words.plain, *words.supports, *words.findings, *words.does_not_show])
    assert role_words(role).caveat in words.does_not_show
    assert language_findings(said) == []
    if effect == 0.0:
        assert "not yet clear" in words.bottom_line
        assert "not a result of no change" in said
    else:
        assert ("higher" if effect > 0 else "lower") in words.bottom_line


def test_small_sites_are_hidden_and_none_can_be_worked_out() -> None:
    frame = panel(effect=1.0, mean=6.0)
    small = frame["site"] == "Site 7"
    frame.loc[small, "n"] = (np.arange(N) % 6 == 0).astype(int)
    result = run(frame, calls(), family="quasi-poisson", effects=["level"]).result
    shown = {e.subgroup for e in result.estimates if e.subgroup}
    # The small site, and one more: a single one could be got from the mean and all others.
    assert len(shown) == SITES - 2
    assert "Site 7" not in shown
    table = next(t for t in result.tables if t.key == "sites")
    masked = [row[0] for row in table.rows if row[4] is None]
    assert len(masked) == 2
    assert "Site 7" in masked
    forest = next(f for f in result.figures if f.key == "forest_of_sites")
    assert "Site 7" not in {row[0] for row in forest.rows}
    assert result.disclosure.hidden


def test_names_that_identify_are_replaced() -> None:
    frame = panel().assign(site=lambda f: f["site"].map(lambda s: f"Facility-{s[-1]}-XQ"))
    text = to_json(run(frame, identifiers=["site"]).result)
    assert "XQ" not in text
    assert "Site 9" in text


def test_very_many_sites_are_drawn_and_listed_in_part() -> None:
    rng = np.random.default_rng(0)
    n, many = 20, 300
    frame = pd.DataFrame({
        "site": np.repeat([f"S{i:03d}" for i in range(many)], n), "t": np.tile(np.arange(2000, 2000 + n), many),
        "y": rng.normal(10, 1, n * many),
    })  # fmt: skip
    e = ev.its(frame, outcome="y", time="t", unit="site", interruption=2010, effects=["level"])
    forest = next(f for f in e.result.figures if f.key == "forest_of_sites")
    assert len(forest.rows) == 30
    assert not [x for x in e.result.estimates if x.kind == "subgroup"]
    assert e.sample.products["estimate"].shape == (many,)


BAD: dict[str, tuple[dict[str, Any], type[errors.EvaluationError], str]] = {
    "two kinds of start": ({"interruption": "2017-01"}, errors.DesignFileError, "or first_treated"),
    "no start": ({"first_treated": None}, errors.DesignFileError, "give interruption"),
    "starts without sites": ({"unit": None}, errors.DesignFileError, "it needs unit"),
    "pooling of one series": (
        {"unit": None, "first_treated": None, "interruption": "2017-01", "pooling": "paule-mandel"},
        errors.DesignFileError, "pooling is for many sites"),
    "no such column": ({"first_treated": "begin"}, errors.ColumnNotFoundError, "begin"),
    "two starts at a site": (
        {"frame": panel().assign(start=lambda f: np.where(f.index == 3, "2016-01", f["start"]))},
        errors.TreatmentTimingError, "more than one start"),
    "one site": ({"frame": panel().query("site == 'Site 1'")}, errors.NoPrePeriodError, "1 site has a usable series"),
    "two rows of a month": (
        {"frame": pd.concat([panel(), panel().head(1)], ignore_index=True)}, errors.DuplicateRowsError, "of one unit"),
    "an empty site": (
        {"frame": panel().assign(site=lambda f: f["site"].where(f.index != 5))}, errors.ColumnTypeError, "row 6"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_message(name: str) -> None:
    changes, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        run(**changes)
    assert words in str(caught.value)
