"""Walking the fields of a bench's parameters by their dotted keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from imccircuit.devices.reference import CardOf
from imccircuit.units import SI, SIArray


def field_values(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, FieldInfo]]:
    """Dotted key, value and description of every field; tables are entered, cards are not."""
    for name, field in type(model).model_fields.items():
        value, key = getattr(model, name), prefix + name
        if isinstance(value, BaseModel) and not _has(field, CardOf):
            yield from field_values(value, f"{key}.")
        else:
            yield key, value, field


def field_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted keys of all fields, in order; tables are entered, cards are not."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and not _has(field, CardOf):
            keys += field_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def is_costly(field: FieldInfo) -> bool:
    """Whether reading its text again takes long: a card (files) or an array (many numbers)."""
    return _has(field, CardOf) or _has(field, SIArray)


def unit_of(field: FieldInfo) -> str:
    """SI unit of a quantity, empty for everything else."""
    return next((mark.unit for mark in _marks(field) if isinstance(mark, SI)), "")


def _has(field: FieldInfo, kind: type) -> bool:
    return any(isinstance(mark, kind) for mark in _marks(field))


def _marks(field: FieldInfo) -> Iterator[Any]:
    """Metadata of the field and, where it may also be None, of what it is otherwise."""
    yield from field.metadata
    for member in get_args(field.annotation):
        if get_origin(member) is Annotated:
            yield from get_args(member)[1:]
