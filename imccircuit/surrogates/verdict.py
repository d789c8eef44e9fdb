"""What a surrogate is worth: its error against SPICE on data the fit never saw."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from imccircuit.units import format_quantity

State = Literal["pass", "fail", "not judged"]


@dataclass(frozen=True)
class Gate:
    """One limit and whether it holds.

    Attributes
    ----------
    name : what is limited.
    value, limit : in ``unit``; the value must not exceed the limit.
    unit : unit of both, ``1`` for pure numbers.
    holds : value ≤ limit.
    """

    name: str
    value: float
    limit: float
    unit: str
    holds: bool

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, unit: str) -> Gate:
        """Gate that holds while ``value`` is at most ``limit``; a NaN never does."""
        return cls(name, float(value), float(limit), unit, bool(value <= limit))

    def __str__(self) -> str:
        """One line: value, relation, limit."""
        relation = "<=" if self.holds else "exceeds"
        unit = "" if self.unit == "1" else self.unit
        value, limit = (format_quantity(item, unit) for item in (self.value, self.limit))
        return f"{self.name}: {value} {relation} {limit}"


@dataclass(frozen=True)
class ErrorFigure:
    """Error of one predicted quantity on held-out data.

    Attributes
    ----------
    quantity : name in the results file, or what it is.
    unit : SI unit of the three figures.
    max, rms, p999 : largest magnitude, root mean square, 99.9 % quantile of the magnitude.
    lsb : size of one code width in ``unit``, None where there is none.
    skill : 1 - rms(surrogate - SPICE) / rms(best ideal-plus-linear - SPICE); None where that
        model is as good as SPICE's own resolution, so that there is nothing to improve on.
    count : number of held-out values.
    note : what the figures mean where that is not plain.
    """

    quantity: str
    unit: str
    max: float
    rms: float
    p999: float
    lsb: float | None = None
    skill: float | None = None
    count: int = 0
    note: str = ""

    @classmethod
    def of(
        cls,
        quantity: str,
        unit: str,
        error: ArrayLike,
        *,
        linear_error: ArrayLike | None = None,
        resolution: float = 0.0,
        lsb: float | None = None,
        note: str = "",
    ) -> ErrorFigure:
        """Figures of an array of errors.

        Parameters
        ----------
        error : surrogate minus SPICE, any shape, in ``unit``.
        linear_error : best ideal-plus-linear model minus SPICE.
        resolution : error in ``unit`` below which SPICE's own numbers say nothing.
        """
        size = np.abs(np.asarray(error, dtype=np.float64)).ravel()
        if size.size == 0:
            return cls(quantity, unit, math.nan, math.nan, math.nan, lsb, None, 0, note)
        rms = _rms(size)
        skill = None
        if linear_error is not None and (plain := _rms(linear_error)) > resolution:
            skill = 1.0 - rms / plain
        p999 = float(np.quantile(size, 0.999))
        return cls(quantity, unit, float(size.max()), rms, p999, lsb, skill, size.size, note)

    def __str__(self) -> str:
        """One line with all figures, in LSB too where that exists."""
        parts = []
        for name, value in (("max", self.max), ("rms", self.rms), ("99.9 %", self.p999)):
            text = f"{name} {format_quantity(value, self.unit)}"
            parts.append(text + (f" ({value / self.lsb:.3g} LSB)" if self.lsb else ""))
        parts.append("no skill figure" if self.skill is None else f"skill {self.skill:.6g}")
        tail = f" ({self.note})" if self.note else ""
        return f"{self.quantity}: {', '.join(parts)}; {self.count} values{tail}"


@dataclass(frozen=True)
class Verdict:
    """Error against SPICE that the fit never saw, against stated gates.

    Attributes
    ----------
    state : ``pass``, ``fail`` or ``not judged``.
    reason : why, one line.
    gates : every limit with its value.
    errors : error of every predicted quantity on held-out data.
    points, chips : number of held-out values and of the chips they come from.
    left_out : number of measurements left out because their status was not good.
    reference : who measured, such as ``ngspice 46``.
    domain : where the verdict holds, name → value with unit.
    notes : what a reader must know besides.
    """

    state: State
    reason: str
    gates: tuple[Gate, ...] = ()
    errors: tuple[ErrorFigure, ...] = ()
    points: int = 0
    chips: int = 0
    left_out: int = 0
    reference: str = ""
    domain: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Show the lines that every print of a model shows."""
        lines = [f"verdict: {self.state} ({self.reason})"]
        lines.append(
            f"held out: {self.points} values of {self.chips} chip(s), against "
            f"{self.reference or 'SPICE'}; {self.left_out} measurement(s) not good and left out"
        )
        lines += [f"gate {gate}" for gate in self.gates]
        lines += [f"error {figure}" for figure in self.errors]
        lines += [f"domain {name}: {value}" for name, value in self.domain.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def headline(self) -> str:
        """One line: the state, and the figures or the reason that it is due to."""
        why = "; ".join(str(gate) for gate in self.gates) if self.state == "pass" else ""
        return f"verdict: {self.state} ({why or self.reason})"

    def to_json(self) -> str:
        """JSON text, NaN written as null."""
        return json.dumps(_nan_to_none(asdict(self)), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Verdict from `to_json`.

        Raises
        ------
        ValueError, KeyError, TypeError : the text is none, or its state is not that of its gates.
        """
        raw = json.loads(text)
        if raw["state"] not in ("pass", "fail", "not judged"):
            raise ValueError(f"verdict state {raw['state']!r}")
        gates = tuple(
            Gate(**{**item, **{k: _number(item[k]) for k in ("value", "limit")}})
            for item in raw.pop("gates")
        )
        errors = tuple(
            ErrorFigure(**{**item, **{k: _number(item[k]) for k in ("max", "rms", "p999")}})
            for item in raw.pop("errors")
        )
        notes = tuple(raw.pop("notes"))
        found = cls(gates=gates, errors=errors, notes=notes, **raw)
        if problem := found.contradiction():
            raise ValueError(f"verdict contradicts itself: {problem}")
        return found

    def contradiction(self) -> str:
        """Say in what the state, the gates and their figures disagree; empty if in nothing.

        A limit that is no number, as of a gate that cannot be broken, is not compared.
        """
        for gate in self.gates:
            if math.isfinite(gate.limit) and gate.holds is not bool(gate.value <= gate.limit):
                return (
                    f"holds of gate {gate.name} is {gate.holds}, {gate.value:g} of {gate.limit:g}"
                )
            if self.state == "pass" and not gate.holds:
                return f"state is pass, gate {gate.name} does not hold"
        return ""


def judge(gates: tuple[Gate, ...], problems: tuple[str, ...]) -> tuple[State, str]:
    """State and reason from gates and from what is physically impossible."""
    if problems:
        return "fail", f"not physical: {problems[0]}"
    broken = [gate for gate in gates if not gate.holds]
    if broken:
        return "fail", "; ".join(str(gate) for gate in broken)
    return "pass", "every gate holds on held-out data"


def largest_error(figures: Iterable[ErrorFigure]) -> float:
    """Largest error of all figures that have a value; NaN where one of them is no number."""
    # Not max(), which passes over NaN where another comes first.
    return float(np.max([figure.max for figure in figures if figure.count]))


def _rms(values: ArrayLike) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(values, dtype=np.float64)))))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_none(item) for item in value]
    return value
