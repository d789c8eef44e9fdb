"""One measured variable over a swept key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from imccircuit.errors import UsageError
from imccircuit.results.read import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_LINES = 6


def draw_over(results: Results, variable: str, over: str) -> Figure:
    """Draw a variable over a swept key: mean over chips as a line, their range as a band.

    Each value of the other swept keys is a line of its own, and so is each entry of the variable
    where it has dimensions. Points without a good chip are left out.

    Parameters
    ----------
    over : the swept key, of numbers or of texts (which stand side by side); may be empty where
        there is but one.

    Raises
    ------
    UsageError : no such variable or key, or nothing good to draw.
    """
    from imccircuit.plots.curves import plot_curves
    from imccircuit.plots.style import house_style, make_figure, plain

    groups = [data for data in results.datasets if variable in data]
    if not groups:
        known = sorted({str(n) for d in results.datasets for n in d.data_vars if _measured(d[n])})
        raise UsageError(f"no variable {variable!r}; allowed: {', '.join(known)}")
    if any(not _measured(data[variable]) for data in groups):
        raise UsageError(f"{variable} is no number that was measured")
    keys = _swept(groups[0])
    key = _choose(groups[0], keys, over)
    others = [name for name in keys if name != key and not _tied(groups, name, key)]
    attrs = groups[0][key].attrs
    names = _names(groups, key)
    with house_style():
        figure, (ax,) = make_figure()
        lines = list(_lines(groups, variable, key, others))
        if len(lines) > _MOST_LINES:
            ax.set_title(f"{_MOST_LINES} of {len(lines)} lines", fontsize=6)
            shown = np.linspace(0, len(lines) - 1, _MOST_LINES).round().astype(int)
            lines = [lines[index] for index in shown]
        for label, x, y in lines:
            plot_curves(
                ax, x, y, x_label=_short(key), x_unit=attrs.get("units", "1"),
                y_label=groups[0][variable].attrs["long_name"],
                y_unit=groups[0][variable].attrs["units"], name=label,
            )  # fmt: skip
        if names:
            ax.set_xticks(range(len(names)), [plain(name) for name in names])
        if not ax.lines:
            raise UsageError(f"{variable}: no point has a good sample to draw")
    return figure


def _measured(array: Any) -> bool:
    return array.dims[:2] == ("point", "sample") and array.dtype.kind in "fi"


def _swept(data: Any) -> list[str]:
    return [str(n) for n, c in data.coords.items() if c.dims == ("point",) and n != "point"]


def _choose(data: Any, keys: list[str], over: str) -> str:
    if over:
        if over not in keys:
            allowed = ", ".join(keys) or "none, nothing was swept"
            raise UsageError(f"{over!r} was not swept; allowed: {allowed}")
        return over
    numbers = [key for key in keys if data[key].dtype.kind in "fi"]
    for candidates in (numbers, keys):
        if len(candidates) == 1:
            return candidates[0]
    raise UsageError(f"name one of the swept keys with --over: {', '.join(keys) or 'none'}")


def _tied(groups: list[Any], name: str, key: str) -> bool:
    """Whether a key takes one value for each value of another, as paired axes do."""
    pairs = {
        (repr(a), repr(b))
        for data in groups
        for a, b in zip(data[key].values, data[name].values, strict=True)
    }
    return len(pairs) == len({a for a, _ in pairs})


def _short(key: str) -> str:
    return key.rpartition(".")[2].replace("_", " ")


def _names(groups: list[Any], key: str) -> list[str]:
    """Values of a key of texts, in the order of the sweep; nothing for a key of numbers."""
    if groups[0][key].dtype.kind in "fi":
        return []
    return list(dict.fromkeys(str(name) for data in groups for name in data[key].values))


def _entry(data: Any, dim: str, place: int) -> str:
    """What an entry of a dimension is called: its name where it has one, else its number."""
    if dim in data.coords and data[dim].dtype.kind in "OUS":
        return str(data[dim].values[place])
    return f"{dim} {place}"


def _lines(groups: list[Any], variable: str, key: str, others: list[str]) -> Any:
    """Label, x (point,) and y (chip, point) of each line."""
    rows: dict[str, list[tuple[float, Any]]] = {}
    names = _names(groups, key)
    for data in groups:
        good = data["status"] == 0
        values = data[variable].astype(np.float64).where(good).transpose(*data[variable].dims)
        values = values.values
        for row in range(data.sizes["point"]):
            label = ", ".join(f"{_short(name)} {data[name].values[row]}" for name in others)
            for index in np.ndindex(*values.shape[2:]):
                places = zip(data[variable].dims[2:], index, strict=True)
                entry = " ".join(_entry(data, str(dim), place) for dim, place in places)
                name = ", ".join(part for part in (label, entry) if part)
                y = values[(row, slice(None), *index)]
                if np.any(np.isfinite(y)):
                    x = data[key].values[row]
                    place = names.index(str(x)) if names else float(x)
                    rows.setdefault(name, []).append((place, y))
    for name, found in rows.items():
        found.sort(key=lambda pair: pair[0])
        yield name, [x for x, _ in found], np.stack([y for _, y in found], axis=1)
