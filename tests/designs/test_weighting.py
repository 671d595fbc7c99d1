"""Weighting from study to sealed result: every way, estimand and effect; words, checks, options and bad input."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.designs.matching.weighting_rules import ESTIMANDS
from evaltoolkit.results import role_words, to_json


def people(n: int = 500, seed: int = 2, effect: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, need = rng.integers(12, 18, n), rng.normal(size=n)
    home = np.where(rng.random(n) < 0.4, "kin", np.where(rng.random(n) < 0.5, "group", "parent"))
    served = rng.random(n) < 1 / (1 + np.exp(0.5 - 0.8 * need - 0.4 * (home == "group")))
    score = 10 + effect * served + need + 0.2 * age + rng.normal(size=n)
    enrolled = rng.random(n) < 0.35 + 0.2 * served
    return pd.DataFrame({
        "served": served.astype(int), "age": age, "need": need, "home": home, "score": score,
        "enrolled": enrolled.astype(int), "contacts": rng.poisson(2 + served),
    })  # fmt: skip


def run(frame: pd.DataFrame | None = None, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "treated": "served", "outcome": "score", "covariates": ["age", "need", "home"], "method": "weighting",
        "program": "the mentoring program",
    }  # fmt: skip
    return ev.match(people() if frame is None else frame, **(settings | changes))


WAYS = [(way, estimand) for way, estimands in ESTIMANDS.items() for estimand in estimands]
AUGMENTED = [("inverse-probability", estimand) for estimand in ("ATT", "ATC", "ATE")]


@pytest.mark.parametrize(("way", "estimand"), WAYS)
def test_every_way_finds_the_effect_and_says_whose_it_is(way: str, estimand: str) -> None:
    m = run(weighting=way, estimand=estimand)
    h, s = m.result.headline, m.result.statements
    assert h.conf_low < 1.0 < h.conf_high
    assert h.estimate == pytest.approx(1.0, abs=0.3)
    assert h.inference.startswith("robust" if way == "energy" else "M-estimation")
    words = {
        "ATT": "those who were served", "ATC": "not served, had they been", "ATE": "everybody who was studied",
        "ATO": "could well have been in either group", "ATM": "somebody alike",
    }  # fmt: skip
    assert words[estimand] in m.result.estimand.words
    assert s.design_name != "Propensity-score matching"
    text = " ".join([s.plain, s.how_we_know, *s.approach, *s.limits, s.bottom_line])
    assert not re.search(r"\bpaired up\b|matched|caliper", text)
    # A balancing method balances; the others nearly.
    worst = next(d for d in m.result.diagnostics if d.name == "balance")
    assert worst.value < (1e-8 if way in ("entropy", "cbps") else 0.12)


@pytest.mark.parametrize(("way", "estimand"), AUGMENTED)
@pytest.mark.parametrize("folds", [1, 5])
def test_doubly_robust_effects_of_three_kinds_of_outcome(way: str, estimand: str, folds: int) -> None:
    options = {"weighting": way, "estimand": estimand, "effect": "aipw", "folds": folds}
    h = run(**options).result.headline
    assert h.conf_low < 1.0 < h.conf_high
    assert "influence function" in h.inference
    for column, kind in (("enrolled", "binary"), ("contacts", "count")):
        m = run(outcome=ev.Outcome(column=column, kind=kind, role="service-access"), **options)
        assert m.result.headline.conf_low > 0
        assert [e for e in m.result.estimates if e.kind == "percent"]


@pytest.mark.parametrize("effect", ["difference", "aipw"])
def test_the_bootstrap_agrees_with_equations(effect: str) -> None:
    options = {"estimand": "ATE", "effect": effect}
    draw, known = run(inference="bootstrap", **options).result.headline, run(**options).result.headline
    assert draw.estimate == known.estimate
    # 999 draws leave an error of about 2% of the error; the rest is what small samples do.
    assert draw.std_error == pytest.approx(known.std_error, rel=0.15)
    assert draw.inference.startswith("bootstrap of people")


@pytest.mark.parametrize("effect", ["difference", "regression", "aipw"])
def test_small_groups_have_larger_errors_that_say_so(effect: str) -> None:
    frame = people(70)
    plain = run(frame, effect=effect, inference="m-estimation").result.headline
    auto = run(frame, effect=effect).result
    assert auto.headline.std_error > plain.std_error
    assert "HC2" in auto.headline.inference
    assert "HC2" not in plain.inference
    assert any("small in effect" in method.text for method in auto.statements.methods)
    assert "HC2" not in run(effect=effect).result.headline.inference


@pytest.mark.parametrize("effect", ["difference", "regression", "aipw"])
def test_people_of_one_site_may_be_alike(effect: str) -> None:
    """Everybody twice: by site the error is that of the people once, and plainly it would be too small by root two."""
    frame = people(300).assign(site=np.arange(300))
    twice = pd.concat([frame, frame], ignore_index=True)
    once = run(frame, effect=effect, inference="m-estimation").result.headline
    plain = run(twice, effect=effect, inference="m-estimation").result.headline
    by_site = run(twice, effect=effect, inference="m-estimation", cluster="site").result.headline
    assert plain.std_error == pytest.approx(once.std_error / np.sqrt(2), rel=1e-6)
    assert by_site.std_error == pytest.approx(once.std_error * np.sqrt(300 / 299), rel=1e-6)
    assert by_site.n_clusters == 300
    assert "by site" in by_site.inference


def test_the_bootstrap_draws_sites() -> None:
    frame = people(200).assign(site=np.arange(200))
    twice = pd.concat([frame, frame], ignore_index=True)
    once = run(frame, effect="difference", inference="m-estimation").result.headline
    drawn = run(twice, effect="difference", inference="bootstrap", cluster="site").result.headline
    assert drawn.std_error == pytest.approx(once.std_error, rel=0.15)


def test_g_computation_after_weighting_follows_the_kind_of_outcome() -> None:
    outcome = ev.Outcome(column="enrolled", kind="binary", role="service-access")
    m = run(outcome=outcome, effect="g-computation", weighting="entropy")
    line = run(outcome=outcome, effect="regression", weighting="entropy")
    assert m.result.headline.estimate != line.result.headline.estimate
    assert m.result.headline.estimate == pytest.approx(line.result.headline.estimate, abs=0.02)
    assert {"risk-ratio", "odds-ratio"} <= {e.term for e in m.result.estimates}


def test_cross_fitting_depends_on_the_seed_alone() -> None:
    options = {"estimand": "ATE", "effect": "aipw", "folds": 4}
    one, two = to_json(run(**options).result), to_json(run(**options).result)
    assert one == two
    assert run(**options, seed=7).result.headline.estimate != run(**options).result.headline.estimate
    averaged = run(**options, repeats=3).result.headline
    assert averaged.estimate != run(**options).result.headline.estimate


@pytest.mark.parametrize("distance", ["logit", "probit", "cloglog", "penalized"])
def test_every_model_of_the_score_is_named_with_its_convergence(distance: str) -> None:
    for method in ("weighting", "nearest"):
        m = run(distance=distance, method=method)
        assert m.result.headline.estimate == pytest.approx(1.0, abs=0.4)
        text = next(method.text for method in m.result.statements.methods if method.title == "Propensity score")
        word = {"penalized": "Firth", "cloglog": "log-log"}.get(distance, {"logit": "logistic"}.get(distance, distance))
        assert word in text
        assert "passes over the data" in text
        stable = next(d for d in m.result.diagnostics if d.name == "score-stability")
        assert stable.value > 0
        assert stable.verdict == "pass" or method == "nearest"


def test_boosted_trees_or_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(errors.SetupError, match=r"pip install 'evaltoolkit\[boosted\]'"):
        run(distance="boosted")


def test_boosted_trees_balance_and_repeat() -> None:
    pytest.importorskip("sklearn")
    one = run(distance="boosted", estimand="ATE")
    two = run(distance="boosted", estimand="ATE")
    assert one.result.headline == two.result.headline
    assert one.result.headline.estimate == pytest.approx(1.0, abs=0.4)
    assert "as given" in one.result.headline.inference


def test_a_given_chance_is_taken_as_known() -> None:
    frame = people()
    chance = run(frame).sample.products["score"]
    m = run(frame.assign(chance=chance), distance="chance", estimand="ATE", effect="difference")
    fitted = run(frame, estimand="ATE", effect="difference")
    assert m.result.headline.estimate == pytest.approx(fitted.result.headline.estimate, rel=1e-10)
    assert "as given" in m.result.headline.inference
    # Estimating the score uses it up as noise: taken as given, the error is larger.
    assert m.result.headline.std_error > fitted.result.headline.std_error


def test_nothing_depends_on_units_or_on_the_order_of_rows() -> None:
    frame = people()
    order = np.random.default_rng(1).permutation(len(frame))
    for way in ("inverse-probability", "entropy", "energy"):
        base = run(frame, weighting=way).result.headline
        moved = run(frame.assign(need=1000 * (frame["need"] + 7)), weighting=way).result.headline
        turned = run(frame.iloc[order], weighting=way).result.headline
        # Energy balancing ends a quadratic programme whose flat directions leave about 1e-7.
        for other in (moved, turned):
            assert other.estimate == pytest.approx(base.estimate, rel=1e-6)
            assert other.std_error == pytest.approx(base.std_error, rel=1e-6)


def test_weights_reproduce_the_difference_and_lie_with_the_products() -> None:
    frame = people()
    m = run(frame, estimand="ATE", effect="difference")
    w, t = m.sample.products["weights"], frame["served"] == 1
    difference = np.average(frame["score"][t], weights=w[t]) - np.average(frame["score"][~t], weights=w[~t])
    assert difference == pytest.approx(m.result.headline.estimate, rel=1e-12)
    assert "matched_set" not in m.sample.products["matched_data"]


CHANGES: dict[str, dict[str, Any]] = {
    "stabilize": {"stabilize": True, "estimand": "ATE"}, "truncate": {"truncate": 0.9, "estimand": "ATE"},
    "entropy": {"weighting": "entropy"}, "cbps": {"weighting": "cbps"}, "energy": {"weighting": "energy"},
    "probit": {"distance": "probit"}, "cloglog": {"distance": "cloglog"}, "penalized": {"distance": "penalized"},
    "difference": {"effect": "difference"}, "aipw": {"effect": "aipw"}, "ATC": {"estimand": "ATC"},
    "ATE": {"estimand": "ATE"}, "ATO": {"estimand": "ATO"}, "ATM": {"estimand": "ATM"},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_no_option_is_dead(change: str) -> None:
    base, other = run(), run(**CHANGES[change])
    assert (base.sample.products["weights"] != other.sample.products["weights"]).any() or (
        base.result.headline.estimate != other.result.headline.estimate
    )


@pytest.mark.parametrize("role", ["identification", "justice-contact", "service-access", "wellbeing", None])
@pytest.mark.parametrize("effect", [2.0, 0.0, -2.0])
def test_words_follow_role_and_direction(role: str | None, effect: float) -> None:
    outcome = ev.Outcome(column="score", role=role, label="Contacts with staff", better="higher")
    s = run(people(effect=effect), outcome=outcome, weighting="entropy").result.statements
    assert role_words(role).caveat in s.does_not_show
    text = " ".join([s.bottom_line, s.plain, s.tile.meaning, *s.supports, *s.findings]).lower()
    assert not re.search(r"exploitation (rose|fell)|proved|significant|no effect|offender|prostitut", text)
    assert {2.0: "raised", 0.0: "not yet clear", -2.0: "lowered"}[effect] in s.bottom_line


def test_few_people_in_effect_and_large_weights_are_said() -> None:
    frame = people()
    rng = np.random.default_rng(3)
    served = (rng.random(len(frame)) < 1 / (1 + np.exp(-2.5 * frame["need"]))).astype(int)
    m = run(frame.assign(served=served, score=frame["need"] + rng.normal(size=len(frame))), estimand="ATE")
    found = {d.name: d for d in m.result.diagnostics}
    assert found["largest-weight"].verdict != "pass"
    assert found["effective-size"].value < len(frame) / 4
    cut = run(frame.assign(served=served), estimand="ATE", truncate=0.95)
    assert "percentile" in next(d.text for d in cut.result.diagnostics if d.name == "largest-weight")
    assert any("were cut" in line for line in cut.result.statements.limits)


def separated() -> pd.DataFrame:
    frame = people()
    return frame.assign(need=frame["need"] + 20 * frame["served"])


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "caliper": (people, {"caliper": 0.2}, errors.DesignFileValueError, "caliper is for method"),
    "ratio": (people, {"ratio": 2}, errors.DesignFileValueError, "is for method"),
    "exact": (people, {"exact": ["home"]}, errors.DesignFileValueError, "is for method"),
    "overlap of the treated": (people, {"weighting": "overlap"}, errors.DesignFileValueError, "ATO"),
    "entropy overlap": (people, {"weighting": "entropy", "estimand": "ATO"}, errors.DesignFileValueError, "ATT or"),
    "aipw overlap": (people, {"effect": "aipw", "estimand": "ATO"}, errors.DesignFileValueError, "ATT, ATC or ATE"),
    "aipw by pairs": (people, {"effect": "aipw", "method": "nearest"}, errors.DesignFileValueError, "weighting"),
    "ATO by pairs": (people, {"estimand": "ATO", "method": "nearest"}, errors.DesignFileValueError, "weighting"),
    "ATE by pairs": (people, {"estimand": "ATE", "method": "nearest"}, errors.DesignFileValueError, "nearest"),
    "folds alone": (people, {"folds": 5}, errors.DesignFileValueError, "aipw"),
    "repeats alone": (people, {"effect": "aipw", "repeats": 3}, errors.DesignFileValueError, "folds"),
    "truncate even weights": (
        people, {"weighting": "entropy", "truncate": 0.9}, errors.DesignFileValueError, "truncate",
    ),
    "truncate too far": (people, {"truncate": 0.3}, errors.DesignFileValueError, "truncate"),
    "cbps by probit": (people, {"weighting": "cbps", "distance": "probit"}, errors.DesignFileValueError, "logit"),
    "errors by pair": (people, {"inference": "cr2"}, errors.OptionError, "for matched people"),
    "M-estimation by pairs": (
        people, {"method": "nearest", "inference": "m-estimation"}, errors.OptionError, "for weighting",
    ),
    "few clusters": (
        lambda: people().assign(site=np.arange(500) % 3), {"cluster": "site"}, errors.TooFewClustersError, "3 clusters",
    ),
    "cluster by pairs": (
        lambda: people().assign(site=1), {"cluster": "site", "method": "nearest"}, errors.DesignFileValueError,
        "cluster is for",
    ),
    "unknown way": (people, {"weighting": "entropi"}, errors.DesignFileValueError, "entropy"),
    "a column that is no chance": (people, {"distance": "age"}, errors.ColumnTypeError, "between 0 and 1"),
    "separated": (separated, {}, errors.SeparationError, "distance = 'penalized'"),
    "means that cannot be met": (
        separated, {"weighting": "entropy", "distance": "penalized"}, errors.NoComparisonError, "'need'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(case: str) -> None:
    frame, changes, kind, words = BAD[case]
    with pytest.raises(kind) as caught:
        run(frame(), **changes)
    message = str(caught.value)
    assert words in message
    assert "Expected:" in message
    assert "What to do:" in message


def test_the_penalized_score_serves_where_the_logit_cannot() -> None:
    frame = separated()
    m = run(frame, distance="penalized", estimand="ATO", effect="difference")
    assert np.isfinite(m.result.headline.estimate)
    assert next(d.verdict for d in m.result.diagnostics if d.name == "overlap") == "fail"


def test_too_many_people_for_energy_balancing_are_refused() -> None:
    with pytest.raises(errors.NoComparisonError, match="cube"):
        run(people(10_000), weighting="energy")


def test_a_design_file_takes_the_options(tmp_path: Any) -> None:
    people().to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "study.toml").write_text(
        'design = "propensity-score-matching"\ntitle = "T"\ntreated = "served"\ncovariates = ["age", "need", "home"]\n'
        'method = "weighting"\nweighting = "inverse-probability"\nestimand = "ATE"\neffect = "aipw"\nfolds = 3\n'
        'repeats = 2\n[data]\nsource = "people.csv"\nrows = "people"\n[outcome]\ncolumn = "score"\n'
    )
    assert ev.evaluate(tmp_path / "study.toml").result.headline.term == "ATE"
