"""A figure that shows itself in a notebook, whether or not pyplot has been imported."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

_DPI = 120


class ShownFigure(Figure):
    """A matplotlib Figure with a PNG of itself for notebooks.

    >>> ShownFigure(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
        return out.getvalue()
