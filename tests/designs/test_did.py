"""Difference-in-differences from study to sealed result: words, checks, disclosure, products, and bad input."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.results import role_words, to_json
from evaltoolkit.study import language_findings

COHORTS = (6, 9, 0)


def sites(
    n: int = 60, cohorts: tuple[int, ...] = COHORTS, seed: int = 13, effect: float = 2.0, level: float = 12.0
) -> pd.DataFrame:
    """Quarterly panel of sites: ``y`` a score, ``found`` a count of young people in a ``population``."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        start, base, people = cohorts[i % len(cohorts)], rng.normal(), int(rng.integers(2000, 9000))
        x = base + rng.normal()
        for t in range(1, 13):
            on = bool(start) and t >= start
            rows.append({
                "site": f"site-{i:04d}", "quarter": quarter(t), "start": quarter(start) if start else "", "on": int(on),
                "y": base + 0.1 * t + effect * on + rng.normal(), "x": x, "z": rng.normal(), "kind": "ab"[i % 2],
                "found": rng.poisson(level * np.exp(0.2 * base + 0.02 * t + 0.15 * effect * on)), "population": people,
                "area": i // 3, "yes": int(rng.random() < 0.4),
            })  # fmt: skip
    return pd.DataFrame(rows)


def quarter(t: int) -> str:
    return f"{2016 + (t - 1) // 4}Q{(t - 1) % 4 + 1}"


def run(frame: pd.DataFrame | None = None, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "outcome": "y", "unit": "site", "time": "quarter", "first_treated": "start", "program": "the training",
    }  # fmt: skip
    return ev.did(sites() if frame is None else frame, **(settings | changes))


def rate(**changes: Any) -> ev.Outcome:
    settings: dict[str, Any] = {
        "column": "found", "kind": "rate", "population": "population", "per": 10_000, "role": "identification",
        "label": "Minors recognized as exploited", "better": "higher",
    }  # fmt: skip
    return ev.Outcome(**(settings | changes))


def check(e: Any, name: str) -> Any:
    return next(d for d in e.result.diagnostics if d.name == name)


def part(e: Any, key: str) -> Any:
    return next(p for p in (*e.result.figures, *e.result.tables) if p.key == key)


def test_the_answer_is_near_the_truth() -> None:
    h = run().result.headline
    assert h.estimate == pytest.approx(2.0, abs=0.75)  # three standard errors
    assert h.conf_low < 2.0 < h.conf_high
    assert (h.n_units, h.n_obs, h.n_clusters, h.standing, h.term) == (60, 720, 60, "primary", "group")


def test_the_callers_frame_is_unchanged_and_the_bytes_are_the_same() -> None:
    frame = sites()
    before = frame.copy(deep=True)
    one, two = (to_json(run(frame, covariates=["x"], cluster="area").result) for _ in range(2))
    pd.testing.assert_frame_equal(frame, before)
    assert one == two


def test_the_seed_matters_for_the_band_only() -> None:
    one, two = run(seed=1).result, run(seed=2).result
    assert one.headline == two.headline
    assert [f.rows for f in one.figures if f.key == "event_study"] != [
        f.rows for f in two.figures if f.key == "event_study"
    ]


def test_products_rebuild_the_headline_error() -> None:
    e = run(inference="analytic")
    products = e.sample.products
    assert products["influence"].shape == (60, products["group_time"].att.size)
    assert products["vcov"] == pytest.approx(products["influence"].T @ products["influence"])
    assert list(products["units"][:2]) == ["site-0000", "site-0001"]


def test_no_identifier_leaves() -> None:
    text = to_json(run(identifiers=["site"]).result)
    assert "site-0" not in text


def test_the_event_study_comes_first_and_has_its_parts() -> None:
    result = run().result
    assert [f.kind for f in result.figures] == ["effect_path", "trajectories", "forest", "forest", "forest"]
    figure = result.figures[0]
    keys = [c.key for c in figure.columns]
    assert keys == ["x", "label", "estimate", "low", "high", "band_low", "band_high", "phase"]
    assert [row[0] for row in figure.rows] == sorted(row[0] for row in figure.rows)
    for row in figure.rows:
        _, _, estimate, low, high, band_low, band_high, phase = row
        assert band_low < low < estimate < high < band_high
        assert phase == ("before" if row[0] < 0 else "after")


