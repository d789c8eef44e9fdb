"""The study ``digits``: one chip, the same images in float, in SPICE and in its exported model."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import EngineError, InputError
from imccircuit.exporters.export import export_model
from imccircuit.exporters.numpy.load import load_exported
from imccircuit.metrics.adc import compute_codes
from imccircuit.metrics.statistics import Proportion, compute_proportion_interval
from imccircuit.networks.digits import Digits, load_digits, train_linear
from imccircuit.networks.study import Progress, Study, Table
from imccircuit.recipes.load import Recipe, check_recipe, load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.verdict import Verdict
from imccircuit.sweeps.run import RunOptions, run_plan

_LOOP_POINTS = 8
_TARGETS = ["numpy", "bundle"]
# A voltage, or a level, that is off by e LSB makes another code with a chance of |e|. The gates
# allow 0.05 LSB to the array and to the converter, and a shipped converter differs by 0.1 LSB
# between its static levels and whole conversions.
_LEAST_EQUAL = 0.9


@dataclass(frozen=True)
class Way:
    """One way of computing the classifier.

    Attributes
    ----------
    name : what computed it.
    accuracy : share of right answers with its interval.
    seconds : time for all images.
    """

    name: str
    accuracy: Proportion
    seconds: float


@dataclass(frozen=True)
class DigitsOutcome:
    """What the study found.

    Attributes
    ----------
    images : number of test images.
    ways : float, SPICE, exported surrogate.
    equal_codes : share of codes that SPICE and the exported surrogate have in common.
    largest_difference : largest difference of a code between the two.
    loop_conversions, loop_equal : closed-loop conversions in SPICE and how many gave the code
        that the static levels give.
    verdicts : of the two surrogates.
    files : what was written, by name.
    """

    images: int
    ways: tuple[Way, ...]
    equal_codes: float
    largest_difference: int
    loop_conversions: int
    loop_equal: int
    verdicts: dict[str, Verdict]
    files: dict[str, Path]

    @property
    def below_gate(self) -> bool:
        """A surrogate missed its gate, its codes part, or a conversion is not as its levels say."""
        return (
            any(verdict.state == "fail" for verdict in self.verdicts.values())
            or self.equal_codes < _LEAST_EQUAL
            or self.largest_difference > 1
            or self.loop_equal < _LEAST_EQUAL * self.loop_conversions
        )

    def tables(self) -> list[Table]:
        """Tables for a terminal."""
        rows: list[Any] = [
            (
                way.name,
                f"{100 * way.accuracy.estimate:.1f} %",
                f"{100 * way.accuracy.low:.1f} – {100 * way.accuracy.high:.1f} %",
                f"{way.seconds:.3g} s",
            )
            for way in self.ways
        ]
        title = f"{self.images} handwritten digits, the same images in every row"
        return [(title, ("computed by", "accuracy", "95 % interval", "time"), rows)]

    def notes(self) -> list[str]:
        """Lines below the table."""
        lines = [
            f"codes of SPICE and of the exported surrogate: {100 * self.equal_codes:.2f} % equal, "
            f"largest difference {self.largest_difference} LSB",
            f"closed-loop conversions in SPICE: {self.loop_equal} of {self.loop_conversions} gave "
            "the code of the static levels",
        ]
        for name, verdict in self.verdicts.items():
            lines.append(f"surrogate of the {name}:")
            lines += [f"  {line}" for line in str(verdict).splitlines()]
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        return {
            "images": self.images,
            "ways": [
                {
                    "name": way.name,
                    "accuracy": way.accuracy.estimate,
                    "low": way.accuracy.low,
                    "high": way.accuracy.high,
                    "seconds": way.seconds,
                }
                for way in self.ways
            ],
            "equal_codes": self.equal_codes,
            "largest_difference": self.largest_difference,
            "loop_conversions": self.loop_conversions,
            "loop_equal": self.loop_equal,
            "verdicts": {
                name: json.loads(verdict.to_json()) for name, verdict in self.verdicts.items()
            },
            "files": {name: str(path) for name, path in self.files.items()},
        }


def run_digits(study: Study, folder: Path, *, jobs: int, progress: Progress) -> DigitsOutcome:
    """Run the study and write results, models, exports and ``study.json`` into ``folder``."""
    tables = study.tables
    digits = load_digits(tables.network.test_images, tables.network.seed)
    progress(f"training a linear classifier on {len(digits.train_y)} images")
    weights = train_linear(digits.train_x, digits.train_y)

    files: dict[str, Path] = {"array": folder / "array.h5", "converter": folder / "converter.h5"}
    array_recipe = _array_recipe(study, digits, weights)
    converter = load_recipe(tables.converter.recipe, ["variation.samples=1"])
    progress(f"array: {len(digits.test_y)} images through wires, cells and amplifiers in SPICE")
    spice_s = _run(array_recipe, files["array"], jobs)
    progress("converter: all levels and closed-loop checks in SPICE")
    spice_s += _run(converter, files["converter"], jobs)
    voltage = read_results(files["array"]).dataset["output_voltage"].values[0, 0]
    levels = read_results(files["converter"]).dataset["transition_level"].values[0, 0]
    spice_codes = compute_codes(levels, voltage)

    loop_images = min(tables.converter.loop_images, len(voltage))
    count = loop_images * voltage.shape[1]
    progress(f"converter: {count} of these voltages through whole conversions in SPICE")
    files["closed loop"] = folder / "closed_loop.h5"
    asked = voltage[:loop_images].ravel()
    full_scale = float(read_results(files["converter"]).dataset["reference_voltage"].values[0, 0])
    _run(_loop_recipe(converter, asked / full_scale), files["closed loop"], jobs)
    loop = read_results(files["closed loop"]).datasets
    loop_codes = np.concatenate([data["loop_code"].values[:, 0].ravel() for data in loop])
    loop_equal = int(np.sum(loop_codes == spice_codes[:loop_images].ravel()))

    verdicts: dict[str, Verdict] = {}
    for name in ("array", "converter"):
        progress(f"fitting and exporting the surrogate of the {name}")
        model = fit_results(files[name])
        files[f"{name} model"] = folder / f"{name}.model.h5"
        model.save(files[f"{name} model"])
        verdicts[name] = model.verdict
        # A demonstration shows a failed gate too; the export and the exit code say so.
        export_model(files[f"{name} model"], _TARGETS, folder / "exports" / name, force=True)
        files[f"{name} export"] = folder / "exports" / name

    progress("the same images through the exported model")
    started = time.monotonic()
    drive = read_results(files["array"]).dataset["row_voltage"].values[0, 0]
    exported_codes = _exported_codes(files, drive)
    exported_s = time.monotonic() - started
    started = time.monotonic()
    scores = digits.test_x @ weights
    float_s = time.monotonic() - started
    outcome = DigitsOutcome(
        images=len(digits.test_y),
        ways=(
            _way("float", scores, digits, float_s),
            _way("SPICE (ngspice)", _subtract(spice_codes), digits, spice_s),
            _way("exported surrogate (numpy)", _subtract(exported_codes), digits, exported_s),
        ),
        equal_codes=float(np.mean(exported_codes == spice_codes)),
        largest_difference=int(np.max(np.abs(exported_codes - spice_codes))),
        loop_conversions=count,
        loop_equal=loop_equal,
        verdicts=verdicts,
        files=files,
    )
    files["table"] = folder / "study.json"
    files["table"].write_text(json.dumps(outcome.as_dict(), indent=1) + "\n")
    return outcome


def _array_recipe(study: Study, digits: Digits, weights: NDArray[np.float64]) -> Recipe:
    """The array's recipe with trained weights, test images, and a feedback that fills the range.

    Bright pixels pull their row below the virtual ground, so that the amplifiers, which invert,
    answer between 0 and the reference. The feedback is chosen on training images, without wires.
    """
    tables = study.tables
    base = load_recipe(tables.array.recipe)
    for key, recipe, bench in (
        ("array.recipe", base, "crossbar_mvm"),
        ("converter.recipe", load_recipe(tables.converter.recipe), "adc_transfer"),
    ):
        if recipe.bench.name != bench:
            problem = f"its bench is {recipe.bench.name}"
            raise InputError(study.file, key, recipe.name, problem, f"a recipe of bench {bench}")
    normal = weights / np.max(np.abs(weights))
    circuit: Any = base.parameters({}).circuit  # type: ignore[attr-defined]
    converter: Any = load_recipe(tables.converter.recipe).parameters({}).circuit  # type: ignore[attr-defined]
    on = circuit.device_card.on_conductance.value
    off = circuit.device_card.off_conductance.value
    read = tables.array.read_voltage
    sums = np.maximum(
        (read * digits.train_x) @ (off + (on - off) * np.maximum(normal, 0)),
        (read * digits.train_x) @ (off + (on - off) * np.maximum(-normal, 0)),
    )
    feedback = tables.array.range_used * converter.reference_voltage / float(np.max(sums))
    raw = {
        **base.raw,
        "circuit": {
            **{k: v for k, v in base.raw["circuit"].items() if k not in ("rows", "cols")},
            "weights": normal,
            "tia_feedback_resistance": f"{feedback:.6g} ohm",
        },
        "stimulus": {"voltages": -read * digits.test_x, "cell_voltages": True},
    }
    return check_recipe(base.name, base.file, base.text, raw)


def _loop_recipe(converter: Recipe, fractions: NDArray[np.float64]) -> Recipe:
    """The converter's recipe with the given inputs in closed loop, in parts side by side."""
    size = -(-len(fractions) // _LOOP_POINTS)
    parts = [fractions[start : start + size] for start in range(0, len(fractions), size)]
    axis = [{"stimulus.loop_input": parts}]
    return check_recipe(
        converter.name, converter.file, converter.text, {**converter.raw, "sweep": axis}
    )


def _run(recipe: Recipe, output: Path, jobs: int) -> float:
    """Run a recipe, or go on with it; seconds the engine took in all.

    Raises
    ------
    EngineError : a point is not good.
    """
    summary = run_plan(Plan(recipe), output, RunOptions(jobs=jobs, mode="fresh"))
    if summary.failed or not summary.complete:
        reason = next(iter(summary.reasons), "not complete")
        raise EngineError(f"{output}: {summary.failed} point(s) failed: {reason}")
    return float(str(read_results(output).run["engine_s"]))


def _exported_codes(files: dict[str, Path], drive: NDArray[np.float64]) -> NDArray[np.int64]:
    """Codes of the exported numpy modules, imported from their folders."""
    array = load_exported(files["array export"] / "numpy")
    converter = load_exported(files["converter export"] / "numpy")
    voltage = array.outputs_v(drive)
    return np.asarray(converter.convert(voltage), dtype=np.int64)


def _subtract(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Signed sums of the pairs: codes of the + column minus codes of the − column."""
    return codes[:, 0::2] - codes[:, 1::2]


def _way(name: str, scores: NDArray[Any], digits: Digits, seconds: float) -> Way:
    right = int(np.sum(np.argmax(scores, axis=1) == digits.test_y))
    return Way(name, compute_proportion_interval(right, len(digits.test_y)), seconds)
