"""Balance and support of a matched study: equivalence verdicts, distributions that show nobody, who was left out."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev
from evaltoolkit.designs.matching.safe_cells import merged, round_edges
from evaltoolkit.results import SmallCells, to_json
from tests.designs.test_matching import people, run


def table(m: Any, key: str) -> Any:
    return next((t for t in m.result.tables if t.key == key), None)


def check(m: Any, name: str) -> Any:
    return next(d for d in m.result.diagnostics if d.name == name)


def test_the_middle_is_satisfied_only_where_the_outcome_model_adjusts() -> None:
    adjusted, plain = (run(effect=effect, caliper=None) for effect in ("regression", "difference"))
    rows = [{row[0]: row for row in table(m, "equivalence").rows} for m in (adjusted, plain)]
    middle = [name for name, row in rows[0].items() if 0.05 < abs(row[2]) <= 0.25]
    assert middle
    for name in middle:
        assert rows[0][name][3:] == ("yes", "satisfied, because the outcome model adjusts for it")
        assert rows[1][name][3:] == ("no", "not satisfied: the outcome model must adjust for it")
    assert "estimate the effect by regression" in check(plain, "baseline-equivalence").text
    assert check(plain, "baseline-equivalence").verdict == "caution"


def test_sizes_are_those_of_the_matched_data() -> None:
    m = run(ratio=2)
    data = m.sample.products["matched_data"]
    one, two = (data[data["served"] == s] for s in (1, 0))
    difference = one["need"].mean() - np.average(two["need"], weights=two["weight"])
    v1 = one["need"].var(ddof=1)
    share = two["weight"] / two["weight"].sum()
    v2 = (share * (two["need"] - (share * two["need"]).sum()) ** 2).sum() / (1 - (share**2).sum())
    pooled = ((len(one) - 1) * v1 + (len(two) - 1) * v2) / (len(data) - 2)
    by_hand = (1 - 3 / (4 * len(data) - 9)) * difference / np.sqrt(pooled)
    found = next(row for row in table(m, "equivalence").rows if row[0] == "need")
    assert found[2] == pytest.approx(by_hand, rel=1e-9)


def test_a_difference_too_large_is_never_satisfied() -> None:
    frame = people()
    frame["need"] += 1.5 * frame["served"]
    m = run(frame, caliper=None)
    row = next(r for r in table(m, "equivalence").rows if r[0] == "need")
    assert row[3:] == ("yes", "not satisfied")
    assert "match more closely" in check(m, "baseline-equivalence").text


def test_squares_products_and_the_predicted_outcome_are_compared() -> None:
    m = run(caliper=0.1)
    products, predicted = check(m, "balance-products"), check(m, "balance-predicted")
    # age and need: two squares, their product, and the products of each with three levels of home.
    assert "Of 9 squares and products" in products.text
    assert products.value > 0
    data = people()
    Z = np.column_stack(
        [np.ones(len(data)), data["age"], data["need"], data["home"] == "kin", data["home"] == "parent"]
    )
    Z = Z.astype(float)
    others = (data["served"] == 0).to_numpy()
    index = Z @ np.linalg.lstsq(Z[others], data["score"][others], rcond=None)[0]
    w = m.sample.products["weights"]
    apart = np.average(index[~others], weights=w[~others]) - np.average(index[others], weights=w[others])
    assert predicted.value == pytest.approx(abs(apart) / index[~others].std(ddof=1), rel=1e-6)


@pytest.mark.parametrize("kind", ["density", "ecdf"])
def test_distributions_are_drawn_before_and_after(kind: str) -> None:
    figure = next(f for f in run().result.figures if f.kind == kind)
    assert {row[0] for row in figure.rows} == {"Propensity score", "age", "need"}
    assert {row[1] for row in figure.rows} == {"Before matching", "After matching"}
    for name in ("Propensity score", "need"):
        after = [row for row in figure.rows if row[:2] == (name, "After matching")]
        x, y = np.array([row[2] for row in after]), np.array([row[3] for row in after])
        if kind == "ecdf":
            assert (y[0], y[-1]) == (0, 1)
            assert (np.diff(y) >= 0).all()
        else:
            assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02)


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=8, max_size=8), min_size=1, max_size=4),
    st.sampled_from([SmallCells(), SmallCells(show_zero=False), SmallCells(threshold=1)]),
)
@settings(max_examples=200, deadline=None)
def test_no_cell_of_a_distribution_shows_a_small_count(rows: list[list[int]], cells: SmallCells) -> None:
    counts = np.array(rows)
    starts = merged(counts, cells)
    for begin, end in itertools.pairwise([*starts, counts.shape[1]]):
        assert not any(cells.hides(int(n)) for n in counts[:, begin:end].sum(axis=1))
    assert starts.size == 0 or starts[0] == 0
    if starts.size == 0:
        assert not counts.any() or any(cells.hides(int(n)) for n in counts.sum(axis=1))


@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 4)), min_size=2, max_size=20))
@settings(max_examples=100, deadline=None)
def test_edges_hold_every_value_and_are_round(values: list[float]) -> None:
    edges = round_edges(np.array(values))
    assert edges[0] <= min(values)
    assert max(values) <= edges[-1]
    assert 2 <= edges.size <= 64
    assert (np.diff(edges) > 0).all()


def far_away(n: int, **changes: Any) -> Any:
    frame = people()
    best = frame.index[frame["served"] == 1][:n]
    frame.loc[best, "need"] = 6.5 + 0.01 * np.arange(n)
    return run(frame, caliper=0.2, caliper_scale="sd-logit", replace=True, **changes)


def test_those_left_out_are_described() -> None:
    m = far_away(24)
    rows = {row[0]: row for row in table(m, "left_out").rows}
    assert rows["need"][1] > 5 > rows["need"][2]
    assert "differ most in need, which is higher" in check(m, "unmatched").text
    for name, row in rows.items():
        if name.startswith("home"):
            assert (row[1] is None) == (row[2] is None)


def test_few_left_out_are_not_described_nor_drawn() -> None:
    m = far_away(4)
    assert table(m, "left_out") is None
    assert "differ most" not in check(m, "unmatched").text
    figure = next(f for f in m.result.figures if f.kind == "ecdf")
    assert all(row[3] is None for row in figure.rows if row[1] == "Before matching")
    assert "few of a group were left out: treated" in figure.note
    assert all(row[4] is not None for row in figure.rows)
    assert all(row[3] is not None for row in figure.rows if row[1] == "After matching")


def test_nobody_left_out_no_table() -> None:
    assert table(run(caliper=None), "left_out") is None


def test_sites_are_drawn_without_small_cell_rules() -> None:
    frame = people(120).drop(columns=["id"])
    m = ev.match(frame, treated="served", outcome="score", covariates=["age", "need"], rows="aggregates")
    figure = next(f for f in m.result.figures if f.kind == "ecdf")
    assert "cells" not in figure.note
    assert json.loads(to_json(m.result))


def test_a_single_persons_value_moves_no_curve() -> None:
    """One person of an extreme value is not a step or a bump of their own."""
    frame = people()
    last = frame.index[frame["served"] == 0][0]
    frame.loc[last, "need"] = 9.0
    figure = next(f for f in run(frame).result.figures if f.kind == "ecdf")
    rows = [row for row in figure.rows if row[:2] == ("need", "Before matching")]
    shares = np.diff([row[4] for row in rows]) * (frame["served"] == 0).sum()
    assert all(share < 0.5 or share > 10.5 for share in shares)
