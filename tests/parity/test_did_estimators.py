"""Every estimator through the design against R and Python packages; the reference files state the calls."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")
LARGE: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)
SMALL: dict[str, Any] = json.loads((FOLDER / "did_mpdta_golden.json").read_text()) if FOLDER.exists() else {}


def frame(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv")


def mpdta(**settings: Any) -> Any:
    data = frame("mpdta").assign(state=lambda f: f["countyreal"] // 1000)
    columns = {"outcome": "lemp", "unit": "countyreal", "time": "year", "first_treated": "first_treat"}
    return ev.did(data, **({"inference": "analytic"} | columns | settings)).result


def castle(**settings: Any) -> Any:
    columns = {"outcome": "l_homicide", "unit": "sid", "time": "year", "treated": "post"}
    return ev.did(frame("castle"), **({"inference": "analytic"} | columns | settings)).result


def same(found: tuple[float, float], estimate: float, std_error: float, rel: float = 1e-7) -> None:
    """The tolerance of the file: estimates 1e-7 relative and 1e-9 absolute, errors 1e-5 relative."""
    assert abs(found[0] - estimate) <= rel * abs(estimate) + 1e-9
    assert found[1] == pytest.approx(std_error, rel=1e-5)


def headline(result: Any) -> tuple[float, float]:
    return result.headline.estimate, result.headline.std_error


def path(result: Any) -> dict[int, tuple[float, float]]:
    return {e.event_time: (e.estimate, e.std_error) for e in result.estimates if e.kind == "event-time"}


def check_path(result: Any, rows: list[dict[str, Any]], prefix: str = "", rel: float = 1e-7) -> None:
    found = path(result)
    for row in rows:
        same(found[int(row["term"].removeprefix(prefix))], row["est"], row["se"], rel)


WX = ["l_police", "unemployrt", "poverty", "l_income", "l_prisoner", "blackm_15_24", "whitem_15_24"]


@pytest.mark.parametrize(("entry", "settings"), [
    ("twfe.castle", {}), ("twfe.castle.w", {"weights": "popwt"}),
    ("twfe.castle.wx", {"weights": "popwt", "period_effects": "region", "covariates": WX}),
])  # fmt: skip
def test_two_way_fixed_effects(entry: str, settings: dict[str, Any]) -> None:
    result = castle(estimator="twfe", **settings)
    golden = LARGE[entry]["values"][0]
    same(headline(result), golden["est"], golden["se"])
    assert result.headline.p_value == pytest.approx(golden["p"], rel=1e-6)


def test_two_way_fixed_effects_by_time_with_weights() -> None:
    check_path(castle(estimator="twfe", weights="popwt"), LARGE["event.castle"]["values"], "rel::")


@pytest.mark.parametrize("way", ["cr2", "cr3"])
def test_small_sample_errors(way: str) -> None:
    result = castle(estimator="twfe", inference=way)
    golden = LARGE["twfe.castle.cr2"]["values"]
    assert result.headline.estimate == pytest.approx(golden["est"], rel=1e-9)
    if way == "cr2":
        assert result.headline.std_error == pytest.approx(golden["se_CR2"], rel=1e-9)
        assert result.headline.df == pytest.approx(golden["df_satt"], rel=1e-8)
        assert result.headline.p_value == pytest.approx(golden["p_satt"], rel=1e-8)
    else:
        assert result.headline.std_error > golden["se_CR2"]


@pytest.mark.parametrize(("way", "error", "df"), [
    ("cr2", "se_CR2", "df_satt_CR2"), ("cr3", "se_CR3", "df_satt_CR3"), ("analytic", "se_cluster_fixest", None),
])  # fmt: skip
def test_two_by_two(way: str, error: str, df: str | None) -> None:
    data = frame("base_did").assign(start=lambda f: np.where(f["treat"] == 1, 6, 0))
    result = ev.did(
        data, outcome="y", unit="id", time="period", first_treated="start", estimator="two-by-two", inference=way
    ).result  # fmt: skip
    golden = LARGE["2x2.base_did"]["values"]
    assert result.headline.estimate == pytest.approx(golden["est"], rel=1e-9)
    assert result.headline.std_error == pytest.approx(golden[error], rel=1e-8)
    if df is not None:
        assert result.headline.df == pytest.approx(golden[df], rel=1e-8)


def test_poisson_with_exposure() -> None:
    outcome = ev.Outcome("homicide_c", kind="rate", population="population", per=1)
    result = castle(outcome=outcome, estimator="twfe", family="poisson")
    golden = LARGE["ppml.castle"]["values"][0]
    percent = next(e for e in result.estimates if e.kind == "percent")
    assert np.log1p(percent.estimate / 100) == pytest.approx(golden["est"], rel=1e-6)
    assert percent.std_error / (100 + percent.estimate) == pytest.approx(golden["se"], rel=1e-5)


def test_sun_and_abraham() -> None:
    result = mpdta(estimator="sun-abraham")
    golden = SMALL["extended_R"]
    same(headline(result), *golden["fixest sunab att | cluster county"]["ATT"])
    rows = golden["fixest sunab event study | cluster county"]
    found = path(result)
    for key, values in rows.items():
        same(found[int(key.removeprefix("year::"))], *values)


@pytest.mark.parametrize("entry", ["none.notyet", "none.never", "lpop.notyet", "lpop.never"])
def test_extended_two_way(entry: str) -> None:
    covariates, comparison = entry.split(".")
    result = mpdta(
        estimator="etwfe", covariates=["lpop"] if covariates == "lpop" else [],
        comparison="never-treated" if comparison == "never" else "not-yet-treated",
    )  # fmt: skip
    golden = LARGE[f"etwfe.mpdta.{entry}"]["values"]
    found = {e.term: (e.estimate, e.std_error) for e in result.estimates if e.kind == "overall"}
    tolerance = {"rel": 1e-6}, {"rel": 1e-4}
    assert found["simple"][0] == pytest.approx(golden["simple"][0]["est"], **tolerance[0])
    assert found["simple"][1] == pytest.approx(golden["simple"][0]["se"], **tolerance[1])
    for kind, key, attribute in (("group", "cohort", "cohort"), ("calendar", "calendar-time", "time")):
        rows = {getattr(e, attribute): e for e in result.estimates if e.kind == key}
        for row in golden[kind]:
            one = rows[str(row["by"])]
            assert one.estimate == pytest.approx(row["est"], **tolerance[0])
            assert one.std_error == pytest.approx(row["se"], **tolerance[1])
    events = path(result)
    for row in golden["event"]:
        if row["se"]:  # etwfe prints a zero for the reference
            assert events[int(row["by"])][0] == pytest.approx(row["est"], **tolerance[0])
            assert events[int(row["by"])][1] == pytest.approx(row["se"], **tolerance[1])


def test_imputation() -> None:
    result = mpdta(estimator="imputation")
    same(headline(result), LARGE["bjs.mpdta"]["values"][0]["est"], LARGE["bjs.mpdta"]["values"][0]["se"])
    check_path(result, LARGE["bjs.mpdta.es"]["values"])


def df_hom(**settings: Any) -> Any:
    data = frame("df_hom600")
    columns = {"outcome": "dep_var", "unit": "unit", "time": "year", "first_treated": "g", "cluster": "state"}
    return ev.did(data, **({"inference": "analytic"} | columns | settings)).result


def test_imputation_with_clusters_above_the_unit() -> None:
    rows = [row for row in LARGE["bjs.df_hom.es"]["values"] if int(row["term"]) >= 0]
    # R's fixed effects stop at a tolerance: a fit with a dummy for every effect gives our values.
    check_path(df_hom(estimator="imputation"), rows, rel=2e-7)


def test_two_stages() -> None:
    same(headline(castle(estimator="two-stage")), *list(LARGE["did2s.castle"]["values"][0].values())[1:3])
    check_path(castle(estimator="two-stage", weights="popwt"), LARGE["did2s.castle.es.w"]["values"], "rel::")
    golden = LARGE["did2s.df_hom"]["values"][0]
    same(headline(df_hom(estimator="two-stage")), golden["est"], golden["se"], 2e-7)
    peer = SMALL["other_estimators"]["diff-diff 3.13.0 / pyfixest 0.60.0"]["diff-diff two-stage"]["overall"]
    same(headline(mpdta(estimator="two-stage")), *peer)


def test_stacked() -> None:
    peer = SMALL["other_estimators"]["diff-diff 3.13.0 / pyfixest 0.60.0"]["diff-diff stacked(1,0)"]["overall"]
    same(headline(mpdta(estimator="stacked", event_window=(-1, 0))), *peer)


def test_synthetic() -> None:
    data = frame("prop99")
    data["start"] = np.where(data.groupby("State")["treated"].transform("max") == 1, 1989, 0)
    result = ev.did(
        data, outcome="PacksPerCapita", unit="State", time="Year", first_treated="start", estimator="synthetic-did"
    ).result  # fmt: skip
    assert result.headline.estimate == pytest.approx(LARGE["synthdid.prop99"]["values"]["synthdid"]["est"], abs=2e-3)
    assert result.headline.inference == "placebo, normal"


def test_local_projections_and_switchers_meet_group_time_effects() -> None:
    """With equal weights, and with a treatment that stays, both are the not-yet-treated event study."""
    cells = path(mpdta(base_period="universal"))
    projected, switched = path(mpdta(estimator="lp-did", weighting="equal")), path(
        ev.did(frame("mpdta").assign(on=lambda f: (f["first_treat"] > 0) & (f["year"] >= f["first_treat"])),
               outcome="lemp", unit="countyreal", time="year", treated="on", estimator="chaisemartin",
               inference="analytic").result)  # fmt: skip
    for e in range(4):
        assert projected[e][0] == pytest.approx(cells[e][0], rel=1e-9)
        assert switched[e][0] == pytest.approx(cells[e][0], rel=1e-9)
