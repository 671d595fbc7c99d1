"""Every field of a result stands in the report, or is named here with the reason why not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from evaltoolkit.results import Estimate, Result
from tests.report.conftest import Written, written
from tests.report.results_made import MADE, draft, sealed
from tests.report.words_everywhere import changed, shape

NOT_SAID = {
    "/design": "a name for programs; the reader gets statements.design_name",
    "/study/design": "the same",
    "/study/secondary/column": "the reader gets the label",
    "/study/secondary/label": "printed with the estimate of that outcome, by its label there",
    "/diagnostics/name": "a name for programs; the question is printed",
    "/sensitivity/name": "the same",
    "/estimates/estimand": "printed for main and further outcomes; other analyses are of the same estimand",
    "/estimates/term": "a name for programs; printed for other analyses",
    "/estimates/estimator": "printed with the headline and other analyses",
    "/estimates/outcome": "printed for main and further outcomes; other analyses are of the main outcome",
    "/figures/rows": "labels of periods are thinned, many groups are averaged; the tests of each kind look",
    "/headline/term": "a name for programs; the estimand says it in words",
}


def planted(result: Result) -> tuple[Result, dict[str, str]]:
    tokens: dict[str, str] = {}

    def plant(path: str, text: str) -> str:
        tokens[path] = f"XQ{len(tokens):03d}Z"
        return tokens[path]

    return changed(result, plant), tokens


@pytest.fixture(scope="module", params=sorted(MADE))
def one(request: pytest.FixtureRequest) -> tuple[Written, dict[str, str]]:
    result, tokens = planted(MADE[request.param]())
    return written(result), tokens


def said(report: Written, token: str) -> bool:
    return report.says(token) or token in report.alternatives


def excused(path: str) -> bool:
    return any(shape(path) == known or shape(path).startswith(f"{known}/") for known in NOT_SAID)


def test_every_text_of_the_result_is_printed(one: tuple[Written, dict[str, str]]) -> None:
    report, tokens = one
    missing = [path for path, token in tokens.items() if not said(report, token) and not excused(path)]
    assert missing == []


def test_the_excuses_are_still_needed() -> None:
    """Over all made-up results, each excuse covers at least one text that is not printed."""
    unused = set(NOT_SAID)
    for make in MADE.values():
        result, tokens = planted(make())
        report = written(result)
        silent = {shape(path) for path, token in tokens.items() if not said(report, token)}
        unused -= {known for known in unused for path in silent if path == known or path.startswith(f"{known}/")}
    assert not unused


def test_the_numbers_of_the_headline_are_printed() -> None:
    made = draft()
    numbers: dict[str, Any] = {"estimate": 0.9137, "conf_low": 0.7219, "conf_high": 1.1055, "p_value": 0.2468,
                               "std_error": 0.0978, "n_obs": 4177, "n_clusters": 83}  # fmt: skip
    head = dataclasses.replace(made.headline, inference="clustered", **numbers)
    report = written(sealed(dataclasses.replace(made, headline=head, estimates=(head, *made.estimates[1:]))))
    for words in ("+0.91", "0.72 to 1.11", "0.247", "standard error 0.098", "4,177 observations", "83 clusters"):
        assert report.says(words), words


def test_every_field_of_an_estimate_is_known_here() -> None:
    """A new field has to find its place in the report, or a reason above."""
    assert {f.name for f in dataclasses.fields(Estimate)} == {
        "term", "kind", "estimand", "outcome", "estimate", "outcome_role", "cohort", "time", "event_time", "subgroup",
        "std_error", "conf_low", "conf_high", "p_value", "df", "n_obs", "n_units", "n_clusters", "estimator",
        "inference", "standing",
    }  # fmt: skip
