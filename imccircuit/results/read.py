"""Reading a results file, with one clear line for a file that is none."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.engines.contract import Status
from imccircuit.errors import FileFormatError
from imccircuit.results.hdf5 import check_plain
from imccircuit.results.schema import SCHEMA, Provenance

if TYPE_CHECKING:
    import xarray


# What HDF5, h5netcdf and xarray raise on a file that is torn or foreign.
_TORN = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError,
         ArithmeticError, AssertionError, NotImplementedError)  # fmt: skip
_STATUSES = tuple(int(status) for status in Status)


@dataclass(frozen=True)
class Results:
    """A results file in memory.

    Attributes
    ----------
    path : where it was read.
    datasets : one for each shape group, variables ``(point, sample, …)``, values NaN or −1 where
        ``status`` is not good.
    provenance : how the numbers were made.
    run : attributes of ``/run``.
    complete : every point and sample was run.
    """

    path: Path
    datasets: tuple[xarray.Dataset, ...]
    provenance: Provenance
    run: dict[str, object]
    complete: bool

    @property
    def dataset(self) -> xarray.Dataset:
        """The only shape group.

        Raises
        ------
        FileFormatError : there are several; choose one of ``datasets``.
        """
        if len(self.datasets) != 1:
            text = f"{self.path}: points have {len(self.datasets)} shapes; choose one of them"
            raise FileFormatError(text)
        return self.datasets[0]

    def not_run(self, point: int | None = None) -> tuple[int, int]:
        """Count what was never run, and everything, of one point or (None) of all."""
        missing = total = 0
        for data in self.datasets:
            numbers = data["point"].values
            status = data["status"].values[numbers == (numbers if point is None else point)]
            missing += int(np.count_nonzero(status == Status.NOT_RUN))
            total += status.size
        return missing, total

    def unfinished(self, point: int | None = None) -> str:
        """One line on what an unfinished run lacks and how to go on; empty if it lacks nothing."""
        missing, total = self.not_run()
        if self.complete or not missing:
            return ""
        lacks = f"{missing} of {total} chips of all points were not run"
        if point is not None:
            own, of = self.not_run(point)
            lacks = f"{own} of {of} chips of point {point} were not run" + (
                f", {missing} of {total} of all points" if total > of else ""
            )
        return (
            f"{self.path} is unfinished: {lacks}; go on with the command that began it and --resume"
        )

    def failures(self) -> list[tuple[int, int, str, str]]:
        """Point, sample, status and reason of everything that is not good."""
        found = []
        for data in self.datasets:
            status = data["status"].values
            for row, sample in np.argwhere(status != Status.GOOD):
                found.append(
                    (
                        int(data["point"].values[row]),
                        int(sample),
                        Status(int(status[row, sample])).name.lower(),
                        str(data["reason"].values[row, sample]),
                    )
                )
        return sorted(found)


def read_results(path: Path | str) -> Results:
    """Read a results file.

    Raises
    ------
    FileFormatError : it does not exist, is torn, or is no results file of this schema.
    """
    import h5netcdf

    path = Path(path)
    try:
        if not path.is_file():
            raise FileFormatError(f"{path}: no such results file")
        check_plain(path)
        with h5netcdf.File(path, "r") as file:
            schema = file.attrs.get("schema")
            if schema != SCHEMA:
                found = " ".join(repr(schema)[:80].split())
                raise FileFormatError(f"{path}: schema {found} is not {SCHEMA!r}")
            complete = bool(file.attrs["complete"])
            provenance = _provenance(file)
            run = dict(file.groups["run"].attrs)
            names = [name for name in file.groups if name.startswith("shape_")]
        datasets = []
        for name in sorted(names, key=lambda text: int(text.removeprefix("shape_"))) or [None]:
            datasets.append(_read_group(path, name))
            if why := _what_is_wrong(datasets[-1]):
                raise FileFormatError(f"{path}: not a whole results file ({why})")
    except _TORN as error:
        why = " ".join(str(error).split())[:120]
        raise FileFormatError(f"{path}: not a whole results file ({why})") from None
    return Results(path, tuple(datasets), provenance, run, complete)


def _read_group(path: Path, name: str | None) -> xarray.Dataset:
    import xarray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they would say, we check
        # Integers keep their fill value: a float copy of a code or status helps nobody.
        with xarray.open_dataset(
            path, engine="h5netcdf", group=name, mask_and_scale=False, decode_times=False
        ) as data:
            return data.load()


def _what_is_wrong(data: xarray.Dataset) -> str:
    """Why a shape group is not as `write_results` writes it; empty if it is."""
    lengths = {"point": ("point",), "status": ("point", "sample"), "reason": ("point", "sample"),
               "deck_sha256": ("point", "sample")}  # fmt: skip
    for name, dims in lengths.items():
        if name not in data.variables or data[name].dims != dims:
            return f"no {name} along {' and '.join(dims)}"
    point, status = data["point"].values, data["status"].values
    if (
        point.dtype.kind not in "iu"
        or not len(point)
        or np.any(np.diff(point) <= 0)
        or point[0] < 0
    ):
        return "points that do not ascend"
    if status.dtype.kind not in "iu" or not np.all(np.isin(status, _STATUSES)):
        return "an unknown status"
    for key, variable in data.data_vars.items():
        texts = (variable.attrs.get("units"), variable.attrs.get("long_name"))
        if variable.dtype.kind in "fi" and not all(isinstance(text, str) for text in texts):
            return f"{key} without unit or name"
    return ""


def _provenance(file: object) -> Provenance:
    groups = file.groups  # type: ignore[attr-defined]
    text = {name: _text(variable[()]) for name, variable in groups["provenance"].variables.items()}
    inputs: dict[str, NDArray[np.float64]] = {
        name: np.asarray(variable[...], dtype=np.float64)
        for name, variable in groups["inputs"].variables.items()
    }
    return Provenance(
        recipe_name=text["recipe_name"],
        recipe_text=text["recipe_text"],
        recipe_resolved=text["recipe_resolved"],
        inputs=inputs,
        bench=_text(file.attrs["bench"]),  # type: ignore[attr-defined]
        title=_text(file.attrs["title"]),  # type: ignore[attr-defined]
        seed=int(text["seed"]),
        digest=text["digest"],
        file_hashes=_names(text["file_hashes"]),
        versions=_names(text["versions"]),
    )


def _names(text: str) -> dict[str, str]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no table of names")
    return {name: str(value) for name, value in found.items()}


def _text(value: object) -> str:
    if isinstance(value, np.ndarray):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else str(value)
