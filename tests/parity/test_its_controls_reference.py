"""Controlled interrupted time series against R 4.2.2 (sandwich) and the numbers printed in Stata's itsa help files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import evaltoolkit as ev

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "its_golden.json").exists(), reason="reference values are not here")
GOLDEN: dict[str, Any] = json.loads((FOLDER / "its_golden.json").read_text()) if FOLDER.exists() else {}
CLOSE = 1e-8  # closed forms printed with 15 digits
ITSA = {
    "const": "control: intercept", "t": "control: trend", "x": "control: level", "x_t": "control: slope",
    "z": "difference: intercept", "z_t": "difference: trend", "z_x": "difference: level",
    "z_x_t": "difference: slope",
}  # fmt: skip
BY_R = {
    "(Intercept)": "const", "t": "t", "level1": "x", "slope1": "x_t", "z": "z", "z:t": "z_t", "z:level1": "z_x",
    "z:slope1": "z_x_t",
}  # fmt: skip


def california(control: Any, **changes: Any) -> Any:
    frame = pd.read_csv(FOLDER / "prop99.csv")
    given: dict[str, Any] = {"outcome": "PacksPerCapita", "time": "Year", "interruption": 1989, "unit": "State",
                             "treated_unit": "California", "errors": "newey-west", "lags": 1}  # fmt: skip
    return ev.its(frame, control=control, **(given | changes)).result


def rows(result: Any) -> dict[str, Any]:
    return {e.term: e for e in result.estimates}


def same(found: dict[str, Any], table: dict[str, Any], names: dict[str, str]) -> None:
    for theirs, mine in names.items():
        row = found[ITSA[mine]]
        assert row.estimate == pytest.approx(table["coef"][theirs], rel=CLOSE)
        assert row.std_error == pytest.approx(table["se"][theirs], rel=CLOSE)
        assert row.p_value == pytest.approx(table["p"][theirs], rel=1e-6)
        assert row.df == table["df"]


@pytest.mark.parametrize(("control", "block"), [("all", "prop99_multi_all"), ("matched", "prop99_multi_matched")])
def test_many_controls(control: str, block: str) -> None:
    golden = GOLDEN[block]
    found = rows(california(control))
    same(found, golden["nw_t"], {name: name for name in ITSA})
    for side, name in (("treated", "treated"), ("control", "control"), ("difference", "diff")):
        theirs = golden[f"posttrend_{name}"]
        row = found[f"{side}: trend after"]
        assert [row.estimate, row.std_error] == pytest.approx([theirs["estimate"], theirs["se"]], rel=CLOSE)


def test_the_mean_control() -> None:
    same(rows(california("mean")), GOLDEN["prop99_mean_control"]["tab"], BY_R)


def test_the_matched_set() -> None:
    table = next(t for t in california("matched").tables if t.key == "controls")
    assert [row[0] for row in table.rows] == GOLDEN["prop99_itsamatch_p20"]


def test_published_numbers() -> None:
    """As printed by Linden for treated and control states."""
    printed = GOLDEN["published_checks"]["itsa_multi_all_1989_lag1"]
    found = rows(california("all"))

    def of_treated(name: str) -> float:
        return float(found[f"control: {name}"].estimate + found[f"difference: {name}"].estimate)

    assert round(of_treated("intercept"), 4) == printed["treated_intercept"]
    assert round(of_treated("trend"), 6) == printed["treated_pretrend"]
    assert round(of_treated("level"), 4) == printed["treated_step"]
    assert round(found["treated: trend after"].estimate, 6) == printed["treated_posttrend"]
    assert round(found["control: trend after"].estimate, 6) == printed["control_posttrend"]
    assert round(found["difference: level"].estimate, 6) == printed["z_x"]
    assert round(found["difference: level"].p_value, 3) == printed["p_z_x"]


@pytest.mark.parametrize("control", ["all", "mean", "matched"])
def test_the_difference_series_has_the_same_estimates(control: str) -> None:
    found = rows(california(control, errors="ols", lags=None))
    for name in ("intercept", "trend", "level", "slope"):
        assert found[name].estimate == pytest.approx(found[f"difference: {name}"].estimate, rel=1e-7)
