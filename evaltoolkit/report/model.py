"""From a sealed result to the model of its report. Nothing but the result is read, and never what kind it is."""

from __future__ import annotations

import dataclasses

from evaltoolkit.report.blocks import ReportModel
from evaltoolkit.report.figures import lead_figure, picture
from evaltoolkit.report.opening import confidence, facts, notice, tiles, without_missing_headline
from evaltoolkit.report.record import clean_result, day_of, look_up, seen, text_of
from evaltoolkit.report.sections import sections
from evaltoolkit.results import Result, to_json


def build(result: Result) -> ReportModel:
    """Return everything the report of a result says, in order.

    Texts are cleaned of control characters. A headline that is hidden or could not be estimated is said in plain words
    on page 1, and the sentences that would give it are left out.
    """
    attachment = to_json(result)
    result = without_missing_headline(clean_result(result))
    study, words = result.study, result.statements
    lead = lead_figure(result)
    day = day_of(result)
    return ReportModel(
        title=seen(text_of(study, "title"), words.design_name, "Program evaluation report"),
        subtitle=text_of(study, "question"),
        language=text_of(study, "report", "language") or "en",
        paper=text_of(study, "report", "paper") or "us-letter",
        date=day.isoformat() if day else "",
        author=text_of(study, "report", "prepared_by"),
        notice=notice(result),
        synthetic=bool(look_up(study, "context", "synthetic")),
        facts=facts(result),
        bottom_line=words.bottom_line,
        tiles=tiles(result),
        confidence=confidence(result.evidence),
        supports=words.supports,
        does_not_show=words.does_not_show,
        lead=dataclasses.replace(picture(lead, result), lead=True) if lead else None,
        sections=sections(result, shown=lead.key if lead else ""),
        attachment=attachment,
    )
