"""Whatever a recipe, a setting or an array file holds: it is taken, or refused in one line."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imccircuit.benches.registry import get_bench
from imccircuit.errors import ImcError
from imccircuit.recipes.fields import field_keys
from imccircuit.recipes.load import check_recipe, load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.recipes.settings import apply_settings


def one_line_or_none(call):
    """What ``call`` returns, None if it raises one of our errors."""
    text = "one line"
    try:
        return call()
    except ImcError as error:
        text = str(error)
    assert "\n" not in text
    return None


words = st.sampled_from(["from", "to", "steps", "scale", "rows", "circuit.rows", "$array", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.integers() | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1 ohm", "2 fF", "adc_transfer", "nodal", "rram_techC", "x.npz:g", "3 %",
                       "conductance", "1r_sinh", "1 V", 1e-6]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
common = ["engine", "title", "kind", "takes", "variation.samples", "variation.seed", "sweep",
          "variation.quantities", "variation", "gates", "circuit", "gates.max_error", "x",
          ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(data=st.data(), bench=st.sampled_from(["crossbar_mvm", "adc_transfer"]))
def test_no_recipe_raises_anything_but_one_line(data, bench):
    keys = st.sampled_from([*common, *field_keys(get_bench(bench).parameters)])
    raw = {"bench": bench}
    axis = data.draw(st.dictionaries(keys, st.lists(values, max_size=3) | values, max_size=2))
    if axis:
        raw["sweep"] = [axis]
    pairs = data.draw(st.lists(st.tuples(keys, values), max_size=3))
    one_line_or_none(lambda: apply_settings(raw, pairs))
    plan = one_line_or_none(lambda: Plan(check_recipe("r", "r.toml", "", raw)))
    if plan is not None and one_line_or_none(lambda: plan.groups):
        assert len(plan.digest) == 64


@settings(max_examples=60, deadline=None)
@given(
    key=st.sampled_from(["circuit.bits", "sweep", "circuit.bit_capacitors", "circuit", "title"]),
    value=st.text(max_size=20),
)
def test_no_setting_raises_anything_but_one_line(key, value):
    one_line_or_none(lambda: load_recipe("adc_sar8", [f"{key}={value}"]))


@pytest.fixture
def archive(tmp_path):
    np.savez(tmp_path / "a.npz", g=np.full((2, 3), 1e-6))
    (tmp_path / "r.toml").write_text(
        'bench = "crossbar_mvm"\n[circuit]\nconductances = "d.npz:g"\n'
    )
    return tmp_path


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_any_damage_to_an_array_file_is_one_line_or_none(archive, place, byte, cut):
    content = bytearray((archive / "a.npz").read_bytes())
    place %= len(content)
    content[place] = byte
    (archive / "d.npz").write_bytes(content[:place] if cut else content)
    one_line_or_none(lambda: load_recipe(str(archive / "r.toml")))
