"""What an embedded engine may use."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from evaltoolkit.errors import OptionError

_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(I?)B", re.IGNORECASE)
_POWERS: Final = "KMGT"


@dataclasses.dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an embedded engine may use.

    Attributes
    ----------
    memory
        Such as "4GB"; None for the engine's own limit.
    threads
        None for all that DuckDB finds, and for 2 of Spark.
    """

    memory: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.memory is not None and _MEMORY.fullmatch(self.memory) is None:
            raise OptionError(
                f"the engine's memory is given as '{self.memory}'", expected="a number with KB, MB, GB or TB: 4GB",
                todo="correct it, or leave it out",
            )  # fmt: skip

    @property
    def mebibytes(self) -> int | None:
        """The memory in MiB, rounded down.

        >>> EngineLimits("1.5GB").mebibytes, EngineLimits("2 GiB").mebibytes, EngineLimits().mebibytes
        (1430, 2048, None)
        """
        found = _MEMORY.fullmatch(self.memory or "")
        if found is None:
            return None
        step = 1024 if found[3] else 1000
        return int(float(found[1]) * step ** (1 + _POWERS.index(found[2].upper())) / 1024**2)
