"""No row, identifier or count of a few people leaves an engine; what cannot be done there is refused in one message."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.designs.matching.in_engine_flow import grouped
from evaltoolkit.pipeline import prepare
from evaltoolkit.results import to_json
from evaltoolkit.study import study_from
from tests.reduction.held import BASE, held, people, recorded

MOST_ROWS = 60
"""Two groups in at most twenty bins, or the levels of a category; never people."""


def planted() -> pd.DataFrame:
    """Ten people live somewhere else, three of them served; four lack an age, and six a need."""
    frame = people()
    others = np.flatnonzero(frame["served"] == 0)[:7].tolist() + np.flatnonzero(frame["served"] == 1)[:3].tolist()
    frame.loc[others, "home"] = "street"
    frame.loc[np.arange(100, 104), "age"] = np.nan
    frame.loc[np.arange(200, 206), "need"] = np.nan
    frame["client_id"] = [f"person-{i}" for i in range(len(frame))]
    return frame


SYSTEMS = r"(g\d?|c|s|d\d|G\d|t|y|r)_\d+(_\d+)?"
"""Names of the k × k sums that score and outcome models are solved from: they leave whole, as in strict mode."""
ANSWERS = r"x\d+|(flat|odd|other)_\w+|a\d+|f\d+|flat|small|more|far|top[01]|t|bin"
"""Names of answers of yes and no or in words, of places of bins, and of the largest weight."""


def counts_in(left: list[tuple[str, pd.DataFrame]]) -> set[float]:
    """Return every whole number that left and may be a count of people."""
    found: set[float] = set()
    for what, frame in left:
        for name in frame.columns:
            points = what == "distribution functions" and name == "n"  # different values of a covariate
            if re.fullmatch(f"{SYSTEMS}|{ANSWERS}", name) or what.startswith("values of") or points:
                continue
            values = pd.to_numeric(frame[name], errors="coerce").dropna()
            found |= {float(v) for v in values if float(v).is_integer() and v != 0}
    return found


def test_ten_people_do_not_leave_the_engine() -> None:
    with recorded() as left:
        result = ev.match(held(planted()), **BASE, method="weighting").result
    assert left
    for what, frame in left:
        assert len(frame) <= MOST_ROWS, what
        assert not frame.astype("string").apply(lambda c: c.str.contains("person-")).any().any(), what
    # These would be counts of people: of those on the street, and of those without age or need.
    assert max(counts_in(left)) > 1_000
    assert not {n for n in counts_in(left) if 1 <= n <= 10}
    balance = next(table for table in result.tables if table.key == "balance")
    rows = {row[0]: row for row in balance.rows}
    assert all(value is None for value in rows["home: street"][1:10])
    # A share that is one less the others is not shown either.
    assert (
        sum(all(value is None for value in rows[f"home: {level}"][1:10]) for level in ("group", "kin", "parent")) == 1
    )
    assert result.flow[-1].label == "With complete data" or result.flow[0].label.startswith("Rows")
    assert "person-" not in to_json(result)


def test_a_few_without_a_value_are_counted_with_others_or_not_at_all() -> None:
    few = planted().assign(need=people()["need"])
    result = ev.match(held(few), **BASE, method="weighting").result
    assert [step.label for step in result.flow] == ["Rows with complete data"]
    assert result.flow[0].n == len(few) - 4
    enough = planted()
    enough.loc[np.arange(300, 320), "need"] = np.nan
    result = ev.match(held(enough), **BASE, method="weighting").result
    assert [step.label for step in result.flow] == ["Rows in the data", "With a value of age and need"]
    assert result.flow[1].excluded == 30


@pytest.mark.parametrize(
    ("sizes", "expected"), [([0, 0], []), ([1], []), ([2], [[0]]), ([2, 1], [[0, 1]]), ([1, 2, 0, 2], [[0, 1], [3]])]
)
def test_steps_of_a_few_are_never_alone(sizes: list[int], expected: list[list[int]]) -> None:
    assert grouped(sizes) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "without replacement"),
        ({"method": "optimal"}, "coarsened-exact"),
        ({"method": "full"}, "weighting"),
        ({"distance": "mahalanobis", "replace": True}, "several covariates"),
        ({"method": "weighting", "weighting": "entropy"}, "inverse-probability"),
        ({"method": "weighting", "truncate": 0.99}, "quantile"),
        ({"method": "weighting", "effect": "aipw", "folds": 5}, "folds"),
        ({"method": "weighting", "distance": "probit"}, "logit"),
        ({"method": "weighting", "inference": "bootstrap"}, "auto"),
        ({"method": "weighting", "incomplete": "impute"}, "drop"),
        ({"method": "weighting", "placebo_outcomes": ["contacts"]}, "placebo"),
    ],
    ids=str,
)
def test_what_needs_rows_is_refused_with_an_alternative(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.OptionError) as found:
        ev.match(held(people(200)), **BASE, **changes)
    assert words in str(found.value)
    assert "the people stay in the engine" in str(found.value)
    assert 'release = "open"' in str(found.value)


def broken(**columns: Any) -> pd.DataFrame:
    return people(400).assign(**columns)


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (broken(served=np.arange(400) % 3), errors.ColumnTypeError, "values other than 0 and 1"),
        (broken(served=1), errors.NoComparisonError, "in the comparison group"),
        (broken(served=(np.arange(400) < 5).astype(int)), errors.DisclosureError, "fewer than 11"),
        (broken(need="much"), errors.NoVariationError, "need"),
        (broken(need=[f"about {i}" for i in range(400)]), errors.ColumnTypeError, "different texts"),
        (broken(need=7.0), errors.NoVariationError, "same for everybody"),
        (broken(need=np.nan), errors.MissingValuesError, "no row has a value"),
        (broken(need=np.where(np.arange(400) == 3, np.inf, 1.0)), errors.ColumnTypeError, "infinite"),
        (broken(score=[f"{i}" for i in range(400)]), errors.ColumnTypeError, "type string"),
        (broken(score=1.0), errors.NoVariationError, "outcome"),
        (broken(age=people(400)["need"] * 2), errors.CollinearityError, "combination"),
        (broken(age=people(400)["served"] * 2.0 + 1), errors.SeparationError, "apart"),
    ],
)
def test_bad_input_gets_one_clear_message(frame: pd.DataFrame, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ev.match(held(frame), **BASE, method="weighting")


def test_an_identifier_is_no_covariate() -> None:
    study = study_from({
        "version": 1, "design": "propensity-score-matching", "title": "Mentoring", "treated": "served",
        "covariates": ["age", "client_id"], "method": "weighting", "outcome": {"column": "score"},
        "disclosure": {"identifiers": ["client_id"]},
    })  # fmt: skip
    with pytest.raises(errors.DisclosureError, match="is an identifier"):
        prepare(study, held(people(200)))


def test_missing_columns_are_named() -> None:
    with pytest.raises(errors.ColumnNotFoundError, match="neeed"):
        ev.match(held(people(200)), **(BASE | {"covariates": ["neeed"]}), method="weighting")


def test_yes_and_no_are_understood_as_in_memory() -> None:
    frame = people(600)
    words = frame.assign(served=np.where(frame["served"] == 1, " Yes", "no"))
    one, two = (ev.match(held(f), **BASE, method="weighting").result.headline for f in (frame, words))
    assert two.estimate == pytest.approx(one.estimate, rel=1e-12)


def test_open_brings_rows_and_the_same_numbers() -> None:
    frame = people(600)
    opened = ev.match(held(frame), **BASE, method="weighting", release="open")
    kept = ev.match(held(frame), **BASE, method="weighting")
    assert kept.result.headline.estimate == pytest.approx(opened.result.headline.estimate, rel=1e-10)
    assert "matched_data" in opened.sample.products
