"""Physical quantities: text with a unit outside, plain SI floats inside.

``parse_quantity("1.2 fF", "F")`` gives ``1.2e-15``. The units ``LSB`` (one code width of a
converter) and ``FS`` (its full scale, so ``"0.1 % FS"`` is a ratio to it) are known and have a
dimension of their own: a voltage is not accepted where LSB are meant. Temperatures are given and
kept in degC because that is what ngspice and every data sheet use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    import pint
    from numpy.typing import NDArray

EXAMPLES = {
    "ohm": "1.5 kohm",
    "S": "40 uS",
    "F": "2 fF",
    "V": "200 mV",
    "A": "10 uA",
    "s": "10 ns",
    "degC": "27 degC",
    "LSB": "0.5 LSB",
    "FS": "0.1 % FS",
    "m": "60 nm",
    "Hz": "1 MHz",
    "J": "1 pJ",
}


# Number, then units joined by * / or blanks, powers of one digit: nothing that could be costly
# to evaluate reaches the unit parser.
_UNIT = r"(%|[a-zA-ZµμΩΩ°]+)((\*\*|\^)-?\d(?!\d)|[²³])?"
_QUANTITY = re.compile(
    rf"\s*(?P<number>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{{1,3}})?)"
    rf"\s*(?P<unit>(1/)?{_UNIT}(\s*[*/ ]\s*{_UNIT})*)?\s*"
)


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    registry.define("LSB = [code_width]")
    registry.define("FS = [full_scale]")
    return registry


def _convert(text: str, unit: str, example: str) -> float:
    """Value of a well-formed quantity in ``unit``; `ValueError` with ``example`` if it has none."""
    import pint

    try:
        parsed = _registry().parse_expression(text.replace("%", " percent "))
        return float(_registry().Quantity(parsed).to(unit or "dimensionless").magnitude)
    except pint.DimensionalityError as error:
        if error.units1 == _registry().dimensionless:
            raise ValueError(f"no unit; allowed: {example}") from None
        raise ValueError(f"wrong dimension; allowed: {example}") from None
    except pint.UndefinedUnitError as error:
        raise ValueError(f"unknown unit {error.unit_names!r}; allowed: {example}") from None
    except (pint.PintError, ValueError, TypeError, SyntaxError, AttributeError, OverflowError,
            ZeroDivisionError, AssertionError, RecursionError):  # fmt: skip
        raise ValueError(f"not a quantity; allowed: {example}") from None


@lru_cache(maxsize=1024)
def _scale(text: str, unit: str) -> float:
    """What a number in the unit ``text`` is multiplied with; 0 if that is not all there is to it.

    Asking pint for every value of an axis of 100,000 would take a minute.
    """
    try:
        one, zero = (_convert(f"{number} {text}", unit, "") for number in (1, 0))
    except ValueError:
        return 0.0
    return one if zero == 0 else 0.0


@lru_cache(maxsize=4096)
def parse_quantity(text: str, unit: str) -> float:
    """Value of ``text`` in ``unit``.

    Parameters
    ----------
    text : number and unit, such as ``"1.2 fF"``.
    unit : the unit of the answer; its dimension is what ``text`` must have.

    Raises
    ------
    ValueError : no number, no unit, unknown unit, wrong dimension, or not finite. The message
        is one line fit for a user.
    """
    example = f'a quantity in {unit or "no unit"}, such as "{EXAMPLES.get(unit, "1 " + unit)}"'
    if len(text) > 100:
        raise ValueError(f"too long for a quantity; allowed: {example}")
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ValueError(f"not a quantity; allowed: {example}")
    scale = _scale(found["unit"] or "", unit)
    magnitude = float(found["number"]) * scale if scale else _convert(text, unit, example)
    if not math.isfinite(magnitude):
        raise ValueError(f"not finite; allowed: {example}")
    # 2 fF must be exactly the float 2e-15, not 2.0000000000000003e-15: scaling by a power of
    # ten leaves one unit in the last place, which would show in decks and hashes.
    return float(f"{magnitude:.15g}")


_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B\s*")


def parse_bytes(text: str) -> int:
    """Number of bytes: ``"8 GB"`` is 8e9, ``"8 GiB"`` is 8·2^30.

    Raises
    ------
    ValueError : no size; the message says what is allowed.
    """
    found = _BYTES.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise ValueError('not a size; allowed: a number with kB, MB, GB or TB, such as "8 GB"')
    base = 1024 if found[3] else 1000
    power: int = " kMGT".index(found[2] or " ")
    return round(float(found[1]) * float(base) ** power)


_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M",
             9: "G", 12: "T"}  # fmt: skip
# A prefix multiplies the unit that it stands at: that must come first, and to the power of one.
_PREFIXED = re.compile(r"(?!degC|LSB|FS)[a-zA-ZΩ]+(?!\*\*)([*/].*)?")


def format_quantity(value: float, unit: str, digits: int = 4) -> str:
    """``value`` in SI with an engineering prefix, such as ``"2 fF"``; for prints and labels.

    An area in ``m**2`` is shown in µm², above 10⁴ µm² in mm². Other powers and reciprocals have
    no prefix, for it would be raised to the power, too: ``"0.445 1/V"``. `parse_quantity` reads
    all of them.

    Parameters
    ----------
    value : in ``unit``.
    unit : as `parse_quantity` takes it; ``1`` for pure numbers.
    digits : number of significant digits.
    """
    if value == 0 or not math.isfinite(value):
        return f"{value + 0.0:g} {unit}".removesuffix(" 1").rstrip()  # no negative zero
    # Rounded first: 999.9996 µV are 1 mV, not 1000 µV.
    rounded = float(f"{value:.{digits - 1}e}")
    if unit == "m**2":
        scale, name = (1e12, "µm²") if abs(rounded) < 1e-8 else (1e6, "mm²")
        return f"{_digits(rounded * scale, digits)} {name}"
    if not _PREFIXED.fullmatch(unit):
        return f"{_digits(value, digits)} {unit}".removesuffix(" 1").rstrip()
    exponent = max(-18, min(12, 3 * math.floor(math.log10(abs(rounded)) / 3 + 1e-12)))
    return f"{_digits(rounded / 10.0**exponent, digits)} {_PREFIXES[exponent]}{unit}"


def _digits(value: float, digits: int) -> str:
    """Significant digits of a number; below 1000 never with an exponent of ten."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text and abs(float(text)) < 1000 else text


