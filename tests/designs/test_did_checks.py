"""Checks and sensitivity of difference-in-differences: each passes where it should, and finds what was planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from tests.designs.test_did import check, part, quarter, rate, run, sites


def sensitivity(e: Any, name: str) -> Any:
    return next(d for d in e.result.sensitivity if d.name == name)


def names(e: Any) -> set[str]:
    return {d.name for d in (*e.result.diagnostics, *e.result.sensitivity)}


def test_a_plain_study_has_every_check_that_applies() -> None:
    assert names(run()) >= {
        "pre-trends", "pre-trend-power", "pre-trend-equivalence", "anticipation", "treated-clusters", "small-cohorts",
        "comparison-clusters", "panel-balance", "detectable-effect", "placebo-time", "departures", "other-analyses",
        "leave-one-cohort-out", "leave-one-cluster-out",
    }  # fmt: skip


def test_the_power_of_the_pre_test_grows_with_the_data() -> None:
    few, many = (check(run(sites(n)), "pre-trend-power").value for n in (60, 240))
    assert abs(many) < abs(few)


def test_equivalence_is_judged_by_the_smallest_effect_that_matters() -> None:
    verdicts = [
        check(run(outcome=ev.Outcome("y", role="wellbeing", smallest_effect_that_matters=m)), "pre-trend-equivalence")
        for m in (0.01, 50.0)
    ]
    assert [d.verdict for d in verdicts] == ["not-applicable", "pass"]


def test_departures_break_down_sooner_where_the_groups_moved_apart_before() -> None:
    frame = sites(120, effect=6.0)
    t = frame.groupby("site").cumcount()
    wavy = frame.assign(y=frame["y"] + 2.0 * np.sin(2.0 * t) * (frame["start"] != ""))
    calm, rough = (sensitivity(run(f), "departures") for f in (frame, wavy))
    assert calm.verdict == "pass"
    assert rough.value < calm.value
    figure = part(run(frame), "departures")
    widths = [row[4] - row[3] for row in figure.rows[:5]]
    assert widths == sorted(widths)


def test_departures_say_nothing_where_nothing_was_found() -> None:
    assert sensitivity(run(sites(effect=0.0)), "departures").verdict == "not-applicable"


def test_an_effect_before_the_start_is_found_by_a_placebo_in_time() -> None:
    frame = sites(90)
    code = frame["quarter"].str[:4].astype(int) * 4 + frame["quarter"].str[-1].astype(int) - 1
    start = frame["start"].map(lambda s: int(s[:4]) * 4 + int(s[-1]) - 1 if s else 10**6)
    early = frame.assign(y=frame["y"] + 3.0 * ((code >= start - 3) & (code < start)))
    assert check(run(frame), "placebo-time").verdict == "pass"
    assert check(run(early), "placebo-time").verdict == "caution"


def test_placebo_outcomes() -> None:
    frame = sites(90)
    e = run(frame, placebo_outcomes=["z"])
    assert check(e, "placebo-outcomes").verdict == "pass"
    touched = run(frame.assign(w=frame["y"] + 1), placebo_outcomes=["z", "w"])
    assert check(touched, "placebo-outcomes").verdict == "caution"
    assert "Something else changed" in check(touched, "placebo-outcomes").text
    with pytest.raises(errors.ColumnNotFoundError, match="nothing"):
        run(frame, placebo_outcomes=["nothing"])


def test_one_site_that_decides_the_sign_is_found() -> None:
    frame = sites(24, cohorts=(6, 0), effect=0.0)
    one = frame["site"] == "site-0000"
    odd = frame.assign(y=frame["y"] + 60.0 * (one & (frame["quarter"] >= quarter(6))))
    found = sensitivity(run(odd), "leave-one-cluster-out")
    assert found.value > 4
    assert sensitivity(run(sites()), "leave-one-cohort-out").verdict == "pass"


def test_leaving_out_a_cohort_is_the_study_without_it() -> None:
    frame = sites()
    without = [run(frame[frame["start"] != start]).result.headline.estimate for start in (quarter(6), quarter(9))]
    text = sensitivity(run(frame), "leave-one-cohort-out")
    assert text.value == pytest.approx(abs(without[0] - without[1]))


def test_periods_with_gaps() -> None:
    frame = sites()
    gone = run(frame[frame["quarter"] != quarter(3)])
    assert check(gone, "period-gaps").verdict == "caution"
    assert "2016 Q2 and 2016 Q4" in check(gone, "period-gaps").text
    assert "period-gaps" not in names(run(frame))


def test_a_change_in_who_is_observed_is_found() -> None:
    frame = sites(200, cohorts=(6, 0))
    rng = np.random.default_rng(2)
    late = frame["quarter"] >= quarter(6)
    lost = late & (frame["start"] != "") & (frame["site"].isin(rng.choice(frame["site"].unique(), 80, replace=False)))
    assert check(run(frame[~lost]), "composition").verdict == "caution"
    evenly = frame.drop(frame.sample(frac=0.05, random_state=1).index)
    assert check(run(evenly), "composition").verdict != "caution"


def test_cohorts_unlike_those_compared_are_found() -> None:
    frame = sites(150, cohorts=(6, 0, 0))
    alike = check(run(frame, covariates=["x"]), "overlap-by-cohort")
    apart = frame.assign(x=frame["x"] + 3.0 * (frame["start"] != ""))
    assert check(run(apart, covariates=["x"]), "overlap-by-cohort").value < alike.value
    assert check(run(apart, covariates=["x"]), "overlap-by-cohort").verdict == "caution"


def test_the_detectable_effect_is_that_of_the_formula() -> None:
    e = run(inference="analytic")
    assert check(e, "detectable-effect").value == pytest.approx(2.8015852 * e.result.headline.std_error)


def test_a_lonely_cohort_is_named() -> None:
    frame = sites(40, cohorts=(6, 0, 0, 0)).rename(columns={"site": "county"})
    frame.loc[frame["county"] == "site-0001", "start"] = quarter(9)
    text = check(run(frame, unit="county"), "small-cohorts").text
    assert text.startswith("Cohort 2018 Q1 has 1 county: their own standard errors cannot be trusted. Intervals use ")
    assert "randomization inference" in text or "scaled" in text


def test_the_decomposition_adds_up_and_is_drawn() -> None:
    e = run(estimator="twfe")
    figure = part(e, "decomposition")
    assert sum(row[2] for row in figure.rows) == pytest.approx(1.0)
    assert sum(row[2] * row[3] for row in figure.rows) == pytest.approx(e.result.headline.estimate)
    assert check(e, "decomposition").value == pytest.approx(
        sum(row[2] for row in figure.rows if row[1].startswith("Later against earlier"))
    )
    assert "decomposition" not in names(run(sites(cohorts=(6, 0)), estimator="twfe"))


ESTIMATORS: dict[str, dict[str, Any]] = {
    "callaway-santanna": {}, "two-by-two": {}, "twfe": {}, "sun-abraham": {}, "imputation": {}, "two-stage": {},
    "etwfe": {}, "stacked": {}, "lp-did": {}, "chaisemartin": {"first_treated": None, "treated": "on"},
    "triple-difference": {"eligible": "q"}, "synthetic-did": {},
}  # fmt: skip


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", ["continuous", "rate"])
def test_every_estimator_finds_the_effect_and_writes_a_whole_report(estimator: str, kind: str) -> None:
    frame = sites(64, cohorts=(7, 0) if estimator == "two-by-two" else (6, 9, 0, 0), effect=4.0)
    frame["q"] = (frame["site"].str[-2:].astype(int) // 4 % 2).astype(int)
    if estimator == "triple-difference":
        frame["y"] = frame["y"] - 4.0 * frame["on"] * (1 - frame["q"])
    outcome = "y" if kind == "continuous" else rate()
    e = run(frame, outcome=outcome, estimator=estimator, **ESTIMATORS[estimator])
    h = e.result.headline
    assert h.estimator
    assert h.conf_low is not None
    if kind == "continuous":
        assert h.conf_low < 4.0 < h.conf_high
        assert h.conf_low > 0
    assert e.result.statements.methods[0].equation is not None
    assert all(r.doi for r in e.result.statements.references)
    assert {f.kind for f in e.result.figures} >= {"effect_path", "trajectories"}


@pytest.mark.parametrize("family", ["poisson", "logit"])
def test_effects_that_multiply(family: str) -> None:
    frame = sites(120)
    if family == "logit":
        frame["yes"] = (np.random.default_rng(4).random(len(frame)) < 0.2 + 0.3 * frame["on"]).astype(int)
        e = run(frame, outcome=ev.Outcome("yes", kind="binary", role="wellbeing"), estimator="etwfe", family=family)
        assert e.result.headline.conf_low < 0.3 < e.result.headline.conf_high
        return
    for estimator in ("etwfe", "twfe"):
        e = run(frame, outcome=rate(), estimator=estimator, family=family)
        percent = next(x for x in e.result.estimates if x.kind == "percent")
        assert percent.conf_low < 100 * np.expm1(0.15 * 2.0) < percent.conf_high  # the world's rate ratio
        assert e.result.headline.estimate > 0


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "comparison": ({}, {"comparison": "never-treated"}),
    "covariates": ({}, {"covariates": ["x"]}),
    "adjust": ({"covariates": ["x"]}, {"covariates": ["x"], "adjust": "regression"}),
    "anticipation": ({}, {"anticipation": 1}),
    "base_period": ({}, {"base_period": "universal"}),
    "headline": ({}, {"headline": "dynamic"}),
    "cluster": ({}, {"cluster": "area"}),
    "weights": ({}, {"weights": "population0"}),
    "family": ({"estimator": "etwfe", "outcome": "found"},
               {"estimator": "etwfe", "outcome": "found", "family": "poisson"}),
    "period_effects": ({"estimator": "twfe"}, {"estimator": "twfe", "period_effects": "kind"}),
    "weighting": ({"estimator": "lp-did"}, {"estimator": "lp-did", "weighting": "equal"}),
    "panel": ({}, {"panel": False}),
    "incomplete": ({}, {"incomplete": "drop"}),
    "balance_event_times": ({}, {"balance_event_times": 3}),
    "event_window": ({}, {"event_window": (-2, 2)}),
    "placebo_outcomes": ({}, {"placebo_outcomes": ["z"]}),
    "inference": ({}, {"inference": "jackknife"}),
    "draws": ({"inference": "bootstrap", "draws": 199}, {"inference": "bootstrap", "draws": 999}),
    "level": ({}, {"level": 0.9}),
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_changes_something(option: str) -> None:
    frame = sites().assign(
        population0=lambda f: f.groupby("site")["population"].transform("first"),
        kind=lambda f: np.where(f["site"].str[-2:].astype(int) < 30, "a", "b"),
    )
    frame = frame.drop(frame.index[[30, 100]])
    one, two = (run(frame, **settings).result for settings in OPTIONS[option])
    assert (one.estimates, one.diagnostics) != (two.estimates, two.diagnostics)


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an option of another estimator": (
        {"estimator": "imputation", "base_period": "universal"}, errors.DesignFileValueError,
        "base_period is for estimator = 'callaway-santanna', 'triple-difference'",
    ),
    "triple differences without who is eligible": (
        {"estimator": "triple-difference"}, errors.DesignFileValueError, "needs eligible",
    ),
    "nobody eligible where the program started": (
        {"estimator": "triple-difference", "eligible": "never"}, errors.NoComparisonError, "no unit is left to compare",
    ),
    "eligible everywhere the same": (
        {"estimator": "triple-difference", "eligible": "one"}, errors.TreatmentTimingError, "same everywhere",
    ),
    "logit of a score": ({"estimator": "etwfe", "family": "logit"}, errors.OptionError, "kind = 'continuous'"),
    "poisson below zero": (
        {"estimator": "etwfe", "family": "poisson"}, errors.ColumnTypeError, "values below zero",
    ),
    "a method for cells with a regression": (
        {"estimator": "twfe", "inference": "randomization"}, errors.OptionError, "one of auto, analytic, jackknife, "
        "cr1, cr2",
    ),
    "weights of zero": ({"weights": "zero"}, errors.ColumnTypeError, "no number above zero"),
    "weights that move": ({"weights": "moving"}, errors.ColumnTypeError, "changes within"),
    "a window without the start": ({"event_window": (1, 3)}, errors.DesignFileValueError, "first <= 0 <= last"),
    "no unit on a panel": ({"unit": None}, errors.DesignFileValueError, "unit is needed"),
    "cross-sections without a start": (
        {"panel": False, "first_treated": None, "treated": "on"}, errors.DesignFileValueError,
        "give first_treated",
    ),
    "switching without an indicator": (
        {"estimator": "chaisemartin"}, errors.DesignFileValueError, "needs treated",
    ),
    "a stack with too wide a window": (
        {"estimator": "stacked", "event_window": (-30, 30)}, errors.NoPrePeriodError, "whole window",
    ),
    "ferman-pinto with holes": ({"inference": "ferman-pinto", "holes": True}, errors.OptionError, "missing in some "
    "periods"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_gets_one_clear_message(case: str) -> None:
    settings, kind, words = WRONG[case]
    frame = sites().assign(
        one=1,
        zero=0,
        never=lambda f: (f["start"] == "").astype(int),
        moving=lambda f: 1.0 + f.groupby("site").cumcount(),
    )
    if settings.get("holes"):
        frame, settings = frame.drop(frame.index[3]), {k: v for k, v in settings.items() if k != "holes"}
    with pytest.raises(kind) as caught:
        run(frame, **settings)
    assert words in str(caught.value)
    assert isinstance(caught.value, errors.EvaluationError)
    assert caught.value.todo


def test_repeated_cross_sections_are_worded_as_such() -> None:
    frame = sites(90)
    e = ev.did(
        frame.drop(columns="site"), outcome="y", time="quarter", first_treated="start", panel=False,
        rows="people",
    )  # fmt: skip
    assert e.result.headline.n_units == len(frame)
    assert e.result.headline.conf_low < 2.0 < e.result.headline.conf_high
    assert "followed" not in " ".join(e.result.statements.approach)
    assert isinstance(e.tidy("event-time"), pd.DataFrame)


def test_the_multiplier_bootstrap_is_near_the_analytic_errors() -> None:
    frame = sites(120)
    analytic, drawn = (run(frame, inference=way) for way in ("analytic", "bootstrap"))
    assert drawn.result.headline.std_error == pytest.approx(analytic.result.headline.std_error, rel=0.05)
    assert drawn.result.headline.std_error != analytic.result.headline.std_error
    assert drawn.result.headline.inference == "bootstrap, normal"
    one, two = (e.sample.products["critical_value"] for e in (analytic, drawn))
    assert two == pytest.approx(one, abs=0.15)
    assert run(frame, inference="bootstrap", seed=2).result.headline != drawn.result.headline


def test_quarter_codes_are_quarters() -> None:
    frame = sites()
    code = frame["quarter"].str.replace("Q", "").astype(int)
    start = frame["start"].str.replace("Q", "").replace("", "0").astype(int)
    coded = frame.assign(quarter=code, start=start)
    one, two = run(frame).result, run(coded).result
    assert one.headline == two.headline
    assert one.statements.study_period == two.statements.study_period


def test_the_detectable_effect_is_also_simulated() -> None:
    assert "dealt out anew" in check(run(), "detectable-effect").text
    assert "dealt out anew" not in check(run(covariates=["x"]), "detectable-effect").text
