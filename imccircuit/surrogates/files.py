"""The model file: HDF5 with arrays in SI, verdict, domain and provenance; no pickle."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from imccircuit.errors import FileFormatError, UsageError
from imccircuit.results.hdf5 import check_plain, schema_of
from imccircuit.surrogates.base import (
    Model,
    ModelArray,
    ModelProvenance,
    Parameter,
    Surrogate,
)
from imccircuit.surrogates.model_units import check_units
from imccircuit.surrogates.physical import impossible
from imccircuit.surrogates.registry import get_kind, kind_names
from imccircuit.surrogates.verdict import Verdict

if TYPE_CHECKING:
    import h5py

SCHEMA = "imccircuit-model-1"


def save_model(surrogate: Surrogate, path: Path) -> None:
    """Write a model beside its place and rename it, so that no reader sees half of one.

    Raises
    ------
    UsageError : the file cannot be written.
    """
    import h5py

    path = Path(path)
    if path.exists() and not _is_model(path):
        raise UsageError(f"{path} is no model file and is not replaced; choose another output")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # a link would lead out of the folder
        with h5py.File(temporary, "w", track_order=True) as file:
            _write(file, surrogate)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk as a RuntimeError
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UsageError(f"{path} cannot be written: {why}") from None


def _is_model(path: Path) -> bool:
    try:
        return path.is_file() and schema_of(path) == SCHEMA
    except OSError:
        return path.is_file() and path.stat().st_size == 0


def _write(file: h5py.File, surrogate: Surrogate) -> None:
    model = surrogate.model
    # Order of creation is kept, so a loaded model prints as it did when it was fitted.
    file.attrs["schema"] = SCHEMA
    file.attrs["kind"] = surrogate.kind
    arrays = file.create_group("arrays", track_order=True)
    for name, array in model.arrays.items():
        made = arrays.create_dataset(name, data=array.values)
        made.attrs["units"] = array.units
        made.attrs["long_name"] = array.long_name
        made.attrs["dims"] = " ".join(array.dims)
    parameters = file.create_group("parameters", track_order=True)
    for name, parameter in model.parameters.items():
        made = parameters.create_dataset(name, data=float(parameter.value))
        made.attrs["units"] = parameter.unit
        made.attrs["sigma"] = float(parameter.sigma)
        made.attrs["note"] = parameter.note
    gates = file.create_group("gates", track_order=True)
    for name, limit in model.gates.items():
        gates.create_dataset(name, data=float(limit))
    _write_texts(file.create_group("settings", track_order=True), model.settings)
    _write_texts(file.create_group("domain", track_order=True), model.domain)
    limits = file.create_group("limits", track_order=True)
    for name, ends in model.limits.items():
        limits.create_dataset(name, data=np.asarray(ends, dtype=np.float64))
    verdict = file.create_group("verdict", track_order=True)
    verdict.attrs["state"] = model.verdict.state
    _write_texts(verdict, {"reason": model.verdict.reason, "json": model.verdict.to_json()})
    texts = asdict(model.provenance)
    texts["versions"] = json.dumps(texts["versions"], sort_keys=True)
    provenance = file.create_group("provenance", track_order=True)
    _write_texts(provenance, {name: str(value) for name, value in texts.items()})


def _write_texts(group: h5py.Group, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        # Datasets, not attributes: these have no limit of 64 KiB.
        group.create_dataset(name, data=text)


def load_model(path: Path) -> Surrogate:
    """Read a model of any kind.

    Raises
    ------
    FileFormatError : it does not exist, is torn, or is no model of this schema.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such model file")
    try:
        check_plain(path)
        with h5py.File(path, "r") as file:
            schema = _plain(file.attrs.get("schema"))
            if schema != SCHEMA:
                raise FileFormatError(f"{path}: schema {schema!r} is not {SCHEMA!r}")
            kind = str(_plain(file.attrs["kind"]))
            if kind not in kind_names():
                known = ", ".join(kind_names())
                raise FileFormatError(f"{path}: unknown kind {kind!r}; known are {known}")
            found = get_kind(kind)
            return found(_checked(found, _read(file, path)))
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError,
            ArithmeticError, MemoryError) as error:  # fmt: skip
        why = " ".join(str(error).split())[:120]
        raise FileFormatError(f"{path}: not a whole model file ({why})") from None


