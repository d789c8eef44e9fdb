"""What of other results the fit saw already: the same seed with more samples or vectors holds it.

Compared is what was measured. A chip whose numbers follow from its own measurement alone is the
same one if these numbers are (`same_rows`). Of arrays and columns a chip is known by *items*, one
an input vector: what was given (conductances or weights, and the vector) and what came out, each
reduced to one number by a fixed random projection, so that a model carries three numbers an item.
Two different vectors agree in such a number by chance once in about 1e9 cases.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.base import Model, ModelArray
from imccircuit.surrogates.data import FEWEST

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEEN = "seen_item"
"""Array (seen chip, seen vector, number) of a model: items of its fit. Older files lack it."""

# Given numbers are drawn and bit-equal, but for a driver's rounding. Outputs of one chip from decks
# of other lengths agree to what a solver leaves; those of two chips differ by far more.
_SAME_GIVEN, _SAME_FOUND = 1e-9, 1e-6
# A vector on which the fit's chips hardly differ (no input active) does not tell them apart.
_TELLS = 100.0


def same_rows(here: Floats, seen: Floats, tolerance: float) -> Mask:
    """Mark rows (chip,) of ``here`` (chip, …) that are one of ``seen`` (other, …).

    Parameters
    ----------
    here, seen : numbers of each chip, in one unit.
    tolerance : largest difference of one number, in that unit.
    """
    if not len(seen):
        return np.zeros(len(here), dtype=bool)
    flat = seen.reshape(len(seen), -1)
    nearest = [np.abs(row.ravel() - flat).max(axis=1).min() for row in here]
    return np.asarray(np.array(nearest) <= tolerance, dtype=bool)


def items_of(chip: Floats, given: Floats, found: Floats, stored: Floats | None = None) -> Floats:
    """Items (chip, vector, 3): projections of what the chip is, of what it was given, of outputs.

    Parameters
    ----------
    chip : (chip, …) what makes a chip, as it was drawn.
    given, found : (chip, vector, …) inputs and outputs.
    stored : (chip, …) what was given once for all vectors, in the unit of the inputs.
    """
    count = found.shape[:2]
    whole = _project(chip.reshape(len(chip), 1, -1), "chip")
    inputs = _project(given.reshape(*count, -1), "given")
    if stored is not None:
        inputs = inputs + _project(stored.reshape(len(stored), 1, -1), "stored")
    outputs = _project(found.reshape(*count, -1), "found")
    return np.stack([np.broadcast_to(whole, count), inputs, outputs], axis=-1)


def _project(values: Floats, name: str) -> Floats:
    seed = np.random.SeedSequence(zlib.crc32(name.encode()))
    weights = np.random.Generator(np.random.PCG64(seed)).uniform(0.5, 1.5, values.shape[-1])
    return np.asarray(values @ weights, dtype=np.float64)


def seen_array(items: Floats, chips: Mask, vectors: Mask) -> dict[str, ModelArray]:
    """Array of a model: the items of the chips (chip,) and vectors (vector,) that its fit saw."""
    text = "what the fit saw: projections of chip, input and output, to know them again"
    dims = ("seen_chip", "seen_vector", "projection")
    return {SEEN: ModelArray(items[chips][:, vectors], "1", dims, text)}


@dataclass(frozen=True)
class Again:
    """What of other results the fit saw.

    Attributes
    ----------
    chips : (chip,) True where a chip is one of the fit's.
    vectors : (vector,) True where this vector of some chip is among what the fit saw.
    held_chips : whether the fit held whole chips out, so that only chips are told apart.
    what : name of the vectors in messages.
    """

    chips: Mask
    vectors: Mask
    held_chips: bool = True
    what: str = "vectors"

    @classmethod
    def of_chips(cls, chips: Mask) -> Again:
        """Of a kind that has no vectors."""
        return cls(chips, np.zeros(0, dtype=bool))

    @property
    def by_chips(self) -> bool:
        """Whether chips are left out; else vectors are, for all chips are the fit's."""
        return self.held_chips or not self.chips.all()

    @property
    def left_out(self) -> Mask:
        """Chips (chip,) or vectors (vector,) that judge nothing, for the fit saw them."""
        return self.chips if self.by_chips else self.vectors

    def note(self) -> str:
        """How many chips or vectors are left out, one line; empty if none is."""
        count = int(np.count_nonzero(self.left_out))
        what = "chips" if self.by_chips else self.what
        text = f"{count} of {len(self.left_out)} {what} left out: the fit saw the same numbers"
        return text if count else ""

    def why_not(self) -> str:
        """Why what is left is too little to judge; empty if it is enough or nothing is left out."""
        left = int(np.count_nonzero(~self.left_out))
        if not self.left_out.any() or left >= FEWEST or (self.by_chips and not self.held_chips):
            return ""
        what = "chips" if self.by_chips else self.what
        return f"{left} {what} that the fit did not see are too few; {FEWEST} are the fewest"


def seen_again(model: Model, items: Floats, what: str = "vectors") -> Again:
    """Find what the fit saw in the items (chip, vector, 3) of other results; ``what`` they are."""
    held_chips = bool(model.arrays["held_out"].values.any())
    chips, vectors = (np.zeros(count, dtype=bool) for count in items.shape[:2])
    if SEEN not in model.arrays or not model.arrays[SEEN].values.size:
        return Again(chips, vectors, held_chips, what)
    seen = model.arrays[SEEN].values
    largest = np.abs(seen).max(axis=(0, 1))
    near = np.array([_SAME_GIVEN, _SAME_GIVEN, _SAME_FOUND]) * largest
    # Of one chip there is nothing to tell it from.
    told = np.ptp(seen[..., 2], axis=0) > _TELLS * near[2] if len(seen) > 1 else np.array(True)
    drawn = bool(np.ptp(seen[:, 0, 0]) > _TELLS * near[0])
    for number, own in enumerate(items):
        alike = np.abs(seen[:, 0, 0] - own[0, 0]) <= near[0]
        if not alike.any():
            continue
        distance = np.abs(seen[alike][:, :, None] - own[None, None])
        common, agrees = distance[..., 1] <= near[1], distance[..., 2] <= near[2]
        telling = common & np.broadcast_to(told, common.shape[1])[:, None]
        one = telling.any(axis=(1, 2)) & ~(telling & ~agrees).any(axis=(1, 2))
        # Chips that were drawn apart are known by that, whatever their vectors.
        chips[number] = drawn or one.any()
        vectors |= (common & agrees).any(axis=(0, 1))
    return Again(chips, vectors, held_chips, what)
