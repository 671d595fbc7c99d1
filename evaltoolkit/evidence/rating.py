"""How sure an evaluation can be: a rating by stated rules, with its reasons.

The rating starts from what the finding is compared with, and loses a step for each failed check, for several
cautions together, and where another reasonable analysis does not agree. An interval that includes no change is
inconclusive. The highest level is kept for random assignment, which none of these designs has. These are the
toolkit's own rules; they are not the rating of any clearinghouse.
"""

from __future__ import annotations

from typing import Final, Literal

from evaltoolkit.results import Estimate, EvidenceRating, Result, plural

_START: Final = {
    "comparison-over-time": (3, "Places with and without the program were compared before and after it began."),
    "matched-comparison": (3, "Served people were compared with similar people who were not served."),
    "many-series": (2, "Each site was compared with its own past; no comparison group rules out other changes."),
    "single-series": (2, "One series was compared with its own past; no comparison group rules out other changes."),
}
_CAUTIONS_THAT_COUNT: Final = 2
_LEVELS: Final[dict[int, Literal["high", "moderate", "low"]]] = {4: "high", 3: "moderate", 2: "low", 1: "low"}


def rate(result: Result) -> EvidenceRating:
    """Rate a sealed result.

    Returns
    -------
    EvidenceRating
        1 to 4 dots, the level in a word, and each rule that applied as a sentence.
    """
    dots, reason = _START[result.statements.comparison]
    reasons = [reason]
    if _unclear(result.headline):
        known = result.headline.conf_low is not None and result.headline.conf_high is not None
        said = "The interval includes no change" if known else "No interval can be given"
        reasons.append(f"{said}, so the direction is not settled.")
        return EvidenceRating(level="inconclusive", dots=1, reasons=tuple(reasons))
    verdicts = [d.verdict for d in result.diagnostics]
    failed, cautions = verdicts.count("fail"), verdicts.count("caution")
    if failed:
        dots -= failed
        reasons.append(f"{plural(failed, 'check')} failed.")
    if cautions >= _CAUTIONS_THAT_COUNT:
        dots -= 1
        reasons.append(f"{plural(cautions, 'check')} call for caution.")
    elif cautions:
        reasons.append("One check calls for caution.")
    if not failed and not cautions:
        reasons.append("All checks that apply were passed.")
    others = [e for e in result.estimates if e.standing == "sensitivity"]
    differing = sum(_disagrees(e, result.headline) for e in others)
    if differing:
        dots -= 1
        reasons.append(f"{differing} of {plural(len(others), 'other analysis', 'other analyses')} do not agree.")
    elif others:
        reasons.append(f"{plural(len(others), 'other analysis agrees', 'other analyses agree')} in direction.")
    dots = max(1, dots)
    return EvidenceRating(level=_LEVELS[dots], dots=dots, reasons=tuple(reasons))


def _unclear(estimate: Estimate) -> bool:
    low, high = estimate.conf_low, estimate.conf_high
    return low is None or high is None or low <= estimate.null <= high


def _disagrees(other: Estimate, headline: Estimate) -> bool:
    if other.estimate is None or headline.estimate is None:
        return False
    return _unclear(other) or (other.estimate > other.null) != (headline.estimate > headline.null)
