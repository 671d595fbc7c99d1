"""The evaluation of each made-up data set holds the truth of its world, and says no more than the role allows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaltoolkit.results import Estimate
from tests.contract.examples import evaluated

ROOT = Path(__file__).parents[2]
HELD = [
    ("training_counties", "recognized", "att_group_per_10000"),
    ("safe_harbor_states", "arrests", "att_group_arrests_per_100000"),
    ("safe_harbor_states", "referrals", "att_group_referrals_per_100000"),
    ("specialized_services", "stable_housing_12m", "att_stable_housing"),
    ("specialized_services", "wellbeing_12m", "att_wellbeing_points"),
    ("hotline_campaign", "contacts", "rate_ratio"),
    ("outreach_centers", "reached", "rate_ratio"),
]


@pytest.mark.parametrize(("design", "column", "truth"), HELD)
def test_the_interval_holds_the_truth(design: str, column: str, truth: str) -> None:
    done = evaluated(ROOT / "designs" / f"{design}.toml")
    value = json.loads((ROOT / "sample_data" / f"{design}_truth.json").read_text(encoding="utf-8"))[truth]
    found = _headline_of(done.result.headline, done.result.estimates, done.study.outcome.column == column)
    assert found.conf_low is not None
    assert found.conf_high is not None
    assert found.conf_low < value < found.conf_high


def _headline_of(headline: Estimate, estimates: tuple[Estimate, ...], primary: bool) -> Estimate:  # noqa: FBT001
    if primary:
        return headline
    return next(e for e in estimates if e.standing == "secondary" and e.kind == headline.kind)


@pytest.mark.parametrize("design", ["training_counties", "safe_harbor_states", "hotline_campaign", "outreach_centers"])
def test_no_sentence_says_that_exploitation_rose_or_fell(design: str) -> None:
    words = evaluated(ROOT / "designs" / f"{design}.toml").result.statements
    said = " ".join([words.bottom_line, words.plain, *words.findings, *words.supports])
    assert "exploitation" not in said
    assert any("does not show whether exploitation itself" in line for line in words.does_not_show)