@pytest.mark.parametrize("change", [{"base_period": "universal"}, {"estimator": "twfe"}])
def test_a_reference_period_is_marked(change: dict[str, Any]) -> None:
    rows = [row for row in run(**change).result.figures[0].rows if row[-1] == "reference"]
    assert len(rows) == 1
    assert rows[0][0] == -1
    assert rows[0][2:5] == (0.0, None, None)


def test_labels_follow_the_calendar() -> None:
    e = run()
    assert e.result.statements.study_period == "2016 Q1 to 2018 Q4"
    assert {x.cohort for x in e.result.estimates if x.kind == "cohort"} == {"2017 Q2", "2018 Q1"}
    assert part(e, "trajectories").marks["starts"][0]["label"] == "Start, 2017 Q2"


def test_the_percent_is_relative_to_the_counterfactual() -> None:
    e = run(outcome=rate())
    percent = next(x for x in e.result.estimates if x.kind == "percent")
    frame = sites()
    frame["rate"] = 10_000 * frame["found"] / frame["population"]
    on = frame[frame["on"] == 1]
    # The group average weighs periods within cohorts equally and cohorts by their (equal) size.
    mean = on.groupby("start")["rate"].mean().mean()
    h = e.result.headline.estimate
    assert percent.estimate == pytest.approx(100 * h / (mean - h), rel=1e-9)
    assert percent.conf_low < percent.estimate < percent.conf_high


@pytest.mark.parametrize("estimator", ["callaway-santanna", "twfe", "two-by-two"])
def test_the_percent_error_by_the_jackknife_is_near_the_analytic_one(estimator: str) -> None:
    frame = sites(n=80, cohorts=(6, 0))
    found = [
        next(x for x in run(frame, outcome=rate(), estimator=estimator, inference=way).result.estimates
             if x.kind == "percent")
        for way in ("analytic", "jackknife")
    ]  # fmt: skip
    assert found[0].estimate == pytest.approx(found[1].estimate)
    assert found[0].std_error == pytest.approx(found[1].std_error, rel=0.1)  # they agree in large samples only


def test_flow_adds_up_and_counts_what_is_left_out() -> None:
    frame = sites()
    early = frame[frame["site"] < "site-0004"].assign(site=lambda f: f["site"] + "e", start="2016Q1")
    frame = pd.concat([frame.drop(frame.index[[30, 100]]), early])
    e = run(frame, incomplete="drop")
    steps = [s for s in e.result.flow if s.unit == "sites"]
    for before, after in itertools.pairwise(steps):
        assert after.n == before.n - (after.excluded or 0)
    assert [s.excluded for s in steps] == [None, 2, 4, 0]
    assert steps[-1].n == steps[-1].treated + steps[-1].comparison == e.result.headline.n_units
    assert "4 had started by the first period" in check(e, "panel-balance").text
    assert any("from the beginning" in line for line in e.result.statements.does_not_show)


def test_incomplete_units_are_kept_and_counted() -> None:
    frame = sites()
    kept = run(frame.drop(frame.index[[30, 100]])).result
    assert [s.excluded for s in kept.flow if s.unit == "sites"] == [None, 0]
    balance = next(d for d in kept.diagnostics if d.name == "panel-balance")
    assert balance.value == pytest.approx(2 / 60)
    assert "2 sites lack a value in some period and are used for the periods they have" in balance.text
    seen_once = frame.drop(frame.index[1:12])
    assert [s.excluded for s in run(seen_once).result.flow if s.unit == "sites"] == [None, 1, 0]


