"""What training with the periphery is worth: the same chips, five ways to get along with them.

Every seed trains a naive network, a population-aware one, and for each chip one of its own, all for
the same number of epochs and from the same first weights, and all of it once a fold. Chips are
drawn with a seed that no training sees; they are the same in every fold and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.networks.digits import Digits
from imccircuit.networks.hardware_layer import Array
from imccircuit.networks.training import ImcMlp, Mode, Schedule, mark, train
from imccircuit.networks.training_chips import (
    Chip,
    ChipSource,
    calibrate_converters,
    uniform_chip,
)
from imccircuit.networks.training_tables import WAYS
from imccircuit.networks.training_ways import Comparison, Way

Arrays = Mapping[str, NDArray[Any]]
Kept = Callable[[str, Callable[[], Arrays]], Arrays]

_CLASSES = 10
_FRACTION_BITS = 3


def compare_training(
    folds: Sequence[Digits],
    array: Array,
    source: ChipSource,
    *,
    chips: int = 10,
    seeds: int = 3,
    hidden: int = 32,
    schedule: Schedule | None = None,
    ways: Sequence[str] = WAYS,
    progress: Callable[[str], None] | None = None,
    conversion_j: float | None = None,
    kept: Kept = lambda _, compute: compute(),
) -> Comparison:
    """Train and try the ways on the same chips.

    Parameters
    ----------
    folds : images to train and to test with, each tested once; see
        `imccircuit.networks.digits.load_folds`.
    array : of both layers, pixels to ``hidden`` to 10 classes.
    source : what the chips, those of the training and the others, are drawn from.
    chips, seeds : how many chips are tried, and how often everything is trained.
    schedule : of every training; `Schedule` by default.
    ways : which; what none of them needs is not trained.
    progress : told of each training.
    conversion_j : energy of a conversion of one column in J, if it is known.
    kept : given the name of a training and what does it, gives what it told; may know it already.

    Raises
    ------
    UsageError : no fold, chip or seed, an unknown way, or what `train` and `ChipSource.draw`
        refuse.
    """
    if min(len(folds), chips, seeds) < 1:
        raise UsageError(
            f"folds = {len(folds)}, chips = {chips}, seeds = {seeds}; allowed: from 1 each"
        )
    for way in ways:
        if way not in WAYS:
            raise UsageError(f"way {way!r}; allowed: {', '.join(WAYS)}")
    sizes, bits = (folds[0].train_x.shape[1], hidden, _CLASSES), source.adc.bits
    times: dict[str, list[float]] = {}

    def tried(mode: Mode, seed: int, fold: int, chip: int | None) -> Arrays:
        """Right answers (chip, image) of a training, way by way, and the time of an epoch."""
        if progress is not None:
            progress(f"training {seed + 1} of {seeds}, fold {fold + 1} of {len(folds)}: {mode}")
        network, data = ImcMlp(sizes, array, bits, seed), folds[fold]
        origin = source if mode == "population" else None
        own = None if chip is None else drawn[chip]
        done = train(network, data, mode, seed, source=origin, chip=own, schedule=schedule)
        told = {
            way: np.array([mark(network, data, on) for on in chips_of])
            for way, chips_of in _chips_of(mode, network, drawn, own).items()
        }
        return {**told, "epoch_s": np.array(done.epoch_s)}

    def note(mode: Mode, seed: int, fold: int, chip: int | None = None) -> Arrays:
        name = f"{mode}.{seed}.{fold}" + ("" if chip is None else f".{chip}")
        told = kept(name, lambda: tried(mode, seed, fold, chip))
        times.setdefault(mode, []).append(float(told["epoch_s"]))
        return told

    def answered(seed: int, fold: int) -> Arrays:
        """Right answers of all ways."""
        # The plain training is what the time of the others is compared with: it always takes place.
        told = dict(note("plain", seed, fold))
        if "population" in ways:
            told |= note("population", seed, fold)
        if "chip in the loop" in ways:
            own = [note("chip", seed, fold, chip)["chip in the loop"] for chip in range(chips)]
            told["chip in the loop"] = np.concatenate(own)
        return told

    one = ImcMlp(sizes, array, bits, 0)
    held_out = int(Draws(0, 0).generator("held_out_chips").integers(2**63))
    drawn: list[Chip] = list(source.draw(one.imc_layers, chips, held_out))
    found = [[answered(seed, fold) for fold in range(len(folds))] for seed in range(seeds)]
    plain = float(np.median(times["plain"]))
    return Comparison(
        ways=tuple(
            Way(way, np.stack([np.concatenate([told[way] for told in of], axis=1) for of in found]))
            for way in WAYS
            if way in ways
        ),
        overhead={m: float(np.median(t)) / plain for m, t in times.items() if m != "plain"},
        conversions=one.conversions,
        conversion_j=conversion_j,
        table_bits=2**bits * (bits + _FRACTION_BITS + 1),
        converters=sum(layer.columns for layer in one.imc_layers),
        steps=2 ** (bits + _FRACTION_BITS),
    )


def _chips_of(
    mode: Mode, network: ImcMlp, drawn: Sequence[Chip], own: Chip | None
) -> dict[str, Sequence[Chip | None]]:
    """Way → chips on which a network that was trained so is tried."""
    if mode == "plain":
        return {
            "float": [None],
            "uniform converter": [uniform_chip(network.imc_layers)],
            "naive": drawn,
            "calibrated converter": [calibrate_converters(c, _FRACTION_BITS) for c in drawn],
        }
    return {"population": drawn} if mode == "population" else {"chip in the loop": [own]}
