"""Sealing hides small cells, what would reveal them, and identifiers."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.errors import DisclosureError
from evaltoolkit.results import Column, FigureData, FlowStep, SmallCells, TableData, seal, to_json
from tests.drafts import draft

CELLS = SmallCells()


def table(rows: tuple[tuple[object, ...], ...], **changes: object) -> TableData:
    columns = (Column(key="group", kind="text"), Column(key="n", kind="people"))
    return TableData(key="t", title="T", columns=columns, rows=rows, **changes)  # type: ignore[arg-type]


def sealed_table(made: TableData) -> TableData:
    return seal(draft(tables=(made,)), CELLS, rows_are_people=True).tables[0]


@pytest.mark.parametrize(("n", "shown"), [(0, 0), (1, None), (10, None), (11, 11), (500, 500)])
def test_one_to_ten_people_are_hidden(n: int, shown: int | None) -> None:
    assert sealed_table(table((("a", n),))).rows == (("a", shown),)


def test_counts_of_sites_are_shown() -> None:
    made = TableData(key="t", title="T", columns=(Column(key="sites", kind="count"),), rows=((1,),))
    assert sealed_table(made).rows == ((1,),)


def test_a_total_does_not_reveal_the_one_hidden_cell() -> None:
    made = table((("a", 4), ("b", 60), ("c", 30), ("all", 94)), total_rows=(3,))
    assert sealed_table(made).rows == (("a", None), ("b", 60), ("c", None), ("all", 94))


def test_two_hidden_cells_need_no_third() -> None:
    made = table((("a", 4), ("b", 5), ("c", 30), ("all", 39)), total_rows=(3,))
    assert [row[1] for row in sealed_table(made).rows] == [None, None, 30, 39]


def test_columns_that_add_up_are_protected_too() -> None:
    columns = (
        Column(key="served", kind="people"),
        Column(key="not_served", kind="people"),
        Column(key="all", kind="people", sum_of=("served", "not_served")),
    )
    made = TableData(key="t", title="T", columns=columns, rows=((3, 50, 53), (20, 50, 70)))
    assert sealed_table(made).rows == ((None, None, 53), (20, 50, 70))


def test_a_basis_masks_what_rests_on_it_and_never_leaves() -> None:
    columns = (Column(key="rate"), Column(key="events", kind="basis", governs=("rate",)))
    made = FigureData(
        key="f", kind="series", headline="H", subtitle="S", alt="A", columns=columns,
        rows=((1.5, 7), (2.5, 12), (0.0, 0)),
    )  # fmt: skip
    result = seal(draft(figures=(made,)), CELLS, rows_are_people=False)
    assert result.figures[0].rows == ((None,), (2.5,), (0.0,))
    assert [c.key for c in result.figures[0].columns] == ["rate"]


def test_an_estimate_over_few_people_is_hidden() -> None:
    made = draft()
    made = dataclasses.replace(made, headline=dataclasses.replace(made.headline, n_obs=8))
    headline = seal(made, CELLS, rows_are_people=True).headline
    assert headline.estimate is None
    assert headline.conf_low is None
    assert headline.n_obs is None
    assert seal(made, CELLS, rows_are_people=False).headline.estimate is not None


def test_a_small_exclusion_cannot_be_got_by_subtraction() -> None:
    flow = (
        FlowStep(label="read", n=614, unit="youth", people=True),
        FlowStep(label="complete", n=609, unit="youth", excluded=5, people=True),
    )
    made = table((("read", 614), ("complete", 609)))
    result = seal(draft(flow=flow, tables=(made,)), CELLS, rows_are_people=True)
    assert [(s.n, s.excluded) for s in result.flow] == [(None, None), (609, None)]
    assert result.tables[0].rows == (("read", None), ("complete", 609)), "the hidden total stands in no table either"


def test_a_small_arm_is_not_revealed_by_the_other() -> None:
    flow = (FlowStep(label="sample", n=100, unit="youth", people=True, treated=6, comparison=94),)
    step = seal(draft(flow=flow), CELLS, rows_are_people=True).flow[0]
    assert (step.n, step.treated, step.comparison) == (None, None, None)


@pytest.mark.parametrize(
    "text", ["client C-1042", "C-1042", "seen: C-1042.", "Mary Ann Doe was seen", "(C-1042)", "“C-1042”"]
)
def test_identifiers_are_refused_wherever_they_stand(text: str) -> None:
    made = draft(tables=(table(((text, 20),)),))
    with pytest.raises(DisclosureError, match="identifier"):
        seal(made, CELLS, rows_are_people=True, identifiers=frozenset({"C-1042", "Mary Ann Doe"}))


def test_a_short_number_as_identifier_is_no_false_alarm() -> None:
    made = draft(tables=(table((("12 sites", 20),)),))
    assert seal(made, CELLS, rows_are_people=True, identifiers=frozenset({"12"})).tables
    with pytest.raises(DisclosureError):
        seal(draft(tables=(table((("12", 20),)),)), CELLS, rows_are_people=True, identifiers=frozenset({"12"}))


@given(counts=st.lists(st.integers(0, 60), min_size=2, max_size=6))
def test_no_small_count_survives_or_follows_from_the_total(counts: list[int]) -> None:
    rows = tuple((chr(97 + i), n) for i, n in enumerate(counts))
    made = table((*rows, ("all", sum(counts))), total_rows=(len(counts),))
    shown = [row[1] for row in sealed_table(made).rows]
    assert all(n is None or n == 0 or n >= 11 for n in shown)
    hidden = [i for i, n in enumerate(shown) if n is None]
    nothing_left_to_hide = all(n in {0, None} for n in shown)
    assert len(hidden) != 1 or nothing_left_to_hide


def test_what_was_hidden_is_logged_by_place_and_not_by_value() -> None:
    result = seal(
        draft(
            tables=(
                table(
                    (("a", 7), ("b", 60)),
                ),
            )
        ),
        CELLS,
        rows_are_people=True,
    )
    assert [(h.path, h.why) for h in result.disclosure.hidden] == [("tables/t/0/n", "primary")]
    assert "7" not in json.dumps([dataclasses.asdict(h) for h in result.disclosure.hidden])
    assert "tables/t/0/n" in to_json(result)
