"""``imccircuit show``: what a results or model file says, in a screenful."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from imccircuit.cli.loop_limit import loop_warnings
from imccircuit.cli.output import JsonFlag, figures_of, say, say_json, say_table
from imccircuit.results.hdf5 import schema_of
from imccircuit.results.read import Results, read_results
from imccircuit.surrogates.files import SCHEMA as MODEL_SCHEMA
from imccircuit.units import format_quantity

NAME = "show"
_MOST_POINTS = 20
_SCALED = ("V", "A", "s", "J", "F", "ohm", "S", "Hz", "m**2")


def command(
    file: Annotated[Path, typer.Argument(help="A results or model file (.h5).")],
    as_json: JsonFlag = False,
) -> None:
    """Show where a file comes from, its figures, and what failed."""
    if _is_results(file):
        results = read_results(file)
        with figures_of(file):
            report = _report(results)
            if as_json:
                say_json(report)
            else:
                _say(results, report)
        return
    from imccircuit.cli.model_report import model_dict, model_text
    from imccircuit.surrogates.files import load_model

    model = load_model(file)
    if as_json:
        say_json(model_dict(model))
    else:
        say(model_text(model))


def _is_results(path: Path) -> bool:
    try:
        return not path.is_file() or schema_of(path) != MODEL_SCHEMA
    except OSError:
        return True  # the reader of results says what is wrong with it


def _report(results: Results) -> dict[str, Any]:
    provenance = results.provenance
    return {
        "recipe": provenance.recipe_name,
        "title": provenance.title,
        "bench": provenance.bench,
        "complete": results.complete,
        "seed": provenance.seed,
        "versions": dict(provenance.versions),
        "digest": provenance.digest,
        "shapes": [dict(data.sizes) for data in results.datasets],
        "failures": results.failures(),
        "warnings": loop_warnings(results),
        "figures": [figure for data in results.datasets for figure in figures(data)],
        "run": {key: str(value) for key, value in results.run.items()},
    }


def figures(data: Any) -> list[dict[str, Any]]:
    """Figures of merit of one shape group: name, value, unit, what it is over."""
    if "transition_level" in data:
        return _adc_figures(data) + _scalar_figures(data)
    if all(name in data for name in ("output_current", "row_voltage", "conductance")):
        return _crossbar_figures(data) + _scalar_figures(data)
    return _scalar_figures(data)


def _scalar_figures(data: Any) -> list[dict[str, Any]]:
    """All numbers without further dimensions, and energies block by block."""
    good = data["status"].values == 0
    found = []
    for name, variable in data.data_vars.items():
        if variable.dims[:2] != ("point", "sample") or variable.dtype.kind not in "fi":
            continue
        if str(name) == "status" or not np.any(good):
            continue
        label, unit = str(variable.attrs["long_name"]), str(variable.attrs["units"])
        if variable.ndim == 2:
            found.append(_figure(label, variable.values[good], unit))
        elif variable.dims[2:] == ("block",) and str(name) == "energy":
            for block, values in zip(data["block"].values, variable.values[good].T, strict=True):
                figure = _figure(f"energy, {block}", values, unit)
                if figure["of"] == 0:
                    figure["missing"] = "not modelled"
                found.append(figure)
    return found


def _figure(name: str, values: Any, unit: str) -> dict[str, Any]:
    flat = np.asarray(values, dtype=np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    if flat.size == 0:
        return {"name": name, "unit": unit, "median": None, "worst": None, "of": 0}
    worst = float(flat[np.argmax(np.abs(flat))])
    return {
        "name": name, "unit": unit, "median": float(np.median(flat)), "worst": worst,
        "of": int(flat.size),
    }  # fmt: skip


def _adc_figures(data: Any) -> list[dict[str, Any]]:
    from imccircuit.metrics.adc import Method, compute_inl_dnl

    good = data["status"].values == 0
    if not np.any(good):
        return []
    levels = data["transition_level"].values[good]
    full_scale = data["reference_voltage"].values[good]
    # A macro has one full scale for all its converters.
    full_scale = full_scale.reshape(-1, *[1] * (levels.ndim - 2))
    found: list[dict[str, Any]] = []
    methods: tuple[Method, ...] = ("end-point", "best-fit")
    for method in methods:
        figures = compute_inl_dnl(levels, full_scale_v=full_scale, method=method)
        found.append(_figure(f"largest |INL| ({method})", np.abs(figures.worst_inl_lsb), "LSB"))
        if method == "end-point":
            found.append(_figure("largest |DNL|", np.abs(figures.worst_dnl_lsb), "LSB"))
            found.append(_figure("offset", figures.offset_lsb, "LSB"))
            found.append(_figure("gain error", 100 * figures.gain_error, "%"))
            found.append(_figure("missing codes", figures.missing_count, "codes"))
    if "loop_difference" in data:
        found.append(_figure("loop outside static", data["loop_difference"].values[good], "LSB"))
    return found


def _crossbar_figures(data: Any) -> list[dict[str, Any]]:
    from imccircuit.metrics.array import compute_column_error, compute_ir_drop

    voltage, conductance = data["row_voltage"].values, data["conductance"].values
    current = data["output_current"].values
    good = data["status"].values == 0
    if not np.any(good):
        return []
    ideal = np.einsum("...br,...rc->...bc", voltage[good], conductance[good])
    error = compute_column_error(current[good], ideal)
    found = [
        _figure("largest column current", 1e6 * current[good], "µA"),
        _figure("column current error", 100 * error.of_largest, "% of largest"),
    ]
    if "cell_voltage" in data:
        drop = compute_ir_drop(data["cell_voltage"].values[good], voltage[good][..., None])
        found.append(_figure("IR drop", 1e3 * drop.drop_v, "mV"))
    return found


def _say_points(results: Results) -> None:
    """Which point has which values of the swept keys."""
    rows = []
    keys: list[str] = []
    for data in results.datasets:
        swept = [str(n) for n, c in data.coords.items() if c.dims == ("point",) and n != "point"]
        keys += [key for key in swept if key not in keys]
        for row, point in enumerate(data["point"].values):
            values = {key: data[key].values[row] for key in swept}
            good = int(np.sum(data["status"].values[row] == 0))
            rows.append((int(point), values, f"{good} of {data.sizes['sample']}"))
    if len(rows) < 2:
        return
    shown = sorted(rows, key=lambda item: item[0])[:_MOST_POINTS]
    table = [(p, *(_text(values.get(key)) for key in keys), good) for p, values, good in shown]
    title = (
        "points" if len(rows) <= _MOST_POINTS else f"the first {_MOST_POINTS} of {len(rows)} points"
    )
    say_table(title, ("point", *keys, "good"), table)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(figure: dict[str, Any], which: str) -> str:
    value = figure[which]
    if value is None:
        return str(figure.get("missing", "–"))
    unit = figure["unit"]
    # What came with a prefix of its own, or is no unit, stays as it is.
    if unit in _SCALED:
        return format_quantity(value, unit)
    return f"{value:.4g}" if unit == "1" else f"{value:.4g} {unit}"


def _say(results: Results, report: dict[str, Any]) -> None:
    provenance = results.provenance
    versions = provenance.versions
    say(f"{results.path}: {report['title'] or report['recipe']}")
    engine = f"{versions.get('engine')} {versions.get('version')} ({versions.get('solver')})"
    state = "complete" if results.complete else "NOT complete"
    say(f"recipe {provenance.recipe_name}, bench {provenance.bench}, {engine}, "
        f"seed {provenance.seed}, {state}")  # fmt: skip
    for data in results.datasets:
        say("  " + ", ".join(f"{name} {size}" for name, size in data.sizes.items()))
    failures = report["failures"]
    if failures:
        say(f"{len(failures)} not good:")
        for point, sample, status, reason in failures[:10]:
            say(f"  point {point} sample {sample}: {status}: {reason}")
    _say_points(results)
    if report["figures"]:
        rows = [
            (f["name"], _number(f, "median"), _number(f, "worst"), f["of"])
            for f in report["figures"]
        ]
        say_table("figures", ("what", "median", "worst", "over"), rows)
    for line in report["warnings"]:
        say(line)
    fit = f"   imccircuit fit {results.path} -o model.h5" if _has_surrogate(results) else ""
    say(f"next: imccircuit plot {results.path}{fit}")


def _has_surrogate(results: Results) -> bool:
    from imccircuit.benches.registry import bench_names, get_bench

    name = results.provenance.bench
    return name in bench_names() and bool(get_bench(name).surrogate)
