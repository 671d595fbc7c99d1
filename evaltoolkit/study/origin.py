"""Where a study came from, so that a message can name file, line and key."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from evaltoolkit.study.locate import line_of
from evaltoolkit.study.paths import confined


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a study came from: the design file, its text and hash, so that messages can name a line."""

    path: Path
    text: str
    sha256: str
    allow_outside: bool = False

    def place(self, path: Sequence[str | int]) -> str:
        """Return "file:line  key.path" for a key path."""
        line = line_of(self.text, path)
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return f"{self.path.name}:{line}  {dotted}" if line else f"{self.path.name}  {dotted}"

    def resolve(self, path_text: str, key: Sequence[str | int]) -> Path:
        """Return the file a path of the design file stands for, kept inside the project folder."""
        return confined(path_text, design_file=self.path, where=self.place(key), allow_outside=self.allow_outside)
