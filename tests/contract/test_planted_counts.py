"""A small count that is planted in the data is in no output: not shown, and not the difference of two that are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pikepdf
import pypdf
import pytest

from evaltoolkit.data import FrameSource
from evaltoolkit.pipeline import evaluate
from evaltoolkit.plots import svg
from evaltoolkit.report import write_report
from evaltoolkit.results import Result, to_json
from evaltoolkit.study import Study, study_from


def outputs(result: Result, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every output as text."""
    yield "result.json", to_json(result)
    for figure in result.figures:
        yield f"{figure.key}.svg", svg(figure)
    files = write_report(result, folder, ("pdf", "json"))
    pdf = next(file for file in files if file.suffix == ".pdf")
    yield "report.pdf text", "\n".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages)
    with pikepdf.open(pdf) as opened:
        yield "report.pdf alt", "\n".join(alternative_texts(opened))
        for name, attached in opened.attachments.items():
            yield f"report.pdf {name}", attached.get_file().read_bytes().decode("utf-8")


def alternative_texts(pdf: pikepdf.Pdf) -> Iterator[str]:
    for thing in pdf.objects:
        if isinstance(thing, pikepdf.Dictionary):
            for key in ("/Alt", "/ActualText", "/E"):
                if key in thing and isinstance(thing[key], pikepdf.String):
                    yield str(thing[key])


def shows(text: str, count: int) -> bool:
    grouped = f"{count:,}"
    forms = {str(count), grouped, grouped.replace(",", " "), grouped.replace(",", " ")}
    return any(re.search(rf"(?<![\d.,]){re.escape(form)}(?![\d]|[.,]\d)", text) for form in forms)


def shown_counts(result: Result) -> set[int]:
    """Every count of people that is left."""
    found: set[int] = set()
    for step in result.flow:
        if step.people:
            found |= {n for n in (step.n, step.excluded, step.treated, step.comparison) if n}
    for part in (*result.tables, *result.figures):
        for j, column in enumerate(part.columns):
            if column.kind == "people":
                found |= {int(row[j]) for row in part.rows if row[j]}
    for row in (result.headline, *result.estimates):
        found |= {n for n in (row.n_obs, row.n_units) if n}
    return found


def study(threshold: int, rows: str, outcome: dict[str, Any], **settings: Any) -> Study:
    return study_from({
        "title": "Planted", "program": "Outreach", "data": {"rows": rows}, "outcome": outcome,
        "disclosure": {"threshold": threshold}, **settings,
    })  # fmt: skip


def test_people_left_out_of_a_match(tmp_path: Path) -> None:
    """271 served people have no partner in their county."""
    rng = np.random.default_rng(3)
    served = np.r_[np.ones(1500 + 271), np.zeros(2600)].astype(int)
    x = rng.normal(size=served.size) + 0.3 * served
    county = np.where(np.arange(served.size) < 1500, "north", np.where(served == 1, "south", "north"))
    frame = pd.DataFrame({"served": served, "x": x, "county": county, "safe": (rng.random(served.size) < 0.4) * 1})
    asked = study(
        300, "people", {"column": "safe", "kind": "binary", "role": "wellbeing"},
        design="propensity-score-matching", treated="served", covariates=["x"], exact=["county"],
    )  # fmt: skip
    result = evaluate(asked, FrameSource(frame)).result
    assert result.disclosure.hidden
    for name, text in outputs(result, tmp_path / "report"):
        assert not shows(text, 271), name
    differences = {abs(a - b) for a, b in itertools.combinations(shown_counts(result), 2)}
    assert 271 not in differences


@pytest.mark.parametrize("incomplete", ["indicator", "impute"])
def test_people_without_a_value_of_a_covariate(incomplete: str, tmp_path: Path) -> None:
    """271 served people lack a covariate that 640 others lack too."""
    rng = np.random.default_rng(6)
    served = np.r_[np.ones(1300), np.zeros(2600)].astype(int)
    x, z = rng.normal(size=served.size) + 0.3 * served, rng.normal(size=served.size)
    z[np.r_[0:271, 1300 : 1300 + 640]] = np.nan
    frame = pd.DataFrame({"served": served, "x": x, "z": z, "safe": (rng.random(served.size) < 0.4) * 1})
    draws = {"imputations": 2} if incomplete == "impute" else {}
    asked = study(
        300, "people", {"column": "safe", "kind": "binary", "role": "wellbeing"},
        design="propensity-score-matching", treated="served", covariates=["x", "z"], incomplete=incomplete, **draws,
    )  # fmt: skip
    result = evaluate(asked, FrameSource(frame)).result
    for name, text in outputs(result, tmp_path / "report"):
        assert not shows(text, 271), name
        assert not shows(text, 1300 - 271), name
    differences = {abs(a - b) for a, b in itertools.combinations(shown_counts(result), 2)}
    assert not {271, 1300 - 271} & differences


PLANTED = (1409, 1423, 1427, 1429, 1433, 1439)


def test_counts_of_a_series(tmp_path: Path) -> None:
    """Six months of few calls, below the threshold, in a series of thousands."""
    rng = np.random.default_rng(4)
    calls = rng.poisson(5000, size=60)
    calls[[3, 14, 25, 33, 41, 57]] = PLANTED
    frame = pd.DataFrame({"month": pd.date_range("2018-01-01", periods=60, freq="MS"), "calls": calls})
    asked = study(
        1500, "aggregates", {"column": "calls", "kind": "count", "role": "service-access"},
        design="interrupted-time-series", time="month", interruption="2021-01-01", family="quasi-poisson",
        effects=["level"],
    )  # fmt: skip
    result = evaluate(asked, FrameSource(frame)).result
    assert result.disclosure.hidden
    for name, text in outputs(result, tmp_path / "report"):
        for count in PLANTED:
            assert not shows(text, count), (name, count)


@pytest.mark.parametrize("kind", ["count", "rate"])
def test_counts_of_a_panel(kind: str, tmp_path: Path) -> None:
    """One cohort of one county with few recognized minors in every quarter."""
    rng = np.random.default_rng(5)
    rows = []
    for unit in range(24):
        start = 0 if unit < 12 else 2020 if unit < 23 else 2021
        for year in range(2016, 2024):
            count = PLANTED[year - 2016] if unit == 23 and year < 2022 else int(rng.poisson(6000))
            rows.append({"county": f"Place {unit}", "year": year, "start": start, "n": count, "youth": 40_000})
    outcome = {"column": "n", "kind": kind, "role": "identification"}
    outcome |= {"population": "youth", "per": 1000} if kind == "rate" else {}
    asked = study(
        1500, "aggregates", outcome, detection={"unknown": True}, design="difference-in-differences", unit="county",
        time="year", first_treated="start",
    )  # fmt: skip
    result = evaluate(asked, FrameSource(pd.DataFrame(rows))).result
    for name, text in outputs(result, tmp_path / "report"):
        for count in PLANTED:
            assert not shows(text, count), (name, count)
            rate = f"{count / 40:.1f}"
            assert rate == "" or not re.search(rf"(?<![\d.]){re.escape(f'{count / 40_000 * 1000:.4f}')}", text), name
