"""Strata and nearest neighbours of people in an engine give the numbers of rows in memory, with the same words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import evaltoolkit as ev
from evaltoolkit import errors
from evaltoolkit.pipeline import prepare
from evaltoolkit.study import study_from
from tests.reduction.held import BASE, agree, both, held, people, recorded

YES = ev.Outcome("enrolled", kind="binary", better="higher")
N = 2_500


def slow(**changes: Any) -> Any:
    return pytest.param(changes, marks=pytest.mark.slow, id=str(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "coarsened-exact"},
        slow(method="coarsened-exact", effect="difference"),
        {"method": "coarsened-exact", "bins": {"age": 3, "need": [95, 98, 100, 103]}, "estimand": "ATE"},
        slow(method="coarsened-exact", bins="scott", estimand="ATC", outcome=YES),
        {"method": "exact", "exact": ["home", "age"]},
        slow(method="exact", exact=["home", "age"], effect="difference"),
        {"method": "subclass", "outcome": YES, "effect": "g-computation"},
        slow(method="subclass", subclasses=5, estimand="ATE", effect="difference"),
        {"method": "subclass", "estimand": "ATC", "caliper_scale": "sd-logit"},
    ],
    ids=str,
)
def test_strata_agree(changes: dict[str, Any]) -> None:
    agree(*both(people(N), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"caliper": 0.1, "exact": ["home"]},
        slow(),
        slow(effect="difference", ratio=3),
        {"caliper": 0.05, "caliper_scale": "sd-logit", "estimand": "ATC", "ratio": 2},
        {"estimand": "ATE", "caliper": 0.01, "effect": "difference"},
        slow(outcome=YES, effect="g-computation"),
        slow(distance="chance", caliper=0.001, caliper_scale="raw", effect="difference"),
    ],
    ids=str,
)
def test_nearest_with_replacement_agrees(changes: dict[str, Any]) -> None:
    # The score differs for everybody, so that nobody is equally near as another.
    agree(*both(people(N), method="nearest", replace=True, **changes))


def test_strata_and_pairs_stay_in_the_engine() -> None:
    for changes in ({"method": "coarsened-exact"}, {"method": "nearest", "replace": True, "caliper": 0.2}):
        with recorded() as left:
            ev.match(held(people(600)), **BASE, **changes)
        assert max(len(frame) for _, frame in left) <= 60
        assert sum(frame.size for _, frame in left) < 3_000


def test_pairs_do_not_depend_on_the_order_of_the_rows() -> None:
    frame = people(600).drop(columns="need").assign(need=np.round(people(600)["need"]))
    settings = BASE | {"covariates": ["age", "need"], "method": "nearest", "replace": True}
    one, two = (ev.match(held(f), **settings).result.headline for f in (frame, frame.sample(frac=1, random_state=1)))
    assert two.estimate == pytest.approx(one.estimate, rel=1e-12)
    assert two.std_error == pytest.approx(one.std_error, rel=1e-12)


def test_errors_rest_on_people_where_few_strata_decide() -> None:
    frame = people(N)
    frame["home"] = np.where(np.arange(N) % 2, "kin", "parent")
    result = ev.match(held(frame), **(BASE | {"covariates": ["age", "need", "home"]}), method="exact", exact=["home"])
    assert result.result.headline.inference.startswith("HC1 (by person)")


def test_comparing_takes_what_works_in_the_engine() -> None:
    study = study_from({
        "version": 1, "design": "propensity-score-matching", "title": "Mentoring", "treated": "served",
        "covariates": ["age", "need", "home"], "method": "weighting", "outcome": {"column": "score"},
    })  # fmt: skip
    ready = prepare(study, held(people(300)))
    found = ready.design.alternatives(study, ready.options, ready.sample)
    methods = {one.settings["method"] for one in found}
    assert methods == {"weighting", "nearest", "subclass", "coarsened-exact"}
    assert all(one.settings.get("replace") for one in found if one.settings["method"] == "nearest")
    again = prepare(study, held(people(300), "polars"))
    assert {one.settings["method"] for one in again.design.alternatives(study, again.options, again.sample)} == {
        "weighting", "coarsened-exact",
    }  # fmt: skip


def test_nobody_alike_is_said() -> None:
    frame = people(600)
    with pytest.raises(errors.NoComparisonError, match="nobody finds a match"):
        ev.match(held(frame.assign(need=frame["need"] + np.arange(600) / 7)), **BASE, method="exact")
    with pytest.raises(errors.DisclosureError, match="matched groups"):
        ev.match(held(frame), **BASE, method="nearest", replace=True, caliper=1e-5)
    with pytest.raises(errors.NoComparisonError, match=r"fewer people|lacks"):
        ev.match(held(people(200)), **BASE, method="subclass", subclasses=100)


@pytest.mark.parametrize("method", ["coarsened-exact", "exact"])
def test_polars_gives_the_same_strata(method: str) -> None:
    changes = {"exact": ["home", "age"]} if method == "exact" else {}
    one, two = both(people(N), engine="polars", method=method, **changes)
    assert two.headline.estimate == pytest.approx(one.headline.estimate, rel=1e-10)
    assert two.headline.std_error == pytest.approx(one.headline.std_error, rel=1e-10)
