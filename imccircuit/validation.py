"""From a pydantic model and the data of a user's file to an object or one clear line.

`validate` is used wherever a file that a person wrote is read (cards, recipes, studies). Of all
faults it reports one, as `InputError`: file, dotted key, value, what is wrong, what is allowed.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo

from imccircuit.errors import InputError
from imccircuit.units import SI

T = TypeVar("T", bound=BaseModel)


class _Missing:
    """Stands in an `InputError` for the value that is not there."""

    def __repr__(self) -> str:
        return "(missing)"


MISSING = _Missing()
_WRONG_TYPE = "wrong type"

_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
    "multiple_of": ("multiple_of", "a multiple of"),
}

# What pydantic's "Input should be a valid ..." means to somebody who writes TOML.
_WANTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "a string",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "dataclass": "a table",
    "path": "a path in a string",
}


def validate(
    model: type[T],
    data: Mapping[str, Any],
    *,
    file: str,
    context: Mapping[str, Any] | None = None,
) -> T:
    """Check ``data`` and return it as an object of ``model``.

    Parameters
    ----------
    model : pydantic model that describes the file.
    data : what the file holds.
    file : name of the file as the user gave it; it begins the message.
    context : pydantic validation context (``trusted``, ``load_array``: see `imccircuit.units`).

    Raises
    ------
    InputError : the data do not fit; it names one fault. A custom message may carry its own
        ``; allowed: ...``.
    """
    try:
        return model.model_validate(data, context=None if context is None else dict(context))
    except ValidationError as error:
        raise_input_error(error, model, data, file)


def raise_input_error(
    error: ValidationError, model: type[BaseModel], data: object, file: str
) -> NoReturn:
    """Raise the most telling of the faults in ``error`` as `InputError`."""
    faults = [_describe(detail, model, data) for detail in error.errors(include_url=False)]
    chosen = faults[0]
    if chosen.kind == "missing":
        # A misspelt key is both unknown and missing; the unknown one is what the user sees.
        parent = chosen.path[:-1]
        chosen = next(
            (f for f in faults if f.kind == "extra_forbidden" and f.path[:-1] == parent), chosen
        )
    if chosen.problem == _WRONG_TYPE:
        # Another branch of a union got deeper into the data: that is the one that is meant.
        depth = len(chosen.path)
        chosen = next(
            (f for f in faults if len(f.path) > depth and f.path[:depth] == chosen.path), chosen
        )
    # The branches of a union fail one by one at the same place: all of them are allowed.
    same = [f for f in faults if f.path == chosen.path and f.problem == chosen.problem]
    allowed = " or ".join(dict.fromkeys(f.allowed for f in same if f.allowed))
    raise InputError(file, _dotted(chosen.path), chosen.value, chosen.problem, allowed) from None


@dataclass(frozen=True)
class _Fault:
    kind: str
    path: tuple[str | int, ...]
    value: object
    problem: str
    allowed: str


@dataclass(frozen=True)
class _Place:
    """A type that may stand at one place of the data, with the metadata of its field."""

    annotation: Any
    metadata: tuple[Any, ...] = ()


def _describe(detail: Any, model: type[BaseModel], data: object) -> _Fault:
    kind: str = detail["type"]
    ctx: dict[str, Any] = detail.get("ctx", {})
    value: object = detail["input"]
    path, places = _walk(detail["loc"], kind, model, data)
    problem, allowed = _split(detail["msg"])
    if kind == "extra_forbidden":
        key = str(path[-1])
        _, parents = _walk(detail["loc"][:-1], "", model, data)
        keys = [name for place in parents for name in _fields(place.annotation)]
        near = difflib.get_close_matches(key, keys, n=1)
        problem = "unknown key" + (f", perhaps {near[0]!r} is meant" if near else "")
        allowed = ", ".join(dict.fromkeys(keys))
    elif kind == "missing":
        value, problem, allowed = MISSING, "a required key", _wanted_of(places)
    elif kind == "union_tag_invalid":
        name = ctx["discriminator"].strip("'")
        path, value = (*path, name), _item(data, (*path, name), ctx["tag"])
        problem, allowed = "unknown choice", ctx["expected_tags"]
    elif kind == "union_tag_not_found":
        name = ctx["discriminator"].strip("'")
        path, value, problem = (*path, name), MISSING, "a required key"
        allowed = ", ".join(repr(tag) for place in places for tag in _tags(place, name))
    elif kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        problem, allowed = "out of range", f"{sign} {_with_unit(ctx[name], places)}"
    elif kind in ("literal_error", "enum"):
        problem, allowed = "unknown choice", ctx["expected"]
    elif kind in ("value_error", "assertion_error"):
        problem, allowed = _split(str(ctx["error"]))
    elif kind == "string_pattern_mismatch":
        problem, allowed = "not accepted", f"text that matches {ctx['pattern']}"
    elif (stem := re.sub(r"_(type|parsing|from_float|attributes_type)$", "", kind)) in _WANTED:
        problem, allowed = _WRONG_TYPE, _WANTED[stem]
    elif kind in ("too_short", "too_long"):
        low, high = ctx.get("min_length"), ctx.get("max_length")
        bound = f"at least {low}" if kind == "too_short" else f"at most {high}"
        problem, allowed = f"{ctx['actual_length']} entries", bound
    elif kind in ("string_too_short", "string_too_long"):
        low, high = ctx.get("min_length"), ctx.get("max_length")
        bound = f"at least {low}" if kind == "string_too_short" else f"at most {high}"
        problem, allowed = kind.replace("_", " "), f"{bound} characters"
    elif kind.startswith("date") or problem.startswith("Input should be "):
        problem, allowed = "not accepted", problem.removeprefix("Input should be ")
    return _Fault(kind, path, value, problem, allowed)


def _split(message: str) -> tuple[str, str]:
    problem, _, allowed = message.partition("; allowed: ")
    return problem, allowed


def _walk(
    loc: Sequence[str | int], kind: str, model: type[BaseModel], data: object
) -> tuple[tuple[str | int, ...], list[_Place]]:
    """Path of ``loc`` in the user's data, and the types that may stand there.

    Pydantic's ``loc`` also holds names of union branches and function wrappers, which no user
    wrote: whatever is not in the data is one of those, except a missing key at the end.
    """
    path: list[str | int] = []
    places = list(_expand(_Place(model)))
    for index, step in enumerate(loc):
        if step == "[key]":
            continue
        branch = [place for place in places if _is_branch(place, step)]
        last = index == len(loc) - 1
        if _has(data, step) and not (branch and not _accepts(places, step)):
            data = data[step]  # type: ignore[index]
        elif not (last and kind == "missing"):
            places = branch or places
            continue
        path.append(step)
        places = [inner for place in places for inner in _inside(place, step)]
    return tuple(path), places


def _has(data: object, step: str | int) -> bool:
    if isinstance(data, Mapping):
        return step in data
    return isinstance(step, int) and isinstance(data, list | tuple) and step < len(data)


def _item(data: object, path: Iterable[str | int], default: object) -> object:
    for step in path:
        if not _has(data, step):
            return default
        data = data[step]  # type: ignore[index]
    return data


def _expand(place: _Place) -> Iterator[_Place]:
    """Yield the plain types behind Annotated, unions, aliases and root models."""
    annotation = place.annotation
    while not isinstance(annotation, type) and hasattr(annotation, "__value__"):
        annotation = annotation.__value__
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        yield from _expand(_Place(inner, (*place.metadata, *metadata)))
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _expand(_Place(member, place.metadata))
    elif isinstance(annotation, type) and issubclass(annotation, RootModel):
        root = annotation.model_fields["root"]
        yield from _expand(_Place(root.annotation, tuple(root.metadata)))
    else:
        yield _Place(annotation, place.metadata)


def _fields(annotation: Any) -> dict[str, FieldInfo]:
    """Fields of a model by the name that a file gives them."""
    known: dict[str, FieldInfo] = getattr(annotation, "__pydantic_fields__", None) or {}
    named: dict[str, FieldInfo] = {}
    for name, info in known.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
        named[alias or name] = info
    return named


def _inside(place: _Place, step: str | int) -> Iterator[_Place]:
    """Types that may stand one step deeper."""
    fields = _fields(place.annotation)
    if fields:
        if (info := fields.get(str(step))) is not None:
            yield from _expand(_Place(info.annotation, (*info.metadata, info)))
        return
    arguments = [a for a in get_args(place.annotation) if a is not Ellipsis]
    origin = get_origin(place.annotation)
    if not arguments or origin is Literal:
        return
    if isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _expand(_Place(arguments[-1]))
    elif isinstance(step, int):
        yield from _expand(_Place(arguments[min(step, len(arguments) - 1)]))


def _accepts(places: Iterable[_Place], step: str | int) -> bool:
    """Whether ``step`` is a key or index that one of the types knows."""
    return any(True for place in places for _ in _inside(place, step))


def _is_branch(place: _Place, step: str | int) -> bool:
    """Whether ``step`` is pydantic's name for this branch of a union."""
    if getattr(place.annotation, "__name__", None) == step:
        return True
    if any(getattr(item, "tag", None) == step for item in place.metadata):
        return True
    return any(
        step in get_args(info.annotation)
        for info in _fields(place.annotation).values()
        if get_origin(info.annotation) is Literal
    )