@dataclass(frozen=True)
class SI:
    """Pydantic annotation: a quantity string with a unit in, an SI float out.

    ``Annotated[float, SI("ohm"), Field(ge=0)]``. A bare number is refused unless it comes from
    code (validation context ``trusted``), where SI is the rule.
    """

    unit: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Parse before the float schema, so that bounds apply to the SI value."""
        return core_schema.with_info_before_validator_function(self._parse, handler(source))

    def _parse(self, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            try:
                return parse_quantity(value, self.unit)
            except ValueError as error:
                raise PydanticCustomError("quantity", "{why}", {"why": str(error)}) from None
        if _is_number(value) and (info.context or {}).get("trusted"):
            return value
        example = EXAMPLES.get(self.unit, "1 " + self.unit)
        raise PydanticCustomError(
            "quantity",
            "{why}",
            {"why": f'not a quantity with a unit; allowed: a string such as "{example}"'},
        )


@dataclass(frozen=True)
class SIArray:
    """Pydantic annotation: an array in SI, from nested lists or from ``path.npz:name``.

    Entries of a list are bare SI numbers or strings with a unit. A path is resolved by the
    function that the validation context carries under ``load_array``. No entry may be below
    ``least`` or above ``most``.
    """

    unit: str
    ndim: int
    least: float = -math.inf
    most: float = math.inf

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate by `_parse` alone; serialise to nested lists in JSON mode."""
        return core_schema.with_info_plain_validator_function(
            self._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda array: array.tolist(), when_used="json"
            ),
        )

    def _parse(self, value: object, info: ValidationInfo) -> NDArray[np.float64]:
        try:
            if isinstance(value, str):
                load = (info.context or {}).get("load_array")
                if load is None:
                    raise ValueError("an array file cannot be named here")
                value = load(value)
            array = np.asarray(_to_floats(value, self.unit), dtype=np.float64)
        except (ValueError, TypeError) as error:
            if "inhomogeneous" in str(error):
                error = ValueError("lists of different lengths")
            allowed = f"{self.ndim} nested list(s) of numbers in {self.unit or 'no unit'}"
            why = f'{error}; allowed: {allowed}, or "path.npz:name"'
            raise PydanticCustomError("array", "{why}", {"why": why}) from None
        if array.ndim != self.ndim or array.size == 0:
            why = f"an array of shape {array.shape}; allowed: {self.ndim} dimension(s), not empty"
            raise PydanticCustomError("array", "{why}", {"why": why})
        if not np.all(np.isfinite(array)):
            raise PydanticCustomError("array", "holds values that are not finite", {})
        outside = array[(array < self.least) | (array > self.most)]
        if outside.size:
            why = f"holds {outside[0]:.6g}; allowed: {self.least:g} to {self.most:g} {self.unit}"
            raise PydanticCustomError("array", "{why}", {"why": why.rstrip()})
        array.setflags(write=False)
        return array


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _to_floats(value: object, unit: str) -> object:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiu":
            raise ValueError(f"array of type {value.dtype}")
        return np.array(value, dtype=np.float64)
    if isinstance(value, str):
        return parse_quantity(value, unit)
    if isinstance(value, Sequence):
        return [_to_floats(item, unit) for item in value]
    if _is_number(value):
        return value
    raise ValueError(f"holds {value!r}")


Resistance = Annotated[float, SI("ohm"), Field(ge=0)]
Conductance = Annotated[float, SI("S"), Field(ge=0)]
Capacitance = Annotated[float, SI("F"), Field(ge=0)]
Voltage = Annotated[float, SI("V")]
Current = Annotated[float, SI("A")]
Time = Annotated[float, SI("s"), Field(ge=0)]
Length = Annotated[float, SI("m"), Field(gt=0)]
Temperature = Annotated[float, SI("degC"), Field(ge=-273.15)]
Ratio = Annotated[float, SI("")]
