"""The study of networks on characterised circuits: see docs/accuracy.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.exporters.export import export_model
from imccircuit.networks.accuracy_outcome import (
    Line,
    NetworksOutcome,
    Shift,
    one_way,
    over_chips,
)
from imccircuit.networks.characterised import Characterised, characterise, check_bits, load_parts
from imccircuit.networks.chips import IDEAL
from imccircuit.networks.datasets import Samples
from imccircuit.networks.digital_side import ReadNoise
from imccircuit.networks.exported_chip import (
    PACKAGES,
    export_chip,
    load_chip,
    missing_packages,
    targets_not_run,
)
from imccircuit.networks.exported_twins import compare_twins
from imccircuit.networks.finished import Finished, study_key
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.mapping import Mapping
from imccircuit.networks.models import Floats
from imccircuit.networks.network_tables import NetworkStudyTables
from imccircuit.networks.paired import compute_logit_snr, split_folds
from imccircuit.networks.residuals import Residuals, residuals_of, without_error
from imccircuit.networks.sensitivity import (
    OnImages,
    Point,
    compute_sensitivity,
    write_sensitivity,
)
from imccircuit.networks.spot_check import Checked, Operation, check_operation, transistor_share
from imccircuit.networks.study import NetworkStudy, Progress
from imccircuit.networks.study_data import load_study_samples
from imccircuit.networks.study_networks import Maker, load_study_networks
from imccircuit.surrogates.macro_compose import input_digits
from imccircuit.surrogates.verdict import Verdict
from imccircuit.sweeps.state import Mode

_TARGETS = ["numpy", "bundle"]


@dataclass
class _Fold:
    """One fold: the network that was trained for it, and the images it is tested with."""

    hardware: Hardware
    tested: NDArray[np.int64]


@dataclass
class _Answers:
    """Logits (image, class) of one network for all images, each by the fold that tests it.

    ``plain`` and ``exported`` (by target) are those of chip 0 without noise.
    """

    real: Floats
    ideal: Floats
    chips: Floats
    injected: Floats
    plain: Floats
    exported: dict[str, Floats]
    folds: list[_Fold] = field(default_factory=list)


def run_networks(
    study: NetworkStudy, folder: Path, *, jobs: int, progress: Progress, mode: Mode = "new"
) -> NetworksOutcome:
    """Run the study and write models, exports, ``study.json`` and CSV into ``folder``.

    Parameters
    ----------
    mode : what becomes of chips and sensitivities that an interrupted run finished; what SPICE
        answered is in the cache anyway.

    Raises
    ------
    InputError, UsageError : bad tables, or unfinished work in the way, in one line.
    SetupError : torch, onnx or scikit-learn is not installed.
    EngineError : SPICE did not solve what was asked.
    """
    tables = study.tables
    mapping = tables.mapping.mapping()
    array, converter = load_parts(
        tables.array.recipe,
        tables.converter.recipe,
        tables.converter.samples,
        tables.array.read_voltage,
        study.file,
    )
    if tables.sensitivity is not None:
        check_bits(tables.sensitivity.bits, converter, study.file)
    samples = load_study_samples(tables.network, study.file)
    makers, brought = load_study_networks(tables.network, samples, study.file)
    data = (samples.x, samples.y, *brought)
    key = study_key(tables, (array, converter), data, [*_installed_targets(), *_trained_by()])
    finished = Finished(folder, key, mode)
    progress("array and converter: measuring in SPICE, fitting")
    parts = characterise(array, converter, tables.array.read_voltage, folder, jobs)
    files = dict(parts.files)
    for name in ("array", "converter"):
        files[f"{name} export"] = folder / "exports" / name
        export_model(files[f"{name} model"], _TARGETS, files[f"{name} export"], force=True)
    residuals = residuals_of(parts.array_model, parts.converter_model)
    lines: list[Line] = []
    shifts: list[Shift] = []
    answers: dict[str, _Answers] = {}
    for model, make in makers.items():
        answers[model] = _answer(
            model, make, samples, mapping, parts, tables, residuals, folder, progress, finished
        )
        found, shift = _compare(model, answers[model], samples, tables)
        lines += found
        shifts.append(shift)
    checks = _spot_check(answers, samples, parts, tables, folder / "spot_check", progress)
    points = _sensitivity(answers, samples, tables, progress, finished)
    if points:
        files["sensitivity"] = folder / "sensitivity.csv"
        write_sensitivity(points, files["sensitivity"])
    files["table"] = folder / "study.json"
    outcome = NetworksOutcome(
        images=len(samples.y),
        folds=tables.network.folds,
        chips=tables.chips.count,
        lines=tuple(lines),
        shifts=tuple(shifts),
        checks=checks,
        ranges={
            model: [list(fold.hardware.ranges) for fold in found.folds]
            for model, found in answers.items()
        },
        exported_equal={
            model: float(np.mean(_best(found.exported["numpy"]) == _best(found.plain)))
            for model, found in answers.items()
        },
        twins=tuple(
            compare_twins(model, target, found.exported["numpy"], logits)
            for model, found in answers.items()
            for target, logits in found.exported.items()
            if target != "numpy"
        ),
        not_run=targets_not_run(),
        not_injected=without_error(parts.array_model, parts.converter_model),
        points=points,
        verdicts=parts.verdicts,
        files=files,
    )
    files["table"].write_text(json.dumps(outcome.as_dict(), indent=1) + "\n", encoding="utf-8")
    states = {name: verdict.state for name, verdict in outcome.verdicts.items()}
    origin = {"study": study.name, "chip": 0, "verdicts": states, **json.loads(key)}
    text = json.dumps(origin, indent=1) + "\n"
    (folder / "exports" / "chip_0" / "provenance.json").write_text(text, encoding="utf-8")
    finished.forget()
    return outcome


def _installed_targets() -> list[str]:
    return [target for target in PACKAGES if not missing_packages(target)]


def _trained_by() -> list[str]:
    """The library whose training decides the weights, where it is there."""
    return [f"torch {version('torch')}"] if find_spec("torch") is not None else []


def _answer(
    model: str,
    make: Maker,
    samples: Samples,
    mapping: Mapping,
    parts: Characterised,
    tables: NetworkStudyTables,
    residuals: Residuals,
    folder: Path,
    progress: Progress,
    finished: Finished,
) -> _Answers:
    """Come by a network and test it fold by fold, every way."""
    count, chips, seed = len(samples.y), tables.chips.count, tables.chips.seed
    one = (count, samples.classes)
    several = (chips, *one)
    found = _Answers(
        real=np.zeros(one),
        ideal=np.zeros(one),
        chips=np.zeros(several),
        injected=np.zeros(several),
        plain=np.zeros(one),
        exported={target: np.zeros(one) for target in _installed_targets()},
    )
    sigma = parts.population.noise_v if tables.chips.noise else 0.0
    split = split_folds(samples.y, tables.network.folds, tables.network.seed)
    for number, (train, test) in enumerate(split):
        progress(f"{model}: fold {number + 1} of {tables.network.folds}, {chips} chips")
        x = samples.x[test]
        network = make(samples.x[train], samples.y[train])
        hardware = Hardware(
            network, mapping, parts.population, samples.x[train][: tables.ranges.images],
            tables.ranges.rule, tables.ranges.percentile,
        )  # fmt: skip
        found.folds.append(_Fold(hardware, test))
        found.real[test] = network.logits(x)
        found.ideal[test] = hardware.logits(hardware.program(seed, 0, IDEAL), x)
        for chip in range(chips):
            # One fold's noise is not another's: a layer takes the numbers from its seed on.
            noise = ReadNoise(seed + 1000 * number, sigma)
            place = folder / "exports" / "chip_0" / f"{model}_fold_{number}"
            ask = partial(
                _ask_chip, hardware, x, seed, chip, noise, residuals, place, parts.verdicts
            )
            told = finished.unit(f"{model}.fold_{number}.chip_{chip}", ask)
            found.chips[chip, test], found.injected[chip, test] = told["chip"], told["injected"]
            if chip == 0:
                found.plain[test] = told["plain"]
                for target, logits in found.exported.items():
                    logits[test] = told[target]
    return found


def _ask_chip(
    hardware: Hardware,
    x: Floats,
    seed: int,
    chip: int,
    noise: ReadNoise,
    residuals: Residuals,
    place: Path,
    verdicts: dict[str, Verdict],
) -> dict[str, Floats]:
    """Logits (image, class) of one chip: itself, with residuals, and chip 0 as every target."""
    layers = hardware.program(seed, chip)
    wrong = hardware.program(seed, chip, change=residuals)
    told = {
        "chip": hardware.logits(layers, x, noise, chip),
        "injected": hardware.logits(wrong, x, noise, chip),
    }
    if chip == 0:
        told["plain"] = hardware.logits(layers, x)
        for target in _installed_targets():
            export_chip(hardware.network, layers, place / target, target, verdicts)
            told[target] = load_chip(place / target, target).logits(x)
    return told


def _compare(
    model: str, answers: _Answers, samples: Samples, tables: NetworkStudyTables
) -> tuple[list[Line], Shift]:
    """Lines of the table for a network, and the shift by the surrogates' own errors."""
    y = samples.y
    real = _best(answers.real) == y
    chips, injected = _best(answers.chips) == y, _best(answers.injected) == y
    snr = [compute_logit_snr(answers.real, logits) for logits in answers.chips]
    ways = {"quantised, ideal circuits": answers.ideal} | {
        f"exported {target} model, chip 0": logits for target, logits in answers.exported.items()
    }
    ideal, *exported = (
        one_way(model, way, _best(logits) == y, (answers.real, logits), real)
        for way, logits in ways.items()
    )
    lines = [
        one_way(model, "float", real),
        ideal,
        over_chips(model, f"surrogate hardware, {tables.chips.count} chips", chips, snr, real),
        *exported,
    ]
    shift = float(injected.mean() - chips.mean())
    return lines, Shift(model, shift, float(chips.mean(axis=1).std(ddof=1)))