@pytest.mark.parametrize("role", [
    "incidence", "identification", "justice-contact", "service-access", "wellbeing", "knowledge", "process", None,
])  # fmt: skip
@pytest.mark.parametrize("effect", [2.0, 0.0, -2.0])
@pytest.mark.parametrize("estimator", ["callaway-santanna", "twfe"])
def test_words_follow_role_and_direction(role: str | None, effect: float, estimator: str) -> None:
    outcome = ev.Outcome(column="y", role=role, label="Contacts with staff", better="higher")
    s = run(sites(effect=effect), outcome=outcome, estimator=estimator).result.statements
    assert role_words(role).caveat in s.does_not_show
    texts = [
        s.bottom_line, s.plain, s.how_we_know, s.tile.meaning, *s.supports, *s.does_not_show, *s.findings, *s.approach,
        *s.limits, *(m.text for m in s.methods), *(a.text for a in s.assumptions),
    ]  # fmt: skip
    text = " ".join(texts).lower()
    assert not re.search(r"exploitation (rose|fell)|proved|significant|no effect|offender|prostitut|nan|none\b", text)
    assert not [found for line in texts for found in language_findings(line)]
    expected = {2.0: "raised", 0.0: "not yet clear", -2.0: "lowered"}[effect]
    assert expected in s.bottom_line
    assert role_words(role).of("Contacts with staff") in s.bottom_line
    if effect == 0.0:
        assert any("interval includes" in line for line in s.does_not_show)
    else:
        assert ("Continuing" in s.supports[0]) == (effect > 0)


def test_a_small_effect_is_called_small() -> None:
    outcome = ev.Outcome(column="y", role="wellbeing", smallest_effect_that_matters=5.0)
    assert "smallest effect that matters" in run(outcome=outcome).result.statements.bottom_line


def test_units_of_the_outcome_are_named() -> None:
    assert "per 10,000, each quarter" in run(outcome=rate()).result.statements.bottom_line
    count = ev.Outcome(column="found", kind="count", role="identification")
    assert "per site, each quarter" in run(outcome=count).result.statements.bottom_line
    share = run(outcome=ev.Outcome(column="yes", kind="binary", role="wellbeing"))
    assert "percentage points" in share.result.statements.bottom_line
    shown = part(share, "effects").rows[0][1]
    assert shown == pytest.approx(100 * share.result.headline.estimate)


def test_units_are_called_by_their_name_where_it_is_a_word() -> None:
    e = run(sites().rename(columns={"site": "county"}), unit="county")
    assert "compared with counties that had not started" in e.result.statements.bottom_line
    assert {s.unit for s in e.result.flow} == {"rows", "counties"}
    other = run(sites().rename(columns={"site": "fips"}), unit="fips")
    assert "compared with sites" in other.result.statements.bottom_line


def test_auto_says_what_it_chose_and_why() -> None:
    many, some, few = run(sites(n=90)), run(), run(sites(n=24, cohorts=(6, 9, 0, 0)))
    assert many.result.headline.inference == "analytic, normal"
    assert "each group has at least 30" in check(many, "treated-clusters").text
    assert re.fullmatch(r"welch, t\(\d+\.?\d*\)", some.result.headline.inference)
    assert "smallest cohort has 20 clusters and the comparison group 20" in check(some, "treated-clusters").text
    assert run(covariates=["x"]).result.headline.inference == "jackknife, t(19)"
    assert few.result.headline.inference == "randomization"
    assert few.result.headline.std_error is None
    assert few.result.headline.conf_low < 2.0 < few.result.headline.conf_high
    assert "fewer than 8 clusters the spread within a group says too little" in check(few, "treated-clusters").text
    forced = run(sites(n=24, cohorts=(6, 9, 0, 0)), inference="analytic")
    assert "too small" in check(forced, "treated-clusters").text
    assert check(few, "small-cohorts").verdict == "caution"
    assert any(
        "starts fallen on other clusters (1,999 ways" in m.text.replace("2,000", "1,999")
        for m in few.result.statements.methods
    )


def test_rows_that_rest_on_one_cluster_have_no_interval() -> None:
    frame = sites(n=16, cohorts=(6, 0, 0, 0))
    frame.loc[frame["site"] == "site-0001", "start"] = quarter(9)
    e = run(frame)
    lonely = [x for x in e.result.estimates if x.cohort == "2018 Q1"]
    assert lonely
    assert all(x.std_error is None and x.conf_low is None for x in lonely)
    assert e.result.headline.conf_low is not None
    by_jackknife = run(frame, inference="jackknife")
    assert by_jackknife.result.headline.std_error > 0
    assert all(x.conf_low is None for x in by_jackknife.result.estimates if x.cohort == "2018 Q1")


