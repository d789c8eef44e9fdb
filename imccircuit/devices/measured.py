"""Spread of RRAM conductance as measured: a table over programmed level and read time.

What the table says about G. It gives mean M and deviation S of the conductance G at each read
time, and percentiles of the *change* D since programming, not of G. With G = G₀ + D, where G₀ is
the conductance just after programming (narrow and symmetric about its mean, because programming
ends when G is inside a window), the median of G is the mean of G₀ plus the median of D. The mean
of G₀ of the very cells that were read is M − mean(D). What G₀ adds to the width, its correlation
with D included, is v = S² − sd(D)² (0 if negative); it adds in squares to each side:

    median(G) = M − mean(D) + median(D)
    p16(G) = median(G) − √((median(D) − p16(D))² + v)
    p84(G) = median(G) + √((p84(D) − median(D))² + v)

Adding in squares is exact for Gaussian parts and an estimate otherwise. These percentiles choose
the *shape* of the law at each level and time; M and S are kept exactly whatever the shape.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.devices.core_tail import CoreTail, fit_core_tail
from imccircuit.devices.groups import Group, uniform
from imccircuit.devices.laws import LAWS, Floats, Value
from imccircuit.devices.text_file import read_text
from imccircuit.errors import InputError, UsageError
from imccircuit.units import format_quantity

COLUMNS = (
    "mean_uS", "sd_uS", "relax_mean_uS", "relax_sd_uS", "relax_median_uS", "relax_p16_uS",
    "relax_p84_uS",
)  # fmt: skip
_KEYS = ("tech", "range", "t_s", "n", *COLUMNS)
# In the order of preference: the simplest first.
_SIMPLE = ("truncated_normal", "lognormal", "gamma")


@dataclass(frozen=True)
class MeasuredSpread:
    """Mean, deviation and law of conductance over programmed level and read time.

    Attributes
    ----------
    label : technology and table, for messages.
    time_s : (time,) read times in s, rising, from 0 (just after programming).
    target_s : (level,) programmed levels in S, rising: the mean conductance at time 0.
    stats_s : column name without unit → (time, level) in S.
    count : (time, level) number of devices measured.
    """

    label: str
    time_s: Floats
    target_s: Floats
    stats_s: dict[str, Floats] = field(repr=False)
    count: NDArray[np.int64] = field(repr=False)

    @classmethod
    def read(cls, path: Path, technology: str, *, file: str | None = None) -> MeasuredSpread:
        """Read one technology of a table.

        Parameters
        ----------
        path : CSV file with the columns that ``data/README.md`` describes.
        technology : value of the column ``tech``.
        file : how messages name the table; the path by default.

        Raises
        ------
        InputError : unreadable, columns missing, not a number, technology unknown, levels
            missing at a time, or a mean or deviation that is not positive.
        """
        file = file or str(path)
        rows = _read_rows(path, technology, file)
        times = sorted({row["t_s"] for row in rows})
        levels = sorted({int(row["range"]) for row in rows})
        table = {(row["t_s"], int(row["range"])): row for row in rows}
        if len(table) != len(rows) or len(rows) != len(times) * len(levels):
            raise InputError(file, technology, len(rows), "not one row for each level and time")
        if times[0] != 0:
            raise InputError(file, technology, times[0], "no rows for the time 0 (programming)")

        def grid(key: str) -> Floats:
            return np.array([[table[t, level][key] for level in levels] for t in times])

        stats = {key.removesuffix("_uS"): grid(key) * 1e-6 for key in COLUMNS}
        for key in ("mean", "sd"):
            if not np.all(stats[key] > 0):
                raise InputError(file, f"{key}_uS", stats[key].min() * 1e6, "not above 0")
        target = stats["mean"][0]
        if not np.all(np.diff(target) > 0):
            raise InputError(file, technology, "mean_uS", "levels do not rise with the range")
        label = f"{technology} of {Path(file).name}"
        return cls(label, np.array(times), target, stats, grid("n").astype(np.int64))

    def at(self, read_time_s: float) -> ReadSpread:
        """Spread at one read time.

        Mean and deviation are interpolated linearly in log(time), between programming and the
        first read linearly in time; shapes are those of the nearest time on the same scale.

        Parameters
        ----------
        read_time_s : time since programming in s, within the table.

        Raises
        ------
        UsageError : outside the table; nothing is extrapolated.
        """
        first, last = self.time_s[1] if len(self.time_s) > 1 else 0.0, self.time_s[-1]
        if not 0 <= read_time_s <= last:
            raise UsageError(
                f"read time {format_quantity(read_time_s, 's')} is outside the measured range of "
                f"{self.label}; allowed: 0 s to {format_quantity(last, 's')}"
            )
        upper = int(np.searchsorted(self.time_s, read_time_s))
        if self.time_s[upper] == read_time_s:
            return self._between(upper, upper, 0.0, read_time_s)
        low, high = self.time_s[upper - 1], self.time_s[upper]
        if read_time_s < first:
            share = read_time_s / first
        else:
            share = float(np.log(read_time_s / low) / np.log(high / low))
        return self._between(upper - 1, upper, share, read_time_s)

    def _between(self, low: int, high: int, share: float, read_time_s: float) -> ReadSpread:
        mean, sd = (
            (1 - share) * self.stats_s[key][low] + share * self.stats_s[key][high]
            for key in ("mean", "sd")
        )
        shapes = self.shapes[high if share >= 0.5 else low]
        return ReadSpread(self.label, read_time_s, self.target_s, mean, sd, shapes)

    @cached_property
    def shapes(self) -> tuple[Shapes, ...]:
        """Law of each level, for every time of the table."""
        return tuple(self._choose(index) for index in range(len(self.time_s)))

    def percentiles(self, index: int) -> Floats:
        """(level, 3) 16th, 50th, 84th percentile of G at a time of the table, in S (see above)."""
        at = {key: values[index] for key, values in self.stats_s.items()}
        added = np.maximum(at["sd"] ** 2 - at["relax_sd"] ** 2, 0)
        median = at["mean"] - at["relax_mean"] + at["relax_median"]
        below = np.sqrt((at["relax_median"] - at["relax_p16"]) ** 2 + added)
        above = np.sqrt((at["relax_p84"] - at["relax_median"]) ** 2 + added)
        return np.stack([median - below, median, median + above], axis=1)

    def _choose(self, index: int) -> Shapes:
        mean, sd = self.stats_s["mean"][index], self.stats_s["sd"][index]
        levels = len(mean)
        if index == 0:
            # Nothing has changed yet: no percentiles are recorded, the narrow law needs none.
            nothing = np.full(levels, np.nan)
            return Shapes((_SIMPLE[0],) * levels, _no_core_tail(levels), nothing)
        wanted = self.percentiles(index)
        law, found = fit_core_tail(mean, sd, wanted, self._largest_cv(index))
        fits = {name: _misfit(name, None, wanted, mean, sd) for name in _SIMPLE}
        fits[law.name] = np.where(found, _misfit(law.name, law, wanted, mean, sd), np.inf)
        # A share of 16 % counted in n devices is uncertain by √(0.16·0.84/n); what a simple law
        # misses by less than that at both percentiles is not worth a shape of its own.
        noise = np.sqrt(2 * 0.16 * 0.84 / self.count[index])
        names = []
        for level in range(levels):
            here = {name: float(misfit[level]) for name, misfit in fits.items()}
            simple = min(_SIMPLE, key=here.__getitem__)
            names.append(simple if here[simple] < noise[level] else min(here, key=here.__getitem__))
        misfit = np.array([fits[name][level] for level, name in enumerate(names)])
        return Shapes(tuple(names), law, misfit)

    def _largest_cv(self, index: int) -> Floats:
        """Largest sd/mean that a shape meets until the next level or time takes over."""
        # Between nodes both moments are interpolated linearly, and a ratio of two such mixtures
        # never exceeds the larger of the ratios that are mixed.
        cv = self.stats_s["sd"] / self.stats_s["mean"]
        cv = cv[max(index - 1, 0) : index + 2].max(axis=0)
        wide = np.pad(cv, 1, mode="edge")
        return np.asarray(np.maximum(np.maximum(wide[:-2], wide[2:]), cv))


@dataclass(frozen=True)
class Shapes:
    """Law of each level at one time.

    Attributes
    ----------
    names : (level,) names of the laws.
    core_tail : its parameters, (level,) each; used where the name says so.
    misfit : (level,) √((F(p16) − 0.16)² + (F(p84) − 0.84)²), F being the law's distribution
        function: the share of devices that it puts on the wrong side. NaN where unknown.
    """

    names: tuple[str, ...]
    core_tail: CoreTail
    misfit: Floats


@dataclass(frozen=True)
class ReadSpread:
    """Spread of conductance at one read time.

    Attributes
    ----------
    label : technology and table, for messages.
    read_time_s : time since programming in s.
    target_s : (level,) programmed levels in S.
    level_mean_s, level_sd_s : (level,) moments in S.
    shapes : the law of each level.
    group : cells whose draws are correlated; None if none are.
    """

    label: str
    read_time_s: float
    target_s: Floats
    level_mean_s: Floats
    level_sd_s: Floats
    shapes: Shapes
    group: Group | None = None

    def mean_of(self, nominal: ArrayLike) -> Floats:
        """Mean conductance in S of cells programmed to ``nominal`` (S), linear between levels."""
        return np.interp(self._inside(nominal), self.target_s, self.level_mean_s)

    def sd_of(self, nominal: ArrayLike) -> Floats:
        """Return the standard deviation in S of cells programmed to ``nominal`` (S), likewise."""
        return np.interp(self._inside(nominal), self.target_s, self.level_sd_s)

    def law_of(self, nominal: ArrayLike) -> NDArray[np.str_]:
        """Name of the law that cells programmed to ``nominal`` (S) follow: the nearest level's."""
        return np.array(self.shapes.names)[self._level(self._inside(nominal))]

    def draw(self, rng: np.random.Generator, nominal: ArrayLike) -> Floats:
        """Conductances in S, all above 0, of cells programmed to ``nominal`` (S).

        Raises
        ------
        UsageError : a target outside the measured levels; nothing is extrapolated.
        """
        target = self._inside(nominal)
        if self.group is None:
            u = uniform(rng, target.shape)
        else:
            u = self.group.uniform(rng, target.shape)
        return self._by_law(target, u, CoreTail.quantile)

    def percentile(self, share: Floats, nominal: ArrayLike) -> Floats:
        """Conductances in S below which a share of the cells programmed to ``nominal`` (S) is.

        Parameters
        ----------
        share : between 0 and 1, of the shape of ``nominal``.

        Raises
        ------
        UsageError : a target outside the measured levels; nothing is extrapolated.
        """
        return self._by_law(self._inside(nominal), share, CoreTail.percentile)

    def _by_law(
        self, target: Floats, u: Floats, composed: Callable[[CoreTail, Value, Value, Value], Floats]
    ) -> Floats:
        """Quantiles of each target's law; ``composed`` gives those of core and tail."""
        mean, sd = self.mean_of(target), self.sd_of(target)
        level = self._level(target)
        found = np.empty(target.shape)
        names = np.array(self.shapes.names)[level]
        for name in np.unique(names):
            here = names == name
            given = u[here], mean[here], sd[here]
            law = LAWS.get(str(name))
            if law is None:
                found[here] = composed(self._core_tail(level[here]), *given)
            else:
                found[here] = law.quantile(*given)
        return found

    def _core_tail(self, level: NDArray[np.intp]) -> CoreTail:
        shape = self.shapes.core_tail
        return CoreTail(*(np.asarray(x)[level] for x in (shape.weight, shape.offset, shape.width)))

    def _level(self, target: Floats) -> NDArray[np.intp]:
        middle = (self.target_s[1:] + self.target_s[:-1]) / 2
        return np.asarray(np.searchsorted(middle, target))

    def _inside(self, nominal: ArrayLike) -> Floats:
        target = np.asarray(nominal, dtype=np.float64)
        low, high = self.target_s[0], self.target_s[-1]
        outside = ~((target >= low) & (target <= high))
        if np.any(outside):
            worst = float(target[outside].flat[0])
            raise UsageError(
                f"target conductance {format_quantity(worst, 'S')} is outside the measured levels "
                f"of {self.label}; allowed: {format_quantity(low, 'S', 5)} to "
                f"{format_quantity(high, 'S', 5)}"
            )
        return target


