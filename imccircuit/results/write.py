"""Writing a results file: beside its place, then renamed, so that no reader sees half of one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Along
from imccircuit.engines.contract import Status
from imccircuit.errors import StorageError, UsageError
from imccircuit.results.patient_file import PatientFile
from imccircuit.results.schema import (
    INT_FILL,
    SCHEMA,
    STATUS_MEANINGS,
    Provenance,
    ShapeGroup,
    TaskRecord,
)

if TYPE_CHECKING:
    import h5netcdf

_TEXTS = {
    "reason": "why the measurement is not good",
    "rung": "farthest rung of convergence options",
    "deck_sha256": "hashes of the decks in order",
}
_BLOCK_BYTES = 32 * 1024 * 1024
_BLOCK_RECORDS = 4096


def write_results(
    path: Path,
    groups: Sequence[ShapeGroup],
    samples: int,
    records: Iterable[TaskRecord],
    provenance: Provenance,
    run_info: Mapping[str, str | float | int],
    *,
    complete: bool,
) -> None:
    """Write all records into one file; points without a record are marked ``not_run``.

    Parameters
    ----------
    records : in any order; some megabytes of them are held in memory at a time.
    run_info : attributes of ``/run``.
    complete : every point and sample has a record.

    Raises
    ------
    StorageError : the file cannot be written.
    """
    import h5netcdf

    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # a link would lead out of the folder
        with PatientFile(temporary) as raw:
            try:
                with h5netcdf.File(raw, "w") as file:
                    _write_head(file, provenance, run_info, complete=complete)
                    for _ in _write_records(file, groups, samples, records):
                        raw.check()
            finally:
                raw.check()
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except UsageError:
        temporary.unlink(missing_ok=True)
        raise
    except (OSError, RuntimeError) as error:  # HDF5 fails in either way
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {why}") from None


def _write_records(
    file: h5netcdf.File, groups: Sequence[ShapeGroup], samples: int, records: Iterable[TaskRecord]
) -> Iterator[None]:
    """Write everything but the head, and give the caller a say after every block."""
    places = [
        _make_group(file, f"shape_{number}" if len(groups) > 1 else "", group, samples)
        for number, group in enumerate(groups)
    ]
    group_of, row_of = _rows(groups)
    for block in _blocks(records):
        for number, place in enumerate(places):
            here = [(int(row_of[r.point]), r) for r in block if group_of[r.point] == number]
            for run in _runs(here, samples):
                _write_run(place, run, _shapes(groups[number]))
        yield


def _rows(groups: Sequence[ShapeGroup]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Group of every point, and its row in it."""
    points = 1 + max(int(group.points[-1]) for group in groups)
    group_of, row_of = np.empty(points, np.int32), np.empty(points, np.int64)
    for number, group in enumerate(groups):
        group_of[group.points] = number
        row_of[group.points] = np.arange(len(group.points))
    return group_of, row_of


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_head(
    file: h5netcdf.File,
    provenance: Provenance,
    run_info: Mapping[str, str | float | int],
    *,
    complete: bool,
) -> None:
    file.attrs["schema"] = SCHEMA
    file.attrs["title"] = provenance.title or provenance.recipe_name
    file.attrs["bench"] = provenance.bench
    file.attrs["complete"] = int(complete)
    texts = {
        "recipe_name": provenance.recipe_name,
        "recipe_text": provenance.recipe_text,
        "recipe_resolved": provenance.recipe_resolved,
        "digest": provenance.digest,
        "file_hashes": json.dumps(dict(provenance.file_hashes), sort_keys=True),
        "versions": json.dumps(dict(provenance.versions), sort_keys=True),
        "seed": str(provenance.seed),
    }
    group = file.create_group("provenance")
    for name, text in texts.items():
        # Variables, not attributes: a recipe may be longer than the 64 KiB of an attribute.
        _text_variable(group, name, ())[...] = text
    inputs = file.create_group("inputs")
    for key, array in provenance.inputs.items():
        dims = tuple(f"{key}_{axis}" for axis in range(array.ndim))
        for dim, size in zip(dims, array.shape, strict=True):
            inputs.dimensions[dim] = size
        inputs.create_variable(key, dims, data=array)
    run = file.create_group("run")
    for key, value in run_info.items():
        run.attrs[key] = value


def _text_variable(group: Any, name: str, dims: tuple[str, ...]) -> Any:
    import h5py

    return group.create_variable(name, dims, dtype=h5py.string_dtype())