@pytest.mark.parametrize("estimator", ["callaway-santanna", "twfe", "two-by-two"])
def test_one_treated_site_gets_no_interval_but_its_place_among_the_others(estimator: str) -> None:
    frame = sites(n=16, cohorts=(6, *([0] * 15)), effect=6.0)
    e = run(frame, estimator=estimator)
    h = e.result.headline
    assert (h.std_error, h.conf_low) == (None, None)
    # One of sixteen sites: too few for an interval at 95 percent, but not for a p-value.
    assert h.p_value == (pytest.approx(1 / 16) if estimator == "callaway-santanna" else None)
    assert check(e, "treated-clusters").verdict == "fail"
    assert "not yet clear" in e.result.statements.bottom_line
    assert all(x.conf_low is None for x in e.result.estimates)
    if estimator == "callaway-santanna":
        # An effect of six standard deviations: no other site moves so far apart, so 1 of 16.
        assert check(e, "placebo-sites").value == pytest.approx(1 / 16)


def test_one_comparison_site_gets_no_interval() -> None:
    e = run(sites(n=20, cohorts=(0, *([6] * 19))))
    assert e.result.headline.std_error is None
    assert check(e, "comparison-clusters").verdict == "fail"


def test_a_trend_before_the_start_is_found() -> None:
    frame = sites()
    t = frame.groupby("site").cumcount()
    steep = run(frame.assign(y=frame["y"] + 0.8 * t * (frame["start"] != "")))
    assert check(run(), "pre-trends").verdict == "pass"
    assert check(steep, "pre-trends").verdict == "fail"
    assert "better comparison" in steep.result.statements.supports[0]
    few = sites(n=12, cohorts=(6, 0))
    t = few.groupby("site").cumcount()
    steep = run(few.assign(y=few["y"] + 3 * t * (few["start"] != "")))
    assert steep.result.headline.inference.startswith("scaled")
    assert check(steep, "pre-trends").verdict == "fail"


def test_a_change_just_before_the_start_is_found() -> None:
    frame = sites()
    t = frame.groupby("site").cumcount() + 1
    first = frame.groupby("site")["on"].transform(lambda on: 13 - on.sum())
    early = frame.assign(y=frame["y"] + 2 * ((t == first - 1) & (frame["start"] != "")))
    assert check(run(), "anticipation").verdict == "pass"
    assert check(run(early), "anticipation").verdict == "caution"
    for changed in ({"base_period": "universal"}, {"estimator": "twfe"}):
        assert check(run(early, **changed), "anticipation").verdict == "caution"


def test_forbidden_comparisons() -> None:
    staggered, single = run(estimator="twfe"), run(sites(cohorts=(6, 0)), estimator="twfe")
    assert check(staggered, "forbidden-comparisons").verdict == "caution"
    assert check(single, "forbidden-comparisons").verdict == "pass"
    everyone = run(sites(cohorts=(4, 10)), estimator="twfe")
    assert "effect_path" not in {f.kind for f in everyone.result.figures}  # event times cannot be told from periods
    assert check(everyone, "forbidden-comparisons").value < 0  # the last periods compare with sites already treated
    assert everyone.sample.products["weights"].weight.sum() == pytest.approx(1.0)


def test_covariates_that_move_call_for_caution_in_a_regression() -> None:
    assert check(run(estimator="twfe", covariates=["z"]), "moving-covariates").verdict == "caution"


def test_other_analyses_are_shown() -> None:
    e = run(covariates=["x"])
    terms = {x.term for x in e.result.estimates if x.standing == "sensitivity"}
    assert terms == {
        "never-treated comparison", "adjusted by weighting", "adjusted by regression", "without covariates",
    }  # fmt: skip
    assert e.result.sensitivity[0].verdict == "pass"
    assert {row[0] for row in part(e, "sensitivity").rows} >= {"Headline", "Without covariates"}
    twfe = run(estimator="twfe")
    assert any("Callaway" in x.term for x in twfe.result.estimates if x.standing == "sensitivity")


def test_the_last_cohort_stands_in_where_nobody_is_never_treated() -> None:
    e = run(sites(cohorts=(6, 9, 11)))
    assert e.result.statements.study_period == "2016 Q1 to 2018 Q2"
    assert any("serve as the comparison" in line for line in e.result.statements.approach)
    assert part(e, "cohorts").rows[-1][0] == "Started later"


