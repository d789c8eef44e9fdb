"""Streams of manufacturing draws against numpy's own seed sequence."""

import zlib

import numpy as np
import pytest

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError


def test_stream_is_the_documented_seed_sequence():
    seed = np.random.SeedSequence(7, spawn_key=(3, zlib.crc32(b"cell")))
    expected = np.random.Generator(np.random.PCG64(seed)).random(5)
    assert np.array_equal(Draws(7, 3).generator("cell").random(5), expected)


def test_independent_points_append_the_point():
    seed = np.random.SeedSequence(7, spawn_key=(3, zlib.crc32(b"cell"), 11))
    expected = np.random.Generator(np.random.PCG64(seed)).random(5)
    assert np.array_equal(Draws(7, 3, point=11).generator("cell").random(5), expected)


def test_stream_gives_a_frozen_number():
    # Computed once with numpy alone; 0xE8B7BE43 is the CRC-32 of "a". numpy freezes PCG64 and
    # SeedSequence, so a stored seed gives the same chip for ever.
    assert Draws(1, 0).generator("a").integers(2**32) == 2327084914


def test_a_further_quantity_shifts_no_other():
    alone = Draws(1, 2).generator("capacitor").random(4)
    chip = Draws(1, 2)
    chip.generator("offset").random(1000)
    assert np.array_equal(chip.generator("capacitor").random(4), alone)


def test_streams_differ_by_name_sample_point_and_seed():
    streams = [
        Draws(1, 2), Draws(1, 3), Draws(2, 2), Draws(1, 2, point=0), Draws(1, 2, point=1),
    ]  # fmt: skip
    first = {d.generator(name).random() for d in streams for name in ("a", "b")}
    assert len(first) == 10


@pytest.mark.parametrize("bad", [(-1, 0, None), (0, -1, None), (0, 0, -1)])
def test_negative_keys_are_refused(bad):
    with pytest.raises(UsageError, match="must not be negative"):
        Draws(*bad)
