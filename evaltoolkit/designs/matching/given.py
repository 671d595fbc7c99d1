"""Distances that a researcher gives as a matrix, from Python only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import FrameSource, Rows
from evaltoolkit.errors import OptionError
from evaltoolkit.kernels.optimal import Edges
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

PLACE: Final = "(place in the matrix of distances)"


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances between every treated (rows) and every comparison person (columns), as they stood in the data."""

    matrix: FloatArray

    def along(self, edges: Edges, treated: Mask, place: IntArray) -> Edges:
        """Return allowed pairs with their given distances; pairs at an infinite distance are left out."""
        first = treated[edges.focal]
        rows = np.where(first, place[edges.focal], place[edges.other])
        columns = np.where(first, place[edges.other], place[edges.focal])
        distance = self.matrix[rows, columns]
        finite = np.isfinite(distance)
        return Edges(edges.focal[finite], edges.other[finite], distance[finite])


class MatrixSource(FrameSource):
    """A data frame with a matrix of distances between its treated and its comparison rows."""

    def __init__(self, frame: Any, matrix: Any) -> None:
        super().__init__(frame)
        self._given = np.asarray(matrix, dtype=np.float64)

    @property
    def sha256(self) -> str:
        """Hash of the frame and of the matrix."""
        return hashlib.sha256(super().sha256.encode() + np.ascontiguousarray(self._given).tobytes()).hexdigest()

    @property
    def distances(self) -> Distances:
        """The matrix."""
        return Distances(self._given)

    def rows(self, study: Study) -> Rows:
        """Return the rows that the filters keep, each with its place among the rows or columns of the matrix.

        Raises
        ------
        OptionError
            The matrix does not fit the data, or holds what is no distance.
        """
        treated = pd.to_numeric(self._frame[str(study.settings["treated"])], errors="coerce") == 1
        shape = (int(treated.sum()), int((~treated).sum()))
        if self._given.shape != shape:
            found = " × ".join(f"{size:,}" for size in self._given.shape)
            raise OptionError(
                f"the matrix of distances has the shape {found}",
                expected="a row for each treated and a column for each comparison row of the data frame, in its order",
                todo="make the matrix for this data frame",
            )  # fmt: skip
        if np.isnan(self._given).any() or (self._given < 0).any():
            raise OptionError(
                "the matrix of distances holds missing or negative values",
                expected="numbers from zero on, infinite for pairs that are not allowed", todo="correct the matrix",
            )  # fmt: skip
        place = pd.Series(0, index=self._frame.index).groupby(treated.to_numpy()).cumcount().to_numpy()
        whole, self._frame = self._frame, self._frame.assign(**{PLACE: place})
        try:
            return super().rows(study)
        finally:
            self._frame = whole