def _misfit(name: str, law: CoreTail | None, wanted: Floats, mean: Floats, sd: Floats) -> Floats:
    mean, sd = mean[:, None], sd[:, None]
    if law is not None:
        shape = (np.asarray(x)[:, None] for x in (law.weight, law.offset, law.width))
        with np.errstate(invalid="ignore", divide="ignore"):
            below = CoreTail(*shape).cdf(wanted, mean, sd)
        return np.hypot(below[:, 0] - 0.16, below[:, 2] - 0.84)
    reach = sd / mean <= LAWS[name].max_cv
    below = LAWS[name].cdf(wanted, mean, np.where(reach, sd, 0.5 * mean))
    return np.where(reach[:, 0], np.hypot(below[:, 0] - 0.16, below[:, 2] - 0.84), np.inf)


def _no_core_tail(levels: int) -> CoreTail:
    return CoreTail(np.full(levels, 0.5), np.zeros(levels), np.ones(levels))


def _read_rows(path: Path, technology: str, file: str) -> list[dict[str, float]]:
    try:
        reader = csv.DictReader(io.StringIO(read_text(path)))
        lacking = [key for key in _KEYS if key not in (reader.fieldnames or ())]
        rows = [] if lacking else list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(file, "", None, f"unreadable: {error}") from None
    if lacking:
        raise InputError(file, "", None, f"no column {lacking[0]!r}", ", ".join(_KEYS))
    known = sorted({row["tech"] or "" for row in rows})
    if technology not in known:
        raise InputError(file, "tech", technology, "no such technology", ", ".join(known))
    return [_numbers(row, file) for row in rows if row["tech"] == technology]


def _numbers(row: dict[str, str], file: str) -> dict[str, float]:
    numbers = {}
    for key in _KEYS[1:]:
        try:
            numbers[key] = float(row[key])
        except (TypeError, ValueError):
            numbers[key] = float("nan")
        if not np.isfinite(numbers[key]):
            raise InputError(file, key, row[key], "not a finite number")
    return numbers
