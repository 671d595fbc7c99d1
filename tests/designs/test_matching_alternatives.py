"""The alternatives of a matching study: which they are, that all keep the estimand, and what they estimate."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit.comparison.analyses import TOO_FEW
from evaltoolkit.contract import Alternative
from evaltoolkit.data import FrameSource
from evaltoolkit.designs.matching.options import parse
from evaltoolkit.pipeline import prepare
from evaltoolkit.study import study_from
from tests.designs.test_matching import people, run


def listed(frame: pd.DataFrame | None = None, outcome: Any = "score", **settings: Any) -> tuple[Alternative, ...]:
    described = ev.Outcome(outcome) if isinstance(outcome, str) else outcome
    wanted = {"treated": "served", "covariates": ["age", "need", "home"], "caliper": 0.2} | settings
    study = study_from({"design": "propensity-score-matching", "title": "A study", "outcome": described, **wanted})
    ready = prepare(study, FrameSource(people() if frame is None else frame))
    design: Any = ready.design
    found: tuple[Alternative, ...] = design.alternatives(study, ready.options, ready.sample)
    for one in found:
        parse(study.model_copy(update={"settings": one.settings}))
    return found


def gappy() -> pd.DataFrame:
    frame = people()
    frame.loc[frame.index[::7], "need"] = np.nan
    return frame


STUDIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "of everybody": {"method": "full", "caliper": None, "estimand": "ATE"},
    "of those not served": {"estimand": "ATC"},
    "of the overlap": {"method": "weighting", "weighting": "overlap", "caliper": None, "estimand": "ATO"},
    "exact": {"exact": ["home"]},
    "doubly robust": {"method": "weighting", "effect": "aipw", "caliper": None},
    "changes": {"outcome_before": ["need"], "covariates": ["age", "home"]},
    "missing": {"frame": gappy(), "incomplete": "indicator"},
    "yes or no": {"outcome": ev.Outcome("enrolled", kind="binary")},
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_alternative_is_another_way_to_the_same_effect(name: str) -> None:
    found = listed(**STUDIES[name])
    assert 3 <= len(found) <= 45
    for one, other in itertools.combinations(found, 2):
        assert one.label != other.label
        assert dict(one.settings) != dict(other.settings)
        assert dict(one.choices) != dict(other.choices)
    own = found[0].settings
    for one in found[1:]:
        for key in ("estimand", "treated", "covariates", "outcome_before"):
            assert one.settings.get(key) == own.get(key)


def methods(found: tuple[Alternative, ...]) -> set[str]:
    return {str(one.settings.get("method", "nearest")) for one in found}


def test_methods_are_those_that_estimate_the_estimand() -> None:
    assert methods(listed()) >= {
        "nearest", "optimal", "full", "subclass", "coarsened-exact", "cardinality", "kernel", "weighting",
    }  # fmt: skip
    assert "optimal" not in methods(listed(**STUDIES["of everybody"]))
    assert methods(listed(**STUDIES["of the overlap"])) == {"weighting"}


def test_columns_that_must_agree_stay_where_the_method_knows_them() -> None:
    for one in listed(exact=["home"]):
        knows = one.settings.get("method", "nearest") in {"nearest", "optimal", "full", "kernel"}
        assert ("exact" in one.settings) == knows


def test_outcome_models_follow_the_kind_of_outcome_and_changes() -> None:
    def models(found: tuple[Alternative, ...]) -> set[str]:
        return {one.choices["Outcome model"] for one in found}

    assert "g-computation" in models(listed(**STUDIES["yes or no"]))
    assert "g-computation" not in models(listed())
    assert "g-computation" not in models(listed(**STUDIES["changes"]))


def test_missing_covariates_are_a_choice_where_some_are_missing() -> None:
    assert all("Missing covariates" not in one.choices for one in listed(incomplete="indicator"))
    found = listed(**STUDIES["missing"])
    assert {one.choices["Missing covariates"] for one in found} == {"marked", "left out"}


def test_each_estimate_is_that_of_the_study_with_these_settings() -> None:
    frame = people(300)
    study = {"covariates": ["age", "need"], "effect": "difference"}
    found = run(frame, **study).compare()
    assert sum(one.own for one in found.analyses) == 1
    shown = [one for one in found.analyses if one.estimate is not None]
    assert len(shown) > 10
    for one in shown[1::6]:
        again = run(frame, **(study | {"caliper": None} | {"caliper": 0.2} | one.changes)).result.headline
        assert one.estimate == again, one.label
    assert all(one.reason for one in found.analyses if one.estimate is None)
    assert all(re_few(one.reason) for one in found.analyses if one.estimate is None)


def re_few(reason: str) -> bool:
    """A reason is one line without a count."""
    return reason == TOO_FEW or not any(ch.isdigit() for ch in reason)
