"""The release check: planted small counts are found wherever they stand or follow from, and never quoted."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltoolkit.errors import DisclosureError, OptionError
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.reduction.exporting import exportable, shareable_account
from evaltoolkit.reduction.moments import Account, PanelMoments
from evaltoolkit.reduction.release import release_report, without
from tests.reduction.made import VALUES, moments, plan

BINARY = plan(kind="binary", covariates=("age", "area"))


def kinds(made: PanelMoments) -> dict[str, tuple[int, int]]:
    return {f.what: (f.cells, f.numbers) for f in release_report(made).findings}


def people(*table: int) -> Any:
    """Outcomes of two periods: so many people with both, the first alone, the second alone, neither."""
    return np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], table, axis=0)


def cell(*table: int, by: Any = BINARY, shift: Any = None) -> PanelMoments:
    y = people(*table)
    return moments(y, np.full(len(y), 2019), np.zeros(len(y)), by=by, shift=shift)


def test_a_cell_of_ten_people() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(21, 3)) + 9
    place = np.repeat([0, 1], [10, 11])
    made = dataclasses.replace(moments(y, np.full(21, 2019), place), dominance=np.full((2, 3), 0.2))
    assert kinds(made) == {"people": (1, 1)}
    assert kinds(dataclasses.replace(made, plan=plan(threshold=10))) == {}


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ((20, 30, 40, 50), set()),
        ((11, 11, 11, 11), set()),
        ((3, 30, 40, 50), {"pairs"}),  # both
        ((30, 3, 40, 50), {"pairs"}),  # the first alone: a sum less a product
        ((30, 40, 3, 50), {"pairs"}),
        ((30, 40, 50, 3), {"pairs"}),  # neither
        ((0, 4, 40, 50), {"totals", "pairs"}),
        ((40, 50, 0, 5), {"complements", "pairs"}),
        ((0, 30, 40, 0), set()),  # zeros are shown
    ],
)
@pytest.mark.parametrize("shift", [None, [0.5, 0.25], [1e3, -7.3]])
def test_the_table_of_two_periods(table: tuple[int, ...], found: set[str], shift: Any) -> None:
    made = cell(*table, shift=None if shift is None else np.array(shift))
    assert set(kinds(made)) == found


def test_zeros_where_they_are_hidden_too() -> None:
    assert set(kinds(cell(0, 30, 40, 0, by=plan(kind="binary", show_zero=False)))) == {"pairs"}
    everyone = cell(40, 0, 0, 0, by=plan(kind="binary", show_zero=False))
    assert set(kinds(everyone)) == {"complements", "pairs"}


def test_a_threshold_by_agreement() -> None:
    assert set(kinds(cell(7, 30, 40, 50))) == {"pairs"}
    assert kinds(cell(7, 30, 40, 50, by=plan(kind="binary", threshold=5))) == {}


@given(seed=st.integers(0, 10_000), p=st.floats(0.02, 0.98), show_zero=st.booleans())
@settings(max_examples=60, deadline=None)
def test_as_people_counted_one_by_one(*, seed: int, p: float, show_zero: bool) -> None:
    """A twin that counts people in each cell of each table of two periods."""
    rng = np.random.default_rng(seed)
    n = 220
    y = (rng.random((n, 3)) < p).astype(float)
    start, place = np.array([2019, NEVER])[rng.integers(0, 2, n)], rng.integers(0, 4, n)
    by = plan(kind="binary", show_zero=show_zero)
    made = moments(y, start, place, by=by, shift=np.array([0.3, 0.0, 1.0]))

    def hidden(count: int) -> bool:
        return 0 < count < 11 or (count == 0 and not show_zero)

    small = {"people": 0, "totals": 0, "complements": 0, "pairs": 0}
    for g, z in {(g, z) for g, z in zip(start.tolist(), place.tolist(), strict=True)}:
        mine = y[(start == g) & (place == z)]
        small["people"] += len(mine) < 11
        for t in range(3):
            small["totals"] += hidden(int(mine[:, t].sum()))
            small["complements"] += hidden(int((1 - mine[:, t]).sum()))
        for s, t in itertools.combinations(range(3), 2):
            for a, b in itertools.product((0, 1), repeat=2):
                small["pairs"] += hidden(int(((mine[:, s] == a) & (mine[:, t] == b)).sum()))
    assert {k: v[1] for k, v in kinds(made).items()} == {k: v for k, v in small.items() if v}


def test_events_of_people() -> None:
    by = plan(kind="count", covariates=())
    y = np.zeros((60, 2))
    y[:30, 0], y[28:58, 1] = 1, 1  # two people have both
    made = moments(y, np.full(60, 2019), np.zeros(60), by=by)
    assert kinds(made) == {"pairs": (1, 1)}


def test_places_are_looked_at_for_totals_only() -> None:
    by = plan(kind="count", rows="aggregates", covariates=())
    start = np.full(3, 2019)
    assert kinds(moments([[4, 20], [5, 20], [9, 20]], start, np.zeros(3), by=by)) == {}
    assert kinds(moments([[1, 20], [2, 20], [4, 20]], start, np.zeros(3), by=by)) == {"totals": (1, 1)}
    assert kinds(moments([[4.0], [5.0]], start[:2], np.zeros(2), by=plan(rows="aggregates", covariates=()))) == {}


def test_two_places_give_each_other_away() -> None:
    by = plan(kind="count", rows="aggregates", covariates=())
    two = np.full(2, 2019)
    assert kinds(moments([[3, 30], [40, 30]], two, np.zeros(2), by=by)) == {"two-places": (1, 1)}
    assert kinds(moments([[0, 30], [40, 30]], two, np.zeros(2), by=by)) == {}
    # Of rates the numbers behind them follow where the largest share is known, and cannot be checked elsewhere.
    rate = plan(kind="rate", population="youth", rows="aggregates", covariates=())
    made = dataclasses.replace(moments([[3, 30], [40, 30]], two, np.zeros(2), by=rate), counts=np.array([[43.0, 60.0]]))
    assert kinds(made) == {"two-places": (1, 2)}
    shares = np.array([[40 / 43, 0.5]])
    assert kinds(dataclasses.replace(made, dominance=shares)) == {"two-places": (1, 1)}


def test_one_person_with_most_of_a_total() -> None:
    rng = np.random.default_rng(4)
    made = moments(rng.normal(size=(40, 2)) + 5, np.full(40, 2019), np.zeros(40))
    assert set(kinds(made)) == {"unchecked"}
    assert kinds(dataclasses.replace(made, dominance=np.array([[0.5, 0.4]]))) == {}
    assert kinds(dataclasses.replace(made, dominance=np.array([[0.6, 0.4]]))) == {"dominance": (1, 1)}


def test_what_cannot_be_checked_does_not_leave() -> None:
    y = people(20, 30, 40, 50)
    n = len(y)
    weighted = moments(y, np.full(n, 2019), np.zeros(n), by=plan(kind="binary", weights="w"), weights=np.full(n, 2.0))
    assert set(kinds(weighted)) == {"unchecked"}
    with pytest.raises(DisclosureError, match="without weights"):
        exportable(weighted)


def test_clusters_are_looked_at_one_by_one() -> None:
    y = people(20, 30, 40, 50)
    n, by = len(y), plan(kind="binary", cluster="court")
    courts = np.where(np.arange(n) % 2, "Ash", "Elm")
    assert kinds(moments(y, np.full(n, 2019), np.zeros(n), by=by, clusters=courts)) == {}
    courts[:5] = "Oak"
    found = kinds(moments(y, np.full(n, 2019), np.zeros(n), by=by, clusters=courts))
    assert found == {"people": (1, 1), "totals": (1, 2)}


def test_periods_without_an_observation_give_nothing_away() -> None:
    by, y = plan(kind="binary", show_zero=False), people(20, 30, 40, 50).astype(float)
    y = np.concatenate([np.column_stack([y, y[:, 0]]), np.column_stack([y, np.full(len(y), np.nan)])])
    n = len(y)
    made = moments(y, np.full(n, 2019), np.zeros(n), by=by, shift=np.array([0.5, 0.2, 0.1]))
    # The third period repeats the first where it was observed: nobody has one of the two alone.
    assert kinds(made) == {"pairs": (1, 2)}
    assert kinds(dataclasses.replace(made, plan=plan(kind="binary"))) == {}


def lacking(few: int, clusters: Any = None) -> PanelMoments:
    """People of whom some lack one period, and a few others another."""
    y = people(20, 30, 40, 50).astype(float)
    y = np.concatenate([np.column_stack([y, y[::-1, 0], y[:, 1]])] * 3)
    y[:140, 3], y[140 : 140 + few, 0] = np.nan, np.nan
    by = plan(kind="binary", incomplete="keep", threshold=5, cluster=None if clusters is None else "court")
    made = moments(y, np.full(len(y), 2019), np.zeros(len(y)), by=by, clusters=clusters)
    return dataclasses.replace(made, account=Account(1536, 1536, 420, 140 + few, 0, 140 + few))


def test_units_that_lack_what_too_few_others_lack_are_left_out() -> None:
    made = lacking(few=4)
    assert kinds(made)["people"] == (1, 1)
    found, report = exportable(made)
    assert report.findings == ()
    assert found.table.units.tolist() == [140, 276]
    assert (found.account.n_kept, found.account.n_left) == (140, 4)
    # Four people left out are few: of them nothing is told.
    told, shortened = shareable_account(found)
    assert (shortened, told) == (True, Account(140 * 3 + 276 * 4, 140 * 3 + 276 * 4, 416, 140, 0, 140))
    courts = np.where(np.arange(420) % 2, "Ash", "Elm")
    by_court, _ = exportable(lacking(4, courts))
    assert (by_court.table.cohort.size, int(by_court.table.units.sum())) == (2, 416)


def many(seed: int = 6) -> PanelMoments:
    """People whose cells are large by area, and small by age."""
    rng = np.random.default_rng(seed)
    place = np.repeat([0, 1, 2, 3], [40, 200, 9, 200])
    y = rng.normal(size=(place.size, 3)) + 4
    made = moments(y, np.full(place.size, 2019), place)
    return dataclasses.replace(made, dominance=np.full((4, 3), 0.1))


def test_the_message_names_what_to_make_coarser_and_no_number() -> None:
    with pytest.raises(DisclosureError) as raised:
        exportable(many())
    message = raised.value.message
    assert "1 cell has fewer than 11 people" in message
    assert "make 'age' coarser (fewer cut points under [moments] grid.age) or leave it out" in message
    assert "without it no such cell is left" in message
    assert " 9" not in message


def test_cut_points_are_proposed_for_a_number() -> None:
    made = dataclasses.replace(many(), plan=plan(grid=()))
    made = dataclasses.replace(made, values=tuple((float(age), "rural") for age in (10, 12, 14, 17)))
    with pytest.raises(DisclosureError) as raised:
        exportable(made)
    line = raised.value.todo.split("(")[1].split(")")[0]
    assert tomllib.loads(line.removeprefix("[moments] ")) == {"grid": {"age": [13]}}


def test_without_a_covariate_there_is_nothing_but_time_and_starts() -> None:
    rng = np.random.default_rng(7)
    made = moments(rng.normal(size=(8, 3)), np.full(8, 2019), np.zeros(8), by=plan(covariates=()))
    with pytest.raises(DisclosureError, match="wider periods"):
        exportable(dataclasses.replace(made, dominance=np.full((1, 3), 0.2)))


def test_leaving_a_covariate_out_adds_cells_up() -> None:
    made = many()
    found = without(made, "age")
    assert (found.plan.covariates, sorted(found.values)) == (("area",), [("rural",), ("urban",)])
    assert sorted(found.table.units.tolist()) == [209, 240]
    assert found.table.m.sum() == pytest.approx(made.table.m.sum(), rel=1e-12)  # one rounding per addition
    assert {row[1] for row in VALUES} == {row[0] for row in found.values}


@pytest.mark.parametrize("levels", [[1e6, 1e6 + 1, 1e6 - 3], [1e6, 2e6, 5e5]])
def test_levels_that_need_a_stated_shift(levels: list[float]) -> None:
    rng = np.random.default_rng(8)
    y = rng.normal(size=(90, 3)) + levels
    of = y, np.full(90, 2019), np.zeros(90)
    with pytest.raises(OptionError) as raised:
        exportable(dataclasses.replace(moments(*of), dominance=np.full((1, 3), 0.1)))
    line = raised.value.todo.split("  ")[1]
    stated = tomllib.loads(line)["shift"]
    by = plan(shift=tuple(stated) if isinstance(stated, list) else stated)
    shift = np.broadcast_to(np.array(stated, dtype=float), (3,)).copy()
    assert np.abs(y.mean(axis=0) - shift).max() < 300
    exportable(dataclasses.replace(moments(*of, by=by, shift=shift), dominance=np.full((1, 3), 0.1)))