class _Table(dict[str, Any]):
    """What a model file holds of one sort; what it lacks is the file's fault."""

    def __init__(self, path: Path, what: str, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self._lacks = f"{path}: not a whole model file (no {what} "

    def __missing__(self, name: str) -> NoReturn:
        raise FileFormatError(f"{self._lacks}{name})")


def _read(file: h5py.File, path: Path) -> Model:
    texts = _texts(file["provenance"])
    numbers = {key: int(texts.pop(key)) for key in ("seed", "point")}
    versions = json.loads(texts.pop("versions"))
    arrays = {
        name: ModelArray(
            np.asarray(data[...]),
            str(_plain(data.attrs["units"])),
            tuple(str(_plain(data.attrs["dims"])).split()),
            str(_plain(data.attrs["long_name"])),
        )
        for name, data in file["arrays"].items()
    }
    parameters = {
        name: Parameter(
            name,
            float(data[()]),
            str(_plain(data.attrs["units"])),
            float(data.attrs["sigma"]),
            str(_plain(data.attrs["note"])),
        )
        for name, data in file["parameters"].items()
    }
    gates = {name: float(data[()]) for name, data in file["gates"].items()}
    verdict = _verdict(file, gates)
    return Model(
        arrays=_Table(path, "array", arrays),
        parameters=_Table(path, "parameter", parameters),
        settings=_Table(path, "setting", _texts(file["settings"])),
        gates=_Table(path, "gate", gates),
        domain=_texts(file["domain"]),
        limits=_limits(file),
        provenance=ModelProvenance(versions=versions, **numbers, **texts),  # type: ignore[arg-type]
        verdict=verdict,
    )


def _verdict(file: h5py.File, limits: Mapping[str, float]) -> Verdict:
    """Verdict of a file that says the same of it everywhere.

    Raises
    ------
    ValueError : the attribute, the JSON text and the group of gates differ, or the text in itself.
    """
    group = file["verdict"]
    found = Verdict.from_json(str(_plain(group["json"][()])))
    said = {"state": _plain(group.attrs["state"]), "reason": _plain(group["reason"][()])}
    for name, text in said.items():
        if getattr(found, name) != text:
            own = str(getattr(found, name))[:30]
            raise ValueError(f"verdict/{name} is {str(text)[:30]!r}, in verdict/json {own!r}")
    for gate in found.gates:
        limit = limits.get(gate.name, gate.limit)
        if math.isfinite(limit) and limit != gate.limit:
            raise ValueError(f"gates/{gate.name} is {limit:g}, in verdict/json {gate.limit:g}")
    return found


def _checked(kind: type[Surrogate], model: Model) -> Model:
    """Model that has what its kind needs in its units, axes as named and chips that agree.

    Raises
    ------
    KeyError, ValueError : it has not.
    """
    for name in kind.required:
        if name not in model.arrays:
            raise KeyError(f"no array {name}")
    for name in kind.required_parameters:
        if name not in model.parameters:
            raise KeyError(f"no parameter {name}")
    numbers = [
        *model.gates.values(),
        *(model.parameters[n].value for n in kind.required_parameters),
    ]
    if not np.all(np.isfinite(numbers)):
        raise ValueError("a gate or a parameter that is not finite")
    check_units(kind.kind, model)
    # Such a model fails when it is judged; one that passed was changed since.
    if model.verdict.state == "pass" and (problems := impossible(model, parts=True)):
        raise ValueError(f"verdict is pass, but {problems[0]}")
    lengths: dict[str, int] = {}
    for name, array in model.arrays.items():
        if array.values.ndim != len(array.dims) or array.values.dtype.kind not in "fi":
            raise ValueError(f"array {name} is not numbers along {array.dims}")
        for dim, length in zip(array.dims, array.values.shape, strict=True):
            if lengths.setdefault(dim.rstrip("_"), length) != length:
                raise ValueError(f"array {name} has another number of {dim}")
    return model


def _limits(file: h5py.File) -> dict[str, tuple[float, float]]:
    """Limits of the inputs; none in a file that was written before there were any.

    Raises
    ------
    ValueError : they are no (low, high).
    """
    found = {}
    for name, data in file.get("limits", {}).items():
        low, high = (float(end) for end in data[...])
        if not low <= high:
            raise ValueError(f"limits of {name} are {low:g} and {high:g}")
        found[name] = (low, high)
    return found


def _texts(group: h5py.Group) -> dict[str, str]:
    return {name: str(_plain(data[()])) for name, data in group.items()}


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
