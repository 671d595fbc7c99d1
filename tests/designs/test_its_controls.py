"""An interrupted time series beside its control: choices, words, disclosure and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM

import evaltoolkit as ev
from evaltoolkit import errors

N, START, SITES = 48, 30, 6
T = np.arange(N)


def long(effect: float = 6.0, seed: int = 2) -> pd.DataFrame:
    """Return six sites that share shocks; the first had the program, and two run like it."""
    rng = np.random.default_rng(seed)
    shared = np.cumsum(rng.normal(0, 2, N))
    parts = []
    for j in range(SITES):
        y = 40 + 3 * j * (j > 2) + 0.1 * T + shared + rng.normal(0, 0.7, N) + effect * (j == 0) * (T >= START)
        n = rng.poisson(np.exp(3.6 + 0.02 * shared + 0.1 * j + effect / 15 * (j == 0) * (T >= START)))
        parts.append(
            pd.DataFrame({"site": f"Site {j}", "month": 24000 + T, "y": y, "n": n, "youth": 9e3 + 100 * j + T})
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(month=[f"{m // 12}-{m % 12 + 1:02d}" for m in frame["month"]])


def run(frame: pd.DataFrame | None = None, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "outcome": "y", "time": "month", "interruption": "2002-07", "unit": "site", "treated_unit": "Site 0",
        "control": "mean", "effects": ["level"],
    }  # fmt: skip
    made = {key: value for key, value in (given | changes).items() if value is not None}
    return ev.its(long() if frame is None else frame, **made).result


def test_shared_shocks_drop_out() -> None:
    beside, alone = run(), run(unit=None, treated_unit=None, control=None, frame=long().query("site == 'Site 0'"))
    assert beside.headline.estimate == pytest.approx(6, abs=1.5)
    assert beside.headline.conf_low < 6 < beside.headline.conf_high
    assert beside.headline.std_error < alone.headline.std_error / 3
    assert beside.statements.comparison == "comparison-over-time"


def test_a_control_in_a_column_is_the_same_as_one_in_rows() -> None:
    wide = long().pivot(index="month", columns="site", values="y").reset_index()
    wide = wide.rename(columns={"Site 0": "y", "Site 1": "a", "Site 2": "b"})
    by_row = run(control=["Site 1", "Site 2"])
    by_column = run(frame=wide, unit=None, treated_unit=None, control=["a", "b"])
    assert by_column.headline.estimate == pytest.approx(by_row.headline.estimate, rel=1e-12)
    assert by_column.headline.conf_low == pytest.approx(by_row.headline.conf_low, rel=1e-9)


def test_counts_are_set_in_relation_to_the_control_s_rate() -> None:
    """The same model by hand: the control's pooled rate as an offset."""
    frame = long()
    found = {e.term: e for e in run(frame, outcome=ev.Outcome("n", kind="rate", population="youth", per=1e4),
                                    family="quasi-poisson", errors="model-based").estimates}  # fmt: skip
    wide, youth = (frame.pivot(index="month", columns="site", values=c) for c in ("n", "youth"))
    others = [c for c in wide if c != "Site 0"]
    rate = wide[others].sum(axis=1) / youth[others].sum(axis=1)
    X = np.column_stack([np.ones(N), T, T >= START]).astype(float)
    fit = GLM(wide["Site 0"], X, family=Poisson(), offset=np.log(youth["Site 0"] * rate)).fit(tol=1e-12, maxiter=100)
    assert found["level"].estimate == pytest.approx(fit.params.iloc[2], rel=1e-7)
    assert found["rate-ratio"].estimate == pytest.approx(np.exp(fit.params.iloc[2]), rel=1e-7)


def test_the_order_of_rows_and_a_shock_to_all_change_nothing() -> None:
    frame = long()
    a = run(frame).headline
    b = run(frame.sample(frac=1, random_state=1)).headline
    shock = frame.groupby("month").ngroup() % 7 * 3.0
    c = run(frame.assign(y=frame["y"] + shock)).headline
    for other in (b, c):
        assert other.estimate == pytest.approx(a.estimate, rel=1e-9)
        assert other.conf_high == pytest.approx(a.conf_high, rel=1e-8)


@pytest.mark.parametrize("control", ["mean", "all", "matched", "synthetic", "Site 3"])
def test_every_choice_says_what_it_did(control: str) -> None:
    result = run(control=control)
    said = " ".join(result.statements.approach)
    assert "drops out" in said
    assert "control" in said or "other series" in said
    assert {d.name for d in result.diagnostics} >= {"control-trend"}
    drawn = next(f for f in result.figures if f.key == "treated_and_control")
    assert {row[3] for row in drawn.rows} == {"program", "comparison"}
    assert "its past and the control lead" in result.estimand.words


