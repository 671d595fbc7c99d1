"""The front door of the plots: dispatch on the kind, and the text of an SVG file."""

from __future__ import annotations

import dataclasses
import importlib
import io
import re
import warnings
from typing import TYPE_CHECKING, Any, Final, get_args

from evaltoolkit.errors import OptionError
from evaltoolkit.plots.lettering import clean, cleaned
from evaltoolkit.plots.sheet import Height, Sheet, Words
from evaltoolkit.results import FigureData
from evaltoolkit.results.types import FigureKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH: Final = 6.62
KINDS: Final = get_args(FigureKind)
_TAG: Final = re.compile(r"<[^<>]*>")
_ID: Final = re.compile(r'( id="|url\(#|href="#)')


def draw(figure: FigureData, *, width: float = WIDTH, words: Words = "with-words", height: Height = "full") -> Figure:
    """Draw a figure.

    Parameters
    ----------
    figure
        The figure as data. The module of each kind documents its columns and marks.
    width
        Width in inches; the height follows from the content.
    height
        ``low`` draws axes whose height is free at less than two thirds of it, for a page with little room.
    words
        ``with-words`` writes headline, sub-line and note into the drawing; ``bare`` leaves them to the page.

    Returns
    -------
    matplotlib.figure.Figure
        In Jupyter it shows itself; ``savefig`` writes it.

    Raises
    ------
    OptionError
        The kind of figure is not known.

    Examples
    --------
    >>> from evaltoolkit.results import Column, FigureData
    >>> forest = FigureData(
    ...     key="f", kind="forest", headline="Recognition rose", subtitle="Minors per 10,000", alt="One estimate.",
    ...     columns=(Column(key="label", kind="text"), Column(key="estimate"), Column(key="low"), Column(key="high")),
    ...     rows=(("Training", 0.95, 0.78, 1.13),))
    >>> draw(forest).get_size_inches()[0].item()
    6.62
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if figure.kind not in KINDS:
        raise OptionError.unknown("the kind of figure", figure.kind, KINDS)
    tidy = _safe(figure)
    kind = importlib.import_module(f"evaltoolkit.plots.{tidy.kind}")
    sheet = Sheet(tidy, width, words, height)
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Glyph.*missing from")
        kind.paint(sheet)
    FigureCanvasAgg(sheet.canvas)
    return sheet.canvas


def svg(figure: FigureData, *, width: float = WIDTH, words: Words = "bare", height: Height = "full") -> str:
    """Return a figure as the text of an SVG file: no date, the same bytes for the same figure, text as text.

    Ids carry the figure's key, so that several figures can stand in one document.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    drawn = draw(figure, width=width, words=words, height=height)
    out = io.StringIO()
    facts = {"Date": None, "Creator": None, "Title": clean(figure.headline), "Description": clean(figure.alt)}
    settings = {**_SETTINGS, "svg.fonttype": "none", "svg.hashsalt": f"evaltoolkit {clean(figure.key)}"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Glyph.*missing from")
        drawn.set_canvas(FigureCanvasSVG(drawn))
        drawn.savefig(out, format="svg", metadata=facts)
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", figure.key).strip("-") or "figure"
    return _TAG.sub(lambda tag: _ID.sub(rf"\g<1>{prefix}-", tag[0]), out.getvalue())


_SETTINGS: Final[dict[Any, Any]] = {"text.parse_math": False, "hatch.linewidth": 0.6, "path.simplify": False}


def _safe(figure: FigureData) -> FigureData:
    plain = {
        f.name: cleaned(getattr(figure, f.name))
        for f in dataclasses.fields(figure)
        if f.name not in {"columns", "rows"}
    }
    rows = tuple(tuple(clean(c) if isinstance(c, str) else c for c in row) for row in figure.rows)
    return dataclasses.replace(figure, **plain, rows=rows)
