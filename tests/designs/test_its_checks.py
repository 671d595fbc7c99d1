"""Other dates, left-out periods, outcomes, power and alternatives of an interrupted time series."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.cli.explain import topics
from evaltoolkit.contract import Alternative, Power
from evaltoolkit.data import FrameSource
from evaltoolkit.designs.its.options import parse
from evaltoolkit.errors import NoPrePeriodError, OptionError
from evaltoolkit.pipeline import headline_of, prepare
from evaltoolkit.planning import plan
from evaltoolkit.results import role_words
from evaltoolkit.study import Study, study_from
from evaltoolkit.study.models import Role
from tests.designs.test_its import calls, months, run


@pytest.fixture(scope="module")
def gaussian() -> Any:
    return run()


@pytest.fixture(scope="module")
def counted() -> Any:
    return run(outcome=calls(), family="quasi-poisson")


def check(made: Any, name: str) -> Any:
    return next(d for d in (*made.result.diagnostics, *made.result.sensitivity) if d.name == name)


def rows(made: Any) -> dict[str, Any]:
    return {e.term: e for e in made.result.estimates if e.standing != "sensitivity"}


@pytest.mark.parametrize("which", ["gaussian", "counted"])
def test_outcomes_have_the_same_estimate_and_a_wider_interval(which: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    found = rows(made)
    for term in ("average", "cumulative", "first period", "last period"):
        wide = found[f"{term}, outcomes"]
        narrow = found[term if which == "gaussian" or term != "average" else "average difference"]
        assert wide.estimand != narrow.estimand
        assert wide.estimate == pytest.approx(narrow.estimate, rel=1e-9)
        assert wide.conf_low < narrow.conf_low < narrow.conf_high < wide.conf_high
    table = next(t for t in made.result.tables if t.key == "effects")
    assert table.columns[-1].label == "Interval of the outcomes"


def test_the_scatter_of_one_period_is_that_of_the_series() -> None:
    # With unrelated errors the extra variance of one period is that of the residuals, and of a sum of 36 36 times that.
    made = run(errors="ols")
    found, sample = rows(made), made.sample.products
    s2 = float(sample["residuals"] @ sample["residuals"]) / (72 - len(sample["terms"]))
    for term, n in (("first period", 1), ("cumulative", 36)):
        extra = found[f"{term}, outcomes"].std_error ** 2 - found[term].std_error ** 2
        assert extra == pytest.approx(n * s2, rel=1e-8)


def test_events_are_given_per_population_in_words_that_the_role_allows() -> None:
    for role in (*get_args(Role), None):
        made = run(outcome=calls(role=role, better="higher"), family="quasi-poisson")
        per = next(e for e in made.result.estimates if e.term == "cumulative per 10,000")
        total = rows(made)["cumulative"]
        people = months()["youth"].to_numpy()[36:].mean()
        # A mean of populations against a mean of their inverses.
        assert per.estimate == pytest.approx(total.estimate / people * 1e4, rel=1e-3)
        said = " ".join(made.result.statements.findings)
        assert "per 10,000 people" in said
        assert ("recorded per 10,000" in said) == (role != "incidence")
        assert role_words(role).caveat in made.result.statements.does_not_show


def test_placebo_dates_cover_the_time_before_the_start(gaussian: Any) -> None:
    figure = next(f for f in gaussian.result.figures if f.key == "placebo_dates")
    steps = [row[0] for row in figure.rows]
    start = steps[-1]
    assert steps[:-1] == list(range(start - 32, start - 3))
    assert [row[5] for row in figure.rows] == ["before"] * 29 + ["after"]
    assert check(gaussian, "placebo-dates").verdict == "pass"
    assert check(gaussian, "placebo-rank").value == pytest.approx(1 / 30)


def test_a_series_that_moved_before_is_pointed_out() -> None:
    frame = months(effect=0.0)
    frame.loc[18:, "y"] += 25.0
    made = run(frame)
    assert check(made, "placebo-dates").verdict == "caution"
    assert check(made, "placebo-rank").value > 2 / 30
    assert check(made, "break-date").verdict == "caution"
    assert "Jul 2018" in check(made, "break-date").text


def test_the_break_is_found_where_the_program_began(gaussian: Any) -> None:
    found = check(gaussian, "break-date")
    assert found.verdict == "pass"
    assert "The nearest is 1 month after the start: near enough." in found.text
    assert check(run(months(noise=1.0, seed=5)), "break-date").value > 0.5
    table = next(t for t in gaussian.result.tables if t.key == "unknown_break")
    assert [row[0] for row in table.rows] == ["Sup F", "Average F", "Exponential F"]
    assert all(row[2] < 0.01 for row in table.rows)


def test_one_period_that_decides_is_noticed(gaussian: Any) -> None:
    assert check(gaussian, "leave-one-period-out").verdict == "pass"
    frame = months(effect=0.0, noise=1.0)
    frame.loc[71, "y"] += 60.0
    found = check(run(frame, effects=["level", "slope"]), "leave-one-period-out")
    assert found.verdict == "caution"
    assert found.value > 0.5
    assert "Dec 2022" not in found.text


def test_leaving_out_is_the_fit_without_the_period() -> None:
    frame = months()
    whole, without = run(frame), run(frame.drop(index=[50]))
    found = check(whole, "leave-one-period-out")
    move = abs(without.result.headline.estimate - whole.result.headline.estimate) / whole.result.headline.std_error
    # The effect is averaged over one period less, which moves a level-and-slope average a little.
    assert move <= found.value + 0.2


@pytest.mark.parametrize("changes", [{"family": "gaussian"}, {"family": "quasi-poisson"}])
def test_the_headline_alone_is_that_of_the_whole(changes: dict[str, Any]) -> None:
    outcome = calls() if changes["family"] != "gaussian" else "y"
    made = run(outcome=outcome, **changes)
    alone, _ = headline_of(made.study, FrameSource(months()))
    assert alone == made.result.headline


def listed(frame: pd.DataFrame | None = None, **changes: Any) -> tuple[Study, tuple[Alternative, ...]]:
    made = run(frame, **changes)
    ready = prepare(made.study, FrameSource(months() if frame is None else frame))
    design: Any = ready.design
    return made.study, design.alternatives(made.study, ready.options, ready.sample)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"season": None, "effects": ["level"]}, {"errors": "newey-west", "lags": 4}, {"phase_in": 2},
        {"outcome": calls(), "family": "poisson", "errors": "model-based"}, {"errors": "gls"},
    ],
)  # fmt: skip
def test_alternatives_cross_errors_seasons_shapes_and_phase_ins(changes: dict[str, Any]) -> None:
    study, found = listed(**changes)
    ways = 3 if "family" in changes else 5
    assert len(found) == ways * 3 * 2 * 2
    assert len({one.label for one in found}) == len(found)
    assert dict(found[0].settings) == dict(study.settings)
    for one in found:
        parse(study.model_copy(update={"settings": one.settings}))
        assert list(one.choices) == ["Errors", "Season", "Change", "Phase-in"]


def test_compare_shows_ratios_as_ratios() -> None:
    frame = months(30, 15)
    made = ev.its(
        frame, outcome=calls(), time="month", interruption="2018-04", family="quasi-poisson", effects=["level"]
    )
    found = made.compare()
    assert found.tally.zero == "one"
    assert "Ratio" in found.figure.marks["y_label"]
    assert not found.rows()[0][2].startswith("+")
    assert found.analyses[0].estimate == made.result.headline


def planned(frame: pd.DataFrame | None = None, **changes: Any) -> Power:
    settings = {"time": "month", "interruption": "2020-01", "season": {"harmonics": 1}} | changes
    outcome = settings.pop("outcome", ev.Outcome(column="y"))
    study = study_from({"design": "interrupted-time-series", "title": "A study", "outcome": outcome, **settings})
    return plan(study, FrameSource(months() if frame is None else frame)).found


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaltoolkit.designs.its.power.DRAWS", 8)


@pytest.mark.usefixtures("few_draws")
def test_power_does_not_look_beyond_the_start() -> None:
    frame = months()
    frame.loc[36:, "y"] = frame.loc[36:, "y"] ** 2
    frame.loc[36:, "calls"] *= 7
    assert planned(frame) == planned()
    count = {"outcome": calls(), "family": "quasi-poisson"}
    assert planned(frame, **count) == planned(**count)


@pytest.mark.parametrize("changes", [{"effects": ["level"]}, {"outcome": calls(), "family": "quasi-poisson"}])
def test_the_curve_rises_and_simulated_series_agree(changes: dict[str, Any]) -> None:
    found = planned(**changes)
    chances = [p.chance for p in found.curve]
    assert chances == sorted(chances)
    at = next(p.chance for p in found.curve if p.effect == found.smallest)
    assert at == pytest.approx(0.8, abs=1e-6)
    null, effect = found.simulated
    # 200 series: standard errors 0.015 and 0.028; the study's own method estimates the autocorrelation again.
    assert null.chance < 0.12
    assert effect.chance == pytest.approx(0.8, abs=0.15)


@pytest.mark.usefixtures("few_draws")
def test_power_states_the_smallest_effect_that_matters() -> None:
    outcome = ev.Outcome(column="y", smallest_effect_that_matters=50.0)
    assert planned(outcome=outcome).power_at_matters > 0.999
    assert planned().power_at_matters is None


def test_too_few_periods_for_power() -> None:
    with pytest.raises(NoPrePeriodError, match="too few"):
        planned(months(), interruption="2017-05", season=None)


def test_designs_without_power_name_those_with_it() -> None:
    frame = pd.DataFrame({"d": [0, 1] * 30, "y": np.arange(60.0), "x": np.arange(60.0) % 7})
    study = study_from({
        "design": "propensity-score-matching", "title": "A study", "outcome": ev.Outcome(column="y"), "treated": "d",
        "covariates": ["x"],
    })  # fmt: skip
    with pytest.raises(OptionError, match="does not say") as caught:
        plan(study, FrameSource(frame))
    assert "difference-in-differences or interrupted-time-series" in caught.value.expected


def test_every_check_is_explained(gaussian: Any, counted: Any) -> None:
    known = topics()
    for made in (gaussian, counted):
        for d in (*made.result.diagnostics, *made.result.sensitivity):
            assert d.name in known, d.name


def test_small_counts_hide_residuals() -> None:
    frame = months()
    frame["calls"] = frame["calls"] // 6
    made = run(frame, calls(role="identification"), family="quasi-poisson", rows="aggregates")
    figure = next(f for f in made.result.figures if f.key == "residuals")
    assert [c.key for c in figure.columns] == ["panel", "shape", "x", "label", "value"]
    shown = [row[4] for row in figure.rows if row[1] == "points"]
    hidden = [v is None for v in shown]
    series = next(f for f in made.result.figures if f.key == "series")
    assert hidden == [row[2] is None for row in series.rows]
    assert any(hidden)


@pytest.mark.usefixtures("few_draws")
def test_dates_rest_on_whole_data_frames_without_mutation() -> None:
    frame = months()
    before = frame.copy()
    run(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert dataclasses.is_dataclass(planned())


def test_outcomes_that_cannot_have_changed() -> None:
    frame = months()
    rng = np.random.default_rng(9)
    frame["other_calls"] = 50 + rng.normal(size=72)
    frame.loc[3, "other_calls"] = np.nan
    made = run(frame, placebo_outcomes=["other_calls"])
    assert check(made, "placebo-outcomes").verdict == "pass"
    assert made.result.headline == run().result.headline
    frame.loc[36:, "other_calls"] += 6.0
    found = check(run(frame, placebo_outcomes=["other_calls"]), "placebo-outcomes")
    assert found.verdict == "caution"
    assert "other calls: +6." in found.text


def test_no_placebo_outcome_where_rows_are_events() -> None:
    with pytest.raises(OptionError, match="placebo_outcomes"):
        run(rows="events", every="month", placebo_outcomes=["y"], outcome=ev.Outcome(column="month", kind="count"))


def test_the_treated_series_ranks_among_its_controls() -> None:
    rng = np.random.default_rng(10)
    frame = months(effect=12.0)
    for j in range(12):
        frame[f"c{j}"] = 80 + 0.1 * np.arange(72) + rng.normal(0, 3, 72)
    names = [f"c{j}" for j in range(12)]
    found = check(run(frame, control=names), "control-rank")
    assert found.value == pytest.approx(1 / 13)
    assert found.verdict == "pass"
    assert "control-rank" in topics()
    frame["y"] -= 12.0 * (np.arange(72) >= 36)
    assert check(run(frame, control=names), "control-rank").value > 1 / 13


def test_other_events_near_the_start_are_named_and_drawn() -> None:
    events = [{"date": "2020-03", "label": "A new law"}, {"date": "2018-01", "label": "A survey"}]
    made = run(events=events)
    found = check(made, "history")
    assert found.verdict == "caution"
    assert "A new law (Mar 2020)" in found.text
    marks = next(f for f in made.result.figures if f.key == "series").marks["interruptions"]
    assert [m["label"].split(",")[0] for m in marks] == ["A survey", "Start", "A new law"]
    assert check(run(events=[{**events[0], "modelled": True}]), "history").verdict == "pass"
    assert "history" in topics()


def test_a_series_that_wandered_before_is_told_from_one_that_returned() -> None:
    rng, found = np.random.default_rng(8), []
    for noise in (rng.normal(size=144), rng.normal(size=144).cumsum()):
        made = run(months(144).assign(y=50 + noise), interruption="2027-01")
        table = next(t for t in made.result.tables if t.key == "residual_tests")
        found.append({row[0]: row for row in table.rows})
    (still, wandering), (unit, level) = found, ("Dickey-Fuller, augmented", "KPSS")
    assert still[unit][4] < 0.001 < 0.05 < wandering[unit][4]
    assert still[level][3] < 0.119 < 0.146 < wandering[level][3]  # the 10 and 5 percent points of its table
    assert still[level][4] is None
    short = run(months(16), interruption="2017-09", effects=["level"], season=None)
    assert unit not in {row[0] for t in short.result.tables if t.key == "residual_tests" for row in t.rows}
