"""The alternatives of a difference-in-differences study: which they are, what they estimate, what they may show."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.comparison.analyses import NOT_POSSIBLE, TOO_FEW
from evaltoolkit.contract import Alternative
from evaltoolkit.data import FrameSource
from evaltoolkit.designs.did.catalogue import ESTIMATORS
from evaltoolkit.designs.did.options import parse
from evaltoolkit.errors import NoPrePeriodError
from evaltoolkit.pipeline import prepare
from evaltoolkit.study import study_from
from tests.designs.test_did import rate, run, sites

COHORTS = (6, 9, 0, 0)


def listed(frame: pd.DataFrame | None = None, outcome: Any = "y", **settings: Any) -> tuple[Alternative, ...]:
    described = ev.Outcome(outcome) if isinstance(outcome, str) else outcome
    wanted = {"unit": "site", "time": "quarter", "first_treated": "start"} | settings
    study = study_from({"design": "difference-in-differences", "title": "A study", "outcome": described, **wanted})
    ready = prepare(study, FrameSource(sites(24, COHORTS) if frame is None else frame))
    design: Any = ready.design
    found: tuple[Alternative, ...] = design.alternatives(study, ready.options, ready.sample)
    for one in found[1:]:
        if one.settings["estimator"] not in {"stacked", "sun-abraham", "synthetic-did"}:
            parse(study.model_copy(update={"settings": one.settings}))
    return found


def estimators(found: tuple[Alternative, ...]) -> set[str]:
    return {one.settings.get("estimator", "callaway-santanna") for one in found}


STUDIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "covariates": {"covariates": ["x", "z"]},
    "never": {"comparison": "never-treated", "covariates": ["x"], "adjust": "regression", "anticipation": 2},
    "two-way": {"estimator": "twfe", "covariates": ["z"]},
    "poisson": {"outcome": rate(), "estimator": "etwfe", "family": "poisson"},
    "logit": {"outcome": ev.Outcome("yes", kind="binary")},
    "projections": {"estimator": "lp-did", "weighting": "equal"},
    "everyone starts": {"frame": sites(24, (5, 7, 9))},
    "one start": {"frame": sites(24, (6, 0))},
    "windowed": {"event_window": [-3, 3], "headline": "simple", "placebo_outcomes": ["z"]},
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_alternative_is_another_one(name: str) -> None:
    found = listed(**STUDIES[name])
    assert 2 <= len(found) <= 45
    for one, other in itertools.combinations(found, 2):
        assert one.label != other.label
        assert dict(one.settings) != dict(other.settings)
        assert dict(one.choices) != dict(other.choices)
    assert found[0].settings.get("placebo_outcomes") == STUDIES[name].get("placebo_outcomes")
    assert all("placebo_outcomes" not in one.settings for one in found[1:])


def test_the_estimators_are_those_that_fit() -> None:
    alone = {"chaisemartin", "triple-difference"}
    every = set(ESTIMATORS) - alone - {"two-by-two"}
    assert estimators(listed()) == every
    assert estimators(listed(sites(24, (6, 0)))) == every | {"two-by-two"}
    assert estimators(listed(sites(24, (5, 7, 9)))) == every - {"synthetic-did"}
    assert estimators(listed(sites(24, COHORTS).iloc[1:])) == every - {"synthetic-did"}


def test_families_follow_the_kind_of_outcome() -> None:
    def families(outcome: Any) -> set[str]:
        return {one.settings.get("family", "linear") for one in listed(outcome=outcome)}

    assert families("y") == {"linear"}
    assert families(rate()) == {"linear", "poisson"}
    assert families(ev.Outcome("yes", kind="binary")) == {"linear", "logit"}


def test_choices_are_crossed() -> None:
    found = [one for one in listed(covariates=["x"]) if one.choices["Estimator"] == "Callaway-Sant'Anna"]
    crossed = {(one.choices["Comparison"], one.choices["Covariates"]) for one in found}
    assert len(crossed) == 2 * 4
    assert {one.choices["Anticipation"] for one in found} == {"none", "1 quarter"}


def test_who_is_compared_is_no_choice_without_never_treated_sites() -> None:
    found = listed(sites(24, (5, 7, 9)))
    assert not any("Comparison" in one.choices for one in found)
    assert not any(one.settings.get("comparison") == "never-treated" for one in found)


def test_cross_sections_have_one_estimator() -> None:
    frame = sites(24, COHORTS)
    found = listed(frame, panel=False, covariates=["x"])
    assert estimators(found) == {"callaway-santanna"}
    assert all(one.settings["panel"] is False for one in found)


def test_each_estimate_is_that_of_the_study_with_these_settings() -> None:
    frame = sites(24, COHORTS)
    found = run(frame, outcome=rate(), weights=None).compare()
    assert sum(one.own for one in found.analyses) == 1
    for one in found.analyses[1::2]:
        again = run(frame, outcome=rate(), **one.changes).result.headline
        assert one.estimate == again, one.label


def test_an_estimator_that_cannot_heed_the_weights_is_listed_with_its_reason() -> None:
    frame = sites(24, COHORTS)
    frame["w"] = 1.0 + frame["site"].str[-1].astype(int) % 3
    found = {one.label: one for one in run(frame, weights="w").compare().analyses}
    assert found["Synthetic"].estimate is None
    assert "weights" in found["Synthetic"].reason
    assert found["Imputation"].estimate is not None


def test_nothing_to_compare_is_one_message() -> None:
    frame = sites(24, COHORTS)
    with pytest.raises(ev.EvaluationError, match="no other analysis"):
        run(frame, first_treated=None, treated="on", estimator="chaisemartin").compare()


def people(early: int) -> pd.DataFrame:
    """People of two cohorts and of none; ``early`` of them start in the second period, and fall to anticipation."""
    rng = np.random.default_rng(5)
    starts = np.r_[np.full(early, 2), np.full(40, 4), np.full(60, 0)]
    return pd.DataFrame([
        {"client": f"C-{i:05d}", "year": t, "start": s, "y": rng.normal() + (s > 0 and t >= s)}
        for i, s in enumerate(starts) for t in range(1, 7)
    ])  # fmt: skip


@pytest.mark.parametrize(("early", "shown"), [(5, False), (30, True)])
def test_samples_that_few_people_tell_apart_are_not_shown_together(early: int, shown: bool) -> None:  # noqa: FBT001
    e = ev.did(
        people(early), outcome="y", unit="client", time="year", first_treated="start", rows="people",
        identifiers=["client"],
    )  # fmt: skip
    found = e.compare()
    ahead = [one for one in found.analyses if one.choices["Anticipation"] != "none" and "Synth" not in one.label]
    assert ahead
    assert all((one.estimate is not None) == shown for one in ahead)
    assert all(one.reason == ("" if shown else TOO_FEW) for one in ahead)
    sizes = {one.estimate.n_units for one in found.analyses if one.estimate is not None and one.estimate.n_units}
    assert all(abs(a - b) >= 11 for a, b in itertools.combinations(sizes, 2))
    assert "C-0" not in found.to_json()


@pytest.mark.parametrize(("rows", "reason"), [("people", NOT_POSSIBLE), ("aggregates", "4 units start too early")])
def test_a_reason_with_a_count_of_people_is_put_in_general_words(
    rows: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise NoPrePeriodError("4 units start too early", expected="none", todo="leave them out")

    e = ev.did(people(30), outcome="y", unit="client", time="year", first_treated="start", rows=rows)
    monkeypatch.setattr("evaltoolkit.comparison.analyses.headline_of", refused)
    assert {one.reason for one in e.compare().analyses[1:]} == {reason}