def _tags(place: _Place, discriminator: str) -> tuple[Any, ...]:
    info = _fields(place.annotation).get(discriminator)
    return get_args(info.annotation) if info is not None else ()


def _with_unit(bound: object, places: Iterable[_Place]) -> str:
    text = f"{bound:g}" if isinstance(bound, int | float) else str(bound)
    unit = next((m.unit for place in places for m in place.metadata if isinstance(m, SI)), "")
    return f"{text} {unit}".rstrip()


def _wanted_of(places: Iterable[_Place]) -> str:
    """Say what a missing key would hold: its choices, its quantity, its type, its description."""
    wanted: list[str] = []
    for place in places:
        unit = next((m for m in place.metadata if isinstance(m, SI)), None)
        if unit is not None:
            wanted.append(f"a quantity in {unit.unit}" if unit.unit else "a ratio")
        elif get_origin(place.annotation) is Literal:
            wanted.extend(repr(choice) for choice in get_args(place.annotation))
        elif keys := _fields(place.annotation):
            wanted.append(f"a table with {', '.join(keys)}")
        elif place.annotation is not type(None):
            base = get_origin(place.annotation) or place.annotation
            name = getattr(base, "__name__", "")
            wanted.append({"str": "a string", "Path": "a path in a string"}.get(
                name, _WANTED.get(name, "")))  # fmt: skip
    text = " or ".join(dict.fromkeys(w for w in wanted if w))
    said = next(
        (m.description for p in places for m in p.metadata if isinstance(m, FieldInfo)), None
    )
    return f"{text} ({said})" if text and said else text or said or ""


def _dotted(path: Iterable[str | int]) -> str:
    """Key as TOML writes it: bare where possible, indices in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        bare = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else f'"{step}"'
        text += f".{bare}" if text else bare
    return text
