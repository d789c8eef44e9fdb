"""A population of chips whose numbers are stated here, without SPICE."""

import numpy as np
import pytest

from imccircuit.devices.cards import load_card
from imccircuit.networks.chips import FrontEnd, Population
from imccircuit.networks.datasets import load_digit_samples
from imccircuit.networks.fit_network import fit_network
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.mapping import Mapping
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_levels import predict_levels
from imccircuit.surrogates.array_model import ArrayModel
from imccircuit.surrogates.base import Model, ModelArray, ModelProvenance, Parameter
from imccircuit.surrogates.macro_compose import Composition

BITS = 8


def make_converter(sigma_v=0.5e-3, offset_v=2e-3, bits=BITS):
    """Converter of 1 V whose bit weights and offset have these σ, without covariance."""
    ideal = np.append(2.0 ** np.arange(bits) / 2**bits, 0.0)
    sigma = np.append(np.full(bits, sigma_v), offset_v)
    one = ideal[None]
    arrays = {
        "transition_level": predict_levels(one, bits),
        "bit_weight": one[:, :-1],
        "level_offset": one[:, -1],
        "sample": np.zeros(1),
        "held_out": np.zeros(1),
        "replay_chip": np.zeros(0),
        "replay_input": np.zeros(0),
        "replay_code": np.zeros(0),
        "population_mean": ideal,
        "population_covariance": np.diag(sigma**2),
    }
    numbers = {"reference_voltage": 1.0, "fitted_chips": 1.0, "noise_sampled": 1e-4}
    return AdcSurrogate(
        Model(
            arrays={name: ModelArray(value, "V", (), name) for name, value in arrays.items()},
            parameters={name: Parameter(name, value, "V") for name, value in numbers.items()},
            settings={},
            gates={"max_error": 0.05},
            domain={},
            provenance=ModelProvenance("r", "t", "adc_transfer", "", "", 1, 0, "test", {}),
        )
    )


@pytest.fixture(scope="session")
def population():
    return Population(
        card=load_card("rram_techC", "rram"),
        temperature_factor=1.0,
        read_time_s=None,
        physics=ArrayModel(r_row_ohm=2.0, r_col_ohm=3.0),
        front_end=FrontEnd(0.999, 0.001, 0.999, 0.999, 0.0, 1e-3),
        converter=make_converter(),
        read_voltage_v=0.2,
    )


@pytest.fixture(scope="module")
def digits():
    """The first 500 digits: 300 to train, 200 to test."""
    samples = load_digit_samples(500)
    return samples.x[:300], samples.y[:300], samples.x[300:], samples.y[300:], samples.shape


@pytest.fixture(scope="module")
def mlp(population, digits):
    """An MLP on tiles of 64 x 64, all bits of a weight in one cell."""
    x, y, _, _, shape = digits
    mapping = Mapping(64, 64, Composition(4, 5, 4, 4))
    return Hardware(fit_network("mlp", shape, 10, x, y, 1), mapping, population, x)
