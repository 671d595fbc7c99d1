"""The bottom-line grammar, and that no role's words say that exploitation rose or fell."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltoolkit.results import far_end, judge, role_words
from evaltoolkit.study.models import Role

NUMBER = st.floats(-100, 100)


@given(estimate=NUMBER, half=st.floats(0, 50), smallest=st.none() | st.floats(0.01, 50))
def test_a_finding_is_clear_only_beyond_zero_and_the_smallest_effect(
    estimate: float, half: float, smallest: float | None
) -> None:
    low, high = estimate - half, estimate + half
    finding = judge(estimate, low, high, smallest)
    if low <= 0 <= high:
        assert finding.strength == "unclear"
    elif smallest is not None and min(abs(low), abs(high)) < smallest:
        assert finding.strength == "small"
    else:
        assert finding.strength == "clear"
    assert finding.direction == ("up" if estimate > 0 else "down" if estimate < 0 else "none")


def test_a_suppressed_estimate_is_never_clear() -> None:
    assert judge(None, None, None).strength == "unclear"
    assert judge(1.0, None, 2.0).strength == "unclear"


def test_the_far_end_is_on_the_improving_side() -> None:
    assert far_end(-3.0, 17.0, "higher") == 17.0
    assert far_end(-30.0, 17.0, "higher") == 17.0
    assert far_end(-3.0, 17.0, "lower") == -3.0
    assert far_end(-30.0, 17.0, "neither") == -30.0
    assert far_end(None, 1.0, "higher") is None


@pytest.mark.parametrize("role", typing.get_args(Role))
def test_every_role_has_words_and_a_caveat(role: str) -> None:
    words = role_words(role)
    assert words.of("Minors recognized").endswith("minors recognized")
    assert words.of("ER visits").endswith("ER visits")
    assert words.caveat.endswith(".")


@pytest.mark.parametrize("role", ["identification", "justice-contact", "service-access", "process", None])
def test_only_incidence_and_states_of_people_speak_of_a_level_without_recording(role: str | None) -> None:
    assert role_words(role).measure == "the recorded level of"
