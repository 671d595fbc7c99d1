"""Match, then difference-in-differences: the same number as ``ev.did`` on the matched rows, and words that say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from tests.designs.test_matching import people, run
from tests.designs.test_matching_balance import check


def measured(*, drift: float = 0.0, lasting: float = 3.0) -> pd.DataFrame:
    """Those served always score higher by ``lasting``; the program adds 1; ``drift`` is a difference in trend."""
    frame, rng = people(), np.random.default_rng(11)
    base = 10 + frame["need"] + lasting * frame["served"] + rng.normal(size=len(frame))
    for i, name in enumerate(("earlier", "before", "score")):
        program = frame["served"] * (name == "score")
        frame[name] = base + i + drift * i * frame["served"] + program + rng.normal(scale=0.5, size=len(frame))
    return frame


def changed(frame: pd.DataFrame | None = None, **settings: Any) -> Any:
    return run(measured() if frame is None else frame, **({"outcome_before": ["earlier", "before"]} | settings))


def test_a_lasting_difference_cancels_out() -> None:
    levels, changes = run(measured()).result.headline, changed().result.headline
    assert levels.estimate > 3
    assert changes.estimate == pytest.approx(1.0, abs=0.2)
    assert changes.std_error < levels.std_error


def test_it_is_difference_in_differences_on_the_matched_rows() -> None:
    m = changed(effect="difference")
    data = m.sample.products["matched_data"].assign(unit=range(m.result.headline.n_units))
    long = pd.concat([
        data.assign(year=year, y=data[column]) for year, column in ((2019, "before"), (2020, "score"))
    ])  # fmt: skip
    long["start"] = np.where(long["served"] == 1, 2020, 0)
    d = ev.did(
        long, outcome="y", unit="unit", time="year", first_treated="start", estimator="twfe", inference="cr1",
        rows="people",
    ).result.headline  # fmt: skip
    assert m.result.headline.estimate == pytest.approx(d.estimate, rel=1e-9)
    # Pairs tie two people together; here the changes of a pair are nearly independent, so errors are close.
    assert m.result.headline.std_error == pytest.approx(d.std_error, rel=0.1)


def test_parallel_changes_before_pass_and_a_drift_fails() -> None:
    good, bad = changed(), changed(measured(drift=1.0))
    assert check(good, "changes-before").verdict == "pass"
    assert check(bad, "changes-before").verdict == "fail"
    assert check(bad, "changes-before").value == pytest.approx(1.0, abs=0.2)
    once = changed(outcome_before=["before"])
    assert check(once, "changes-before").verdict == "caution"
    assert "measured once before" in check(once, "changes-before").text


def test_matching_on_the_outcome_itself_is_warned_of() -> None:
    assert all(d.name != "matched-on-outcome" for d in changed().result.diagnostics)
    m = changed(measured(lasting=0.5), covariates=["age", "need", "before"])
    assert "drift back" in check(m, "matched-on-outcome").text


def test_words_say_what_is_assumed() -> None:
    result = changed().result
    assert "changed alike but for the program" in result.estimand.words
    names = [a.name for a in result.statements.assumptions]
    assert "Parallel changes" in names
    assert "No unmeasured differences" not in names
    assert "difference-in-differences" in result.headline.estimator
    assert any("change" in line for line in result.statements.approach)
    assert any("lasting differences" in line for line in result.statements.does_not_show)


def test_a_binary_outcome_has_no_relative_form_of_a_change() -> None:
    frame = people()
    rng = np.random.default_rng(3)
    frame["enrolled_before"] = (rng.random(len(frame)) < 0.4).astype(int)
    outcome = ev.Outcome(column="enrolled", kind="binary", role="wellbeing", better="higher")
    m = run(frame, outcome=outcome, outcome_before=["enrolled_before"], effect="difference")
    assert not [e for e in m.result.estimates if e.kind == "percent"]
    data = m.sample.products["matched_data"]
    moved = (data["enrolled"] - data["enrolled_before"]).groupby(data["served"]).mean()
    assert m.result.headline.estimate == pytest.approx(moved[1] - moved[0], rel=1e-9)


def test_people_without_a_value_before_leave_with_a_step() -> None:
    frame = measured()
    frame.loc[frame.index[:50], "before"] = np.nan
    flow = changed(frame).result.flow
    assert any(step.reason == "no value of before (outcome before)" and step.excluded == 50 for step in flow)


def test_matched_data_keep_the_columns_of_the_researcher() -> None:
    data = changed().sample.products["matched_data"]
    assert set(data["score"]) <= set(measured()["score"])
    assert data["score_"].between(0, 1).all()


def test_the_groups_are_drawn_at_each_time() -> None:
    m = changed()
    figure = next(f for f in m.result.figures if f.kind == "trajectories")
    data = m.sample.products["matched_data"]
    assert [row[1] for row in figure.rows[:3]] == ["earlier", "before", "score"]
    assert figure.rows[2][4] == pytest.approx(data.loc[data["served"] == 1, "score"].mean(), rel=1e-9)
    assert figure.rows[4][4] == pytest.approx(data.loc[data["served"] == 0, "before"].mean(), rel=1e-9)
    assert all(f.kind != "trajectories" for f in run().result.figures)


def test_bad_columns() -> None:
    with pytest.raises(errors.OptionError, match="'score' is the outcome after the program and before it"):
        changed(outcome_before=["score"])
    with pytest.raises(errors.EvaluationError, match="outcome_before compares changes"):
        changed(effect="g-computation")
    with pytest.raises(errors.ColumnNotFoundError, match="befor"):
        changed(outcome_before=["befor"])


def test_what_is_constant_for_a_person_changes_nothing() -> None:
    frame = measured()
    moved = frame.copy()
    own = np.random.default_rng(4).normal(scale=50, size=len(frame))
    for name in ("earlier", "before", "score"):
        moved[name] += own
    one, two = (changed(data).result.headline for data in (frame, moved))
    assert two.estimate == pytest.approx(one.estimate, rel=1e-9)
    assert two.std_error == pytest.approx(one.std_error, rel=1e-9)
