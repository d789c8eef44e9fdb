"""Inputs of `predict` by name: what a kind does not know is refused, what it needs is asked for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from imccircuit.errors import UsageError


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


def named_inputs(predict: Callable[..., Any], owner: str) -> Callable[..., Any]:
    """Make a ``predict`` that refuses, in one line, inputs that it does not name or lacks.

    The names are those of its signature, so they cannot differ from what it takes.

    Raises
    ------
    TypeError : see `input_names`.
    """
    allowed = input_names(predict, owner)
    given = inspect.signature(predict).parameters
    needed = [name for name in allowed if given[name].default is inspect.Parameter.empty]

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
        return predict(self, **inputs)

    return checked
