"""The colours and type sizes that figures, tables and pages share.

Blue and orange stay apart under every common form of colour blindness; their lightness is alike, so colour is never
the only difference.
"""

from __future__ import annotations

from typing import Final

INK: Final = "#16233A"
TEXT: Final = "#27303D"
MUTED: Final = "#5A6472"
RULE: Final = "#D9DEE5"
GRID: Final = "#E9ECF0"
PANEL: Final = "#F3F5F8"
PROGRAM: Final = "#0B5FA5"
PROGRAM_LIGHT: Final = "#9DBFDD"
COMPARISON: Final = "#C4500A"
COMPARISON_LIGHT: Final = "#EDC0A3"
GREY: Final = "#8A94A3"
GREY_LIGHT: Final = "#CDD3DB"
TINT_PROGRAM: Final = "#EEF4FA"
TINT_COMPARISON: Final = "#F8E3D5"

LABEL: Final = 8.6
TICK: Final = 8.0
SMALL: Final = 7.6
HEADLINE: Final = 10.6

LINE_HEIGHT: Final = 1.28
POINTS: Final = 72.0
