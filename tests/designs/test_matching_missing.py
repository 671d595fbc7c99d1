"""Missing covariates: named and counted, marked or imputed, pooled over imputations, and never a small count shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaltoolkit import errors
from evaltoolkit.kernels.rubin import rubin
from evaltoolkit.results import to_json
from tests.designs.test_matching import people, run
from tests.designs.test_matching_balance import check, table


def gappy(seed: int = 8, share: float = 0.2) -> pd.DataFrame:
    """Need is missing more often for the young; home and a yes/no text are missing at random."""
    frame, rng = people(), np.random.default_rng(seed)
    frame["kin"] = np.where(rng.random(len(frame)) < 0.5, "yes", "no")
    frame["kin"] = frame["kin"].astype(object)
    frame["home"] = frame["home"].astype(object)
    frame.loc[rng.random(len(frame)) < share * (1 + (frame["age"] < 14)), "need"] = np.nan
    frame.loc[rng.random(len(frame)) < share, "home"] = None
    frame.loc[rng.random(len(frame)) < share, "kin"] = None
    return frame


COVARIATES = ["age", "need", "home", "kin"]


@pytest.fixture(scope="module")
def imputed() -> Any:
    return run(gappy(), covariates=COVARIATES, incomplete="impute", imputations=3)


def test_everybody_stays_and_every_column_is_counted(imputed: Any) -> None:
    frame = gappy()
    assert imputed.result.flow[0].n == 600
    assert imputed.result.flow[0].treated == (frame["served"] == 1).sum()
    rows = {row[0]: row for row in table(imputed, "missing").rows}
    assert set(rows) == {"need", "home", "kin"}
    for name, row in rows.items():
        lost = frame[name].isna()
        assert row[1:4] == ((lost & (frame["served"] == 1)).sum(), (lost & (frame["served"] == 0)).sum(), lost.sum())
    assert rows["need"][4] == rows["kin"][4] == "imputed 3 times"
    assert rows["home"][4] == "kept, marked as not recorded"


def test_the_effect_is_pooled_over_matches_made_anew(imputed: Any) -> None:
    content = imputed.sample.content
    draws = content.completed.draws
    assert len(draws) == 3
    given = gappy()["need"].notna().to_numpy()
    need = np.array([draw.X[:, draw.names.index("need")] for draw in draws])
    np.testing.assert_array_equal(need[:, given], np.tile(gappy()["need"].to_numpy()[given], (3, 1)))
    assert (np.ptp(need[:, ~given], axis=0) > 0).mean() > 0.9
    assert set(need[:, ~given].ravel()) <= set(gappy()["need"].dropna())
    estimates, variances, dfs = [], [], []
    for draw in draws:
        complete = pd.DataFrame(draw.X, columns=[f"c{j}" for j in range(draw.X.shape[1])])
        complete[["served", "score"]] = gappy()[["served", "score"]].to_numpy()
        h = run(complete, covariates=[f"c{j}" for j in range(draw.X.shape[1])]).result.headline
        estimates.append(h.estimate)
        variances.append(h.std_error**2)
        dfs.append(h.df)
    pooled = rubin(np.array(estimates), np.array(variances), min(dfs))
    h = imputed.result.headline
    assert h.estimate == pytest.approx(pooled.estimate, rel=1e-9)
    assert h.std_error == pytest.approx(pooled.std_error, rel=1e-9)
    assert h.df == pytest.approx(pooled.df, rel=1e-9)
    assert "pooled over 3 imputations" in h.inference


def test_balance_is_shown_over_imputations(imputed: Any) -> None:
    for row in table(imputed, "imputed_balance").rows:
        if row[1] is not None:
            assert row[1] <= row[2] <= row[3]
    assert check(imputed, "imputations").threshold == 0.03
    assert any(method.title == "Missing covariates" for method in imputed.result.statements.methods)


def test_the_same_seed_gives_the_same_bytes_and_the_frame_is_unchanged(imputed: Any) -> None:
    frame = gappy()
    before = frame.copy(deep=True)
    again = run(frame, covariates=COVARIATES, incomplete="impute", imputations=3)
    pd.testing.assert_frame_equal(frame, before)
    assert to_json(again.result) == to_json(imputed.result)
    other = run(frame, covariates=COVARIATES, incomplete="impute", imputations=3, seed=1)
    assert other.result.headline.estimate != again.result.headline.estimate


def test_imputation_finds_the_effect_that_complete_data_have() -> None:
    truth = run(people(), covariates=["age", "need", "home"]).result.headline
    found = run(gappy(), covariates=["age", "need", "home"], incomplete="impute", imputations=4).result.headline
    assert found.estimate == pytest.approx(truth.estimate, abs=2 * truth.std_error)
    assert found.std_error > 0.8 * truth.std_error


def test_an_indicator_marks_the_gap() -> None:
    m = run(gappy(), covariates=COVARIATES, incomplete="indicator")
    names = [row[0] for row in table(m, "balance").rows]
    assert {"need: not recorded", "home: not recorded", "kin: not recorded"} <= set(names)
    assert check(m, "missing-values").verdict == "caution"
    assert "with an indicator" in check(m, "missing-values").text
    assert table(m, "imputed_balance") is None


def test_columns_missing_together_have_one_indicator() -> None:
    frame = people()
    frame["other"] = frame["need"] ** 2
    frame.loc[frame.index[::5], ["need", "other"]] = np.nan
    m = run(frame, covariates=["age", "need", "other"], incomplete="indicator")
    assert "need, other: not recorded" in [row[0] for row in table(m, "balance").rows]


def test_nothing_missing_changes_nothing() -> None:
    plain = run().result
    for incomplete in ("indicator", "impute"):
        m = run(incomplete=incomplete)
        assert m.result.headline == plain.headline
        assert check(m, "missing-values").verdict == "pass"
        assert table(m, "missing") is None


def test_a_few_missing_values_are_not_counted() -> None:
    frame = people()
    frame.loc[frame.index[frame["served"] == 1][:3], "need"] = np.nan
    frame.loc[frame.index[frame["served"] == 0][:40], "need"] = np.nan
    for incomplete in ("indicator", "impute"):
        m = run(frame, incomplete=incomplete, **({"imputations": 2} if incomplete == "impute" else {}))
        row = table(m, "missing").rows[0]
        assert row[1] is None
        assert row[2] is None or row[3] is None
        found = check(m, "missing-values")
        assert found.value is None
        assert "a few" in found.text
        assert "43" not in found.text


def test_pairs_must_agree_on_what_is_recorded() -> None:
    """A column in exact has to have a value."""
    frame = gappy()
    m = run(frame, covariates=["age", "need"], exact=["home"], incomplete="indicator")
    assert any("no value of home" in step.reason for step in m.result.flow)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imputations": 5}, "imputations needs incomplete"),
        ({"incomplete": "guess"}, "incomplete"),
        ({"incomplete": "impute", "imputations": 1}, "imputations"),
    ],
)
def test_bad_options(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.EvaluationError, match=words):
        run(gappy(), **changes)


def test_a_column_that_follows_from_others_is_no_trouble() -> None:
    frame = gappy()
    frame["before"] = frame["score"] - 1 + 0.1 * frame["age"]
    m = run(frame, covariates=["age", "need"], incomplete="impute", imputations=2, outcome_before=["before"])
    assert m.result.headline.estimate == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("method", ["full", "subclass", "coarsened-exact", "weighting"])
@pytest.mark.parametrize("incomplete", ["indicator", "impute"])
def test_every_kind_of_method_matches_within_each(method: str, incomplete: str) -> None:
    draws = {"imputations": 2} if incomplete == "impute" else {}
    m = run(gappy(), covariates=COVARIATES, method=method, incomplete=incomplete, **draws)
    assert m.result.headline.estimate == pytest.approx(1.0, abs=0.5)
    assert ("pooled" in m.result.headline.inference) == (incomplete == "impute")


def test_a_column_with_few_values_cannot_be_imputed() -> None:
    frame = people()
    frame.loc[frame.index[6:], "need"] = np.nan
    with pytest.raises(errors.MissingValuesError, match="'need' has a value in fewer than 10 rows"):
        run(frame, incomplete="impute")
