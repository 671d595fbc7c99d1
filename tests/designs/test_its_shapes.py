"""Shapes of change, several interruptions, phase-ins, covariates and other events of an interrupted time series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors

MONTHS = 60
START = 30
T = np.arange(MONTHS)


def frame(change: Any, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "month": pd.period_range("2017-01", periods=MONTHS, freq="M").astype(str),
        "y": 40 + 0.2 * T + rng.normal(0, 1, MONTHS) + change, "heat": rng.normal(0, 1, MONTHS),
    })  # fmt: skip


def run(change: Any = 0.0, **settings: Any) -> Any:
    data = settings.pop("data", None)
    given = {"time": "month", "interruption": "2019-07", "errors": "ols", **settings}
    return ev.its(frame(change) if data is None else data, outcome="y", **given).result


def rows(result: Any) -> dict[str, Any]:
    return {e.term: e for e in result.estimates if e.standing != "sensitivity"}


SHAPES: dict[str, tuple[Any, Any, str]] = {
    "ramp": (np.clip((T - START + 1) / 6, 0, 1), {"shape": "ramp", "over": 6}, "ramp (over 6 months)"),
    "temporary": ((T >= START) & (T < START + 8), {"shape": "temporary", "lasts": 8}, "temporary (8 months)"),
    "until": ((T >= START) & (T < START + 8), {"shape": "temporary", "until": "2020-02"}, "temporary (until 2020-02)"),
    "delayed": (T >= START + 4, {"shape": "level", "delay": 4}, "level (delayed by 4)"),
    "pulse": (T == START, "pulse", "pulse"),
    "level": (T >= START, "level", "level"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_change_is_found_in_its_own_shape(name: str) -> None:
    course, effect, term = SHAPES[name]
    result = run(9.0 * course, effects=[effect])
    found = rows(result)
    assert abs(found[term].estimate - 9) < 4 * found[term].std_error
    after = T >= START
    assert found["average"].estimate == pytest.approx(
        found[term].estimate * np.asarray(course, dtype=float)[after].mean(), rel=1e-9
    )
    assert all(term.split(" ")[0] in text for text in (result.statements.approach[0],))


def test_own_regression_gives_the_same_numbers() -> None:
    """Least squares on columns written out by hand."""
    data = frame(5.0 * (T >= 20) + 3.0 * np.clip((T - 39) / 4, 0, 1))
    starts = [{"date": "2018-09", "label": "posters", "effects": ["level"]},
              {"date": "2020-05", "label": "radio", "effects": [{"shape": "ramp", "over": 4}, "slope"]}]  # fmt: skip
    result = run(data=data, interruption=starts)
    since = np.maximum(T - 40, 0)
    X = np.column_stack([np.ones(MONTHS), T, T >= 20, since, np.clip((T - 39) / 4, 0, 1)]).astype(float)
    b = np.linalg.lstsq(X, data["y"].to_numpy(), rcond=None)[0]
    found = rows(result)
    got = [found[term].estimate for term in (
        "intercept", "trend", "level (Sep 2018)", "slope (May 2020)", "ramp (May 2020, over 4 months)",
    )]  # fmt: skip
    assert got == pytest.approx(b.tolist(), rel=1e-9)
    # The first interruption adds its level until the second; the second adds the rest from then on.
    assert found["average (Sep 2018)"].estimate == pytest.approx(b[2], rel=1e-9)
    assert found["average (May 2020)"].estimate == pytest.approx(float((X[40:, 3:] @ b[3:]).mean()), rel=1e-9)
    changes = X[20:, 2:] @ b[2:]
    assert found["average"].estimate == pytest.approx(float(changes.mean()), rel=1e-9)
    assert {t.key for t in result.tables} >= {"by_interruption"}
    assert "posters" in result.statements.approach[0]


def test_each_of_several_interruptions_has_a_ratio_for_counts() -> None:
    rng = np.random.default_rng(2)
    rate = np.exp(3 + np.log(1.5) * (T >= 20) + np.log(0.8) * (T >= 40))
    data = frame(0.0).assign(n=rng.poisson(rate))
    made = ev.its(data, outcome=ev.Outcome("n", kind="count"), time="month", interruption=["2018-09", "2020-05"],
                  effects=["level"], family="poisson", errors="model-based")  # fmt: skip
    found = rows(made.result)
    for label, name in (("Sep 2018", "level (Sep 2018)"), ("May 2020", "level (May 2020)")):
        ratio = found[f"rate-ratio ({label})"]
        assert ratio.estimate == pytest.approx(np.exp(found[name].estimate), rel=1e-9)
        assert ratio.is_ratio


def test_an_excluded_phase_in_is_left_out_and_changes_count_from_its_end() -> None:
    data = frame(6.0 * (T >= START + 5))
    result = run(data=data, phase_in=5)
    kept = (T < START) | (T >= START + 5)
    late = T >= START + 5
    X = np.column_stack([np.ones(MONTHS), T, late, (T - START - 5) * late]).astype(float)[kept]
    b = np.linalg.lstsq(X, data["y"].to_numpy()[kept], rcond=None)[0]
    found = rows(result)
    assert [found[t].estimate for t in ("level", "slope")] == pytest.approx(b[2:].tolist(), rel=1e-8)
    assert result.headline.n_obs == MONTHS - 5
    assert next(s for s in result.flow if s.label == "Outside the phase-in").excluded == 5
    assert rows(run(data=data, phase_in={"until": "2019-11"}))["level"].estimate == found["level"].estimate
    check = next(d for d in result.diagnostics if d.name == "calendar")
    assert (check.verdict, check.value) == ("pass", 0.0)
    assert "phase-in" in check.text


def test_a_ramped_phase_in_is_whole_in_the_first_period_after_it() -> None:
    data = frame(6.0 * np.clip((T - START + 1) / 6, 0, 1))
    found = rows(run(data=data, phase_in={"periods": 5, "as": "ramp"}, effects=["level"]))
    same = rows(run(data=data, effects=[{"shape": "ramp", "over": 6}]))
    assert found["level"].estimate == pytest.approx(same["ramp (over 6 months)"].estimate, rel=1e-12)


def test_covariates_and_modelled_events_enter_and_others_are_only_shown() -> None:
    data = frame(4.0 * (T >= START) + 7.0 * ((T >= 10) & (T <= 14)))
    data["y"] += 2.0 * data["heat"]
    event = {"date": "2017-11", "until": "2018-03", "label": "storm", "modelled": True}
    result = run(data=data, covariates=["heat"], events=[event], effects=["level"])
    found = rows(result)
    assert found["heat"].estimate == pytest.approx(2, abs=0.6)
    assert found["storm"].estimate == pytest.approx(7, abs=2)
    shown = rows(run(data=data, covariates=["heat"], events=[event | {"modelled": False}], effects=["level"]))
    assert "storm" not in shown


def test_a_missing_covariate_is_not_filled_in() -> None:
    data = frame(4.0 * (T >= START))
    data.loc[[3, 50], "heat"] = np.nan
    result = run(data=data, covariates=["heat"])
    assert result.headline.n_obs == MONTHS - 2
    assert next(d for d in result.diagnostics if d.name == "calendar").value == 2.0


def test_a_change_of_recording_is_a_caution_unless_it_is_modelled() -> None:
    change = {"date": "2018-01", "label": "new form"}
    check = next(d for d in run(recording_changes=[change]).diagnostics if d.name == "recording-changes")
    assert check.verdict == "caution"
    assert "new form (Jan 2018)" in check.text
    modelled = run(recording_changes=[change | {"modelled": True}])
    assert next(d for d in modelled.diagnostics if d.name == "recording-changes").verdict == "pass"
    assert "new form" in rows(modelled)


@pytest.mark.parametrize("start", range(3))
def test_seasons_of_days_and_weeks(start: int) -> None:
    rng = np.random.default_rng(start)
    days = pd.date_range("2019-03-01", periods=400, freq="D")
    y = 20 + 3.0 * (days.day_of_week >= 5) + 5 * np.sin(2 * np.pi * days.day_of_year / 365.25) + rng.normal(0, 0.5, 400)
    data = pd.DataFrame({"day": days.astype(str), "y": y})
    given: dict[str, Any] = {"outcome": "y", "time": "day", "interruption": "2019-12-01", "effects": ["level"],
                             "errors": "ols"}  # fmt: skip
    by_day = rows(ev.its(data, season="weekdays", **given).result)
    assert by_day["weekday 7"].estimate == pytest.approx(3, abs=1.5)
    waves = rows(ev.its(data, season={"harmonics": 1}, **given).result)
    size = np.hypot(waves["sine 1"].estimate, waves["cosine 1"].estimate)
    assert size == pytest.approx(5, abs=0.6)
    week = rows(ev.its(data, season={"harmonics": 3, "cycle": "week"}, **given).result)
    assert {"sine 3", "cosine 3"} <= set(week)
    assert "month 12" in rows(ev.its(data, season="months", **given).result)


BAD: dict[str, tuple[dict[str, Any], type[errors.EvaluationError], str]] = {
    "ramp without over": ({"effects": [{"shape": "ramp"}]}, errors.DesignFileError, "ramp needs over"),
    "temporary without end": ({"effects": [{"shape": "temporary"}]}, errors.DesignFileError, "lasts or until"),
    "an effect twice": ({"effects": ["level", "level"]}, errors.DesignFileError, "each effect once"),
    "an end before the start": (
        {"effects": [{"shape": "temporary", "until": "2018-01"}]}, errors.OptionError, "before it begins"),
    "a delay beyond the end": ({"effects": [{"shape": "level", "delay": 90}]}, errors.OptionError, "no month"),
    "phase-in with no period": ({"phase_in": 0}, errors.DesignFileError, "at least 1 period"),
    "phase-in with two ends": (
        {"phase_in": {"periods": 2, "until": "2019-09"}}, errors.DesignFileError, "until or periods"),
    "phase-in before the start": ({"phase_in": {"until": "2019-01"}}, errors.PeriodError, "phase-in ends with"),
    "phase-in into the next": (
        {"phase_in": 12, "interruption": ["2019-01", "2019-09"]}, errors.PeriodError, "the next in"),
    "phase-in until, two interruptions": (
        {"phase_in": {"until": "2019-09"}, "interruption": ["2018-07", "2019-07"]}, errors.OptionError, "number of"),
    "an event outside": (
        {"events": [{"date": "2030-01", "label": "x", "modelled": True}]}, errors.PeriodError, "lies within it"),
    "an event backwards": (
        {"events": [{"date": "2018-01", "until": "2017-01", "label": "x"}]}, errors.PeriodError, "ends before"),
    "weekdays of months": ({"season": "weekdays"}, errors.OptionError, "weekdays"),
    "two terms that are the same": (
        {"effects": ["level", {"shape": "temporary", "until": "2030-01"}]}, errors.CollinearityError, "follow from"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_message(name: str) -> None:
    changes, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        run(**changes)
    assert words in str(caught.value)
    assert caught.value.expected
    assert caught.value.todo
