"""Each world holds the truth it states: simple estimators find it on average, and find nothing in a null world."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from evaltoolkit.errors import OptionError, OutputError
from evaltoolkit.simulate import WORLDS, texts, write
from evaltoolkit.study import language
from tests.simulate.oracles import estimates

NAMES = sorted(WORLDS)
SEEDS = range(1000, 1100)


@pytest.mark.parametrize("scale", [1.0, 0.0])
@pytest.mark.parametrize("world", NAMES)
def test_the_truth_is_recovered_on_average(world: str, scale: float) -> None:
    errors: dict[str, list[float]] = {}
    for seed in SEEDS:
        for name, (found, truth) in estimates(world, WORLDS[world].draw(seed, scale)).items():
            errors.setdefault(name, []).append(found - truth)
    for name, values in errors.items():
        # Four standard errors of the mean: a sound world fails 1 time in 16,000. The wellbeing score is cut at 8 and 92
        # points and the log of a count is bent, which moves the oracles (not the truth) by less than the last term.
        slack = {"wellbeing": 0.1, "log ratio": 0.005}.get(name, 0.0)
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values)) + slack, name


@pytest.mark.parametrize("world", NAMES)
def test_a_null_world_has_no_effect(world: str) -> None:
    truth = WORLDS[world].draw(5, 0.0).truth
    neutral = {"share_stable_without_program": None, "incidence_ratio": 1.0, "rate_ratio": 1.0}
    for name, value in truth.items():
        expected = neutral.get(name, 0.0)
        assert expected is None or value == expected, name


@pytest.mark.parametrize("world", NAMES)
def test_the_effect_is_there_to_be_found(world: str) -> None:
    drawn = WORLDS[world].draw(5, 1.0)
    assert all(abs(truth) > 0.05 for _, truth in estimates(world, drawn).values())


@pytest.mark.parametrize("world", NAMES)
def test_same_seed_same_bytes_other_seed_other_data(world: str) -> None:
    first, again, other = (texts(WORLDS[world].draw(seed, 1.0), "x") for seed in (3, 3, 4))
    assert first == again
    assert first["x.csv"] != other["x.csv"]


@pytest.mark.parametrize("world", NAMES)
def test_the_codebook_describes_every_column(world: str) -> None:
    drawn = WORLDS[world].draw(3, 1.0)
    assert [v.column for v in drawn.codebook] == list(drawn.frame.columns)
    for variable in drawn.codebook:
        assert variable.type
        assert variable.role
        assert "made up" in variable.source
        assert not language.language_findings(f"{variable.unit} {variable.role}")


def test_counties_are_made_up_and_told_apart() -> None:
    frame = WORLDS["training-counties"].draw(3, 1.0).frame
    assert frame.groupby("county")["quarter"].nunique().eq(28).all()
    assert frame["county"].nunique() == 48
    assert frame.groupby("county")["training_quarter"].nunique().eq(1).all()


def test_need_decides_who_is_served() -> None:
    gaps = []
    for seed in range(20):
        share = WORLDS["specialized-services"].draw(seed, 0.0).frame.groupby("served")["stable_housing_12m"].mean()
        gaps.append(share[0] - share[1])
    assert np.mean(gaps) > 0.05  # those served look worse off, with no effect at all


def test_files_are_written_whole(tmp_path: Path) -> None:
    written = write(WORLDS["hotline-campaign"], 7, tmp_path / "new" / "folder", effect=0.0)
    names = ["hotline_campaign.csv", "hotline_campaign_codebook.csv", "hotline_campaign_truth.json"]
    assert [file.name for file in written] == names
    assert sorted(file.name for file in (tmp_path / "new" / "folder").iterdir()) == sorted(names)
    assert json.loads(written[2].read_text())["rate_ratio"] == 1.0
    with written[1].open(newline="") as text:
        assert [row["column"] for row in csv.DictReader(text)] == ["month", "contacts", "youth_10_17"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(OutputError, match="choose another folder"):
        write(WORLDS["hotline-campaign"], 7, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "x"


@pytest.mark.parametrize("effect", [-0.1, 1.5, float("nan")])
def test_an_effect_that_the_world_cannot_have_is_refused(effect: float, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="from 0"):
        write(WORLDS["hotline-campaign"], 7, tmp_path, effect=effect)
    assert not list(tmp_path.iterdir())