def _spot_check(
    answers: dict[str, _Answers],
    samples: Samples,
    parts: Characterised,
    tables: NetworkStudyTables,
    folder: Path,
    progress: Progress,
) -> tuple[Checked, ...]:
    """SPICE on operations drawn at random; the conversions go to the first ones, one each."""
    table = tables.spot_check
    rng = Draws(table.seed, 0).generator("spot_check")
    folder.mkdir(parents=True, exist_ok=True)
    share = np.zeros(0)
    if table.conversions > 0:
        share = transistor_share(parts.converter, folder)
    found = []
    for number in range(table.operations):
        model = str(rng.choice(sorted(answers)))
        fold = answers[model].folds[int(rng.integers(len(answers[model].folds)))]
        operation = _draw_operation(model, fold, samples, tables.chips.seed,
                                    int(rng.integers(tables.chips.count)), rng)  # fmt: skip
        progress(f"spot check {number + 1} of {table.operations} in SPICE")
        conversions = table.conversions // table.operations
        conversions += number < table.conversions % table.operations
        place = folder / str(number)
        place.mkdir(exist_ok=True)
        found.append(check_operation(operation, parts, conversions, place, share))
    return tuple(found)


def _draw_operation(
    model: str, fold: _Fold, samples: Samples, seed: int, chip: int, rng: np.random.Generator
) -> Operation:
    """One vector of one pass on one tile of a chip, from an image that the fold tests."""
    hardware = fold.hardware
    layers = hardware.program(seed, chip)
    layer = int(rng.integers(len(layers)))
    tile = int(rng.integers(len(layers[layer].tiles)))
    image = samples.x[[int(rng.choice(fold.tested))]]
    seen: list[Floats] = []

    def product(number: int, rows: Floats) -> Floats:
        if number == layer:
            seen.append(rows)
        return layers[number](rows, None, chip, 0)

    hardware.network.logits(image, product)
    passes = input_digits(layers[layer].integers_of(seen[0]), hardware.mapping.composition)
    digits = passes[int(rng.integers(len(passes)))]
    vector = digits[int(rng.integers(len(digits)))]
    part = vector[hardware.mapped[layer].tiles[tile].rows].astype(np.float32)
    return Operation(model, chip, layer, tile, part, hardware, layers[layer], seed)


def _sensitivity(
    answers: dict[str, _Answers],
    samples: Samples,
    tables: NetworkStudyTables,
    progress: Progress,
    finished: Finished,
) -> tuple[Point, ...]:
    """Sensitivities of one network, on the images of all folds."""
    table = tables.sensitivity
    if table is None:
        return ()
    progress(f"sensitivities of {table.model}")
    folds = [
        OnImages(fold.hardware, samples.x[fold.tested], samples.y[fold.tested])
        for fold in answers[table.model].folds
    ]
    return compute_sensitivity(folds, table, tables.chips.seed, finished)


def _best(logits: Floats) -> NDArray[np.int64]:
    return np.asarray(np.argmax(logits, axis=-1))
