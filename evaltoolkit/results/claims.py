"""What a sentence may claim: the finding by rule, and the words that an outcome's role allows.

More identification after training is detection, not incidence. Every design composes its sentences from here, so that
none can say more than the role allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down", "none"]
Strength = Literal["clear", "small", "unclear"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding by rule: ``direction`` of the estimate and ``strength`` of what can be said."""

    direction: Direction
    strength: Strength

    @property
    def raised(self) -> str:
        """The verb for what the program did, where the finding is clear."""
        return "raised" if self.direction == "up" else "lowered"

    @property
    def higher(self) -> str:
        """The adjective for the level with the program."""
        return "higher" if self.direction == "up" else "lower"


def judge(estimate: float | None, low: float | None, high: float | None, smallest: float | None = None) -> Finding:
    """Classify an estimate with its interval.

    The interval excludes zero and lies beyond the smallest effect that matters: clear. It excludes zero only: small.
    It includes zero, or is missing: unclear. Without a smallest effect, excluding zero is enough to be clear.

    >>> judge(2.0, 1.0, 3.0, 0.5).strength, judge(0.4, 0.1, 0.7, 0.5).strength, judge(0.4, -0.1, 0.9).strength
    ('clear', 'small', 'unclear')
    """
    numbers = (estimate, low, high)
    if any(v is None or not math.isfinite(v) for v in numbers):
        return Finding("none", "unclear")
    assert estimate is not None
    assert low is not None
    assert high is not None
    direction: Direction = "up" if estimate > 0 else "down" if estimate < 0 else "none"
    if low <= 0 <= high:
        return Finding(direction, "unclear")
    nearest_to_zero = low if low > 0 else -high
    if smallest is not None and nearest_to_zero < smallest:
        return Finding(direction, "small")
    return Finding(direction, "clear")


@dataclass(frozen=True, slots=True)
class RoleWords:
    """How an outcome of a role may be spoken of.

    ``measure`` is put before the label ("the recorded level of ..."); ``caveat`` is the line that every report about
    such an outcome carries; ``about`` says what the outcome can tell about.
    """

    measure: str
    caveat: str
    about: str

    def of(self, label: str) -> str:
        """Return the outcome as a noun phrase that claims no more than the role allows."""
        lowered = label if label[:2].isupper() else label[:1].lower() + label[1:]
        return f"{self.measure} {lowered}"


NEUTRAL = RoleWords(
    "the recorded level of",
    "The design file gives this outcome no role, so the report does not say what a change in it means.",
    "what was recorded",
)

ROLE_WORDS: dict[str, RoleWords] = {
    "incidence": RoleWords(
        "the level of",
        "Self-reported and recorded harm is under-reported; a change in who discloses can look like a change in harm.",
        "how often harm happens",
    ),
    "identification": RoleWords(
        "the recorded level of",
        "Recognition is not prevalence: a change in how many young people are identified "
        "does not show whether exploitation itself became more or less common.",
        "how many young people are recognized and recorded",
    ),
    "justice-contact": RoleWords(
        "the recorded level of",
        "Arrests and charges record how the law is applied to young people; a change in them "
        "does not show whether exploitation itself became more or less common.",
        "how the justice system records and handles young people",
    ),
    "service-access": RoleWords(
        "the recorded level of",
        "Reaching services is not the same as being helped by them, and a change in contacts "
        "does not show whether exploitation itself became more or less common.",
        "how many young people reach services",
    ),
    "wellbeing": RoleWords(
        "the level of",
        "The measure covers one side of wellbeing at one time; it does not show lasting recovery.",
        "how young people are doing",
    ),
    "knowledge": RoleWords(
        "the level of",
        "Knowing more is not the same as acting differently; practice was not measured by this outcome.",
        "what people know",
    ),
    "process": RoleWords(
        "the recorded level of",
        "Activity is not outcome: this measure shows what was done, not what it changed for young people.",
        "what was done",
    ),
}


def role_words(role: str | None) -> RoleWords:
    """Return the words for a role; neutral words where the role is not stated."""
    return ROLE_WORDS[role] if role is not None else NEUTRAL


def far_end(low: float | None, high: float | None, better: str) -> float | None:
    """Return the end of the interval that a reader must not overlook when the finding is unclear.

    It is the end on the improving side where the outcome has one, else the end farther from zero.
    """
    if low is None or high is None:
        return None
    if better == "higher":
        return high
    if better == "lower":
        return low
    return high if abs(high) >= abs(low) else low


def unclear_note(end: float | None, size: str) -> str:
    """Return the line that an unclear finding carries, so that nobody reads it as "no change".

    >>> unclear_note(17.2, "17 points")
    'An unclear result is not a result of no change: the interval includes a rise of 17 points.'
    """
    said = "An unclear result is not a result of no change"
    return f"{said}." if end is None else f"{said}: the interval includes a {'rise' if end > 0 else 'fall'} of {size}."