def _make_group(file: h5netcdf.File, name: str, group: ShapeGroup, samples: int) -> Any:
    place = file.create_group(name) if name else file
    sizes = {"point": len(group.points), "sample": samples, **group.sizes}
    for dim, size in sizes.items():
        place.dimensions[dim] = size
    indices = {"point": group.points, "sample": np.arange(samples), **group.coordinates}
    for key, values in indices.items():
        along = values if isinstance(values, Along) else Along(values, "1", f"index of the {key}")
        if along.values.dtype == object:
            made = _text_variable(place, key, (key,))
            made[...] = along.values
        else:
            made = place.create_variable(key, (key,), data=along.values)
            made.attrs["units"] = along.units
        made.attrs["long_name"] = along.long_name
    for key, coordinate in group.swept.items():
        if coordinate.values.dtype == object:
            made = _text_variable(place, key, ("point",))
            made[...] = coordinate.values
        else:
            made = place.create_variable(key, ("point",), data=coordinate.values)
            made.attrs["units"] = coordinate.unit
        made.attrs["long_name"] = f"swept: {key}"
    status = place.create_variable(
        "status",
        ("point", "sample"),
        data=np.full((len(group.points), samples), Status.NOT_RUN, dtype=np.int8),
        fillvalue=np.int8(INT_FILL),
    )
    status.attrs["flag_values"] = np.array([int(item) for item in Status], dtype=np.int8)
    status.attrs["flag_meanings"] = STATUS_MEANINGS
    status.attrs["units"] = "1"
    status.attrs["long_name"] = "state of the measurement"
    for text, meaning in _TEXTS.items():
        made = _text_variable(place, text, ("point", "sample"))
        made[...] = ""
        made.attrs["long_name"] = meaning
    for variable in group.variables:
        is_int = variable.kind == "int"
        made = place.create_variable(
            variable.name,
            ("point", "sample", *variable.dims),
            dtype=np.int32 if is_int else np.float64,
            fillvalue=np.int32(INT_FILL) if is_int else np.nan,
        )
        made.attrs["units"] = variable.units
        made.attrs["long_name"] = variable.long_name
        if variable.missing:
            made.attrs["missing"] = variable.missing
        if group.swept:
            made.attrs["coordinates"] = " ".join(group.swept)
    return place


def _blocks(records: Iterable[TaskRecord]) -> Iterator[list[TaskRecord]]:
    """Records in lists that are worth one write and fit into memory."""
    block: list[TaskRecord] = []
    size = 0
    for record in records:
        block.append(record)
        size += sum(array.nbytes for array in record.arrays.values())
        if size > _BLOCK_BYTES or len(block) == _BLOCK_RECORDS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _runs(
    records: list[tuple[int, TaskRecord]], samples: int
) -> Iterator[list[tuple[int, TaskRecord]]]:
    """Neighbours along the sample, or along the point where there is one sample."""
    run: list[tuple[int, TaskRecord]] = []
    for index, record in sorted(records, key=lambda item: (item[0], item[1].sample)):
        if run:
            last, before = run[-1]
            along_sample = index == last and record.sample == before.sample + 1
            along_point = samples == 1 and index == last + 1
            if not (along_sample or along_point) or set(record.arrays) != set(before.arrays):
                yield run
                run = []
        run.append((index, record))
    if run:
        yield run


def _shapes(group: ShapeGroup) -> dict[str, tuple[int, ...]]:
    return {v.name: tuple(group.sizes[dim] for dim in v.dims) for v in group.variables}


def _stacked(
    records: list[TaskRecord], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Arrays of records that have the same ones, (record, …) by name.

    Raises
    ------
    UsageError : they are not those of the plan; somebody else wrote the unfinished work.
    """
    names = set(records[0].arrays)
    if not names <= set(shapes) or any(
        record.arrays[name].shape != shapes[name] or record.arrays[name].dtype.kind not in "fiu"
        for record in records
        for name in names
    ):
        raise UsageError("the unfinished work holds other arrays than the plan has; use --fresh")
    return {name: np.stack([record.arrays[name] for record in records]) for name in names}


def _write_run(
    place: Any, run: list[tuple[int, TaskRecord]], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    records = [record for _, record in run]
    (first, start), (last, end) = ((index, record.sample) for index, record in (run[0], run[-1]))
    along_point = first != last
    at = (slice(first, last + 1), 0) if along_point else (first, slice(start, end + 1))
    place.variables["status"][at] = np.array([int(r.status) for r in records], dtype=np.int8)
    for text in _TEXTS:
        place.variables[text][at] = np.array([getattr(r, text) for r in records], dtype=object)
    for name, array in _stacked(records, shapes).items():
        place.variables[name][at] = array
