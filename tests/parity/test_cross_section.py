"""Repeated cross-sections and unbalanced panels against R did 2.5.1 and DRDID 1.2.3."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.aggregate import Aggregation, aggregate
from evaltoolkit.kernels.bands import wald
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.cross_section import CrossSections, cross_section_effects, cross_section_study
from evaltoolkit.kernels.group_time import Study

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

# The files print 15 digits; 1e-8 leaves room for where R's logit stops (1e-8 in the deviance) and nothing more.
CLOSE: dict[str, float] = {"abs": 1e-8, "rel": 1e-8}
ADJUST: dict[str, Any] = {"dr": "doubly-robust", "reg": "regression", "ipw": "weighting"}
COMPARISON: dict[str, Any] = {"nevertreated": "never", "notyettreated": "not-yet"}
SMALL: dict[str, Any] = json.loads((FOLDER / "did_mpdta_golden.json").read_text()) if FOLDER.exists() else {}
LARGE: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)


@pytest.fixture(scope="module")
def mpdta() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "mpdta.csv").sort_values(["countyreal", "year"], ignore_index=True)


def sections(frame: pd.DataFrame, *, panel: bool) -> CrossSections:
    start = frame["first_treat"].to_numpy()
    return CrossSections(
        frame["lemp"].to_numpy(), frame["year"].to_numpy(), np.where(start > 0, start, NEVER),
        np.column_stack([np.ones(len(frame)), frame["lpop"]]),
        units=np.unique(frame["countyreal"], return_inverse=True)[1] if panel else None,
    )  # fmt: skip


def spread(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((scores**2).sum(axis=0)))


def study(data: CrossSections, rule: Rule) -> tuple[Study, dict[str, Aggregation], float]:
    found = cross_section_study(data, rule)
    cells = found.cells
    kinds: Any = ("simple", "dynamic", "group", "calendar")
    every = {kind: aggregate(kind, cells.cohort, cells.period, cells.att, cells.scores, found.sizes) for kind in kinds}
    before = (cells.period < cells.cohort) & ~cells.reference
    test = wald(cells.att[before], cells.scores[:, before].T @ cells.scores[:, before])
    assert test is not None
    again = cross_section_effects(data, rule)
    assert again[1] == pytest.approx(cells.att, abs=1e-14)
    assert [g for g, _, _ in again[0]] == cells.cohort.tolist()
    return found, every, test.statistic


LARGE_KEYS = ["rc.dr", "rc.reg", "rc.ipw", "rc.dr.notyet", "unbalanced"]


@pytest.mark.parametrize("key", LARGE_KEYS)
def test_every_entry_with_all_aggregations(mpdta: pd.DataFrame, key: str) -> None:
    golden, spec = LARGE[f"cs.mpdta.{key}"]["values"], LARGE[f"cs.mpdta.{key}"]["spec"]
    rule = Rule(COMPARISON[spec["control_group"]], ADJUST[spec["est_method"]], spec["base_period"])
    gone = (mpdta["countyreal"] * 7 + mpdta["year"] * 13) % 11 == 0
    data = sections(mpdta[~gone] if spec["panel"] else mpdta, panel=spec["panel"])
    found, every, statistic = study(data, rule)
    assert found.cells.scores.shape[0] == golden["n"]
    expected = {(row["group"], row["time"]): row for row in golden["att_gt"]}
    assert set(expected) == set(zip(found.cells.cohort.tolist(), found.cells.period.tolist(), strict=True))
    rows = [expected[g, t] for g, t in zip(found.cells.cohort.tolist(), found.cells.period.tolist(), strict=True)]
    assert found.cells.att == pytest.approx(np.array([r["att"] for r in rows]), **CLOSE)
    assert spread(found.cells.scores) == pytest.approx(np.array([r["se"] or 0.0 for r in rows]), **CLOSE)
    for kind, got in every.items():
        assert got.overall == pytest.approx(golden[kind]["overall_att"], **CLOSE)
        assert spread(got.overall_scores) == pytest.approx(golden[kind]["overall_se"], **CLOSE)
        by = golden[kind].get("by", [])
        assert got.labels.tolist() == [r["e"] for r in by]
        assert got.rows == pytest.approx(np.array([r["att"] for r in by]), **CLOSE)
        assert spread(got.row_scores) == pytest.approx(np.array([r["se"] or 0.0 for r in by]), **CLOSE)
    assert statistic == pytest.approx(golden["pretest_W"], rel=1e-7)


SMALL_KEYS = [key for key in SMALL.get("extended_R", {}) if key.startswith("panel=FALSE") or "panel=TRUE" in key]


@pytest.mark.parametrize("key", SMALL_KEYS)
def test_the_other_reference_file(mpdta: pd.DataFrame, key: str) -> None:
    golden = SMALL["extended_R"][key]
    panel = "panel=TRUE" in key
    method = key.split("|")[2 if panel else 1]
    frame = mpdta[np.arange(1, len(mpdta) + 1) % 17 != 0] if panel else mpdta
    found, every, statistic = study(sections(frame, panel=panel), Rule("never", ADJUST[method]))
    pairs = list(zip(found.cells.cohort.tolist(), found.cells.period.tolist(), strict=True))
    expected = np.array([golden["attgt"][f"{g},{t}"] for g, t in pairs])
    assert len(pairs) == len(golden["attgt"])
    assert found.cells.att == pytest.approx(expected[:, 0], **CLOSE)
    assert spread(found.cells.scores) == pytest.approx(expected[:, 1], **CLOSE)
    for kind, got in every.items():
        assert [got.overall, spread(got.overall_scores)] == pytest.approx(golden[kind]["overall"], **CLOSE)
        for label, value, se in zip(got.labels.tolist(), got.rows, spread(got.row_scores), strict=True):
            assert [value, se] == pytest.approx(golden[kind]["rows"][str(label)], **CLOSE)
    assert statistic == pytest.approx(golden["pretest_wald"]["W"], rel=1e-7)


@pytest.mark.parametrize(("method", "key"), [("dr", "drdid_rc"), ("reg", "reg_did_rc"), ("ipw", "std_ipw_did_rc")])
def test_two_periods(method: str, key: str) -> None:
    frame = pd.read_csv(FOLDER / "sim_rc.csv")
    data = CrossSections(
        frame["y"].to_numpy(), frame["post"].to_numpy(), np.where(frame["d"] == 1, 1, NEVER),
        np.column_stack([np.ones(len(frame)), frame[["x1", "x2", "x3", "x4"]]]),
    )  # fmt: skip
    rule = Rule("never", ADJUST[method])
    found = cross_section_study(data, rule)
    golden = LARGE[f"drdid.sim_rc.{key}"]["values"]
    assert found.cells.att[0] == pytest.approx(golden["att"], **CLOSE)
    assert spread(found.cells.scores)[0] == pytest.approx(golden["se"], **CLOSE)