def test_few_counted_cohorts_are_drawn_together() -> None:
    frame = sites(n=90)
    frame.loc[(frame["start"] == quarter(6)) & (frame["quarter"] == quarter(3)), "found"] = 0
    first = frame.index[(frame["start"] == quarter(6)) & (frame["quarter"] == quarter(3))][0]
    frame.loc[first, "found"] = 7
    e = run(frame, outcome=rate())
    figure = part(e, "trajectories")
    assert {row[2] for row in figure.rows} == {"Started the program", "Never started"}
    assert all(row[4] is not None for row in figure.rows)
    assert "few people" in figure.note


def test_small_counts_hide_the_lines() -> None:
    e = run(sites(n=24, cohorts=(6, 0), level=0.4), outcome=rate())
    figure = part(e, "trajectories")
    assert all(row[4] is None for row in figure.rows)
    assert "not shown" in figure.alt
    assert e.result.disclosure.hidden


def test_a_small_total_has_no_relative_effect() -> None:
    frame = sites(n=24, cohorts=(6, 0), level=30)
    frame["found"] = frame["found"].where(frame["on"] == 0, 0)
    frame.loc[frame.index[frame["on"] == 1][0], "found"] = 6
    e = run(frame, outcome=rate())
    assert not [x for x in e.result.estimates if x.kind == "percent"]


def people(n: int = 240, late: int = 60) -> pd.DataFrame:
    frame = sites(n=n, cohorts=(6, 0))
    names = frame["site"].unique()
    frame.loc[frame["site"].isin(names[0 : 2 * late : 2]), "start"] = quarter(9)
    return frame


def test_a_cohort_of_few_people_is_hidden_with_a_second_one() -> None:
    e = run(people(late=6), rows="people", outcome=ev.Outcome(column="y", role="wellbeing"))
    assert {x.estimate for x in e.result.estimates if x.kind in {"cohort", "group-time"}} == {None}
    assert e.result.headline.estimate is not None
    table = part(e, "cohorts")
    assert [row[1] for row in table.rows[:2]] == [None, None]
    text = to_json(e.result)
    assert not re.search(r"\b(6|114) (people|clusters)\b|: 114\b|\"df\": (5|113)\.0", text)
    assert "cohort has fewer than 11 clusters and" in text


def test_too_few_people_to_show_anything() -> None:
    with pytest.raises(errors.DisclosureError, match="fewer than 11"):
        run(sites(n=24, cohorts=(6, 0, 0)), rows="people")


def test_an_outcome_of_people_hides_small_numbers_of_yes() -> None:
    frame = people()
    frame["rare"] = 0
    frame.loc[frame.index[::300], "rare"] = 1
    outcome = ev.Outcome(column="rare", kind="binary", role="wellbeing")
    e = run(frame, rows="people", outcome=outcome, estimator="callaway-santanna")
    assert all(row[4] is None for row in part(e, "trajectories").rows)


CHANGES: dict[str, dict[str, Any]] = {
    "comparison": {"comparison": "never-treated"}, "twfe": {"estimator": "twfe"}, "covariates": {"covariates": ["x"]},
    "category": {"covariates": ["kind"]}, "weighting": {"covariates": ["x"], "adjust": "weighting"},
    "regression": {"covariates": ["x"], "adjust": "regression"}, "anticipation": {"anticipation": 1},
    "base_period": {"base_period": "universal"}, "cluster": {"cluster": "area"}, "simple": {"headline": "simple"},
    "dynamic": {"headline": "dynamic"}, "calendar": {"headline": "calendar"}, "inference": {"inference": "jackknife"},
    "level": {"level": 0.9},
}  # fmt: skip


def test_no_option_is_dead() -> None:
    found = {key: run(**change).result for key, change in ({"base": {}} | CHANGES).items()}
    numbers = {
        key: tuple((e.kind, e.estimate, e.std_error, e.conf_low) for e in result.estimates)
        for key, result in found.items()
    }
    assert len(set(numbers.values())) == len(numbers)


def changed(**columns: Any) -> Any:
    return lambda: sites().assign(**columns)


def one_row(column: str, value: Any) -> Any:
    def made() -> pd.DataFrame:
        frame = sites()
        frame[column] = frame[column].astype("float64" if isinstance(value, float) else "object")
        frame.loc[5, column] = value
        return frame

    return made


def separated() -> pd.DataFrame:
    frame = sites()
    return frame.assign(x=frame["x"] + 50 * (frame["start"] == quarter(6)))


