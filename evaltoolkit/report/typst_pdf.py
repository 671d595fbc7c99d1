"""The PDF: the model goes into one template as data, never as markup.

Every report is PDF/UA-1 and PDF/A-3a at once, with ``result.json`` attached; typst refuses to write a file in which a
text could not be displayed, so characters that no font covers are replaced before.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any, Final

from evaltoolkit.errors import SetupError
from evaltoolkit.plots import svg
from evaltoolkit.report.blocks import Picture, ReportModel
from evaltoolkit.report.coverage import displayable

_HERE: Final = Path(__file__).parent
_EPOCH: Final = 315_532_800  # 1980-01-01: archives cannot hold an earlier date


@dataclasses.dataclass(frozen=True, slots=True)
class Rendered:
    """A written PDF, and warnings for the person who asked for it."""

    pdf: bytes
    warnings: tuple[str, ...] = ()


def render_pdf(model: ReportModel) -> bytes:
    """Return the report as PDF: the same bytes for the same model."""
    return render(model).pdf


def render(model: ReportModel) -> Rendered:
    """Return the report as PDF with its warnings.

    Raises
    ------
    SetupError
        The typesetter refused the document.
    """
    shown, coverage = displayable(dataclasses.replace(model, attachment=""))
    payload = _payload(shown) | {"attachment": model.attachment.encode("utf-8", "backslashreplace").decode()}
    text = json.dumps(payload, ensure_ascii=False)
    pdf, said = _compiled(text, _timestamp(model.date), system_fonts=coverage.system_fonts)
    return Rendered(pdf, (*coverage.warnings, *said))


def _timestamp(date: str) -> int:
    if not date:
        return _EPOCH
    day = datetime.date.fromisoformat(date)
    return max(_EPOCH, int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp()))


def _compiled(model: str, timestamp: int, *, system_fonts: bool) -> tuple[bytes, tuple[str, ...]]:
    import typst

    try:
        written, said = typst.compile_with_warnings(
            str(_HERE / "report.typ"),
            root=str(_HERE),
            font_paths=[str(_HERE / "fonts")],
            ignore_system_fonts=not system_fonts,
            sys_inputs={"model": model},
            pdf_standards=["ua-1", "a-3a"],
            timestamp=timestamp,
            format="pdf",
        )
    except typst.TypstError as error:
        raise SetupError(
            f"the report could not be typeset: {error}",
            expected=f"typst 0.15 and the fonts in {_HERE / 'fonts'}",
            todo="run 'evaltoolkit doctor'; write the JSON format until it is solved",
        ) from error
    return written, tuple(f"E-RPT-LAYOUT: {warning.message}" for warning in said)


def _payload(value: Any) -> Any:
    if isinstance(value, Picture):
        words = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "figure"}
        return words | {"svg": svg(value.figure), "low": svg(value.figure, height="low") if value.lead else ""}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _payload(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_payload(inner) for inner in value]
    return value
