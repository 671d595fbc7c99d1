"""The sheet a figure is drawn on: inches from its lower left corner, text with measured places, one axes at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from evaltoolkit.plots import palette as p
from evaltoolkit.plots.axis import Scale
from evaltoolkit.plots.lettering import Weight, height_of, properties, width_of, wrap
from evaltoolkit.results import FigureData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Across = Literal["left", "center", "right"]
Words = Literal["with-words", "bare"]
Height = Literal["full", "low"]
EDGE = 0.03
TICK_ROOM = 0.24
_LOW = 0.45


class Sheet:
    """A figure under construction.

    ``open`` fixes the height of the drawing; headline, sub-line and note are added around it where they are wanted (in
    a report the page sets them).
    """

    def __init__(self, figure: FigureData, width: float, words: Words, height: Height = "full") -> None:
        self.figure = figure
        self.width = width
        self._height_share = 1.0 if height == "full" else _LOW
        room = width - 2 * EDGE
        bare = words == "bare"
        self._head = [] if bare else wrap(figure.headline, room, p.HEADLINE, weight="semibold", lines=3)
        self._sub = [] if bare else wrap(figure.subtitle, room, p.LABEL, lines=3)
        self._note = [] if bare else wrap(figure.note, room, p.SMALL, lines=4)
        self.floor = EDGE + (height_of(len(self._note), p.SMALL) + 0.06 if self._note else 0.0)
        self.canvas: Figure

    def tall(self, inches: float) -> float:
        """Return the height of an axes whose height is free, less in a low drawing."""
        return inches * self._height_share

    def open(self, body: float) -> None:
        """Start the drawing with a body of the height given, in inches above ``floor``."""
        from evaltoolkit.plots.showing import ShownFigure

        head = height_of(len(self._head), p.HEADLINE) + height_of(len(self._sub), p.LABEL)
        head += 0.08 if head else 0.0
        self.height = self.floor + body + head + EDGE
        self.canvas = ShownFigure(figsize=(self.width, self.height), facecolor="none" if not head else "white")
        top = self.height - EDGE
        self.block(EDGE, top, self._head, size=p.HEADLINE, weight="semibold", color=p.INK)
        self.block(EDGE, top - height_of(len(self._head), p.HEADLINE), self._sub, size=p.LABEL, color=p.MUTED)
        self.block(EDGE, EDGE + height_of(len(self._note), p.SMALL), self._note, size=p.SMALL, color=p.MUTED)

    def text(
        self, x: float, y: float, words: str, *, size: float = p.TICK, color: str = p.MUTED,
        weight: Weight = "regular", across: Across = "left",
    ) -> None:  # fmt: skip
        """Write one line; ``y`` is the middle of the line, in inches."""
        if words:
            self.canvas.text(
                x / self.width, (y - 0.34 * size / p.POINTS) / self.height, words,
                fontproperties=properties(size, weight), color=color, ha=across, va="baseline",
            )  # fmt: skip

    def block(
        self, x: float, top: float, lines: list[str], *, size: float = p.TICK, color: str = p.MUTED,
        weight: Weight = "regular", across: Across = "left",
    ) -> None:  # fmt: skip
        """Write lines downward from ``top``."""
        for i, line in enumerate(lines):
            self.text(
                x, top - height_of(1, size) * (i + 0.5), line, size=size, color=color, weight=weight, across=across
            )

    def marker(self, x: float, y: float, shape: str, fill: str, color: str) -> None:
        """Draw one mark at a place in inches, for a key."""
        from matplotlib.lines import Line2D

        size, edge = (3.4, 0.9) if shape == "x" else (4.6, 1.2)
        self.canvas.add_artist(
            Line2D(
                [x / self.width], [y / self.height], marker=shape, ms=size, mfc=fill, mec=color, mew=edge, ls="",
                transform=self.canvas.transFigure,
            )
        )  # fmt: skip

    def measure(self, name: str) -> float:
        """Return the height in inches that the name of the measure needs: none where the sub-line gives it already."""
        return 0.0 if not name or name.casefold() in self.figure.subtitle.casefold() else 0.2

    def name_measure(self, name: str, top: float) -> None:
        """Write the name of the measure above the numbers of the axis."""
        if self.measure(name):
            self.text(EDGE, top - 0.09, wrap(name, self.width - 2 * EDGE, p.SMALL, lines=1)[0], size=p.SMALL)

    def axes(self, box: tuple[float, float, float, float], x: Scale, y: Scale) -> Axes:
        """Return an empty axes in a box (left, bottom, width, height in inches) without frame, ticks or labels."""
        left, bottom, width, height = box
        rectangle = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        ax = self.canvas.add_axes(rectangle)
        ax.set_xlim(x.low, x.high)
        ax.set_ylim(y.low, y.high)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_facecolor("none")
        for side in ax.spines.values():
            side.set_visible(False)
        return ax

    def grid(self, ax: Axes, y: Scale, box: tuple[float, float, float, float]) -> None:
        """Draw horizontal grid lines and write the numbers beside them."""
        for tick, label in zip(y.ticks, y.labels, strict=True):
            ax.axhline(tick, color=p.GRID, lw=0.7, zorder=0)
            self.text(box[0] - 0.07, box[1] + y.share(tick) * box[3], label, across="right")

    def bottom(self, ax: Axes, x: Scale, box: tuple[float, float, float, float], name: str = "") -> None:
        """Draw the lower axis with its ticks and labels, and its name below."""
        ax.axhline(ax.get_ylim()[0], color=p.RULE, lw=1.2, zorder=1, clip_on=False)
        for tick, label in zip(x.ticks, x.labels, strict=True):
            at = box[0] + x.share(tick) * box[2]
            ax.plot(
                [x.share(tick)] * 2, [0, -0.045 / box[3]], transform=ax.transAxes, color=p.GREY, lw=0.7, clip_on=False
            )
            half = width_of(label, p.TICK) / 2
            self.text(min(max(at, EDGE + half), self.width - EDGE - half), box[1] - 0.13, label, across="center")
        if name:
            line = wrap(name, box[2], p.TICK, lines=1)[0]
            half = width_of(line, p.TICK) / 2
            middle = min(box[0] + box[2] / 2, self.width - EDGE - half)
            self.text(middle, box[1] - 0.13 - 0.19, line, across="center")

    def nothing(self, box: tuple[float, float, float, float]) -> None:
        """Say in the middle of an empty axes that no value is shown."""
        self.text(box[0] + box[2] / 2, box[1] + box[3] / 2, "No value can be shown", across="center", size=p.LABEL)


def tick_width(scale: Scale) -> float:
    """Return the width of the widest tick label in inches."""
    return max((width_of(label, p.TICK) for label in scale.labels), default=0.0)
