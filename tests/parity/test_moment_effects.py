"""Group-time effects and aggregations from moment tables against R did 2.5.1.

Without covariates a table has one cell for each cohort. With log population every county is a cell of its own: no
saving, but the same values.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit.kernels.aggregate import aggregate
from evaltoolkit.kernels.cohort_moments import cohort_moments, combined
from evaltoolkit.kernels.cohorts import NEVER, Rule
from evaltoolkit.kernels.group_time import Study
from evaltoolkit.kernels.moment_clusters import cluster_moments
from evaltoolkit.kernels.moment_effects import moment_group_time
from evaltoolkit.kernels.moment_two_way import (
    moment_event_study,
    moment_imputation,
    moment_interaction_weighted,
    moment_static,
)

FOLDER = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
pytestmark = pytest.mark.skipif(not (FOLDER / "did_golden.json").exists(), reason="reference values are not here")

# The files print 15 digits; 1e-8 leaves room for where R's logit stops (1e-8 in the deviance) and nothing more.
CLOSE = 1e-8
ADJUST: dict[str, Any] = {"dr": "doubly-robust", "reg": "regression", "ipw": "weighting"}
COMPARISON: dict[str, Any] = {
    "never": "never", "notyet": "not-yet", "nevertreated": "never", "notyettreated": "not-yet"
}  # fmt: skip
SMALL: dict[str, Any] = json.loads((FOLDER / "did_mpdta_golden.json").read_text()) if FOLDER.exists() else {}
LARGE: dict[str, Any] = (
    {e["id"]: e for e in json.loads((FOLDER / "did_golden.json").read_text())["entries"]} if FOLDER.exists() else {}
)


class County:
    """The panel as arrays."""

    def __init__(self) -> None:
        frame = pd.read_csv(FOLDER / "mpdta.csv").sort_values(["countyreal", "year"])
        wide = frame.pivot(index="countyreal", columns="year", values="lemp")
        first = frame.drop_duplicates("countyreal")
        self.outcome, self.periods = wide.to_numpy(), wide.columns.to_numpy().astype(np.int64)
        self.start = np.where(first["first_treat"] == 0, NEVER, first["first_treat"]).astype(np.int64)
        self.lpop, self.state = first["lpop"].to_numpy(), (first["countyreal"] // 1000).to_numpy()

    def table(self, *, lpop: bool = False, weights: Any = None, keep: Any = slice(None)) -> Any:
        n = self.start.size
        design = np.column_stack([np.ones(n), self.lpop]) if lpop else np.ones((n, 1))
        weights = weights if weights is None else weights[keep]
        return cohort_moments(self.outcome[keep], self.start[keep], self.periods, design[keep], weights)

    def by_state(self, *, lpop: bool) -> Any:
        design = np.column_stack([np.ones(self.start.size), self.lpop]) if lpop else np.ones((self.start.size, 1))
        return cluster_moments(self.outcome, self.start, self.periods, design, self.state)


@pytest.fixture(scope="module")
def mpdta() -> County:
    return County()


def se(scores: Any) -> float:
    return float(np.sqrt((scores**2).sum()))


def same(found: tuple[float, float], estimate: float, error: float | None) -> None:
    assert found[0] == pytest.approx(estimate, abs=CLOSE)
    assert found[1] == pytest.approx(error or 0.0, abs=CLOSE)


def check(study: Study, golden: dict[str, Any]) -> None:
    """Compare with an entry of either file, brought to one form by ``small`` or as it is."""
    c = study.cells
    cells = {(int(g), int(t)): k for k, (g, t) in enumerate(zip(c.cohort, c.period, strict=True))}
    assert len(cells) == len(golden["cells"])
    for key, values in golden["cells"].items():
        same((c.att[cells[key]], se(c.scores[:, cells[key]])), *values)
    for kind in ("simple", "dynamic", "group", "calendar"):
        found = aggregate(kind, c.cohort, c.period, c.att, c.scores, study.sizes)
        same((found.overall, se(found.overall_scores)), *golden[kind]["overall"])
        rows = dict(zip(found.labels.tolist(), range(found.rows.size), strict=True))
        for label, values in golden[kind].get("rows", {}).items():
            k = rows[int(label)]
            same((found.rows[k], se(found.row_scores[:, k])), *values)


def small(golden: dict[str, Any]) -> dict[str, Any]:
    cells = {tuple(int(v) for v in key.split(",")): values for key, values in golden["attgt"].items()}
    return {"cells": cells} | {kind: golden[kind] for kind in ("simple", "dynamic", "group", "calendar")}


def large(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cells": {(row["group"], row["time"]): (row["att"], row.get("se")) for row in values["att_gt"]}
    }
    for kind in ("simple", "dynamic", "group", "calendar"):
        found[kind] = {"overall": (values[kind]["overall_att"], values[kind]["overall_se"])}
    return found


@pytest.mark.parametrize("key", SMALL.get("callaway_santanna", {}))
def test_every_setting_equals_r_did(mpdta: County, key: str) -> None:
    method, comparison, covariates, base = key.split("|")
    rule = Rule(COMPARISON[comparison], ADJUST[method], "universal" if base == "universal" else "varying")
    check(
        moment_group_time(mpdta.table(lpop=covariates == "lpop"), rule), small(SMALL["callaway_santanna"][key])
    )  # fmt: skip


PANELS = [k for k in LARGE if k.startswith("cs.mpdta.") and k.split(".")[2] in ADJUST and k.endswith(("ant0", "ant1"))]


@pytest.mark.parametrize("key", PANELS)
def test_every_panel_entry(mpdta: County, key: str) -> None:
    spec = LARGE[key]["spec"]
    rule = Rule(
        COMPARISON[spec["control_group"]], ADJUST[spec["est_method"]], spec["base_period"], spec["anticipation"]
    )  # fmt: skip
    check(moment_group_time(mpdta.table(lpop="lpop" in spec["xformla"]), rule), large(LARGE[key]["values"]))


@pytest.mark.parametrize("covariates", ["none", "lpop"])
def test_sampling_weights(mpdta: County, covariates: str) -> None:
    table = mpdta.table(lpop=covariates == "lpop", weights=mpdta.lpop)
    golden = SMALL["extended_R"][f"weights=lpop|dr|never|{covariates}"]
    check(moment_group_time(table, Rule("never")), small(golden))


def test_clusters_above_the_unit(mpdta: County) -> None:
    golden = SMALL["extended_R"]["cluster=state|dr|never|lpop"]
    check(moment_group_time(mpdta.by_state(lpop=True), Rule("never")), small(golden))
    rule = Rule("not-yet", base_period="universal")
    check(moment_group_time(mpdta.by_state(lpop=False), rule), large(LARGE["cs.mpdta.cluster_state.notyet"]["values"]))


def test_no_never_treated_units(mpdta: County) -> None:
    """Periods from the last start on have nobody to compare with; R did leaves them out."""
    keep, early = mpdta.start < NEVER, mpdta.periods < 2007
    table = cohort_moments(
        mpdta.outcome[keep][:, early], mpdta.start[keep], mpdta.periods[early], np.ones((int(keep.sum()), 1))
    )
    check(
        moment_group_time(table, Rule("not-yet")), small(SMALL["extended_R"]["no never-treated units|dr|notyet|none"])
    )


def test_three_sites_give_what_r_did_gives_for_all(mpdta: County) -> None:
    site = np.arange(mpdta.start.size) % 3
    table = combined(*(mpdta.table(keep=site == s) for s in range(3)))
    check(moment_group_time(table, Rule("never")), small(SMALL["callaway_santanna"]["dr|never|none|varying"]))


def test_two_way_regressions_equal_fixest(mpdta: County) -> None:
    golden = SMALL["extended_R"]
    for key, table in (
        ("fixest twfe static | county+year, cluster county", mpdta.table()),
        ("fixest twfe static | cluster state", mpdta.by_state(lpop=False)),
    ):
        found = moment_static(table)
        same((found.coefficients[0], se(found.scores[:, 0])), *golden[key]["D"])
    found = moment_event_study(mpdta.table())
    for row in LARGE["event.mpdta"]["values"]:
        k = found.labels.tolist().index(int(row["term"].removeprefix("rel::")))
        same((found.coefficients[k], se(found.scores[:, k])), row["est"], row["se"])


def test_interaction_weighting_equals_fixest(mpdta: County) -> None:
    found = moment_interaction_weighted(mpdta.table())
    after = found.period >= found.cohort
    share = np.where(after, found.weight, 0.0) / found.weight[after].sum()
    average, scores = found.weighted(share[None, :])
    same((average[0], se(scores)), *SMALL["extended_R"]["fixest sunab att | cluster county"]["ATT"])


def test_imputation_equals_didimputation(mpdta: County) -> None:
    found = moment_imputation(mpdta.table())
    average, scores = found.weighted((found.weight / found.weight.sum())[None, :])
    row = LARGE["bjs.mpdta"]["values"][0]
    same((average[0], se(scores)), row["est"], row["se"])
