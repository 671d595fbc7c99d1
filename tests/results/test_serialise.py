"""result.json: round trip, null for missing, refusal of what does not fit."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.errors import ResultFileError
from evaltoolkit.results import Column, Result, SmallCells, TableData, from_json, load_result, seal, to_json
from tests.drafts import HEADLINE, draft

NUMBER = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
CELL = st.none() | st.booleans() | NUMBER | st.text()


def result(**changes: object) -> Result:
    return seal(draft(**changes), SmallCells(), rows_are_people=False)


@given(cells=st.lists(CELL, min_size=1, max_size=5))
def test_a_result_comes_back_as_it_was(cells: list[object]) -> None:
    columns = tuple(Column(key=str(i)) for i in range(len(cells)))
    made = TableData(key="t", title="T", columns=columns, rows=(tuple(cells),))  # type: ignore[arg-type]
    before = result(tables=(made,))
    after = from_json(to_json(before))
    assert after == before
    assert [type(c) for c in after.tables[0].rows[0]] == [type(c) for c in cells]
    assert to_json(after) == to_json(before)


def test_missing_numbers_are_null() -> None:
    made = result(headline=dataclasses.replace(HEADLINE, std_error=float("nan"), conf_high=float("inf")))
    headline = json.loads(to_json(made))["headline"]
    assert headline["std_error"] is None
    assert headline["conf_high"] is None


def test_keys_stand_in_the_promised_order() -> None:
    assert list(json.loads(to_json(result()))) == [
        "schema", "study", "design", "estimand", "headline", "estimates", "diagnostics", "sensitivity", "figures",
        "tables", "statements", "flow", "evidence", "disclosure", "provenance",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw.update(schema="evaltoolkit.result/99"), "schema"),
        (lambda raw: raw["headline"].update(estimate="lots"), "headline/estimate"),
        (lambda raw: raw.pop("statements"), "statements"),
    ],
)
def test_what_does_not_fit_is_refused(change: object, says: str) -> None:
    raw = json.loads(to_json(result()))
    change(raw)  # type: ignore[operator]
    with pytest.raises(ResultFileError, match=says):
        from_json(json.dumps(raw))


def test_other_files_are_refused(tmp_path: object) -> None:
    with pytest.raises(ResultFileError, match="not JSON"):
        from_json("{")
    with pytest.raises(ResultFileError, match="cannot be read"):
        load_result("no/such/result.json")