def test_synthetic_weights_add_up_to_one() -> None:
    table = next(t for t in run(control="synthetic").tables if t.key == "controls")
    assert sum(row[1] for row in table.rows) == pytest.approx(1, abs=1e-9)
    assert all(row[1] > 0 for row in table.rows)


def test_controls_with_holes_are_left_out_and_a_hole_in_the_treated_series_is_not_filled() -> None:
    frame = long()
    hole = frame.drop(frame.index[(frame["site"] == "Site 4") & (frame["month"] == "2001-03")])
    table = next(t for t in run(hole).tables if t.key == "controls")
    assert [row[0] for row in table.rows] == ["Site 1", "Site 2", "Site 3", "Site 5"]
    gap = frame.drop(frame.index[(frame["site"] == "Site 0") & (frame["month"] == "2001-03")])
    assert run(gap).headline.n_obs == N - 1


def test_small_counts_of_a_control_hide_what_would_give_them_away() -> None:
    frame = long()
    frame.loc[(frame["site"] == "Site 1") & (frame["month"] == "2003-05"), "n"] = 4
    result = run(frame, outcome=ev.Outcome("n", kind="count"), family="quasi-poisson", control="Site 1")
    month = 12 * 2003 + 4
    drawn = next(f for f in result.figures if f.key == "treated_and_control")
    assert [row[4] for row in drawn.rows if row[0] == month and row[3] == "comparison"] == [None]
    line = next(row for row in next(f for f in result.figures if f.key == "series").rows if row[0] == month)
    assert line[3:7] == (None, None, None, None)
    assert line[2] is not None
    assert next(d for d in result.diagnostics if d.name == "control-size").verdict == "pass"
    step = next(f for f in result.figures if f.key == "difference_by_period")
    hidden = [row for row in step.rows if row[0] == month - (12 * 2002 + 6)]
    assert hidden[0][2:5] == (None, None, None)


def test_an_identifier_of_a_control_does_not_leave() -> None:
    with pytest.raises(errors.DisclosureError):
        run(identifiers=["site"])


def test_events_of_several_sites_are_counted_for_each() -> None:
    frame = long()
    rows = frame.loc[frame.index.repeat(frame["n"])][["site", "month"]]
    rows = rows.assign(date=rows["month"] + "-15")
    a = run(rows, outcome=ev.Outcome("date", kind="count"), time="date", every="month", rows="events",
            family="quasi-poisson").headline  # fmt: skip
    b = run(outcome=ev.Outcome("n", kind="count"), family="quasi-poisson").headline
    assert a.estimate == pytest.approx(b.estimate, rel=1e-12)


BAD: dict[str, tuple[dict[str, Any], type[errors.EvaluationError], str]] = {
    "no treated unit": ({"treated_unit": None}, errors.DesignFileError, "needs treated_unit"),
    "no such unit": ({"treated_unit": "Site 9"}, errors.OptionError, "did you mean"),
    "no such control": ({"control": "Sita 1"}, errors.OptionError, "did you mean 'Site 1'"),
    "itself": ({"control": "Site 0"}, errors.OptionError, "not another unit"),
    "treated unit without control": ({"control": None}, errors.DesignFileError, "for a study with control"),
    "chance of the control left out": (
        {"outcome": ev.Outcome("n", kind="count"), "family": "poisson", "errors": "model-based"},
        errors.DesignFileError, "quasi-poisson"),
    "population of a column": ({"control_population": "youth"}, errors.DesignFileError, "control that is a column"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_message(name: str) -> None:
    changes, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        run(**changes)
    assert words in str(caught.value)


def test_no_control_is_left() -> None:
    frame = long()
    frame = frame[(frame["site"] == "Site 0") | (frame["month"] < "2003-01")]
    with pytest.raises(errors.NoComparisonError, match="none of 5 possible controls"):
        run(frame)


def test_months_without_an_event_in_the_control_are_refused() -> None:
    frame = long()
    frame.loc[(frame["site"] != "Site 0") & (frame["month"] == "2001-03"), "n"] = 0
    with pytest.raises(errors.OptionError, match="no event in 1 month"):
        run(frame, outcome=ev.Outcome("n", kind="count"), family="quasi-poisson")
