"""Weighting of people in an engine gives the numbers of rows in memory, with the same words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import evaltoolkit as ev
from evaltoolkit.data import FrameSource
from evaltoolkit.pipeline import evaluate
from evaltoolkit.study import study_from
from tests.reduction.held import agree, both, held, people

COUNT = ev.Outcome("contacts", kind="count")
YES = ev.Outcome("enrolled", kind="binary", better="higher")


@pytest.mark.parametrize(
    "estimand", ["ATT", "ATO", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ATC", "ATE", "ATM"))]
)
def test_every_estimand_agrees(estimand: str) -> None:
    agree(*both(people(), method="weighting", estimand=estimand))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"effect": "difference", "estimand": "ATE"}, marks=pytest.mark.slow),
        pytest.param({"effect": "aipw", "estimand": "ATT"}, marks=pytest.mark.slow),
        {"effect": "aipw", "estimand": "ATE", "outcome": YES},
        pytest.param({"effect": "aipw", "estimand": "ATC", "outcome": COUNT}, marks=pytest.mark.slow),
        pytest.param({"effect": "g-computation", "outcome": YES}, marks=pytest.mark.slow),
        {"effect": "g-computation", "outcome": COUNT, "estimand": "ATE"},
        pytest.param({"stabilize": True, "estimand": "ATE"}, marks=pytest.mark.slow),
        {"cluster": "site", "effect": "difference"},
        {"distance": "chance"},
        {"covariates": ["age", {"log": "need"}, {"interact": ["age", "need"]}, "home"]},
        {"sensitivity": ["oster", "robustness-value", "e-value"], "level": 0.9, "effect": "difference"},
    ],
    ids=str,
)
def test_every_effect_and_option_agrees(changes: dict[str, Any]) -> None:
    agree(*both(people(), method="weighting", **changes))


def test_small_groups_get_larger_errors_as_in_memory() -> None:
    frame = people(n=100, seed=5)
    one, two = both(frame, method="weighting", estimand="ATE")
    assert "HC2" in one.headline.inference
    assert two.headline.inference == one.headline.inference
    assert two.headline.std_error == pytest.approx(one.headline.std_error, rel=1e-9)


def test_missing_values_leave_as_in_memory() -> None:
    frame = people()
    frame.loc[5:40, "age"] = np.nan
    frame.loc[60:99, "home"] = None
    frame["need"] = frame["need"].where(frame.index % 50 != 3, np.nan)
    one, two = both(frame, method="weighting")
    assert two.flow == one.flow
    agree(one, two)


def test_filters_and_rates_agree() -> None:
    raw = {
        "version": 1, "design": "propensity-score-matching", "title": "Mentoring", "treated": "served",
        "covariates": ["age", "need", "home"], "method": "weighting",
        "data": {"keep": [
            {"column": "need", "op": ">=", "value": 97.0}, {"column": "home", "op": "!=", "value": "kin"},
        ]},
        "outcome": {"column": "contacts", "kind": "rate", "population": "age", "per": 100},
    }  # fmt: skip
    frame = people()
    agree(*(evaluate(study_from(raw), source).result for source in (FrameSource(frame), held(frame))))


def test_polars_gives_the_same_numbers() -> None:
    one, two = both(people(), engine="polars", method="weighting", effect="aipw", estimand="ATE")
    agree(one, two)


def test_coefficients_of_the_score_stay_with_the_researcher() -> None:
    frame = people()
    settings = {"treated": "served", "outcome": "score", "covariates": ["age", "need", "home"], "method": "weighting"}
    one, two = ev.match(frame, **settings), ev.match(held(frame), **settings)
    for name, value in one.sample.products["coefficients"].items():
        assert two.sample.products["coefficients"][name] == pytest.approx(value, rel=1e-8, abs=1e-10)
    assert set(two.sample.products) == {"coefficients"}
