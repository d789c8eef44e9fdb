"""Networks on surrogate hardware: images a second, and what training on chips costs.

The circuits are characterised in SPICE first, a few chips of them; that is not in the times.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import cast

import numpy as np

from imccircuit.networks.characterised import characterise, load_parts, measure
from imccircuit.networks.datasets import load_digit_samples
from imccircuit.networks.digital_side import ReadNoise
from imccircuit.networks.digits import load_digits
from imccircuit.networks.fit_network import fit_network
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.hardware_layer import ChargeArray, CurrentArray
from imccircuit.networks.mapping import Mapping
from imccircuit.networks.training import ImcMlp, Mode, Schedule, train
from imccircuit.networks.training_chips import ChipSource
from imccircuit.recipes.load import load_recipe
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.macro_compose import Composition

_IMAGES = 10_000
_READ_V = 0.2
_REPEATS = 4
_EPOCHS = 10


def answers(folder: Path) -> None:
    """10,000 digit images through the CNN on the tiles of a drawn chip."""
    array, converter = load_parts("crossbar_digits", "adc_sar8_mismatch", 2, _READ_V, "benchmark")
    parts = characterise(array, converter, _READ_V, folder, 0)
    samples = load_digit_samples(1000)
    network = fit_network("cnn", samples.shape, 10, samples.x, samples.y, 1)
    mapping = Mapping(64, 64, Composition(4, 5, 4, 4))
    hardware = Hardware(network, mapping, parts.population, samples.x[:200])
    images = np.tile(samples.x, (_IMAGES // len(samples.x), 1))
    chip = hardware.program(1, 0)
    noise = ReadNoise(1, parts.population.noise_v)
    started = time.perf_counter()
    hardware.logits(chip, images, noise)
    seconds = time.perf_counter() - started
    print(
        f"{_IMAGES} images through the CNN, noise in every conversion: {seconds:.2f} s (limit 30 s)"
    )


def overhead(folder: Path) -> None:
    """An epoch on new chips, and on one chip, over a plain one, in processor time."""
    recipe = load_recipe("adc_sar5_rough", ["variation.samples=8"])
    measure(recipe, folder / "converter.h5", 0)
    source = ChipSource(cast(AdcSurrogate, fit_results(folder / "converter.h5")))
    data = load_digits(360, 1)
    for name, array in (
        ("current mode", CurrentArray(5e-6, 100e-6, 0.2)),
        ("charge mode, 3 × 3 bits", ChargeArray(3, 3, 0.05)),
    ):
        best: dict[Mode, float] = {"plain": np.inf, "population": np.inf, "chip": np.inf}
        # In turn, so that whatever else runs falls on all of them.
        for seed in range(_REPEATS):
            network = ImcMlp((64, 32, 10), array, source.adc.bits, seed)
            chip = next(iter(source.draw(network.imc_layers, 1, seed)))
            for mode in best:
                began = time.process_time()
                train(
                    network, data, mode, seed, schedule=Schedule(epochs=_EPOCHS),
                    source=source if mode == "population" else None,
                    chip=chip if mode == "chip" else None,
                )  # fmt: skip
                best[mode] = min(best[mode], (time.process_time() - began) / _EPOCHS)
        ratios = [best[mode] / best["plain"] for mode in ("population", "chip")]
        print(f"training, {name:24s}: plain {1e3 * best['plain']:.1f} ms an epoch; on new chips "
              f"{ratios[0]:.2f} ×, on one chip {ratios[1]:.2f} × (limit 3)")  # fmt: skip


def main() -> None:
    """Everything of this file."""
    print()
    with tempfile.TemporaryDirectory() as name:
        answers(Path(name))
        overhead(Path(name))


if __name__ == "__main__":
    main()
