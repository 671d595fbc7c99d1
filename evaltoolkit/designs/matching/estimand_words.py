"""Whose effect is estimated, in symbols and in words."""

from __future__ import annotations

from evaltoolkit.designs.matching.facts import Facts
from evaltoolkit.results import Estimand

_SYMBOLS = {
    "ATT": "E[Y(1) − Y(0) | T = 1]",
    "ATC": "E[Y(1) − Y(0) | T = 0]",
    "ATE": "E[Y(1) − Y(0)]",
    "ATO": "E[e(1 − e){Y(1) − Y(0)}] / E[e(1 − e)], e = P(T = 1 | x)",
    "ATM": "E[min(e, 1 − e){Y(1) − Y(0)}] / E[min(e, 1 − e)], e = P(T = 1 | x)",
}
_WORDS = {
    "ATT": "the average effect on those who were served{some}",
    "ATC": "the average effect on those who were not served{some}, had they been",
    "ATE": "the average effect on everybody who was studied{some}, served or not",
    "ATO": "the average effect on those who could well have been in either group: each person counts the more, the "
    "more even the chances of being served were",
    "ATM": "the average effect on those for whom somebody alike can be found in the other group, much as if people had "
    "been paired",
}


def estimand(fitted: Facts) -> Estimand:
    """Return whose effect is estimated, in symbols and words."""
    some = "" if fitted.made.complete or fitted.weighted else " and for whom somebody alike was found"
    name = fitted.options.estimand
    change = "; both groups are taken to have changed alike but for the program"
    words = _WORDS[name].format(some=some) + (change if fitted.options.outcome_before else "")
    return Estimand(symbol=_SYMBOLS[name], words=words)


def whose(fitted: Facts) -> str:
    """Return whose effect it is, short, for sentences to staff."""
    unit = fitted.unit
    return {
        "ATT": f"the {unit} who were served",
        "ATC": f"the {unit} who were not served",
        "ATE": f"all {unit} who were studied, served or not",
        "ATO": f"{unit} who could well have been in either group",
        "ATM": f"{unit} who have somebody like them in the other group",
    }[fitted.options.estimand]
