"""Sums of several agencies: added they give what pooled rows give, and what does not go together is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaltoolkit as ev
from evaltoolkit.data import FrameSource
from evaltoolkit.errors import DisclosureError, MomentsFileError, OptionError, SetupError, TreatmentTimingError
from evaltoolkit.federation import export_moments
from evaltoolkit.pipeline import evaluate, headline_of
from evaltoolkit.reduction.fingerprints import KEY
from evaltoolkit.reduction.moment_source import MomentsSource, added_files
from evaltoolkit.results import Estimate
from evaltoolkit.study import Study, study_from

# Sums of the same numbers in another order differ by rounding; estimates are differences of them of order one.
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def panel(seed: int, n: int = 240, T: int = 5) -> pd.DataFrame:
    """A made-up panel of young people with starts, an age group, a court and a weight."""
    rng = np.random.default_rng(seed)
    start = rng.choice([0, 2020, 2021], n)
    frame = pd.DataFrame({
        "person": np.repeat([f"p{seed}-{i:04d}" for i in range(n)], T), "year": np.tile(np.arange(2018, 2018 + T), n),
        "start": np.repeat(start, T), "age": np.repeat(rng.choice(["12 to 14", "15 to 17"], n), T),
        "score": np.repeat(rng.integers(0, 40, n), T), "court": np.repeat(rng.choice(list("ABCDEFGHIJ"), n), T),
        "weight": np.repeat(rng.uniform(0.5, 2, n), T),
    })  # fmt: skip
    effect = (frame["start"] > 0) & (frame["year"] >= frame["start"])
    frame["y"] = 50 + rng.normal(size=len(frame)) + np.repeat(rng.normal(size=n), T) + effect * 0.6
    return frame


def study(*, moments: dict[str, Any] | None = None, data: dict[str, Any] | None = None, **settings: Any) -> Study:
    design = {
        "design": "difference-in-differences", "title": "Housing", "unit": "person", "time": "year",
        "first_treated": "start", "covariates": ["age"], "outcome": {"column": "y", "role": "wellbeing"},
        "data": {"rows": "aggregates", **(data or {})}, "moments": moments or {},
    }  # fmt: skip
    return study_from(design | settings)


def files(folder: Path, frames: list[pd.DataFrame], by: Study | list[Study]) -> list[Path]:
    found = []
    for i, frame in enumerate(frames):
        each = by[i] if isinstance(by, list) else by
        found.append(folder / f"agency_{i}.json")
        found[-1].write_text(export_moments(each, FrameSource(frame)))
    return found


def split(frame: pd.DataFrame, k: int, seed: int = 0) -> list[pd.DataFrame]:
    names = frame["person"].unique()
    part = pd.Series(np.random.default_rng([seed, k]).integers(0, k, len(names)), index=names)
    return [frame[frame["person"].map(part) == i] for i in range(k)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sums")


SETTINGS: list[dict[str, Any]] = [
    {}, {"estimator": "twfe", "covariates": []}, {"estimator": "sun-abraham", "covariates": []},
    {"comparison": "never-treated", "adjust": "regression", "base_period": "universal"},
    {"cluster": "court", "covariates": []}, {"weights": "weight"}, {"covariates": []},
    {"covariates": ["age", "score"], "moments": {"grid": {"score": [20]}}},
]  # fmt: skip


def numbers(row: Estimate) -> Any:
    return np.array([row.estimate, row.std_error, row.conf_low, row.conf_high], dtype=float)


@pytest.mark.parametrize("chosen", SETTINGS, ids=lambda s: ", ".join(s) or "as it is")
def test_every_estimate_is_that_of_pooled_rows(chosen: dict[str, Any], folder: Path) -> None:
    frame, by = panel(1), study(**chosen)
    apart = evaluate(by, added_files(files(folder, split(frame, 3), by))).result
    pooled = evaluate(by, FrameSource(by_category(frame, chosen))).result
    told = {(e.kind, e.term, e.cohort, e.time, e.event_time): e for e in pooled.estimates}
    assert len(apart.estimates) > 5
    for e in apart.estimates:
        np.testing.assert_allclose(
            numbers(e)[:2], numbers(told[e.kind, e.term, e.cohort, e.time, e.event_time])[:2], **EXACT
        )


def by_category(frame: pd.DataFrame, chosen: dict[str, Any]) -> pd.DataFrame:
    """Rows whose covariates are categories where the plan makes them so."""
    if "moments" not in chosen:
        return frame
    return frame.assign(score=np.where(frame["score"] < 20, "low", "high"))


@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from(SETTINGS[:-1]))
@settings(max_examples=15, deadline=None)
def test_however_units_are_split(folder: Path, seed: int, k: int, chosen: dict[str, Any]) -> None:
    frame, by = panel(seed), study(**chosen)
    apart, _ = headline_of(by, added_files(files(folder, split(frame, k, seed), by)))
    pooled, _ = headline_of(by, FrameSource(frame))
    np.testing.assert_allclose(numbers(apart)[:2], numbers(pooled)[:2], **EXACT)


def test_an_agency_without_the_program_serves_as_a_comparison(folder: Path) -> None:
    frame, by = panel(2), study()
    named = files(
        folder, [frame[frame["start"] == 0], frame[frame["start"] == 2020], frame[frame["start"] == 2021]], by
    )
    apart, pooled = headline_of(by, added_files(named))[0], headline_of(by, FrameSource(frame))[0]
    np.testing.assert_allclose(numbers(apart), numbers(pooled), **EXACT)
    with pytest.raises(TreatmentTimingError, match="no unit is ever treated"):
        evaluate(by, added_files(named[:1]))


@pytest.mark.parametrize("incomplete", ["keep", "drop"])
def test_panels_with_holes(incomplete: str, folder: Path) -> None:
    frame, by = panel(12).sample(frac=0.96, random_state=1).sort_index(), study(incomplete=incomplete)
    apart, _ = headline_of(by, added_files(files(folder, split(frame, 3), by)))
    pooled, _ = headline_of(by, FrameSource(frame))
    np.testing.assert_allclose(numbers(apart), numbers(pooled), **EXACT)


def test_rates_of_places_and_two_that_would_give_each_other_away(folder: Path) -> None:
    frame = panel(13)
    rng = np.random.default_rng(13)
    youth = np.repeat(rng.integers(2_000, 9_000, 240), 5)
    frame = frame.assign(youth=youth, found=rng.poisson(40, 1200) + np.where(frame["start"] > 0, 6, 0))
    outcome = {"column": "found", "kind": "rate", "population": "youth", "per": 10_000, "role": "wellbeing"}
    by = study(outcome=outcome)
    apart, _ = headline_of(by, added_files(files(folder, split(frame, 2), by)))
    pooled, _ = headline_of(by, FrameSource(frame))
    np.testing.assert_allclose(numbers(apart), numbers(pooled), **EXACT)
    two = frame["person"].isin(["p13-0000", "p13-0001"])
    frame.loc[two, "age"], frame.loc[two, "start"] = "18", 2020
    assert files(folder, [frame], by)
    frame.loc[frame["person"].eq("p13-0001") & frame["year"].eq(2019), "found"] = 3
    with pytest.raises(DisclosureError, match="1 cell gives single values of 1 to 10"):
        files(folder, [frame], by)


def test_other_shifts_change_nothing(folder: Path) -> None:
    frame, by = panel(3), study()
    parts = split(frame, 2)
    named = files(folder, parts, by)
    shifts = [json.loads(file.read_text())["shift"] for file in named]
    frame = pd.concat([parts[0].assign(y=parts[0]["y"] + 30), parts[1]])
    far = files(folder, [parts[0].assign(y=parts[0]["y"] + 30), parts[1]], by)
    assert [json.loads(file.read_text())["shift"] for file in far] != shifts
    apart, pooled = evaluate(by, added_files(far)).result, evaluate(by, FrameSource(frame)).result
    np.testing.assert_allclose(apart.headline.estimate, pooled.headline.estimate, **EXACT)
    np.testing.assert_allclose(apart.headline.std_error, pooled.headline.std_error, **EXACT)


def refused(words: str, paths: list[Path]) -> str:
    with pytest.raises(MomentsFileError) as raised:
        added_files(paths)
    assert words in raised.value.message
    return raised.value.message


def test_a_place_in_two_files(folder: Path) -> None:
    parts = split(panel(4), 2)
    twice = pd.concat([parts[1], parts[0][parts[0]["person"] == parts[0]["person"].iloc[0]]])
    said = refused(
        "1 of the units in 'agency_0.json' are in 'agency_1.json' too", files(folder, [parts[0], twice], study())
    )
    assert "p4-" not in said


PEOPLE: dict[str, Any] = {"data": {"rows": "people"}, "disclosure": {"identifiers": ["person"]}}


def test_a_person_in_two_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, by = panel(5, n=400), study(**PEOPLE)
    parts = split(frame, 2)
    twice = [parts[0], pd.concat([parts[1], parts[0][parts[0]["person"] == parts[0]["person"].iloc[0]]])]
    # Without a key nobody can tell, and the report says so.
    checks = {d.name: d for d in evaluate(by, added_files(files(folder, twice, by))).result.diagnostics}
    assert checks["units-in-two-files"].verdict == "caution"
    assert "was not checked" in checks["units-in-two-files"].text
    monkeypatch.setenv(KEY, "one long key of the agencies")
    refused("people in 'agency_0.json' are in 'agency_1.json' too", files(folder, twice, by))
    checks = {d.name: d for d in evaluate(by, added_files(files(folder, parts, by))).result.diagnostics}
    assert checks["units-in-two-files"].verdict == "pass"


def test_other_keys_and_a_key_too_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, by = split(panel(5, n=400), 2), study(**PEOPLE)
    monkeypatch.setenv(KEY, "one long key of the agencies")
    one = files(folder, parts[:1], by)[0].rename(folder / "first.json")
    monkeypatch.setenv(KEY, "another long key of the agencies")
    refused("different overlap keys", [one, files(folder, parts[1:], by)[0]])
    monkeypatch.setenv(KEY, "short")
    with pytest.raises(SetupError, match="5 characters"):
        files(folder, parts[:1], by)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"covariates": []}, "covariates (['age'] and none)"),
        ({"moments": {"shift": 50.0}}, "moments.shift (none and 50.0)"),
        ({"moments": {"starts": (2020, 2021)}}, "moments.starts"),
        ({"disclosure": {"threshold": 20}}, "disclosure.threshold (11 and 20)"),
        ({"data": {"keep": [{"column": "year", "op": ">=", "value": 2018}]}}, "data.keep"),
        ({"covariates": ["age", "court"]}, "covariates (['age'] and ['age', 'court'])"),
        ({"cluster": "court"}, "cluster (none and court)"),
        ({"outcome": {"column": "score", "role": "wellbeing"}}, "outcome.column (y and score)"),
    ],
)  # fmt: skip
def test_plans_that_differ(other: dict[str, Any], words: str, folder: Path) -> None:
    parts = split(panel(6), 2)
    said = refused(words, files(folder, parts, [study(), study(**other)]))
    assert "'agency_0.json' and 'agency_1.json' differ in" in said
    assert "2018" not in said.replace("2018-", "")


def test_two_stated_shifts(folder: Path) -> None:
    parts = split(panel(6), 2)
    each = [study(moments={"shift": 50.0}), study(moments={"shift": 49.0})]
    refused("moments.shift (50.0 and 49.0)", files(folder, parts, each))


def test_what_else_does_not_go_together(folder: Path) -> None:
    parts, by = split(panel(7), 2), study()
    named = files(folder, parts, by)
    refused("'agency_0.json' is named twice", [named[0], named[1], folder / "." / "agency_0.json"])
    copy = folder / "copy.json"
    copy.write_text(named[0].read_text())
    refused("hold the same sums", [named[0], copy])
    short = files(folder, [parts[0], parts[1][parts[1]["year"] > 2018]], by)
    refused("5 from 2018 to 2022, 'agency_1.json' has 4 from 2019 to 2022", short)
    refused("cannot be read", [folder / "none.json"])
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    refused("is not text", [folder / "binary.json"])
    with pytest.raises(MomentsFileError, match="no file of sums"):
        added_files([])


def test_the_study_has_to_be_that_of_the_sums(folder: Path) -> None:
    source = added_files(files(folder, split(panel(8), 2), study()))
    with pytest.raises(MomentsFileError, match=r"this study differ in outcome[.]kind"):
        evaluate(study(outcome={"column": "y", "kind": "proportion", "role": "wellbeing"}), source)
    with pytest.raises(OptionError, match="no sums that add up"):
        evaluate(study_from({
            "design": "interrupted-time-series", "title": "x", "time": "year", "interruption": 2020,
            "outcome": {"column": "y"},
        }), source)  # fmt: skip
    with pytest.raises(OptionError, match="secondary outcomes"):
        evaluate(study(secondary=[{"column": "score"}]), source)


def test_a_source_of_sums_has_no_rows(folder: Path) -> None:
    source = added_files(files(folder, split(panel(9), 3), study()))
    assert isinstance(source, MomentsSource)
    assert source.name == "agency_0.json, agency_1.json, agency_2.json"
    assert source.columns() == ("person", "year", "start", "y", "age")
    with pytest.raises(DisclosureError, match="sums only"):
        source.rows(study())
    again = added_files([folder / f"agency_{i}.json" for i in (2, 0, 1)])
    assert again.sha256 == source.sha256


def test_identifiers_are_no_cells(folder: Path) -> None:
    by = study(covariates=["age"], cluster="court", disclosure={"identifiers": ["court"]})
    with pytest.raises(DisclosureError, match="values of 'court'"):
        export_moments(by, FrameSource(panel(10)))


def test_secret_names_have_no_fingerprint_without_a_key() -> None:
    named = json.loads(export_moments(study(), FrameSource(panel(10))))
    secret = json.loads(export_moments(study(disclosure={"identifiers": ["person"]}), FrameSource(panel(10))))
    assert len(named["fingerprints"]["values"]) == 240
    assert secret["fingerprints"] is None


def test_sums_that_stay_in(folder: Path) -> None:
    with pytest.raises(DisclosureError, match="strict"):
        export_moments(study(data={"release": "strict"}), FrameSource(panel(10)))
    with pytest.raises(OptionError, match="ends in"):
        ev.export_moments(study(), folder / "sums.txt", source=panel(10))


def test_in_python(folder: Path) -> None:
    frame, chosen = panel(11), SETTINGS[-1]
    named = [
        ev.export_moments(study(**chosen), folder / f"agency_{i}.json", source=part)
        for i, part in enumerate(split(frame, 2))
    ]
    asked: dict[str, Any] = {
        "outcome": ev.Outcome(column="y", role="wellbeing"), "unit": "person", "time": "year", "first_treated": "start",
        "covariates": ["age", "score"],
    }  # fmt: skip
    apart = ev.did(ev.add_moments(named), **asked, moments=chosen["moments"])
    pooled = ev.did(by_category(frame, chosen), **asked)
    np.testing.assert_allclose(apart.result.headline.estimate, pooled.result.headline.estimate, **EXACT)
