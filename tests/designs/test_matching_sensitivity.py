"""Sensitivity analyses from study to result: what is asked for, verdicts, words, and what may not be shown."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.kernels.omitted_variables import e_value, moments, regression, robustness_value
from evaltoolkit.kernels.rosenbaum import sign_bound, signed_rank, signed_rank_bound
from tests.designs.test_matching import people, run

EVERY = ["rosenbaum", "robustness-value", "e-value", "oster", "leave-one-covariate-out"]


def rows(**changes: Any) -> dict[str, Any]:
    return {s.name: s for s in run(**changes).result.sensitivity}


def pairs_of(m: Any) -> pd.DataFrame:
    data = m.sample.products["matched_data"]
    return data.pivot(index="matched_set", columns="served", values=["score", "enrolled"])


def test_the_default_set_is_short() -> None:
    assert list(rows()) == ["rosenbaum", "robustness-value", "e-value"]
    assert list(rows(sensitivity=[])) == []


def test_every_analysis_can_be_asked_for_and_explained() -> None:
    from evaltoolkit.cli.topics import TOPICS

    found = rows(sensitivity=EVERY)
    assert len(found) == len(EVERY)
    known = {name for group in TOPICS.values() for name in group}
    assert set(found) <= known
    for check in found.values():
        assert check.question.endswith("?")
        assert not re.search(r"significant|proved|no effect", check.text.lower())


def test_rosenbaum_bounds_are_for_these_very_pairs() -> None:
    m = run()
    wide = pairs_of(m)["score"]
    ranked = signed_rank((wide[1] - wide[0]).to_numpy(float))
    check = next(s for s in m.result.sensitivity if s.name == "rosenbaum")
    assert check.value is not None
    assert check.value > 1.5
    assert check.verdict == "pass"
    # Two-sided: twice the one-sided bound meets 0.05.
    assert 2 * signed_rank_bound(ranked, check.value) == pytest.approx(0.05, rel=1e-6)
    assert check.p_value == pytest.approx(2 * signed_rank_bound(ranked), rel=1e-9)


def test_yes_no_outcomes_use_the_discordant_pairs() -> None:
    m = run(outcome=ev.Outcome(column="enrolled", kind="binary", role="wellbeing"))
    wide = pairs_of(m)["enrolled"].to_numpy(int)
    more, less = int((wide[:, 1] > wide[:, 0]).sum()), int((wide[:, 1] < wide[:, 0]).sum())
    check = next(s for s in m.result.sensitivity if s.name == "rosenbaum")
    assert "McNemar" in check.text
    assert check.p_value == pytest.approx(min(1, 2 * sign_bound(more, less)), rel=1e-9)


def test_few_discordant_pairs_are_not_shown() -> None:
    frame = people()
    frame["rare"] = 0
    frame.loc[frame.index[frame["served"] == 1][:40], "rare"] = 1
    frame.loc[frame.index[frame["served"] == 0][:4], "rare"] = 1
    check = rows(frame=frame, outcome=ev.Outcome(column="rare", kind="binary"))["rosenbaum"]
    assert check.value is None
    assert check.p_value is None
    assert not re.search(r"\d times", check.text)


def test_sets_have_bounds_and_reused_people_have_none() -> None:
    assert "aligned rank" in rows(ratio=2)["rosenbaum"].text
    again = rows(replace=True)["rosenbaum"]
    assert again.verdict == "not-applicable"
    assert again.value is None


def test_robustness_and_e_values_are_those_of_the_kernels() -> None:
    m = run(effect="difference")
    found = {s.name: s for s in m.result.sensitivity}
    data = m.sample.products["matched_data"]
    X = np.column_stack([data["age"], data["need"], data["home"] == "kin", data["home"] == "parent"]).astype(float)
    told = regression(
        moments(data["score"].to_numpy(float), data["served"].to_numpy(float), X, data["weight"].to_numpy(float))
    )
    expected = robustness_value(told.estimate / told.std_error, told.df)
    assert found["robustness-value"].value == pytest.approx(expected, rel=1e-8)
    assert "strongest of those measured" in found["robustness-value"].text
    spread = np.sqrt(np.mean([data.loc[data["served"] == g, "score"].var(ddof=0) for g in (0, 1)]))
    ratio = np.exp(0.91 * m.result.headline.estimate / spread)
    assert found["e-value"].value == pytest.approx(e_value(float(ratio)), rel=1e-9)


def test_nothing_is_explained_where_there_is_nothing() -> None:
    found = rows(frame=people(effect=0.0, seed=9))
    assert {c.verdict for c in found.values()} == {"not-applicable"}


def test_leaving_out_the_covariate_that_matters_is_seen() -> None:
    check = rows(sensitivity=["leave-one-covariate-out"])["leave-one-covariate-out"]
    assert "(without need)" in check.text
    assert check.verdict == "caution"


def test_a_placebo_outcome_finds_what_was_not_measured() -> None:
    frame = people()
    rng = np.random.default_rng(3)
    frame["eye_colour"] = rng.normal(size=len(frame))
    frame["moved_anyway"] = frame["served"] + rng.normal(size=len(frame))
    frame.loc[:20, "eye_colour"] = np.nan
    fine = rows(frame=frame, placebo_outcomes=["eye_colour"])["placebo-outcomes"]
    bad = rows(frame=frame, placebo_outcomes=["eye_colour", "moved_anyway"])["placebo-outcomes"]
    assert (fine.verdict, bad.verdict) == ("pass", "caution")
    assert "moved_anyway" in bad.text
    with pytest.raises(errors.OptionError, match="another role"):
        run(frame, placebo_outcomes=["need"])
    with pytest.raises(errors.EvaluationError, match="placebo"):
        run(frame, placebo_outcomes=["home"])


def test_the_contour_holds_names_and_strengths_only() -> None:
    figure = next(f for f in run().result.figures if f.kind == "contour")
    assert {row[0] for row in figure.rows} <= {"age", "need", "home"}
    assert figure.marks["levels"][-1] == {"x": 0.0, "label": "no difference"}
    for _, across, up, _, *_ in figure.rows:
        assert 0 <= across < 1
        assert 0 <= up <= 1
