"""The effect step from study to result: every standard error, outcome kind and guard."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.kernels.estimated_score import score_correction
from tests.designs.test_matching import people, run

REFERENCE = Path(os.environ.get("EVALTOOLKIT_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"))
COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
# The file prints 15 digits.
CLOSE = 1e-8


def of_kind(rows: Any, term: str) -> Any:
    return next(e for e in rows if e.term == term)


def yes_no(**changes: Any) -> Any:
    outcome = ev.Outcome(column="enrolled", kind="binary", role="wellbeing", better="higher")
    return run(outcome=outcome, **changes)


@pytest.mark.parametrize("inference", ["cr1", "cr2", "cr3", "wild-cluster", "abadie-imbens"])
def test_every_inference_is_named_and_close_to_the_default(inference: str) -> None:
    plain, other = run().result, run(inference=inference).result
    assert other.headline.estimate == pytest.approx(plain.headline.estimate, abs=0.1)
    width = [h.conf_high - h.conf_low for h in (plain.headline, other.headline)]
    assert 0.8 < width[1] / width[0] < 1.25
    assert other.headline.inference
    errors_told = next(m for m in other.statements.methods if m.title == "Standard errors").text
    assert other.headline.inference.split(" ")[0].lower() in errors_told.lower()


def test_the_default_says_what_it_chose_and_why() -> None:
    told = {}
    for name, changes in {"pair": {}, "set": {"ratio": 2}, "both": {"replace": True}}.items():
        result = run(**changes).result
        told[name] = next(m for m in result.statements.methods if m.title == "Standard errors").text
    assert "CR1 by pair" in told["pair"]
    assert "chosen for each other" in told["pair"]
    assert "CR1 by matched set" in told["set"]
    assert "two-way CR1" in told["both"].replace("Two-way", "two-way")


def test_the_bootstrap_of_pairs_is_near_the_clustered_error() -> None:
    frame = people(300)
    plain, drawn = run(frame).result.headline, run(frame, inference="bootstrap").result.headline
    # 999 draws put about 2% of Monte Carlo error on a standard error.
    assert drawn.std_error == pytest.approx(plain.std_error, rel=0.15)
    assert "999 draws" in drawn.inference
    assert drawn == run(frame, inference="bootstrap").result.headline


@pytest.mark.parametrize("inference", ["bootstrap", "cr2", "cr3", "wild-cluster"])
def test_what_is_not_valid_with_replacement_is_refused_with_the_alternative(inference: str) -> None:
    with pytest.raises(errors.OptionError, match="abadie-imbens"):
        run(replace=True, inference=inference)


def test_abadie_imbens_accounts_for_the_estimated_score_unless_told_not_to() -> None:
    known = {"replace": True, "inference": "abadie-imbens", "effect": "difference", "caliper": None}
    corrected = run(**known).result.headline
    assert "2016" in corrected.inference
    left_out = run(**(known | {"caliper": 0.2})).result
    assert "2006" in left_out.headline.inference
    assert "found no match" in next(m for m in left_out.statements.methods if m.title == "Standard errors").text
    adjusted = run(**(known | {"effect": "regression"})).result.headline
    assert "2006" in adjusted.inference
    assert "2012" in run(inference="abadie-imbens").result.headline.inference


def test_wild_bootstrap_is_refused_for_a_logit_model() -> None:
    with pytest.raises(errors.OptionError, match="linear"):
        yes_no(effect="g-computation", inference="wild-cluster")


@pytest.mark.parametrize("effect", ["difference", "regression", "g-computation"])
def test_yes_no_outcomes_have_a_risk_difference_and_ratios(effect: str) -> None:
    result = yes_no(effect=effect).result
    h, risk, odds = result.headline, of_kind(result.estimates, "risk-ratio"), of_kind(result.estimates, "odds-ratio")
    assert h.kind == "overall"
    assert 0.05 < h.estimate < 0.35
    assert odds.estimate > risk.estimate > 1
    assert risk.conf_low < risk.estimate < risk.conf_high
    assert risk.is_ratio
    assert risk.null == 1
    table = next(t for t in result.tables if t.key == "ratios")
    assert len(table.rows) == 2


def test_the_ratios_are_those_of_the_adjusted_means() -> None:
    result = yes_no(effect="g-computation").result
    risk, odds = of_kind(result.estimates, "risk-ratio").estimate, of_kind(result.estimates, "odds-ratio").estimate
    low = result.headline.estimate / (risk - 1)
    high = low * risk
    assert odds == pytest.approx(high / (1 - high) * (1 - low) / low, rel=1e-9)


def test_counts_have_a_ratio_of_means() -> None:
    frame = people()
    rng = np.random.default_rng(1)
    frame["visits"] = rng.poisson(np.exp(0.5 + 0.3 * frame["need"] + 0.4 * frame["served"]))
    outcome = ev.Outcome(column="visits", kind="count", role="service-access")
    result = run(frame, outcome=outcome, effect="g-computation").result
    ratio = of_kind(result.estimates, "rate-ratio")
    assert ratio.conf_low < np.exp(0.4) < ratio.conf_high
    assert "log-linear" in result.headline.estimator
    assert not [e for e in result.estimates if e.term == "odds-ratio"]


def test_a_group_without_events_is_refused_by_g_computation() -> None:
    frame = people()
    frame["rare"] = (frame["served"] == 1) & (np.arange(len(frame)) % 3 == 0)
    frame["rare"] = frame["rare"].astype(int)
    with pytest.raises(errors.SeparationError, match="difference"):
        run(frame, outcome=ev.Outcome(column="rare", kind="binary"), effect="g-computation")


def test_a_covariate_that_tells_the_outcome_is_said() -> None:
    frame = people()
    frame["told"] = np.where(np.arange(len(frame)) % 12 == 0, 1, 0)
    frame.loc[frame["told"] == 1, "enrolled"] = 1
    outcome = ev.Outcome(column="enrolled", kind="binary")
    result = run(frame, outcome=outcome, covariates=["need", "told"], effect="g-computation").result
    check = next(d for d in result.diagnostics if d.name == "outcome-separation")
    assert check.verdict == "caution"
    assert np.isfinite(result.headline.std_error)


@pytest.mark.skipif(not (REFERENCE / "matching_golden.json").exists(), reason="reference values are not here")
@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("nearest_1to1", {}),
        ("nearest_caliper02", {"caliper": 0.2}),
        ("nearest_ratio2", {"ratio": 2}),
        ("nearest_exact_race", {"exact": ["race"]}),
    ],
)
def test_effects_and_errors_equal_r(key: str, changes: dict[str, Any]) -> None:
    expected = json.loads((REFERENCE / "matching_golden.json").read_text())[key]["effect"]
    frame = pd.read_csv(REFERENCE / "lalonde.csv").assign(employed=lambda d: (d["re78"] > 0).astype(int))
    settings = {"treated": "treat", "covariates": COVARIATES, "rows": "aggregates", "caliper": None} | changes
    plain = ev.match(frame, outcome="re78", effect="difference", **settings).result
    adjusted = next(e for e in plain.estimates if e.kind == "variant")
    assert plain.headline.estimate == pytest.approx(expected["diff_in_means"], rel=CLOSE)
    assert plain.headline.std_error == pytest.approx(expected["se"], rel=CLOSE)
    assert adjusted.estimate == pytest.approx(expected["gcomp_interacted"]["diff"], rel=CLOSE)
    assert adjusted.std_error == pytest.approx(expected["gcomp_interacted"]["se_diff"], rel=CLOSE)
    outcome = ev.Outcome(column="employed", kind="binary")
    rows = ev.match(frame, outcome=outcome, effect="difference", **settings).result.estimates
    logit = expected["gcomp_logit_emp"]
    # R stops its logit at a relative change of 1e-8 in the deviance.
    assert rows[0].std_error == pytest.approx(logit["se_diff"], rel=1e-7)
    for term in ("rr", "or"):
        row = of_kind(rows, {"rr": "risk-ratio", "or": "odds-ratio"}[term])
        assert np.log(row.estimate) == pytest.approx(logit[f"log_{term}"], rel=1e-7)
        assert row.std_error / row.estimate == pytest.approx(logit[f"se_log_{term}"], rel=1e-7)


@pytest.mark.skipif(not (REFERENCE / "matching_golden.json").exists(), reason="reference values are not here")
def test_abadie_imbens_through_the_design_equals_r() -> None:
    expected = json.loads((REFERENCE / "matching_golden.json").read_text())["abadie_imbens"]
    frame = pd.read_csv(REFERENCE / "lalonde.csv")
    settings = {
        "treated": "treat", "covariates": COVARIATES, "rows": "aggregates", "caliper": None, "replace": True,
        "ties": "average", "effect": "difference", "inference": "abadie-imbens", "score_known": True,
    }  # fmt: skip
    for neighbours, estimand, key in (
        (0, "ATT", "ps_att_m1"), (1, "ATT", "ps_att_m1_varcalc1"), (0, "ATE", "ps_ate_m1"),
    ):  # fmt: skip
        m = ev.match(frame, outcome="re78", variance_neighbours=neighbours, estimand=estimand, **settings)
        h = m.result.headline
        assert h.estimate == pytest.approx(expected[key]["est"], rel=1e-7)
        # Our score and R's agree to about 1e-9, which moves equal scores apart and the reuse of a match with them.
        assert h.std_error == pytest.approx(expected[key]["ai_se"], rel=1e-7)


def test_the_score_of_an_average_effect_is_accounted_for_as_such() -> None:
    settings = {"replace": True, "inference": "abadie-imbens", "effect": "difference", "caliper": None}
    found = run(**settings, estimand="ATE")
    known = run(**settings, estimand="ATE", score_known=True).result.headline
    frame, y, t = found.sample.content.frame, found.sample.content.outcome, found.sample.content.treated
    design = np.column_stack([np.ones(len(frame)), found.sample.content.covariates.X])
    line = np.log(found.sample.products["score"] / (1 - found.sample.products["score"]))
    step = score_correction(design, line, y, t, "ATE", known.estimate)
    h = found.result.headline
    assert h.estimate == known.estimate
    assert step.variance < 0  # estimating the score can only help the average effect
    assert h.std_error**2 == pytest.approx(known.std_error**2 + step.variance, rel=1e-9)


def test_few_sets_and_few_people_take_cr2_and_many_do_not() -> None:
    few, many = people(200, seed=2), people(900, seed=2)
    assert "CR2 by matched set" in run(few, method="full", caliper=None).result.headline.inference
    assert "CR2 by person" in run(few, method="subclass", caliper=None).result.headline.inference
    assert "CR1 by matched set" in run(many, method="full", caliper=None).result.headline.inference
    assert "HC1" in run(many, method="subclass", caliper=None).result.headline.inference
    assert "CR1 by matched set" in run(few, method="full", caliper=None, inference="cr1").result.headline.inference


def test_an_outcome_that_nobody_has_is_refused_in_words() -> None:
    frame = people()
    frame["rare"] = 0
    frame.loc[frame.index[-1], "rare"] = 1
    kinds: tuple[Any, ...] = ("binary", "count")
    for kind in kinds:
        outcome = ev.Outcome(column="rare", kind=kind)
        with pytest.raises(errors.EvaluationError, match="effect = 'difference'"):
            run(frame, outcome=outcome, effect="g-computation", caliper=0.05)


def test_the_bootstrap_of_people_does_everything_again() -> None:
    frame = people(150)
    how = {"method": "subclass", "caliper": None, "effect": "difference"}
    plain, drawn = run(frame, **how).result.headline, run(frame, inference="bootstrap", **how).result.headline
    assert "bootstrap of people" in drawn.inference
    # The score is estimated anew in each draw, which errors by person do not know: they are too large.
    assert 0.4 < drawn.std_error / plain.std_error < 1.2
