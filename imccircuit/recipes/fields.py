"""Walking the fields of a bench's parameters by their dotted keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from imccircuit.devices.reference import CardOf
from imccircuit.errors import InputError
from imccircuit.units import SI, SIArray


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


@cache
def costly_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Keys whose text takes long to read again: cards (files) and arrays (many numbers)."""
    return _keys_with(model, CardOf) + _keys_with(model, SIArray)


@cache
def card_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Keys that name cards."""
    return _keys_with(model, CardOf)


def is_card_key(key: str) -> bool:
    """Whether a key, by its name alone, names a card: ``technology``, ``dut``, or ``…_card``."""
    return key.rpartition(".")[2] in ("technology", "dut") or key.endswith("_card")


def value_of(model: BaseModel, key: str) -> Any:
    """Value of a dotted key."""
    value: Any = model
    for name in key.split("."):
        value = getattr(value, name)
    return value


def field_of(model: type[BaseModel], key: str) -> FieldInfo:
    """Description of a dotted key."""
    head, _, rest = key.partition(".")
    field = model.model_fields[head]
    return field_of(field.annotation, rest) if rest else field  # type: ignore[arg-type]


def _keys_with(model: type[BaseModel], kind: type) -> tuple[str, ...]:
    return tuple(key for key in field_keys(model) if _has(field_of(model, key), kind))


def check_each(model: type[BaseModel], key: str, values: Sequence[Any], *, file: str) -> list[Any]:
    """Check values of one key, each by itself, and return them as the model would hold them.

    What only several keys together can tell (a group larger than its array) is not seen here.

    Raises
    ------
    InputError : one of them is impossible; it names the key and the value.
    """
    field = field_of(model, key)
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    adapter = TypeAdapter(kind)
    found = []
    for value in values:
        try:
            found.append(adapter.validate_python(value, context={"of_sweep": True}))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]["msg"]
            problem, _, allowed = why.partition("; allowed: ")
            raise InputError(file, f"sweep.{key}", value, problem, allowed) from None
    return found


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
