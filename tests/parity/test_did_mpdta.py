"""Group-time effects, aggregations and regressions against R did 2.5.1 and fixest 0.12.2.

The reference files state for every entry the R call that made it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import evaltoolkit as ev

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

# The files print 15 digits; 1e-8 leaves room for where R's logit stops (1e-8 in the deviance) and nothing more.
CLOSE = 1e-8
ADJUST = {"dr": "doubly-robust", "reg": "regression", "ipw": "weighting"}
COMPARISON = {
    "never": "never-treated", "notyet": "not-yet-treated", "nevertreated": "never-treated",
    "notyettreated": "not-yet-treated",
}  # fmt: skip
SMALL: dict[str, Any] = json.loads((FOLDER / "did_mpdta_golden.json").read_text()) if FOLDER.exists() else {}
LARGE: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)


@pytest.fixture(scope="module")
def mpdta() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "mpdta.csv")
    return frame.assign(state=frame["countyreal"] // 1000)


def did(frame: pd.DataFrame, **changes: Any) -> Any:
    settings = {"outcome": "lemp", "unit": "countyreal", "time": "year", "first_treated": "first_treat"}
    return ev.did(frame, inference="analytic", **(settings | changes)).result


def pairs(result: Any, kind: str) -> dict[tuple[str | None, str | None, int | None], tuple[float, float | None]]:
    return {
        (e.cohort, e.time, e.event_time): (e.estimate, e.std_error)
        for e in result.estimates
        if e.kind == kind
    }  # fmt: skip


def same(found: tuple[float, float | None], estimate: float, std_error: float | None) -> None:
    assert found[0] == pytest.approx(estimate, abs=CLOSE)
    if std_error is None or std_error == 0:
        assert found[1] is None
    else:
        assert found[1] == pytest.approx(std_error, abs=CLOSE)


def overall(result: Any, term: str) -> tuple[float, float | None]:
    row = next(e for e in result.estimates if e.kind == "overall" and e.term == term)
    return row.estimate, row.std_error


def pretest(result: Any) -> Any:
    return next(d for d in result.diagnostics if d.name == "pre-trends")


def check_small(result: Any, golden: dict[str, Any], *, wald: bool = True) -> None:
    """Compare with an entry of did_mpdta_golden.json."""
    cells = pairs(result, "group-time")
    assert len(cells) == len(golden["attgt"])
    for key, (estimate, se) in golden["attgt"].items():
        g, t = key.split(",")
        same(cells[g, t, int(t) - int(g)], estimate, se)
    for kind in ("simple", "dynamic", "group", "calendar"):
        same(overall(result, kind), *golden[kind]["overall"])
    for label, values in golden["dynamic"]["rows"].items():
        same(pairs(result, "event-time")[None, None, int(label)], *values)
    for label, values in golden["group"]["rows"].items():
        same(pairs(result, "cohort")[label, None, None], *values)
    for label, values in golden["calendar"]["rows"].items():
        same(pairs(result, "calendar-time")[None, label, None], *values)
    if wald and golden.get("pretest_wald"):
        assert pretest(result).value == pytest.approx(golden["pretest_wald"]["W"], rel=1e-7)
        # R refers the statistic to chi-square, printed to five digits; ours to F, which is close to it here.
        chi_square = stats.chi2.sf(pretest(result).value, pretest(result).df)
        assert chi_square == pytest.approx(golden["pretest_wald"]["p"], abs=5e-6)


@pytest.mark.parametrize("key", SMALL.get("callaway_santanna", {}))
def test_every_setting_equals_r_did(mpdta: pd.DataFrame, key: str) -> None:
    method, comparison, covariates, base = key.split("|")
    result = did(
        mpdta, adjust=ADJUST[method], comparison=COMPARISON[comparison], base_period=base,
        covariates=[] if covariates == "none" else [covariates],
    )  # fmt: skip
    check_small(result, SMALL["callaway_santanna"][key])


def test_clusters_above_the_unit(mpdta: pd.DataFrame) -> None:
    result = did(mpdta, cluster="state", covariates=["lpop"], comparison="never-treated")
    check_small(result, SMALL["extended_R"]["cluster=state|dr|never|lpop"])
    check_large(result, LARGE["cs.mpdta.cluster_state"]["values"])


def test_no_never_treated_units(mpdta: pd.DataFrame) -> None:
    result = did(mpdta[mpdta["first_treat"] > 0])
    check_small(result, SMALL["extended_R"]["no never-treated units|dr|notyet|none"])


@pytest.mark.parametrize("key", ["dr|never|lpop", "dr|notyet|none"])
def test_anticipation(mpdta: pd.DataFrame, key: str) -> None:
    _, comparison, covariates = key.split("|")
    result = did(
        mpdta, anticipation=1, comparison=COMPARISON[comparison],
        covariates=[] if covariates == "none" else [covariates],
    )  # fmt: skip
    # Later versions of did leave periods that anticipation covers out of the pre-test; estimates are the same.
    check_small(result, SMALL["extended_R"][f"anticipation=1|{key}"], wald=False)
    assert pretest(result).df == 3  # 2004 for the cohort of 2006, 2004 and 2005 for that of 2007


def test_incomplete_units_are_dropped(mpdta: pd.DataFrame) -> None:
    ordered = mpdta.sort_values(["countyreal", "year"])
    gone = (ordered["countyreal"] * 7 + ordered["year"] * 13) % 11 == 0
    golden = LARGE["cs.mpdta.balanced_after_drop"]
    spec = golden["spec"]
    result = did(
        ordered[~gone], incomplete="drop", adjust=ADJUST[spec["est_method"]],
        comparison=COMPARISON[spec["control_group"]],
        covariates=["lpop"] if "lpop" in str(spec.get("xformla")) else [],
    )  # fmt: skip
    check_large(result, golden["values"])


def check_large(result: Any, values: dict[str, Any], *, wald: bool = True) -> None:
    """Compare with an entry of did_golden.json."""
    cells = pairs(result, "group-time")
    assert len(cells) == len(values["att_gt"])
    for row in values["att_gt"]:
        key = (str(row["group"]), str(row["time"]), row["time"] - row["group"])
        same(cells[key], row["att"], row.get("se"))
    for kind in ("simple", "dynamic", "group", "calendar"):
        same(overall(result, kind), values[kind]["overall_att"], values[kind]["overall_se"])
        if kind != "simple":
            rows = {_label(e): (e.estimate, e.std_error) for e in result.estimates if e.kind == ROWS[kind]}
            assert len(rows) == len(values[kind]["by"])
            for row in values[kind]["by"]:
                same(rows[row["e"]], row["att"], row.get("se"))
    assert result.headline.n_units == values["n"]
    if wald:
        assert pretest(result).value == pytest.approx(values["pretest_W"], rel=1e-7)
        assert stats.chi2.sf(pretest(result).value, pretest(result).df) == pytest.approx(values["pretest_p"], abs=5e-6)


ROWS = {"dynamic": "event-time", "group": "cohort", "calendar": "calendar-time"}


def _label(e: Any) -> int:
    return int(e.event_time if e.kind == "event-time" else e.cohort or e.time)


PANELS = [
    key
    for key in LARGE
    if key.startswith("cs.mpdta.") and key.split(".")[2] in ADJUST and key.endswith(("ant0", "ant1"))
]


@pytest.mark.parametrize("key", PANELS)
def test_every_panel_entry(mpdta: pd.DataFrame, key: str) -> None:
    spec = LARGE[key]["spec"]
    result = did(
        mpdta, adjust=ADJUST[spec["est_method"]], comparison=COMPARISON[spec["control_group"]],
        base_period=spec["base_period"], anticipation=spec["anticipation"],
        covariates=["lpop"] if "lpop" in str(spec["xformla"]) else [],
    )  # fmt: skip
    check_large(result, LARGE[key]["values"], wald=spec["anticipation"] == 0)


def test_clusters_with_not_yet_treated_and_universal_base(mpdta: pd.DataFrame) -> None:
    golden = LARGE["cs.mpdta.cluster_state.notyet"]
    check_large(did(mpdta, cluster="state", base_period="universal"), golden["values"])


@pytest.mark.parametrize("cluster", [None, "state"])
def test_two_way_fixed_effects(mpdta: pd.DataFrame, cluster: str | None) -> None:
    result = did(mpdta, estimator="twfe", cluster=cluster)
    golden = SMALL["extended_R"]
    key = "fixest twfe static | cluster state" if cluster else "fixest twfe static | county+year, cluster county"
    same((result.headline.estimate, result.headline.std_error), *golden[key]["D"])
    if cluster is None:
        assert result.headline.df == 499
        events = {e.event_time: (e.estimate, e.std_error) for e in result.estimates if e.kind == "event-time"}
        for row in LARGE["event.mpdta"]["values"]:
            same(events[int(row["term"].removeprefix("rel::"))], row["est"], row["se"])


@pytest.mark.parametrize("covariates", [[], ["x1"]])
def test_two_by_two(covariates: list[str]) -> None:
    frame = pd.read_csv(FOLDER / "base_did.csv")
    frame["start"] = np.where(frame["treat"] == 1, 6, 0)
    settings: dict[str, Any] = {
        "outcome": "y", "unit": "id", "time": "period", "first_treated": "start", "inference": "analytic",
        "covariates": covariates,
    }  # fmt: skip
    result = ev.did(frame, estimator="two-by-two", **settings).result
    golden = LARGE["2x2.base_did.x1" if covariates else "2x2.base_did"]["values"]
    same((result.headline.estimate, result.headline.std_error), golden["est"], golden["se_cluster_fixest"])
    if covariates:
        regression = LARGE["twfe.base_did.cluster"]["values"][0]
        result = ev.did(frame, estimator="twfe", **settings).result
        same((result.headline.estimate, result.headline.std_error), regression["est"], regression["se"])
        assert result.headline.p_value == pytest.approx(regression["p"], rel=1e-6)
        events = {e.event_time: (e.estimate, e.std_error) for e in result.estimates if e.kind == "event-time"}
        for row in LARGE["event.base_did"]["values"]:
            if row["term"].startswith("period::"):
                period = int(row["term"].split("::")[1].split(":")[0])
                same(events[period - 6], row["est"], row["se"])


def test_a_covariate_that_moves_takes_its_value_in_the_earlier_period() -> None:
    result = ev.did(
        pd.read_csv(FOLDER / "castle.csv"), outcome="l_homicide", unit="sid", time="year", first_treated="effyear",
        adjust="regression", covariates=["l_income"], comparison="never-treated", inference="analytic",
    ).result  # fmt: skip
    check_large(result, LARGE["cs.castle.never.reg"]["values"], wald=False)
    assert pretest(result).verdict == "not-applicable"  # a singular covariance, as R says too


@pytest.mark.parametrize("comparison", ["nevertreated", "notyettreated"])
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_the_band_of_the_event_study(mpdta: pd.DataFrame, comparison: str, base: str) -> None:
    e = ev.did(
        mpdta, outcome="lemp", unit="countyreal", time="year", first_treated="first_treat", covariates=["lpop"],
        comparison=COMPARISON[comparison], base_period=base, inference="analytic",
    )  # fmt: skip
    golden = LARGE[f"cs.mpdta.dr.{comparison}.lpop.{base}.ant0"]["values"]
    # 9,999 draws: a 95% quantile of the largest of seven or eight has a standard error of about 0.015.
    assert e.sample.products["critical_value"] == pytest.approx(golden["sup_t_95"], abs=0.05)
    covariance = pd.DataFrame(golden["dynamic_cov"]["V"], *[golden["dynamic_cov"]["e"]] * 2, dtype=float).fillna(0.0)
    found = pd.DataFrame(e.sample.products["event_vcov"], *[e.sample.products["event_times"]] * 2)
    np.testing.assert_allclose(found.loc[covariance.index, covariance.index], covariance, atol=1e-10)


def test_castle_doctrine() -> None:
    frame = pd.read_csv(FOLDER / "castle.csv")
    result = ev.did(
        frame, outcome="l_homicide", unit="sid", time="year", treated="post", estimator="twfe", inference="analytic"
    ).result  # fmt: skip
    golden = LARGE["twfe.castle"]["values"][0]
    same((result.headline.estimate, result.headline.std_error), golden["est"], golden["se"])
    assert result.headline.p_value == pytest.approx(golden["p"], rel=1e-6)


@pytest.mark.parametrize("covariates", [[], ["lpop"]])
def test_sampling_weights(mpdta: pd.DataFrame, covariates: list[str]) -> None:
    frame = mpdta.assign(weight=mpdta["lpop"])
    result = did(frame, weights="weight", covariates=covariates, comparison="never-treated")
    check_small(result, SMALL["extended_R"][f"weights=lpop|dr|never|{covariates[0] if covariates else 'none'}"])


def test_sampling_weights_and_not_yet_treated() -> None:
    result = ev.did(
        pd.read_csv(FOLDER / "castle.csv"), outcome="l_homicide", unit="sid", time="year", first_treated="effyear",
        weights="popwt", inference="analytic",
    ).result  # fmt: skip
    check_large(result, LARGE["cs.castle.notyet.w"]["values"], wald=False)


@pytest.mark.parametrize(
    ("entry", "setting"), [("balance_e1", {"balance_event_times": 1}), ("window", {"event_window": (-1, 2)})]
)
def test_event_times_balanced_or_in_a_window(mpdta: pd.DataFrame, entry: str, setting: dict[str, Any]) -> None:
    result = did(mpdta, covariates=["lpop"], comparison="never-treated", **setting)
    golden = LARGE["agg.mpdta.balance_e"]["values"][entry]
    rows = pairs(result, "event-time")
    assert len(rows) == len(golden["by"])
    for row in golden["by"]:
        same(rows[None, None, row["e"]], row["att"], row["se"])
    same(overall(result, "dynamic"), golden["overall_att"], golden["overall_se"])


SECTIONS = ["rc.dr", "rc.reg", "rc.ipw", "rc.dr.notyet", "unbalanced"]


@pytest.mark.parametrize("key", SECTIONS)
def test_repeated_cross_sections_and_units_that_come_and_go(mpdta: pd.DataFrame, key: str) -> None:
    golden = LARGE[f"cs.mpdta.{key}"]
    spec = golden["spec"]
    gone = (mpdta["countyreal"] * 7 + mpdta["year"] * 13) % 11 == 0
    result = did(
        mpdta[~gone] if key == "unbalanced" else mpdta, unit="countyreal" if key == "unbalanced" else None,
        panel=False, adjust=ADJUST[spec["est_method"]], comparison=COMPARISON[spec["control_group"]],
        base_period=spec["base_period"], covariates=["lpop"],
    )  # fmt: skip
    check_large(result, golden["values"])
