"""Words about young people: they are victims and survivors, never offenders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from evaltoolkit.study.models import Study

_YOUNG: Final = r"(?:child|children|teen|teens|teenage|teenaged|juvenile|underage|minor)"
_AVOID: Final[tuple[tuple[str, str], ...]] = (
    (rf"\b{_YOUNG}\s+prostitut(?:e|es|ion)\b", "exploited young people"),
    (r"\bprostitut(?:e|es|ed|ion)\s+(?:of|by)\s+(?:minors|children|juveniles)\b", "exploitation of minors"),
    (rf"\b{_YOUNG}\s+sex\s+workers?\b", "exploited young people"),
    (r"\bsex\s+work\s+by\s+(?:minors|children|juveniles)\b", "exploitation of minors"),
    (r"\bjohns\b", "people who buy sex from a minor"),
    (r"\bchild\s+porn(?:ography)?\b", "child sexual abuse material"),
    (rf"\b{_YOUNG}\s+(?:offenders?|delinquents?|perpetrators?)\b", "young people, participants"),
    (r"\b(?:young|youth)\s+(?:offenders?|delinquents?|perpetrators?)\b", "young people, participants"),
    (r"\bdelinquents?\b", "young people"),
    (r"\barrest(?:s|ed)?\s+for\s+prostitution\b", "arrests of minors coded as prostitution offences"),
    (r"\bpromiscu(?:ous|ity)\b", "the facts, described"),
    (r"\b(?:willing|consensual|lifestyle)\b", "the facts, described"),
    (r"\bat-risk\s+girls?\b", "young people at increased risk because of a stated reason"),
    (r"\b(?:rescued|rescues)\b", "identified, connected to services"),
    (r"\bmodern\s+slaves?\b", "survivors"),
    (r"\baddicts?\b", "young people who use substances"),
    (r"\brunaways?\b", "youth who ran away"),
    (r"\btrafficking\s+(?:rose|fell|increased|decreased|declined)\b", "more (or fewer) young people were identified"),
)  # fmt: skip
_PATTERNS: Final = tuple((re.compile(avoid, re.IGNORECASE), use) for avoid, use in _AVOID)


def language_findings(text: str) -> list[tuple[str, str]]:
    """Return each phrase to avoid in a text, with what to write instead.

    >>> language_findings("Juvenile prostitution in three counties")
    [('Juvenile prostitution', 'exploited young people')]
    >>> language_findings("Arrests of minors coded as prostitution offences")
    []
    """
    return [(hit.group(0), use) for pattern, use in _PATTERNS for hit in pattern.finditer(text)]


def study_language(study: Study) -> Iterator[tuple[str, str, str]]:
    """Yield the key, the phrase and the better words for everything the evaluator wrote to be read."""
    texts = {"title": study.title, "question": study.question, "program": study.program}
    texts |= {"outcome.label": study.outcome.label}
    texts |= {f"secondary[{i}].label": outcome.label for i, outcome in enumerate(study.secondary)}
    texts |= {f"context.{key}": value for key, value in study.context if isinstance(value, str)}
    for key, text in texts.items():
        for phrase, use in language_findings(text or ""):
            yield key, phrase, use
