"""Inputs of `predict` and `sample_chips`: what is unknown, missing or no number is refused.

An input is checked by how its signature describes it: ``int`` must be whole, ``ArrayLike`` and
``float`` must be finite numbers, but for those a kind lists in `Surrogate.open_inputs`.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

LARGEST_SEED = 2**64 - 1
"""Largest seed of draws and of noise, of 64 bits."""
_LONGEST = 40
_NUMBERS = ("ArrayLike", "float")


def whole(name: str, value: Any, most: int | None = None) -> int:
    """``value`` as a Python integer; with ``most`` between 0 and that, ends included.

    Integers of numpy count; floats and truth values do not, not even 2.0 and True: a seed that
    was rounded is another one.

    Raises
    ------
    UsageError : it is none, or out of range.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        found = operator.index(value)
    except TypeError:
        found = None
    if found is None or (most is not None and not 0 <= found <= most):
        between = "" if most is None else f" between 0 and {most}"
        raise UsageError(f"{name} must be a whole number{between}, it is {_short(value)}")
    return found


def seed_of(value: Any) -> int:
    """Seed as a Python integer of 64 bits.

    Raises
    ------
    UsageError : see `whole`.
    """
    return whole("seed", value, LARGEST_SEED)


def index_of(name: str, value: Any, count: int) -> int:
    """Which of ``count`` chips, columns and so on a model has, as a Python integer.

    Raises
    ------
    UsageError : it is not whole, or there is no such one.
    """
    found = whole(name, value)
    if not 0 <= found < count:
        raise UsageError(f"the model has no {name} {found}; there are 0 to {count - 1}")
    return found


def as_numbers(name: str, values: ArrayLike, *, finite: bool = True) -> NDArray[np.float64]:
    """``values`` of any shape in SI as floats.

    Parameters
    ----------
    finite : refuse NaN and infinities too.

    Raises
    ------
    UsageError : they are no real numbers, no array, or not finite.
    """
    try:
        found = np.asarray(values)
    except ValueError:  # rows of different lengths
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "biuf":
        raise UsageError(f"{name} is {_short(values)}; allowed: real numbers in one array")
    floats = found.astype(np.float64, copy=False)
    if finite and not np.all(np.isfinite(floats)):
        bad = floats[~np.isfinite(floats)].flat[0]
        raise UsageError(f"{name} holds {bad:g}, which is no finite number; allowed: finite ones")
    return floats


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def input_names(predict: Callable[..., Any], owner: str) -> tuple[str, ...]:
    """Names of the inputs of a ``predict``, from its signature.

    Parameters
    ----------
    predict : function of ``self`` and inputs, each named.
    owner : its class, for the message.

    Raises
    ------
    TypeError : an input has no name of its own, so that no check could know it.
    """
    given = list(inspect.signature(predict).parameters.values())[1:]
    nameless = [p.name for p in given if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    nameless += [p.name for p in given if p.kind is p.POSITIONAL_ONLY]
    if nameless:
        raise TypeError(
            f"predict of {owner} hides inputs in {', '.join(nameless)}; allowed: inputs that are "
            "named one by one"
        )
    return tuple(p.name for p in given)


def checked_input(name: str, value: Any, described: str, *, finite: bool) -> Any:
    """Input of a ``predict`` as it passes it on: whole numbers as Python integers.

    Parameters
    ----------
    described : its annotation, such as ``int | None``; what says nothing is not checked.
    finite : whether an array may hold neither NaN nor infinities.

    Raises
    ------
    UsageError : it is not what is described.
    """
    sort, _, rest = described.partition(" | ")
    if value is None and rest == "None":
        return None
    if sort == "int":
        return seed_of(value) if name == "seed" else whole(name, value)
    if sort in _NUMBERS:
        as_numbers(name, value, finite=finite)
    return value


def named_inputs(predict: Callable[..., Any], owner: str) -> Callable[..., Any]:
    """Make a ``predict`` that refuses, in one line, inputs that it does not name or lacks.

    The names are those of its signature, so they cannot differ from what it takes; and so is what
    each may be, see `checked_input`.

    Raises
    ------
    TypeError : see `input_names`.
    """
    allowed = input_names(predict, owner)
    given = inspect.signature(predict).parameters
    needed = [name for name in allowed if given[name].default is inspect.Parameter.empty]
    described = {name: _described(given[name].annotation) for name in allowed}

    @functools.wraps(predict)
    def checked(self: Any, /, **inputs: Any) -> Any:
        unknown = [name for name in inputs if name not in allowed]
        if unknown:
            raise UsageError(
                f"predict of {self.kind} knows no {', '.join(unknown)}; "
                f"allowed: {', '.join(allowed)}"
            )
        lacking = [name for name in needed if name not in inputs]
        if lacking:
            raise UsageError(
                f"predict of {self.kind} lacks {', '.join(lacking)}; allowed: {', '.join(allowed)}"
            )
        checks = {
            name: checked_input(name, value, described[name], finite=name not in self.open_inputs)
            for name, value in inputs.items()
        }
        return predict(self, **checks)

    return checked


def whole_draws(sample_chips: Callable[..., Any]) -> Callable[..., Any]:
    """Make a ``sample_chips`` whose count and seed are whole, the seed of 64 bits."""

    @functools.wraps(sample_chips)
    def checked(self: Any, n: int, seed: int) -> Any:
        return sample_chips(self, whole("number of chips", n), seed_of(seed))

    return checked


def _described(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
