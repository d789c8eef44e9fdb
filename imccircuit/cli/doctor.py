"""``imccircuit doctor``: what is on this machine, seen by trying it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import typer

from imccircuit.cli.output import JsonFlag, complain, say_json, say_table
from imccircuit.engines.ngspice import locate, probe
from imccircuit.errors import ExitCode, SetupError
from imccircuit.library import path
from imccircuit.versions import library_versions

NAME = "doctor"
_EXTRAS = {"scikit-learn (study digits)": "sklearn"}


def command(as_json: JsonFlag = False) -> None:
    """Show ngspice, its version and linear solver (by a real deck), libraries and folders."""
    report: dict[str, Any] = {"cores": os.cpu_count(), "versions": library_versions()}
    problem = _look_at_ngspice(report)
    report["extras"] = {name: find_spec(module) is not None for name, module in _EXTRAS.items()}
    report["shipped"] = {kind: str(path(kind)) for kind in ("netlists", "device_models",
                         "characterize", "data")}  # fmt: skip
    report["good"] = not problem
    if as_json:
        say_json(report)
    else:
        _say(report)
    if problem:
        complain(problem)
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _look_at_ngspice(report: dict[str, Any]) -> str:
    """Fill in the report; return what makes the machine unfit, empty if nothing does."""
    try:
        found = probe(locate())
    except SetupError as error:
        report["ngspice"] = None
        return str(error)
    solver = "klu" if found.has_klu else "sparse"
    report["ngspice"] = {
        "path": found.path,
        "version": found.version,
        "solver": solver,
        "xspice": found.has_xspice,
    }
    report["warnings"] = []
    if not found.has_klu:
        # Measured: the ordering of Sparse 1.3 grows with the fifth power of N.
        report["warnings"].append(
            "without KLU one operating point of a crossbar with wires takes about 0.2 s at "
            "32 × 32, 3 s at 64 × 64 and 90 s at 128 × 128; ngspice 42 or later has KLU"
        )
    if not found.has_xspice:
        report["warnings"].append("no XSPICE code models: closed-loop SAR conversions will fail")
    return ""


def _say(report: dict[str, Any]) -> None:
    ngspice = report["ngspice"]
    rows: list[tuple[str, object]] = []
    if ngspice is None:
        rows.append(("ngspice", "missing"))
    else:
        rows.append(("ngspice", f"{ngspice['version']}  ({ngspice['path']})"))
        rows.append(("linear solver", ngspice["solver"]))
        rows.append(("XSPICE models", "yes" if ngspice["xspice"] else "no"))
    rows += list(report["versions"].items())
    rows.append(("cores", report["cores"]))
    rows += [(name, "yes" if there else "no") for name, there in report["extras"].items()]
    rows += [(f"folder {kind}", folder) for kind, folder in report["shipped"].items()]
    say_table("imccircuit doctor", ("what", "found"), rows)
    for warning in report.get("warnings", []):
        complain(f"warning: {warning}")