def reverting() -> pd.DataFrame:
    frame = sites()
    return frame.assign(on=frame["on"] * (frame["quarter"] != quarter(12)))


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no such unit": (sites, {"unit": "sit"}, errors.ColumnNotFoundError, "did you mean 'site'"),
    "no such time": (sites, {"time": "quartr"}, errors.ColumnNotFoundError, "'quarter'"),
    "no such start": (sites, {"first_treated": "begin"}, errors.ColumnNotFoundError, "first-treated"),
    "no such outcome": (sites, {"outcome": "score"}, errors.ColumnNotFoundError, "outcome"),
    "no such covariate": (sites, {"covariates": ["xx"]}, errors.ColumnNotFoundError, "covariate"),
    "no such cluster": (sites, {"cluster": "county"}, errors.ColumnNotFoundError, "cluster"),
    "twice": (lambda: pd.concat([sites(), sites().head(3)]), {}, errors.DuplicateRowsError, "rows 1, 2, 3"),
    "unit missing": (one_row("site", None), {}, errors.MissingValuesError, "row 6"),
    "period missing": (one_row("quarter", None), {}, errors.PeriodError, "row 6"),
    "period no date": (one_row("quarter", "spring"), {}, errors.PeriodError, "something else in row 6"),
    "start no date": (one_row("start", "spring"), {}, errors.PeriodError, "row 6"),
    "start varies": (one_row("start", "2017Q1"), {}, errors.TreatmentTimingError, "1 unit"),
    "start varies by a gap": (one_row("start", None), {}, errors.TreatmentTimingError, "1 unit"),
    "reverts": (reverting, {"first_treated": None, "treated": "on"}, errors.TreatmentTimingError, "40 units"),
    "indicator 1 and 2": (
        changed(on=2), {"first_treated": None, "treated": "on"}, errors.ColumnTypeError, "other than 0 and 1",
    ),
    "indicator missing": (
        one_row("on", None), {"first_treated": None, "treated": "on"}, errors.MissingValuesError, "row 6",
    ),
    "nobody treated": (changed(start=""), {}, errors.TreatmentTimingError, "no unit is ever treated"),
    "all from the beginning": (
        lambda: sites(cohorts=(1, 0)), {}, errors.NoPrePeriodError, "in or before the first period",
    ),
    "no period before, by anticipation": (
        lambda: sites(cohorts=(2, 0)), {"anticipation": 1}, errors.NoPrePeriodError, "first period",
    ),
    "start after the data": (changed(start="2030Q1"), {}, errors.NoPrePeriodError, "within the periods"),
    "nobody to compare": (lambda: sites(cohorts=(6,)), {}, errors.NoComparisonError, "same time"),
    "nobody never treated": (
        lambda: sites(cohorts=(6, 9)), {"comparison": "never-treated"}, errors.NoComparisonError, "none is never",
    ),
    "two-by-two without comparison": (
        lambda: sites(cohorts=(6,)), {"estimator": "two-by-two"}, errors.NoComparisonError, "none is never",
    ),
    "twfe without comparison": (
        lambda: sites(cohorts=(6,)), {"estimator": "twfe"}, errors.NoComparisonError, "same time",
    ),
    "twfe with one pattern": (
        lambda: sites(cohorts=(2, 3))[lambda f: f["quarter"] != quarter(2)], {"estimator": "twfe"},
        errors.NoComparisonError, "follows from the unit and period effects",
    ),
    "too close together": (
        lambda: sites(cohorts=(2, 3))[lambda f: f["quarter"] != quarter(2)], {}, errors.NoComparisonError,
        "too close together",
    ),
    "two-by-two staggered": (sites, {"estimator": "two-by-two"}, errors.OptionError, "callaway-santanna"),
    "outcome constant": (changed(y=1.0), {}, errors.NoVariationError, "outcome 'y'"),
    "outcome text": (one_row("y", "high"), {}, errors.ColumnTypeError, "holds text in row 6"),
    "outcome infinite": (one_row("y", np.inf), {}, errors.ColumnTypeError, "infinite"),
    "outcome missing": (changed(y=np.nan), {}, errors.MissingValuesError, "'y'"),
    "count below zero": (
        changed(found=-1), {"outcome": ev.Outcome(column="found", kind="count")}, errors.ColumnTypeError, "below zero",
    ),
    "population zero": (changed(population=0), {"outcome": rate()}, errors.ColumnTypeError, "zero or less"),
    "covariate missing": (changed(x=np.nan), {"covariates": ["x"]}, errors.MissingValuesError, "'x'"),
    "category missing": (
        lambda: sites().assign(kind=pd.Series([None] * 720, dtype=object)), {"covariates": ["kind"]},
        errors.MissingValuesError, "'kind'",
    ),
    "covariate infinite": (one_row("x", np.inf), {"covariates": ["x"]}, errors.ColumnTypeError, "infinite"),
    "covariate constant": (changed(x=1.0), {"covariates": ["x"]}, errors.NoVariationError, "'x'"),
    "covariate free text": (
        lambda: sites().assign(note=lambda f: f["site"] + "n"), {"covariates": ["note"]}, errors.ColumnTypeError,
        "different texts",
    ),
    "covariate collinear": (
        lambda: sites().assign(x2=lambda f: 3 * f["x"]), {"covariates": ["x", "x2"]}, errors.CollinearityError, "'x2'",
    ),
    "covariate separates": (separated, {"covariates": ["x"]}, errors.SeparationError, "'x'"),
    "steady covariate in twfe": (
        sites, {"covariates": ["x"], "estimator": "twfe"}, errors.CollinearityError, "'x' follows from the unit",
    ),
    "outcome as covariate": (sites, {"covariates": ["y"]}, errors.OptionError, "is the outcome"),
    "start as covariate": (sites, {"covariates": ["start"]}, errors.OptionError, "first treated"),
    "one cluster": (changed(area=1), {"cluster": "area"}, errors.TooFewClustersError, "one cluster"),
    "cluster moves": (one_row("area", 99), {"cluster": "area"}, errors.TreatmentTimingError, "changes within 1 unit"),
    "no unit is complete": (
        lambda: sites()[lambda f: (f["site"].str[-1].astype(int) + f.groupby("site").cumcount()) % 2 == 0],
        {"incomplete": "drop"}, errors.MissingValuesError, "no unit has complete data in all 12 periods",
    ),
    "every unit is seen once": (
        lambda: sites()[lambda f: f["site"].str[-1].astype(int) == f.groupby("site").cumcount()], {},
        errors.MissingValuesError, "no unit has complete data in at least two periods",
    ),
    "zero below zero": (
        lambda: sites().assign(
            quarter=lambda f: f.groupby("site").cumcount() - 5, start=lambda f: f["site"].str[-1].astype(int)
        ),
        {}, errors.TreatmentTimingError, "holds 0",
    ),
    "both starts": (sites, {"treated": "on"}, errors.DesignFileValueError, "either first_treated or treated"),
    "no start": (sites, {"first_treated": None}, errors.DesignFileValueError, "either first_treated or treated"),
    "unknown estimator": (sites, {"estimator": "twffe"}, errors.DesignFileValueError, "twfe"),
    "unknown inference": (sites, {"inference": "magic"}, errors.OptionError, "jackknife"),
    "an option of the other estimator": (
        sites, {"estimator": "twfe", "adjust": "weighting"}, errors.DesignFileValueError, "callaway-santanna",
    ),
    "negative anticipation": (sites, {"anticipation": -1}, errors.DesignFileValueError, "anticipation"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(case: str) -> None:
    frame, changes, kind, words = BAD[case]
    with pytest.raises(kind) as caught:
        run(frame(), **changes)
    message = str(caught.value)
    assert words in message
    assert "Expected:" in message
    assert "What to do:" in message
    assert "site-0" not in message, "a unit's name"


def test_a_design_file_runs_and_names_the_nearest_key(tmp_path: Any) -> None:
    sites().to_csv(tmp_path / "sites.csv", index=False)
    design = tmp_path / "study.toml"
    text = (
        'design = "difference-in-differences"\ntitle = "T"\nunit = "site"\ntime = "quarter"\nfirst_treated = "start"\n'
        'comparision = "never-treated"\n[data]\nsource = "sites.csv"\n[outcome]\ncolumn = "y"\n'
    )
    design.write_text(text)
    with pytest.raises(errors.DesignFileKeyError, match="comparison"):
        ev.evaluate(design)
    design.write_text(text.replace("comparision", "comparison"))
    assert ev.evaluate(design).result.headline.estimate == run(comparison="never-treated").result.headline.estimate
