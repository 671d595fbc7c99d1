"""Values of papers, and of packages in R and Python, that agree with one another: each through the design."""

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
LARGE: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)
SMALL: dict[str, Any] = json.loads((FOLDER / "did_mpdta_golden.json").read_text()) if FOLDER.exists() else {}
PEERS: dict[str, Any] = SMALL.get("other_estimators", {})
FIRST, SECOND = "diff-diff 3.13.0 / pyfixest 0.60.0", "statspai 1.40.2"
# Where a peer solves its regressions by iteration, it stops at about 1e-8.
PEER = 1e-7


def mpdta(frame: pd.DataFrame | None = None, **settings: Any) -> Any:
    data = pd.read_csv(FOLDER / "mpdta.csv") if frame is None else frame
    columns = {"outcome": "lemp", "unit": "countyreal", "time": "year", "first_treated": "first_treat"}
    shared = {"inference": "analytic", "comparison": "never-treated"}
    takes_none = settings.get("estimator") in {"twfe", "sun-abraham", "imputation", "two-stage"}
    return ev.did(
        data.assign(state=data["countyreal"] // 1000),
        **({k: v for k, v in shared.items() if k == "inference" or not takes_none} | columns | settings),
    ).result  # fmt: skip


def rows(result: Any, kind: str, key: str) -> dict[str, tuple[float, float]]:
    return {str(getattr(e, key)): (e.estimate, e.std_error) for e in result.estimates if e.kind == kind}


def same(found: tuple[float, float], golden: list[float], close: float = PEER) -> None:
    assert found[0] == pytest.approx(golden[0], abs=close)
    assert found[1] == pytest.approx(golden[1], abs=close)


def headline(result: Any) -> tuple[float, float]:
    return result.headline.estimate, result.headline.std_error


def test_the_vignette_of_did() -> None:
    golden = LARGE["published.mpdta.vignette"]
    close = golden["tol"]["abs"]
    result = mpdta(adjust="regression")
    overall = {e.term: e.estimate for e in result.estimates if e.kind == "overall"}
    for kind in ("dynamic", "group", "calendar"):
        assert overall[kind] == pytest.approx(golden["values"][f"{kind}_overall"], abs=close)
    assert overall["simple"] == pytest.approx(golden["values"]["simple"]["att"], abs=close)
    cells = {(e.cohort, e.time): e.estimate for e in result.estimates if e.kind == "group-time"}
    for row in golden["values"]["att_gt"]:
        assert cells[str(row["group"]), str(row["time"])] == pytest.approx(row["att"], abs=close)


def test_california() -> None:
    golden = LARGE["published.prop99"]
    data = pd.read_csv(FOLDER / "prop99.csv")
    data["start"] = np.where(data.groupby("State")["treated"].transform("max") == 1, 1989, 0)
    columns = {"outcome": "PacksPerCapita", "unit": "State", "time": "Year", "first_treated": "start"}
    for estimator, key in (("synthetic-did", "synthdid"), ("twfe", "did")):
        found = ev.did(data, estimator=estimator, **columns).result.headline.estimate
        assert found == pytest.approx(golden["values"][key], abs=golden["tol"]["abs"])


def test_sun_and_abraham_whole() -> None:
    golden = LARGE["sunab.mpdta"]["values"]
    result = mpdta(estimator="sun-abraham")
    same(headline(result), [golden["att"][0]["est"], golden["att"][0]["se"]], 1e-8)
    events, cohorts = rows(result, "event-time", "event_time"), rows(result, "cohort", "cohort")
    for row in golden["event"]:
        same(events[row["term"].removeprefix("year::")], [row["est"], row["se"]], 1e-8)
    for row in golden["cohort"]:
        same(cohorts[row["term"].removeprefix("cohort::")], [row["est"], row["se"]], 1e-8)
    cells = {(e.cohort, e.event_time): (e.estimate, e.std_error) for e in result.estimates if e.kind == "group-time"}
    for row in golden["raw"]:
        event, cohort = row["term"].removeprefix("year::").split(":cohort::")
        same(cells[cohort, int(event)], [row["est"], row["se"]], 1e-8)


def test_two_way_fixed_effects_by_state() -> None:
    golden = LARGE["twfe.mpdta.cr2_state"]["values"][0]
    result = mpdta(estimator="twfe", cluster="state")
    same(headline(result), [golden["est"], golden["se"]], 1e-8)
    assert result.headline.p_value == pytest.approx(golden["p"], rel=1e-6)


def test_two_way_event_study() -> None:
    events = rows(mpdta(estimator="twfe"), "event-time", "event_time")
    key = "fixest twfe event study i(rel,ref=-1), never treated rel=-1 | cluster county"
    for term, values in SMALL["extended_R"][key].items():
        same(events[term.removeprefix("rel::")], values, 1e-8)


def test_p_values_of_a_path() -> None:
    """From t with clusters less one."""
    result = ev.did(
        pd.read_csv(FOLDER / "castle.csv"), outcome="l_homicide", unit="sid", time="year", treated="post",
        inference="analytic", weights="popwt", estimator="twfe",
    ).result  # fmt: skip
    found = {str(e.event_time): e.p_value for e in result.estimates if e.kind == "event-time"}
    for row in LARGE["event.castle"]["values"]:
        assert found[row["term"].removeprefix("rel::")] == pytest.approx(row["p"], rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("way", ["cr1", "cr2", "cr3"])
@pytest.mark.parametrize("covariates", [[], ["x1"]])
def test_errors_with_few_clusters(way: str, covariates: list[str]) -> None:
    data = pd.read_csv(FOLDER / "base_did.csv").assign(start=lambda f: np.where(f["treat"] == 1, 6, 0))
    result = ev.did(
        data, outcome="y", unit="id", time="period", first_treated="start", estimator="two-by-two", inference=way,
        covariates=covariates,
    ).result  # fmt: skip
    golden = LARGE["2x2.base_did.x1" if covariates else "2x2.base_did"]["values"]
    assert result.headline.n_obs == golden["n"]
    assert headline(result) == pytest.approx((golden["est"], golden[f"se_{way.upper()}"]), rel=1e-8)
    if way == "cr2":
        theirs = golden["estimatr_CR2"]
        found = result.headline.std_error, result.headline.df, result.headline.p_value
        assert found == pytest.approx((theirs["se"], theirs["df"], theirs["p"]), rel=1e-6)
    if way == "cr1":
        # The same without the factor G / (G - 1).
        bare = result.headline.std_error * np.sqrt((result.headline.n_clusters - 1) / result.headline.n_clusters)
        assert bare == pytest.approx(golden["se_cluster_fixest_no_adj"], rel=1e-8)
        castle = pd.read_csv(FOLDER / "castle.csv")
        h = ev.did(
            castle, outcome="l_homicide", unit="sid", time="year", treated="post", estimator="twfe", inference="cr1"
        ).result.headline  # fmt: skip
        assert h.std_error == pytest.approx(LARGE["twfe.castle.cr2"]["values"]["se_CR1"], rel=1e-8)


def test_units_that_lack_a_period_left_out() -> None:
    data = pd.read_csv(FOLDER / "mpdta.csv").sort_values(["countyreal", "year"]).reset_index(drop=True)
    kept = data[(np.arange(len(data)) + 1) % 17 != 0]
    result = mpdta(kept, covariates=["lpop"], incomplete="drop")
    golden = SMALL["extended_R"]["unbalanced(same)|allow_unbalanced_panel=FALSE|dr|never|lpop"]
    cells = {f"{e.cohort},{e.time}": (e.estimate, e.std_error) for e in result.estimates if e.kind == "group-time"}
    assert cells.keys() == golden["attgt"].keys()
    for key, values in golden["attgt"].items():
        same(cells[key], values, 1e-8)
    overall = {e.term: (e.estimate, e.std_error) for e in result.estimates if e.kind == "overall"}
    for kind, row, key in (("dynamic", "event-time", "event_time"), ("group", "cohort", "cohort"),
                           ("calendar", "calendar-time", "time"), ("simple", "", "")):  # fmt: skip
        same(overall[kind], golden[kind]["overall"], 1e-8)
        for label, values in golden[kind].get("rows", {}).items():
            same(rows(result, row, key)[label], values, 1e-8)
    wald = next(d for d in result.diagnostics if d.name == "pre-trends")
    assert wald.value == pytest.approx(golden["pretest_wald"]["W"], rel=1e-7)
    assert stats.chi2.sf(wald.value, wald.df) == pytest.approx(golden["pretest_wald"]["p"], abs=5e-6)


def test_balanced_event_times_of_the_small_file() -> None:
    golden = SMALL["extended_R"]["balance_e=1|dr|never|lpop"]
    result = mpdta(covariates=["lpop"], balance_event_times=1, headline="dynamic")
    same(headline(result), golden["dynamic"]["overall"], 1e-8)
    events = rows(result, "event-time", "event_time")
    assert events.keys() == golden["dynamic"]["rows"].keys()
    for label, values in golden["dynamic"]["rows"].items():
        same(events[label], values, 1e-8)


def test_sun_and_abraham_of_the_peers() -> None:
    result = mpdta(estimator="sun-abraham")
    events = rows(result, "event-time", "event_time")
    for label, values in PEERS[SECOND]["statspai sun_abraham"]["relative_time"].items():
        # StatsPAI's errors count that cohort shares are estimated; fixest's, and ours, take them as known.
        assert events[label][0] == pytest.approx(values[0], abs=PEER)
    for label, values in PEERS[FIRST]["diff-diff SunAbraham"]["es"].items():
        if values[1]:
            same(events[label], values)
    # StatsPAI averages the event times from the start on, all the same.
    dynamic = next(e for e in result.estimates if e.kind == "overall" and e.term == "dynamic")
    assert dynamic.estimate == pytest.approx(PEERS[SECOND]["statspai sun_abraham"]["overall"][0], abs=PEER)


def test_imputation_of_the_peers() -> None:
    result = mpdta(estimator="imputation")
    events = rows(result, "event-time", "event_time")
    ours = headline(mpdta(estimator="imputation", headline="simple"))
    for peer, key in ((PEERS[SECOND]["statspai BJS"], "relative_time"), (PEERS[FIRST]["diff-diff BJS"], "es")):
        same(ours, peer["overall"])
        for label, values in peer[key].items():
            if int(label) >= 0:
                same(events[label], values)


def test_two_stages_of_the_peers() -> None:
    same(headline(mpdta(estimator="two-stage")), PEERS[SECOND]["statspai gardner"]["overall"])


def test_extended_two_way_of_the_peers() -> None:
    """The errors of diff-diff have another factor; R etwfe's are ours, and StatsPAI's."""
    never = mpdta(estimator="etwfe", headline="simple")
    assert headline(never)[0] == pytest.approx(PEERS[FIRST]["diff-diff ETWFE never"]["overall"][0], abs=PEER)
    result = mpdta(estimator="etwfe", comparison="not-yet-treated", headline="simple")
    same(headline(result), PEERS[SECOND]["statspai etwfe notyet"]["overall"])
    assert headline(result)[0] == pytest.approx(PEERS[FIRST]["diff-diff ETWFE notyet"]["overall"][0], abs=PEER)
    cohorts = rows(result, "cohort", "cohort")
    for label, values in PEERS[SECOND]["statspai etwfe notyet"]["cohort"].items():
        assert cohorts[label][0] == pytest.approx(values[0], abs=PEER)


def test_clusters_above_the_unit_of_the_peers() -> None:
    result = mpdta(cluster="state", covariates=["lpop"])
    found = {e.term: (e.estimate, e.std_error) for e in result.estimates if e.kind == "overall"}
    for kind, values in PEERS[SECOND]["statspai cs clustered state"].items():
        same(found[kind], values)
