"""A law read from a table: measured values of one population, or its quantiles."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from imccircuit.devices.laws import Floats, Value
from imccircuit.devices.npz import read_npz
from imccircuit.devices.text_file import read_text
from imccircuit.errors import InputError

_FEWEST = 2
_ALLOWED = (
    "a CSV file with the header value (one measured device a line) or share,value (quantiles), "
    "or an NPZ file with arrays of these names"
)


@dataclass(frozen=True)
class Empirical:
    """The shape of a measured population, with mean and standard deviation to choose.

    The quantile function is linear between the points of the table and constant outside them:
    nothing is drawn that lies outside what was measured. Its own mean m and deviation s are
    integrals of that function, exact; a draw is mean + sd·(Q(u) − m)/s.

    Attributes
    ----------
    share : (point,) shares of the population, rising strictly, within 0 and 1.
    value : (point,) the value below which that share lies, in any unit, never falling, above 0.
    label : of the table, for messages.
    """

    share: Floats
    value: Floats
    label: str = field(default="", compare=False)

    name: ClassVar[str] = "empirical"
    positive: ClassVar[bool] = True

    @classmethod
    def of_samples(cls, values: Floats, label: str = "") -> Empirical:
        """Law of a list of measured values; the i-th smallest of n stands at (i + ½)/n."""
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        return cls((np.arange(len(ordered)) + 0.5) / len(ordered), ordered, label)

    @classmethod
    def read(cls, path: Path, file: str | None = None) -> Empirical:
        """Read a table.

        Parameters
        ----------
        path : CSV or NPZ file with ``value`` and, if these are quantiles, ``share``.
        file : how messages name it; the path by default.

        Raises
        ------
        InputError : unreadable, empty, not numbers, not above 0, falling, or all values equal.
        """
        file = file or str(path)
        table = _read_npz(path, file) if path.suffix == ".npz" else _read_csv(path, file)
        value, share = table["value"], table.get("share")
        for key, column in table.items():
            if column.ndim != 1 or not np.all(np.isfinite(column)):
                raise InputError(file, key, None, "not a list of finite numbers", _ALLOWED)
        if len(value) < _FEWEST:
            raise InputError(file, "value", len(value), "too few rows for a law", "2 or more")
        if np.min(value) <= 0:
            raise InputError(file, "value", float(np.min(value)), "not above 0", "values above 0")
        if np.ptp(value) == 0:
            raise InputError(file, "value", float(value[0]), "all values are the same")
        if share is None:
            return cls.of_samples(value, file)
        _check_quantiles(share, value, file)
        return cls(share, value, file)

    @property
    def mean(self) -> float:
        """Mean of the table, in its own unit."""
        return float(self._moments()[0])

    @property
    def cv(self) -> float:
        """Standard deviation over mean of the table."""
        mean, sd = self._moments()
        return float(sd / mean)

    @property
    def max_cv(self) -> float:
        """Largest sd/mean at which the smallest value is still above 0."""
        mean, sd = self._moments()
        # Exactly at the limit the smallest draw would be 0; the table's own cv is always below.
        return float(sd / (mean - self.value[0]) * (1 - 1e-9))

    def _moments(self) -> tuple[float, float]:
        """Mean and deviation of the piecewise linear quantile function."""
        u = np.concatenate([[0.0], self.share, [1.0]])
        q = np.concatenate([self.value[:1], self.value, self.value[-1:]])
        step, low, high = np.diff(u), q[:-1], q[1:]
        mean = float(np.sum(step * (low + high) / 2))
        low, high = low - mean, high - mean
        return mean, float(np.sqrt(np.sum(step * (low**2 + low * high + high**2) / 3)))

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """``mean + sd·(Q(u) − m)/s``."""
        own_mean, own_sd = self._moments()
        z = (np.interp(u, self.share, self.value) - own_mean) / own_sd
        return np.asarray(mean + np.asarray(sd) * z, dtype=np.float64)

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """Share of the distribution that lies below ``x``; where many values are equal, of all."""
        own_mean, own_sd = self._moments()
        raw = own_mean + own_sd * np.subtract(x, mean) / sd
        share = np.interp(raw, self.value, self.share)
        share = np.where(raw < self.value[0], 0.0, share)
        return np.asarray(np.where(raw >= self.value[-1], 1.0, share))


def _check_quantiles(share: Floats, value: Floats, file: str) -> None:
    if len(share) != len(value):
        raise InputError(file, "share", len(share), f"not as many as the {len(value)} values")
    if np.min(share) < 0 or np.max(share) > 1:
        worst = float(share[np.argmax(np.abs(share - 0.5))])
        raise InputError(file, "share", worst, "not a share", "0 to 1")
    for key, column, falls in (
        ("share", share, np.diff(share) <= 0), ("value", value, np.diff(value) < 0),
    ):  # fmt: skip
        if np.any(falls):
            row = int(np.argmax(falls)) + 1
            problem = f"row {row + 1} does not rise above the row before it"
            allowed = "shares that rise and values that do not fall"
            raise InputError(file, key, float(column[row]), problem, allowed)


def _read_csv(path: Path, file: str) -> dict[str, Floats]:
    try:
        reader = csv.DictReader(io.StringIO(read_text(path)))
        names = [name.strip() for name in reader.fieldnames or ()]
        rows = [dict(zip(names, row.values(), strict=False)) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(file, "", None, f"unreadable: {error}") from None
    _check_names(names, file)
    table: dict[str, list[float]] = {name: [] for name in ("value", "share") if name in names}
    for row in rows:
        for name, column in table.items():
            try:
                column.append(float(row[name]))
            except (TypeError, ValueError, KeyError):
                raise InputError(file, name, row.get(name), "not a number", _ALLOWED) from None
    return {name: np.array(column) for name, column in table.items()}


def _read_npz(path: Path, file: str) -> dict[str, Floats]:
    try:
        found = read_npz(path, ("value", "share"))
        _check_names(list(found), file)
        return {name: np.asarray(array, dtype=np.float64) for name, array in found.items()}
    except (OSError, ValueError) as error:
        raise InputError(file, "", None, f"unreadable: {error}") from None


def _check_names(names: list[str], file: str) -> None:
    if "value" not in names:
        raise InputError(file, "value", None, "no such column", _ALLOWED)
