"""A file of sums: every number comes back bit for bit, and anything else than a whole file is one clear message."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.errors import MomentsFileError
from evaltoolkit.reduction.fingerprints import SKETCH, fingerprints
from evaltoolkit.reduction.moments import Account, PanelMoments
from evaltoolkit.reduction.moments_json import content_sha256, read, written
from tests.reduction.made import ABOUT, moments, plan, world


def same(a: PanelMoments, b: PanelMoments) -> None:
    for field in dataclasses.fields(a.table):
        x, y = getattr(a.table, field.name), getattr(b.table, field.name)
        assert (x is None) == (y is None), field.name
        if x is None:
            continue
        if field.name == "there" and x is None:
            assert y is None
            continue
        assert (x.shape, x.dtype) == (y.shape, y.dtype), field.name
        assert x.tobytes() == y.tobytes(), field.name
    assert (a.plan, a.calendar, a.values, a.account, a.clusters) == (
        b.plan, b.calendar, b.values, b.account, b.clusters,
    )  # fmt: skip
    assert a.fingerprints == b.fingerprints
    assert (a.counts is None) == (b.counts is None)
    assert a.counts is None or (b.counts is not None and a.counts.tobytes() == b.counts.tobytes())


def text(**more: Any) -> str:
    return written(moments(*world(1), **more), ABOUT)


@given(st.integers(0, 10_000), st.sampled_from(["plain", "weighted", "clusters", "both"]), st.sampled_from([1.0, 1e-9]))
@settings(max_examples=30, deadline=None)
def test_every_number_comes_back(seed: int, kind: str, scale: float) -> None:
    y, start, place = world(seed, n=80)
    rng = np.random.default_rng(seed)
    weighted, clustered = kind in {"weighted", "both"}, kind in {"clusters", "both"}
    by = plan(weights="w" if weighted else None, cluster="court" if clustered else None)
    made = moments(
        y * scale, start, place, by=by, weights=rng.uniform(0.3, 2, 80) if weighted else None,
        clusters=rng.choice(["Ash", "Elm", "Oak"], 80) if clustered else None,
    )  # fmt: skip
    found, about = read(written(made, ABOUT), "a.json")
    same(made, found)
    assert dataclasses.replace(about, sha256="") == ABOUT


def test_counts_fingerprints_and_a_negative_zero_come_back() -> None:
    rng = np.random.default_rng(2)
    by = plan(kind="count", rows="aggregates", shift=(0.5, 1.0, 2.0, 0.0))
    made = moments(
        rng.poisson(30, (40, 4)), world(2, n=40)[1], world(2, n=40)[2], by=by, shift=np.array([0.5, 1, 2, 0]),
        names=[f"place {i}" for i in range(40)],
    )  # fmt: skip
    made.table.m[0, 0] = -0.0
    found, _ = read(written(made, ABOUT), "a.json")
    same(made, found)
    assert found.fingerprints is not None
    assert found.fingerprints.complete


@pytest.mark.parametrize("clusters", [False, True])
def test_periods_without_an_observation_come_back(*, clusters: bool) -> None:
    y, start, place = world(7, n=120)
    y[:30, 1], y[20:50, 3] = np.nan, np.nan
    courts = np.random.default_rng(7).choice(["Ash", "Elm"], 120) if clusters else None
    made = moments(y, start, place, by=plan(cluster="court" if clusters else None), clusters=courts)
    assert made.table.there is not None
    same(made, read(written(made, ABOUT), "a.json")[0])


def test_whole_numbers_are_written_as_such() -> None:
    rng = np.random.default_rng(3)
    y, start, place = world(3)
    cells = json.loads(written(moments(rng.integers(0, 2, y.shape), start, place), ABOUT))["cells"]
    assert all(isinstance(v, int) for cell in cells for v in [*cell["sums"], *cell["products"]])


def test_no_name_is_in_the_file() -> None:
    y, start, place = world(4, n=90)
    names = [f"Mapleton{i}" for i in range(90)]
    found = written(moments(y, start, place, by=plan(rows="aggregates"), names=names), ABOUT)
    assert len(json.loads(found)["fingerprints"]["values"]) == 90
    assert "Mapleton" not in found


def test_few_people_left_out_are_not_told_of() -> None:
    made = moments(*world(5))
    few = dataclasses.replace(made, account=Account(1700, 1624, 406, 6, 0))
    found = read(written(few, ABOUT), "a.json")[0].account
    assert found == Account(1600, 1600, 400, 0, 0)
    many = dataclasses.replace(made, account=Account(1700, 1680, 420, 20, 0))
    assert read(written(many, ABOUT), "a.json")[0].account == many.account


def test_people_have_fingerprints_under_a_key_only() -> None:
    names = [f"id {i}" for i in range(6000)]
    assert fingerprints(names, plan()) is None
    one, two = fingerprints(names, plan(), b"x" * 16), fingerprints(names[3000:], plan(), b"x" * 16)
    assert one is not None
    assert two is not None
    assert (len(one.values), one.complete, two.complete) == (SKETCH, False, True)
    # Of 3,000 people in both, those among the smallest 4,096 of 6,000: about two of three.
    assert 1900 < one.shared(two) < 2200
    other = fingerprints(names, plan(), b"y" * 16)
    assert other is not None
    assert other.key != one.key
    assert other.shared(one) == 0


def changed(change: Callable[[dict[str, Any]], Any]) -> str:
    """A file with a change, and the hash of its content made right again."""
    raw = json.loads(text())
    change(raw)
    del raw["sha256"]
    return json.dumps({**raw, "sha256": content_sha256(raw)})


def first(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda raw: raw["cells"][0].__setitem__(key, value)


UNREADABLE = {
    "empty": ("", "cut off"),
    "cut off": (text()[:900], "cut off"),
    "another file": ("county,y\nAsh,1\n", "no JSON"),
    "a list": ("[1, 2]", "no file of sums"),
    "a result": ('{"schema": "evaltoolkit.result/1"}', "'evaltoolkit.result/1'"),
    "a later schema": (text().replace("moments/1", "moments/2"), "'evaltoolkit.moments/2'"),
    "NaN": (text().replace('"shift": [', '"shift": [NaN, '), "'NaN' is no number"),
    "infinite": (changed(first("sums", [1e999, 1, 2, 3])), "'Infinity' is no number"),
    "too large": (text().replace('"sums": [', '"sums": [1e999, '), "finite number"),
    "deep": ("[" * 100_000, "too deep"),
    "another plan": (text().replace('"outcome": "y"', '"outcome": "z"'), "plan in it is not the one"),
    "a number changed": (text().replace('"units": 3', '"units": 4', 1), "changed after it was written"),
}
WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a key more": (lambda raw: raw.__setitem__("rows_of_people", [1]), "'rows_of_people'"),
    "a key less": (lambda raw: raw.pop("shift"), "'shift'"),
    "text for a number": (first("units", "many"), "cells.0.units"),
    "no unit": (first("units", 0), "cells.0.units"),
    "true for a number": (first("sums", [True, 1, 2, 3]), "cells.0.sums.0"),
    "no cell": (lambda raw: raw.__setitem__("cells", []), "'cells'"),
    "a sum less": (first("sums", [1, 2, 3]), "cell 1 has the wrong numbers (sums)"),
    "a product less": (first("products", [1, 2, 3]), "cell 1 has the wrong numbers (products)"),
    "weights where there are none": (first("weight", 3.5), "cell 1"),
    "counts where nothing is counted": (first("counts", [1, 2, 3, 4]), "(counts)"),
    "other covariates": (first("values", {"age": 0, "sex": "f"}), "cell 1"),
    "a cell twice": (lambda raw: raw["cells"].append(raw["cells"][0]), "is there twice"),
    "some periods unobserved in one cell": (first("observed", [1, 1, 1]), "(observed)"),
    "clusters without a cluster": (
        lambda raw: raw.__setitem__("clusters", [{"cluster": "a", "cell": 0, "units": 3, "weight": 3, "sums": []}]),
        "do not belong together",
    ),
    "a period less": (lambda raw: raw["shift"].pop(), "do not belong together"),
    "periods out of order": (lambda raw: raw["periods"]["steps"].reverse(), "not ascending"),
    "other labels": (lambda raw: raw["periods"].__setitem__("labels", ["a", "b", "c", "d"]), "other labels"),
    "an unknown calendar": (lambda raw: raw["periods"].__setitem__("unit", "decade"), "periods.unit"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_whole_file(case: str) -> None:
    given_text, words = UNREADABLE[case]
    with pytest.raises(MomentsFileError) as raised:
        read(given_text, "county_a.json")
    assert raised.value.where == "county_a.json"
    assert words in raised.value.message


@pytest.mark.parametrize("case", WRONG)
def test_what_no_reduction_leaves(case: str) -> None:
    change, words = WRONG[case]
    with pytest.raises(MomentsFileError) as raised:
        read(changed(change), "county_a.json")
    assert words in raised.value.message


def test_a_plan_of_another_version() -> None:
    def newer(raw: dict[str, Any]) -> None:
        import hashlib

        raw["plan"]["halves"] = True
        raw["plan_sha256"] = hashlib.sha256(json.dumps(raw["plan"], sort_keys=True).encode()).hexdigest()

    with pytest.raises(MomentsFileError, match="not one that this version knows"):
        read(changed(newer), "county_a.json")
