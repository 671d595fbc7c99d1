"""Every method of matching from study to sealed result: words, weights, options that fit and options that do not."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.designs.matching.keys import KEYS_OF
from evaltoolkit.results import to_json
from evaltoolkit.study import language_findings


def people(n: int = 420, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, need = rng.integers(12, 18, n), rng.normal(size=n)
    home = np.where(rng.random(n) < 0.4, "kin", np.where(rng.random(n) < 0.5, "group", "parent"))
    served = rng.random(n) < 1 / (1 + np.exp(0.9 - 0.7 * need - 0.4 * (home == "group")))
    score = 10 + served + need + 0.2 * age + rng.normal(size=n)
    return pd.DataFrame({
        "served": served.astype(int), "age": age, "need": need, "home": home, "score": score,
        "staff": rng.integers(0, 4, n), "prior": 0.5 * need + rng.normal(size=n),
    })  # fmt: skip


PEOPLE = people()


def run(frame: pd.DataFrame = PEOPLE, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "treated": "served", "outcome": "score", "covariates": ["age", "need", "home"], "effect": "difference",
        "program": "the mentoring program",
    }  # fmt: skip
    return ev.match(frame, **(settings | changes))


WAYS: dict[str, dict[str, Any]] = {
    "nearest": {},
    "mahalanobis": {"distance": "mahalanobis"},
    "robust-mahalanobis": {"distance": "robust-mahalanobis", "caliper": 0.3},
    "scaled-euclidean": {"distance": "scaled-euclidean", "replace": True, "ratio": 2},
    "reuse": {"replace": True, "reuse": 2, "order": "farthest"},
    "support": {"common_support": "both"},
    "both ways": {"replace": True, "estimand": "ATE"},
    "optimal": {"method": "optimal"},
    "optimal caliper": {"method": "optimal", "caliper": 0.2, "calipers": {"age": 2}},
    "optimal two": {"method": "optimal", "distance": "mahalanobis", "ratio": 2},
    "full": {"method": "full"},
    "full ATE": {"method": "full", "estimand": "ATE", "exact": ["home"]},
    "full caliper": {"method": "full", "caliper": 0.1},
    "subclass": {"method": "subclass"},
    "subclass ATC": {"method": "subclass", "estimand": "ATC", "subclasses": 4},
    "exact": {"method": "exact", "exact": ["age", "home"]},
    "coarsened": {"method": "coarsened-exact", "bins": 3},
    "coarsened ATE": {"method": "coarsened-exact", "bins": {"age": [14], "need": "scott"}, "estimand": "ATE"},
    "cardinality": {"method": "cardinality"},
    "kernel": {"method": "kernel"},
    "kernel ATE": {"method": "kernel", "kernel": "gaussian", "bandwidth": 0.3, "estimand": "ATE"},
    "radius": {"method": "radius", "caliper": 0.1},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_finds_the_effect_and_says_what_it_did(way: str) -> None:
    m = run(**WAYS[way])
    result, weights, t = m.result, m.sample.products["weights"], PEOPLE["served"].to_numpy() == 1
    y = PEOPLE["score"].to_numpy()
    by_hand = np.average(y[t], weights=weights[t]) - np.average(y[~t], weights=weights[~t])
    assert result.headline.estimate == pytest.approx(by_hand, rel=1e-9)
    # Two for everybody leave hardly any choice, and exact leaves need unmatched: only the regression would help there.
    assert result.headline.estimate == pytest.approx(1.0, abs=0.8 if way in {"optimal two", "exact"} else 0.5)
    s = result.statements
    words = [s.bottom_line, s.plain, s.how_we_know, *s.approach, *s.limits, *(x.text for x in s.methods)]
    for text in words:
        assert language_findings(text) == [], text
        assert not re.search(r"\b(nan|None|inf)\b|  |\.\.", text), text
    for before, after in itertools.pairwise(result.flow):
        assert after.n is None or before.n is None or after.excluded is None or after.n == before.n - after.excluded
    assert "matched_set" not in to_json(result)


def test_sets_and_pairs_agree_with_what_was_asked() -> None:
    full = run(method="full", exact=["home"]).sample.products["matched_data"]
    sizes = full.groupby("matched_set")["served"].agg(["sum", "size"])
    assert (np.minimum(sizes["sum"], sizes["size"] - sizes["sum"]) == 1).all()
    assert (full.groupby("matched_set")["home"].nunique() == 1).all()
    pairs = run(method="optimal", caliper=0.2, calipers={"age": 1}, antiexact=["staff"]).sample.products["pairs"]
    assert np.unique(pairs.match).size == pairs.match.size
    age, staff = PEOPLE["age"].to_numpy(), PEOPLE["staff"].to_numpy()
    assert (np.abs(age[pairs.focal] - age[pairs.match]) <= 1).all()
    assert (staff[pairs.focal] != staff[pairs.match]).all()
    reused = run(replace=True, reuse=2, caliper=None).sample.products["pairs"]
    assert np.bincount(reused.match).max() == 2


def test_optimal_is_at_least_as_near_as_greedy() -> None:
    def total(**changes: Any) -> float:
        products = run(caliper=None, **changes).sample.products
        pairs, score = products["pairs"], products["score"]
        return float(np.abs(score[pairs.focal] - score[pairs.match]).sum())

    assert total(method="optimal") <= min(total(order=order) for order in ("largest", "smallest", "data", "closest"))


def test_common_support_leaves_out_who_lies_outside_and_says_so() -> None:
    m = run(common_support="both", caliper=None)
    score, t = m.sample.products["score"], PEOPLE["served"].to_numpy() == 1
    used = m.sample.products["weights"] > 0
    assert score[t & used].max() <= score[~t].max()
    assert score[~t & used].min() >= score[t].min()
    assert any("range" in step.reason for step in m.result.flow)


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "match_on": ({"distance": "mahalanobis"}, {"match_on": ["need"]}),
    "antiexact": ({}, {"antiexact": ["staff"]}),
    "calipers": ({}, {"calipers": {"age": 0}}),
    "calipers sd": ({}, {"calipers": {"prior": {"sd": 0.2}}}),
    "calipers below zero": ({}, {"calipers": {"prior": -0.2}}),
    "reuse": ({"replace": True}, {"reuse": 1}),
    "common_support": ({"caliper": None}, {"common_support": "treated"}),
    "subclasses": ({"method": "subclass"}, {"subclasses": 9}),
    "bins": ({"method": "coarsened-exact"}, {"bins": 2}),
    "balance_tolerance": ({"method": "cardinality"}, {"balance_tolerance": 0.01}),
    "kernel": ({"method": "kernel"}, {"kernel": "triangular"}),
    "bandwidth": ({"method": "kernel"}, {"bandwidth": 0.3}),
    "kernel scale": ({"method": "kernel"}, {"caliper_scale": "raw"}),
    "full caliper": ({"method": "full"}, {"caliper": 0.02}),
    "optimal ratio": ({"method": "optimal"}, {"ratio": 2}),
    "kernel on the logit": ({"method": "kernel"}, {"caliper_scale": "sd-logit"}),
    "order": ({}, {"order": "farthest"}),
    "distance": ({"distance": "mahalanobis"}, {"distance": "robust-mahalanobis"}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_no_option_is_dead(change: str) -> None:
    base, more = CHANGES[change]
    one, two = (run(**settings).sample.products["weights"] for settings in (base, base | more))
    assert (one != two).any()


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "order with full": ({"method": "full", "order": "random"}, errors.DesignFileValueError, "'nearest'"),
    "ratio with exact": ({"method": "exact", "ratio": 2}, errors.DesignFileValueError, "leave it out"),
    "caliper with kernel": ({"method": "kernel", "caliper": 0.2}, errors.DesignFileValueError, "caliper is for"),
    "radius without caliper": ({"method": "radius"}, errors.DesignFileValueError, "needs a caliper"),
    "ATE with optimal": ({"method": "optimal", "estimand": "ATE"}, errors.DesignFileValueError, "ATT or ATC"),
    "ATE without replacement": ({"estimand": "ATE"}, errors.DesignFileValueError, "replace = true"),
    "metric with subclass": (
        {"method": "subclass", "distance": "mahalanobis"}, errors.DesignFileValueError, "needs a score",
    ),
    "match_on with logit": ({"match_on": ["need"]}, errors.DesignFileValueError, "mahalanobis"),
    "match_on no covariate": (
        {"distance": "mahalanobis", "match_on": ["needs"]}, errors.OptionError, "did you mean 'need'",
    ),
    "bins no covariate": ({"method": "coarsened-exact", "bins": {"agee": 3}}, errors.OptionError, "no covariate"),
    "calipers no column": ({"calipers": {"agge": 1}}, errors.ColumnNotFoundError, "agge"),
    "calipers on text": ({"calipers": {"home": 1}}, errors.ColumnTypeError, "text"),
    "antiexact no column": ({"antiexact": ["stuff"]}, errors.ColumnNotFoundError, "stuff"),
    "reuse without replace": ({"reuse": 2}, errors.DesignFileValueError, "replace = true"),
    "ties on several": (
        {"distance": "mahalanobis", "replace": True, "ties": "average"}, errors.DesignFileValueError, "on a score",
    ),
    "unknown kernel": ({"method": "kernel", "kernel": "cosine"}, errors.DesignFileValueError, "epanechnikov"),
    "nobody alike": (
        {"method": "exact", "covariates": ["need"]}, errors.NoComparisonError, "nobody finds a match",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_options_that_do_not_fit_are_refused_clearly(case: str) -> None:
    changes, kind, words = BAD[case]
    with pytest.raises(kind) as caught:
        run(**changes)
    message = str(caught.value)
    assert words in message
    assert "What to do:" in message


def test_covariates_that_tell_the_groups_apart_stop_only_what_uses_the_score() -> None:
    frame = PEOPLE.assign(need=PEOPLE["need"] + 20 * PEOPLE["served"])
    m = run(frame, distance="mahalanobis")
    assert m.result.headline.n_units == 2 * frame["served"].sum()
    with pytest.raises(errors.SeparationError):
        run(frame, distance="mahalanobis", caliper=0.2)


def a_matrix(frame: pd.DataFrame) -> np.ndarray:
    t, x = frame["served"].to_numpy() == 1, frame[["age", "need"]].to_numpy(float)
    gap = np.abs(x[t][:, None] - x[~t][None])
    return np.where(gap[:, :, 0] <= 2, gap[:, :, 1], np.inf)


@pytest.mark.parametrize("method", ["nearest", "optimal", "full"])
def test_a_matrix_of_distances(method: str) -> None:
    frame = PEOPLE.assign(need=PEOPLE["need"].where(PEOPLE.index % 50 != 7))  # places must survive rows that leave
    matrix = a_matrix(PEOPLE)
    m = run(frame, method=method, distance=matrix, exact=["home"])
    data = m.sample.products["matched_data"]
    assert not [c for c in data.columns if "place" in c]
    sets = data.groupby("matched_set")
    assert (sets["home"].nunique() == 1).all()
    if method != "full":
        assert (sets["age"].max() - sets["age"].min() <= 2).all()
        gaps = sets["need"].max() - sets["need"].min()
        assert gaps.sum() == pytest.approx(total_of_the_assignment(frame) if method == "optimal" else gaps.sum())
    assert m.result.statements.methods[1].text.count("matrix") == 1


def total_of_the_assignment(frame: pd.DataFrame) -> float:
    """As many pairs as possible, then the least distance: by the dense solver, in each home."""
    from scipy.optimize import linear_sum_assignment

    total = 0.0
    for _, part in frame.dropna().groupby("home"):
        cost = np.minimum(a_matrix(part), 1e4)
        rows, columns = linear_sum_assignment(cost)
        total += cost[rows, columns][cost[rows, columns] < 1e4].sum()
    return total


def test_the_nearest_along_a_matrix_is_the_nearest() -> None:
    matrix, t = a_matrix(PEOPLE), PEOPLE["served"].to_numpy() == 1
    pairs = run(distance=matrix, replace=True).sample.products["pairs"]
    nearest = np.flatnonzero(~t)[np.argmin(matrix, axis=1)]
    np.testing.assert_array_equal(pairs.match, nearest)


BAD_MATRICES = {
    "shape": (lambda d: d[:, :-1], "has the shape"), "missing": (lambda d: d * np.nan, "missing or negative"),
    "negative": (lambda d: -1 - d, "missing or negative"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_MATRICES)
def test_a_matrix_that_does_not_fit_is_refused(case: str) -> None:
    spoil, words = BAD_MATRICES[case]
    with pytest.raises(errors.OptionError, match=words):
        run(distance=spoil(np.nan_to_num(a_matrix(PEOPLE), posinf=9.0)))


def test_a_design_file_has_no_matrix(tmp_path: Any) -> None:
    with pytest.raises(errors.OptionError, match="no matrix"):
        run(distance="matrix")


def test_more_subclasses_than_people_are_refused() -> None:
    with pytest.raises(errors.NoComparisonError, match="fewer people"):
        run(people(200), method="subclass", subclasses=100)


def test_every_key_of_some_methods_is_refused_elsewhere() -> None:
    """No key of another method is silently ignored."""
    values: dict[str, Any] = {
        "distance": "prior", "match_on": ["need"], "exact": ["home"], "antiexact": ["staff"], "caliper": 0.3,
        "caliper_scale": "raw", "calipers": {"age": 1}, "common_support": "both", "ratio": 2, "replace": True,
        "reuse": 2, "order": "data", "ties": "average", "subclasses": 3, "bins": 3, "balance_tolerance": 0.2,
        "kernel": "biweight", "bandwidth": 0.1, "weighting": "entropy", "stabilize": True, "truncate": 0.9, "folds": 2,
        "repeats": 2, "cluster": "staff",
    }  # fmt: skip
    assert set(values) == set().union(*KEYS_OF.values())
    for method, keys in KEYS_OF.items():
        for key in sorted(set(values) - keys):
            with pytest.raises(errors.DesignFileValueError):
                run(method=method, **({"caliper": 0.1} if method == "radius" else {}) | {key: values[key]})


@pytest.mark.parametrize("method", ["optimal", "full", "subclass", "coarsened-exact", "cardinality", "kernel"])
def test_a_design_file_takes_every_method(tmp_path: Any, method: str) -> None:
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    extra = {"coarsened-exact": "bins = { age = [14, 16], need = 3 }", "full": "calipers = { age = { sd = 1.0 } }"}
    (tmp_path / "study.toml").write_text(
        'design = "propensity-score-matching"\ntitle = "T"\ntreated = "served"\ncovariates = ["age", "need", "home"]\n'
        f'method = "{method}"\n{extra.get(method, "")}\n[data]\nsource = "people.csv"\nrows = "people"\n'
        '[outcome]\ncolumn = "score"\n'
    )
    h = ev.evaluate(tmp_path / "study.toml").result.headline
    assert h.estimate == pytest.approx(1.0, abs=0.5)


@pytest.mark.parametrize("way", ["mahalanobis", "optimal", "full", "subclass", "exact", "coarsened", "kernel"])
def test_row_order_changes_nothing_but_ties(way: str) -> None:
    shuffled = PEOPLE.sample(frac=1, random_state=1)
    covariates = ["need", "prior"] if way == "mahalanobis" else ["age", "need", "home", "prior"]
    settings = {"covariates": covariates} | WAYS[way]
    if way == "mahalanobis":
        settings |= {"replace": True}
    if way == "exact":
        settings |= {"exact": ["age", "home"]}
    one, two = (run(frame, **settings).result.headline.estimate for frame in (PEOPLE, shuffled))
    assert two == pytest.approx(one, rel=1e-8)
