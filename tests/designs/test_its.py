"""An interrupted time series from study to sealed result: words, checks, disclosure, and bad input one by one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.results import role_words, to_json
from evaltoolkit.study import language_findings
from evaltoolkit.study.models import Role

PROGRAM = "the campaign"
ROLES = [*get_args(Role), None]


def months(n: int = 72, start: int = 36, effect: float = 12.0, noise: float = 3.0, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    season = 4 * np.sin(2 * np.pi * t / 12)
    y = 80 + 0.1 * t + season + effect * (t >= start) + rng.normal(0, noise, n)
    calls = rng.poisson(np.exp(3.5 + 0.2 * np.sin(2 * np.pi * t / 12) + 0.05 * effect / 3 * (t >= start)))
    return pd.DataFrame({
        "month": pd.period_range("2017-01", periods=n, freq="M").astype(str), "y": y, "calls": calls,
        "youth": 1e5 + 50 * t, "share": 0.4 + 0.002 * effect * (t >= start) + rng.normal(0, 0.01, n),
    })  # fmt: skip


def run(frame: pd.DataFrame | None = None, outcome: Any = "y", **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "time": "month", "interruption": "2020-01", "program": PROGRAM, "season": {"harmonics": 1},
    }  # fmt: skip
    return ev.its(months() if frame is None else frame, outcome=outcome, **(settings | changes))


def calls(**changes: Any) -> ev.Outcome:
    return ev.Outcome(**({"column": "calls", "kind": "rate", "population": "youth", "per": 10_000} | changes))


def test_the_answer_is_near_the_truth() -> None:
    h = run().result.headline
    assert h.conf_low < 12 < h.conf_high
    assert h.estimate == pytest.approx(12, abs=3)
    assert (h.kind, h.term, h.standing) == ("average", "average", "primary")


def test_counts_have_a_ratio_with_its_absolute_form_beside_it() -> None:
    result = run(outcome=calls(), family="poisson").result
    assert result.headline.term == "rate-ratio"
    assert result.headline.null == 1.0
    assert result.headline.conf_low < np.exp(0.2) < result.headline.conf_high
    found = {e.term: e for e in result.estimates}
    percent = found["relative change"]
    assert percent.kind == "percent"
    assert percent.estimate == pytest.approx(100 * (result.headline.estimate - 1))
    # Per 10,000 and month: the sum of events over the population and the months.
    exposure = months()["youth"].to_numpy()[36:]
    difference = found["average difference"].estimate
    assert difference == pytest.approx(found["cumulative"].estimate / exposure.mean() * 1e4 / 36, rel=0.01)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("effect", [12.0, -12.0, 0.0])
def test_words_claim_no_more_than_the_role_allows(role: str | None, effect: float) -> None:
    outcome = ev.Outcome(column="y", label="Minors recognized", role=role, better="higher")
    words = run(months(effect=effect), outcome).result.statements
    said = " ".join([words.bottom_line, words.plain, *words.supports, *words.findings, *words.does_not_show])
    assert role_words(role).caveat in words.does_not_show
    if role != "incidence":
        assert not re.search(
            r"(exploitation|trafficking|abuse) (itself )?(rose|fell|increased|decreased|declined|dropped)", said
        )
    assert not re.search(r"prove[sdn]?\b|no effect|significant", said)
    assert language_findings(said) == []
    if effect == 0.0:
        assert words.bottom_line.startswith(f"It is not yet clear whether {PROGRAM} changed")
        assert "not a result of no change" in said
    else:
        assert ("higher" if effect > 0 else "lower") in words.bottom_line
        assert role_words(role).of("Minors recognized") in words.bottom_line


def test_a_change_below_the_smallest_that_matters_is_called_small() -> None:
    words = run(outcome=ev.Outcome(column="y", smallest_effect_that_matters=50)).result.statements
    assert "less than the smallest effect that matters" in words.bottom_line


def test_shares_are_shown_in_percentage_points() -> None:
    result = run(outcome=ev.Outcome(column="share", kind="proportion")).result
    assert result.headline.estimate == pytest.approx(0.024, abs=0.01)
    assert "percentage points" in result.statements.bottom_line
    drawn = next(f for f in result.figures if f.key == "series")
    assert 30 < drawn.rows[0][2] < 50


def test_missing_months_are_counted_and_not_filled() -> None:
    frame = months()
    hole = frame.assign(y=frame["y"].mask(frame.index.isin([10, 11, 50])))
    result = run(hole).result
    check = next(d for d in result.diagnostics if d.name == "calendar")
    assert (check.verdict, check.value) == ("caution", 3.0)
    assert result.headline.n_obs == 69
    flow = result.flow
    assert flow[1].excluded == 3
    for before, after in itertools.pairwise(flow):
        if after.excluded is not None:
            assert after.n == before.n - after.excluded
    assert run(hole.dropna(subset=["y"])).result.headline.estimate == result.headline.estimate


def test_small_months_are_hidden() -> None:
    frame = months()
    frame.loc[[4, 40], "calls"] = [7, 3]
    result = run(frame, calls(), family="quasi-poisson").result
    drawn = next(f for f in result.figures if f.key == "series")
    observed = [row[2] for row in drawn.rows]
    assert [i for i, v in enumerate(observed) if v is None] == [4, 40]
    text = to_json(result)
    for i, count in ((4, 7), (40, 3)):
        assert f"{count / frame['youth'][i] * 1e4:.6f}"[:7] not in text
    assert {h.why for h in result.disclosure.hidden} == {"primary"}


def test_identifiers_and_the_callers_frame() -> None:
    frame = months().assign(log=[f"case-{i:04d}" for i in range(72)])
    before = frame.copy(deep=True)
    one, two = (to_json(run(frame, identifiers=["log"]).result) for _ in range(2))
    pd.testing.assert_frame_equal(frame, before)
    assert one == two
    assert "case-" not in one


def test_several_interruptions_have_terms_of_their_own() -> None:
    result = run(interruption=["2020-01", "2021-06"]).result
    terms = {e.term for e in result.estimates}
    assert {"level (Jan 2020)", "slope (Jan 2020)", "level (Jun 2021)", "slope (Jun 2021)"} <= terms
    assert "Jan 2020 and Jun 2021" in result.statements.how_we_know


CHANGES: dict[str, dict[str, Any]] = {
    "effects": {"effects": ["level"]}, "season": {"season": "months"}, "harmonics": {"season": {"harmonics": 3}},
    "errors": {"errors": "newey-west"}, "lags": {"errors": "newey-west", "lags": 9}, "ols": {"errors": "ols"},
    "interruption": {"interruption": "2020-04"}, "level": {"level": 0.8}, "seasonal lags": {
        "errors": "newey-west", "lags": "seasonal"},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_option_does_something(name: str) -> None:
    plain, other = run().result.headline, run(**CHANGES[name]).result.headline
    assert (plain.estimate, plain.conf_low) != (other.estimate, other.conf_low)


def test_families_and_errors_of_counts_differ() -> None:
    made = {
        (family, how): run(outcome=calls(), family=family, errors=how).result.headline.std_error
        for family in ("poisson", "quasi-poisson")
        for how in ("model-based", "newey-west", "marginal-ar1")
    }
    assert made["poisson", "model-based"] != made["quasi-poisson", "model-based"]
    assert len({made["quasi-poisson", how] for how in ("model-based", "newey-west", "marginal-ar1")}) == 3


def test_checks_notice_what_they_are_for() -> None:
    def verdicts(**changes: Any) -> dict[str, str]:
        return {d.name: d.verdict for d in run(**changes).result.diagnostics}

    plain = verdicts()
    assert {plain[k] for k in ("series-length", "calendar", "persistence", "season")} == {"pass"}
    assert verdicts(season=None)["season"] == "caution"
    assert verdicts(interruption="2022-08")["series-length"] == "caution"
    wander = months().assign(y=np.cumsum(np.random.default_rng(1).normal(size=72)) * 5 + 200)
    assert verdicts(frame=wander)["persistence"] == "caution"
    assert verdicts(frame=wander, errors="ols")["residual-autocorrelation"] == "caution"
    counts = verdicts(frame=months().assign(calls=months()["calls"] ** 2), outcome=calls(), family="poisson",
                      errors="model-based")  # fmt: skip
    assert counts["dispersion"] == "caution"


def test_other_models_stand_beside_the_headline() -> None:
    result = run().result
    labels = {e.estimator for e in result.estimates if e.standing == "sensitivity"}
    assert labels == {"errors: Newey-West", "errors: ordinary least squares", "without seasons", "level change only"}
    assert result.sensitivity[0].name == "other-analyses"


Made = Callable[[], pd.DataFrame]


def with_(column: str, value: object, rows: Any = slice(None)) -> Made:
    def made() -> pd.DataFrame:
        frame = months()
        frame[column] = frame[column].astype(object)
        frame.loc[rows, column] = value
        return frame

    return made


BAD: dict[str, tuple[Made, dict[str, Any], type[errors.EvaluationError], str]] = {
    "no such time": (months, {"time": "week"}, errors.ColumnNotFoundError, "'week'"),
    "no such outcome": (months, {"outcome": "z"}, errors.ColumnNotFoundError, "'z'"),
    "text in the outcome": (with_("y", "many", 3), {}, errors.ColumnTypeError, "row 4"),
    "infinite": (with_("y", np.inf, 3), {}, errors.ColumnTypeError, "infinite"),
    "all missing": (with_("y", np.nan), {}, errors.MissingValuesError, "'y'"),
    "constant": (with_("y", 5.0), {}, errors.NoVariationError, "never varies"),
    "a computed series": (
        lambda: months().assign(y=np.arange(72) * 2.0), {"season": None}, errors.NoVariationError, "without any error",
    ),
    "dates that do not parse": (with_("month", "then", 3), {}, errors.PeriodError, "'month'"),
    "two rows of a month": (lambda: pd.concat([months(), months().iloc[[3]]]), {}, errors.DuplicateRowsError, "month"),
    "interruption no date": (months, {"interruption": "soon"}, errors.PeriodError, "'soon'"),
    "interruption too early": (months, {"interruption": "2017-02"}, errors.NoPrePeriodError, "before"),
    "interruption too late": (months, {"interruption": "2022-12"}, errors.NoPrePeriodError, "from the interruption"),
    "the same interruption twice": (
        months, {"interruption": ["2020-01", "2020-01-15"]}, errors.PeriodError, "same period",
    ),
    "too few for the model": (
        lambda: months().iloc[28:44], {"season": "months", "interruption": "2019-12"}, errors.OptionError, "terms",
    ),
    "too many harmonics": (months, {"season": {"harmonics": 7}}, errors.OptionError, "harmonics"),
    "a season of years": (
        lambda: pd.DataFrame({"month": range(1990, 2020), "y": np.random.default_rng(0).normal(size=30)}),
        {"interruption": 2005}, errors.OptionError, "season",
    ),
    "lags without newey-west": (months, {"lags": 3}, errors.DesignFileError, "lags"),
    "ols of counts": (
        months, {"outcome": calls(), "family": "poisson", "errors": "ols"}, errors.DesignFileError, "ols",
    ),
    "model-based gaussian": (months, {"errors": "model-based"}, errors.DesignFileError, "model-based"),
    "counts of a continuous outcome": (months, {"family": "poisson"}, errors.DesignFileValueError, "poisson"),
    "negative counts": (
        lambda: months().assign(calls=-1.0 * months()["calls"]), {"outcome": calls(), "family": "poisson"},
        errors.ColumnTypeError, "negative",
    ),
    "fractions of counts": (
        lambda: months().assign(calls=months()["calls"] + 0.5), {"outcome": calls(), "family": "poisson"},
        errors.ColumnTypeError, "fractions",
    ),
    "only zeros after": (
        lambda: months().assign(calls=months()["calls"] * (np.arange(72) < 36)),
        {"outcome": calls(), "family": "poisson"}, errors.NoVariationError, "zero",
    ),
    "only zeros in a season": (
        lambda: months().assign(calls=months()["calls"] * (np.arange(72) % 12 != 4)),
        {"outcome": calls(), "family": "poisson", "season": "months"}, errors.NoVariationError, "some part of",
    ),
    "no population": (with_("youth", 0, 3), {"outcome": calls()}, errors.ColumnTypeError, "row 4"),
    "rows of people": (months, {"rows": "people"}, errors.OptionError, "every is not given"),
    "another inference": (months, {"inference": "bootstrap"}, errors.OptionError, "bootstrap"),
    "binary": (months, {"outcome": ev.Outcome(column="y", kind="binary")}, errors.DesignFileValueError, "binary"),
    "time is the outcome": (months, {"time": "y"}, errors.OptionError, "'y'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_message(name: str) -> None:
    made, changes, kind, words = BAD[name]
    with pytest.raises(kind) as caught:
        run(made(), **changes)
    assert words in str(caught.value)
    assert caught.value.expected
    assert caught.value.todo


def test_a_rare_outcome_before_the_start_does_not_stop_the_checks() -> None:
    """Earlier dates that allow no estimate are passed over."""
    frame = months().assign(calls=np.where(np.arange(72) % 17 == 3, 1, 0) + 5 * (np.arange(72) >= 36))
    result = run(frame, calls(), family="quasi-poisson", effects=["level"], season=None).result
    assert "placebo-dates" in {d.name for d in result.diagnostics}
