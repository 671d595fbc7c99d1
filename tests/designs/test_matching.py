"""Matching from study to sealed result: words, checks, disclosure, products, and bad input one by one."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.results import role_words, to_json


def people(n: int = 600, seed: int = 5, effect: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, need = rng.integers(12, 18, n), rng.normal(size=n)
    home = np.where(rng.random(n) < 0.4, "kin", np.where(rng.random(n) < 0.5, "group", "parent"))
    served = rng.random(n) < 1 / (1 + np.exp(0.8 - 0.8 * need - 0.4 * (home == "group")))
    score = 10 + effect * served + need + 0.2 * age + rng.normal(size=n)
    enrolled = rng.random(n) < 0.35 + 0.2 * served
    return pd.DataFrame({
        "served": served.astype(int), "age": age, "need": need, "home": home, "score": score,
        "enrolled": enrolled.astype(int), "id": [f"case-{i:05d}" for i in range(n)],
    })  # fmt: skip


def run(frame: pd.DataFrame | None = None, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "treated": "served", "outcome": "score", "covariates": ["age", "need", "home"],
        "program": "the mentoring program",
    }  # fmt: skip
    return ev.match(people() if frame is None else frame, **(settings | changes))


def test_the_answer_is_near_the_truth() -> None:
    h = run().result.headline
    assert h.estimate == pytest.approx(1.0, abs=0.4)
    assert h.conf_low < 1.0 < h.conf_high
    assert h.n_clusters * 2 == h.n_units


def test_the_callers_frame_is_unchanged_and_the_bytes_are_the_same() -> None:
    frame = people()
    before = frame.copy(deep=True)
    one, two = to_json(run(frame).result), to_json(run(frame).result)
    pd.testing.assert_frame_equal(frame, before)
    assert one == two


def test_products_hold_the_matched_data() -> None:
    m = run()
    data = m.sample.products["matched_data"]
    assert len(data) == m.result.headline.n_units
    assert data.groupby("matched_set")["served"].sum().eq(1).all()
    assert data.groupby("matched_set").size().eq(2).all()


def test_no_identifier_and_no_row_leaves() -> None:
    m = run(identifiers=["id"])
    assert "case-" not in to_json(m.result)
    for figure in m.result.figures:
        # Curves have a fixed number of points for each of at most four values, before and after.
        assert len(figure.rows) <= (4 * 2 * 81 if figure.kind in {"density", "ecdf"} else 60)


def test_flow_adds_up() -> None:
    frame = people()
    frame.loc[:39, "need"] = np.nan
    flow = run(frame).result.flow
    assert any("need" in step.reason for step in flow)
    for before, after in itertools.pairwise(flow):
        assert after.n == before.n - after.excluded, after.label
    assert flow[-1].n == flow[-1].treated + flow[-1].comparison


def test_small_cells_are_hidden_everywhere() -> None:
    frame = people()
    frame.loc[frame.index[frame["served"] == 1][:6], "home"] = "foster"
    frame.loc[frame.index[frame["served"] == 0][:30], "home"] = "foster"
    result = run(frame).result
    balance = next(t for t in result.tables if t.key == "balance")
    love = next(f for f in result.figures if f.kind == "love")
    for table in (balance, love):
        hidden = [row for row in table.rows if row[1] is None]
        assert any("foster" in str(row[0]) for row in hidden)
        # A second level is hidden too: the shares of a category add up to one.
        assert len([row for row in hidden if str(row[0]).startswith("home")]) >= 2


def test_few_unmatched_people_are_not_counted() -> None:
    frame = people()
    best = frame.index[frame["served"] == 1][:4]
    frame.loc[best, "need"] = 6.5
    result = run(frame, caliper=0.2, caliper_scale="sd-logit", replace=True).result
    unmatched = next(d for d in result.diagnostics if d.name == "unmatched")
    assert "fewer than 11" in unmatched.text
    assert unmatched.value is None
    assert all(not (1 <= (step.excluded or 0) <= 10) for step in result.flow)


def test_a_rare_binary_outcome_has_no_relative_form() -> None:
    frame = people()
    frame["rare"] = 0
    frame.loc[frame.index[frame["served"] == 1][:5], "rare"] = 1
    frame.loc[frame.index[frame["served"] == 0][:5], "rare"] = 1
    m = run(frame, outcome=ev.Outcome(column="rare", kind="binary", role="wellbeing"), effect="difference")
    assert not [e for e in m.result.estimates if e.kind == "percent"]


@pytest.mark.parametrize("role", ["identification", "justice-contact", "service-access", "wellbeing", None])
@pytest.mark.parametrize("effect", [2.0, 0.0, -2.0])
def test_words_follow_role_and_direction(role: str | None, effect: float) -> None:
    outcome = ev.Outcome(column="score", role=role, label="Contacts with staff", better="higher")
    s = run(people(effect=effect), outcome=outcome).result.statements
    assert role_words(role).caveat in s.does_not_show
    text = " ".join([s.bottom_line, s.plain, s.tile.meaning, *s.supports, *s.findings]).lower()
    assert not re.search(r"exploitation (rose|fell)|proved|significant|no effect|offender|prostitut", text)
    expected = {2.0: "raised", 0.0: "not yet clear", -2.0: "lowered"}[effect]
    assert expected in s.bottom_line
    if effect == 0.0:
        assert any("interval includes" in line for line in s.does_not_show)


def test_a_small_effect_is_called_small() -> None:
    outcome = ev.Outcome(column="score", role="wellbeing", smallest_effect_that_matters=5.0)
    assert "smallest effect that matters" in run(outcome=outcome).result.statements.bottom_line


def verdict(m: Any, name: str) -> str:
    return next(d.verdict for d in m.result.diagnostics if d.name == name)


def test_checks_have_verdicts() -> None:
    good, loose = run(caliper=0.05), run(caliper=None)
    assert verdict(good, "balance") == "pass"
    assert verdict(good, "caliper") == "pass"
    assert verdict(loose, "caliper") == "caution"
    assert {d.name for d in good.result.diagnostics} >= {
        "balance", "baseline-equivalence", "variance-ratios", "overlap", "unmatched", "caliper", "score-stability",
        "pairs",
    }  # fmt: skip
    wwc = next(d for d in good.result.diagnostics if d.name == "baseline-equivalence")
    assert "not a WWC review" in wwc.text


def test_poor_balance_fails() -> None:
    frame = people()
    frame["need"] += 3 * frame["served"]
    assert verdict(run(frame, caliper=None), "balance") == "fail"


CHANGES: dict[str, dict[str, Any]] = {
    "distance": {"distance": "need"}, "ratio": {"ratio": 2}, "caliper": {"caliper": 0.02},
    "caliper_scale": {"caliper_scale": "sd-logit"}, "raw": {"caliper_scale": "raw", "caliper": 0.001},
    "replace": {"replace": True}, "order": {"order": "smallest"}, "exact": {"exact": ["home"]},
    "estimand": {"estimand": "ATC"}, "effect": {"effect": "difference"}, "closest": {"order": "closest"},
    "random": {"order": "random"}, "data": {"order": "data"},
    "log": {"covariates": [{"log": "age"}, "need", "home"]},
    "interact": {"covariates": ["age", "need", {"interact": ["age", "need"]}]},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_no_option_is_dead(change: str) -> None:
    base, other = run(), run(**CHANGES[change])
    assert (base.sample.products["weights"] != other.sample.products["weights"]).any() or (
        base.result.headline.estimate != other.result.headline.estimate
    )


def test_ties_all_differs_from_ties_one_where_scores_tie() -> None:
    one, all_ = (run(covariates=["age"], replace=True, ties=ties, effect="difference") for ties in ("one", "all"))
    assert one.result.headline.estimate != all_.result.headline.estimate


def with_column(**columns: Any) -> pd.DataFrame:
    return people().assign(**columns)


def separated() -> pd.DataFrame:
    frame = people()
    return frame.assign(need=frame["need"] + 20 * frame["served"])


def jointly_separated() -> pd.DataFrame:
    frame = people()
    rng = np.random.default_rng(0)
    a = rng.normal(size=len(frame))
    return frame.assign(a=a, b=np.where(frame["served"] == 1, 1, -1) * (0.05 + rng.random(len(frame))) - a)


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no such covariate": (people, {"covariates": ["agee"]}, errors.ColumnNotFoundError, "did you mean 'age'"),
    "no such treated": (people, {"treated": "servd"}, errors.ColumnNotFoundError, "treated column 'servd'"),
    "treated 1 and 2": (
        lambda: with_column(served=people()["served"] + 1), {}, errors.ColumnTypeError, "other than 0 and 1",
    ),
    "treated in words": (
        lambda: with_column(served=np.where(people()["served"] == 1, "mentored", "waiting")), {},
        errors.ColumnTypeError, "yes and no",
    ),
    "nobody treated": (lambda: with_column(served=0), {}, errors.NoComparisonError, "treated"),
    "everybody treated": (lambda: with_column(served=1), {}, errors.NoComparisonError, "comparison group"),
    "outcome constant": (lambda: with_column(score=1.0), {}, errors.NoVariationError, "outcome 'score'"),
    "outcome text": (lambda: with_column(score="high"), {}, errors.ColumnTypeError, "holds text"),
    "outcome infinite": (lambda: with_column(score=np.inf), {}, errors.ColumnTypeError, "infinite"),
    "covariate constant": (lambda: with_column(age=14), {}, errors.NoVariationError, "covariate 'age'"),
    "covariate all missing": (lambda: with_column(age=np.nan), {}, errors.MissingValuesError, "'age'"),
    "covariate infinite": (lambda: with_column(need=np.inf), {}, errors.ColumnTypeError, "infinite"),
    "covariate free text": (people, {"covariates": ["id"]}, errors.ColumnTypeError, "different texts"),
    "collinear": (
        lambda: with_column(age2=people()["age"] * 2.0), {"covariates": ["age", "age2"]},
        errors.CollinearityError, "age2",
    ),
    "one covariate separates": (separated, {}, errors.SeparationError, "'need'"),
    "a level separates": (
        lambda: with_column(home=np.where(people()["served"] == 1, people()["home"], "street")), {},
        errors.SeparationError, "home",
    ),
    "two covariates separate": (jointly_separated, {"covariates": ["a", "b"]}, errors.SeparationError, "'a', 'b'"),
    "log of zero": (lambda: with_column(z=0.0), {"covariates": [{"log": "z"}]}, errors.ColumnTypeError, "above zero"),
    "product of text": (people, {"covariates": [{"interact": ["home", "age"]}]}, errors.ColumnTypeError, "holds text"),
    "outcome as covariate": (people, {"covariates": ["score"]}, errors.OptionError, "is the outcome"),
    "treated as covariate": (people, {"covariates": ["served"]}, errors.OptionError, "treated"),
    "caliper too tight": (
        people, {"caliper": 1e-15, "caliper_scale": "raw"}, errors.NoComparisonError, "within the caliper",
    ),
    "ties without replace": (people, {"ties": "all"}, errors.DesignFileValueError, "replace = true"),
    "unknown method": (people, {"method": "neerest"}, errors.DesignFileValueError, "nearest"),
    "unknown inference": (people, {"inference": "cr9"}, errors.OptionError, "auto, cr1"),
    "ratio zero": (people, {"ratio": 0}, errors.DesignFileValueError, "ratio"),
    "no covariates": (people, {"covariates": []}, errors.DesignFileValueError, "covariates"),
    "logit scale on a column": (
        people, {"distance": "need", "caliper_scale": "sd-logit"}, errors.DesignFileValueError, "logit",
    ),
    "too few pairs": (
        lambda: pd.concat([people().query("served == 1").head(6), people().query("served == 0").head(30)]),
        {"covariates": ["age", "need"], "caliper": None, "rows": "aggregates"}, errors.TooFewClustersError, "pairs",
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
    if kind is not errors.TooFewClustersError:
        assert "\n" not in message


def test_an_unknown_key_gets_the_nearest_one(tmp_path: Any) -> None:
    people().to_csv(tmp_path / "people.csv", index=False)
    design = tmp_path / "study.toml"
    text = (
        'design = "propensity-score-matching"\ntitle = "T"\ntreated = "served"\ncovariates = ["age", { log = "age" }]\n'
        'calipper = 0.2\n[data]\nsource = "people.csv"\nrows = "people"\n[outcome]\ncolumn = "score"\n'
    )
    design.write_text(text)
    with pytest.raises(errors.DesignFileKeyError, match="caliper"):
        ev.evaluate(design)
    design.write_text(
        text.replace("calipper = 0.2\n", "").replace('["age", { log = "age" }]', '["need", { log = "age" }]')
    )
    assert ev.evaluate(design).result.headline.estimate is not None


def test_an_evaluation_of_very_few_people_is_refused() -> None:
    """The degrees of freedom and the number of pairs would tell how many were served."""
    frame = people()
    few = pd.concat([frame[frame["served"] == 1].head(8), frame[frame["served"] == 0]])
    with pytest.raises(errors.DisclosureError, match="fewer than 11 people"):
        run(few, covariates=["need"])
    assert run(few, covariates=["need"], rows="aggregates", caliper=None).result.headline.n_clusters == 8
