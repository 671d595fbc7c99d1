"""Keep every path of a design file inside its project folder."""

from __future__ import annotations

from pathlib import Path

from evaltoolkit.errors import DesignFileValueError, PathOutsideProjectError

MARKER = ".evaltoolkit"


def project_root(design_file: Path) -> Path:
    """Return the project folder: the nearest parent that holds ``designs/`` or a ``.evaltoolkit`` marker.

    Without either, it is the folder of the design file itself.
    """
    folder = design_file.resolve().parent
    for parent in (folder, *folder.parents):
        if (parent / "designs").is_dir() or (parent / MARKER).exists():
            return parent
    return folder


def confined(path_text: str, *, design_file: Path, where: str, allow_outside: bool) -> Path:
    """Resolve a path relative to the design file and refuse one that leaves the project, symbolic links included."""
    if "://" in path_text:
        raise DesignFileValueError(
            f"the path '{path_text}' is an address",
            expected="a file inside the project folder",
            todo="download the data into the project folder first",
            where=where,
        )
    if "\x00" in path_text:
        raise DesignFileValueError(
            "the path holds a null character", expected="a file name", todo="correct the path", where=where
        )
    resolved = (design_file.resolve().parent / path_text).resolve()
    root = project_root(design_file)
    if not allow_outside and not resolved.is_relative_to(root):
        raise PathOutsideProjectError(
            f"the path '{path_text}' leaves the project folder",
            expected=f"a file inside the folder '{root.name}'",
            todo="move the file into the project folder, or give --allow-outside if you trust this design file",
            where=where,
        )
    return resolved
