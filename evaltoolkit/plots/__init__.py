"""One plotting vocabulary for every design: a figure as data goes in, a drawing comes out.

The comparison is always dashed or hollow, the program solid or filled, so that no meaning rests on colour alone. Lines
and marks are labelled where they stand; there is one measure on an axis; a hidden or missing value is a gap.
"""

from evaltoolkit.plots.drawing import draw, svg
from evaltoolkit.plots.sheet import Words

__all__ = ["Words", "draw", "svg"]
