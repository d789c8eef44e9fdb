"""docs/circuits.md names every bench and every recipe."""

import re
from pathlib import Path

from imccircuit import library
from imccircuit.benches.registry import bench_names

PAGE = (Path(__file__).parents[2] / "docs" / "circuits.md").read_text()


def test_every_bench_has_a_page_that_the_index_links():
    linked = re.findall(r"\[`(\w+)`\]\(benches/(\w+)\.md\)", PAGE)
    assert all(name == page for name, page in linked)
    assert sorted(name for name, _ in linked) == bench_names()


def test_every_recipe_is_named():
    named = set(re.findall(r"`(\w+)`", PAGE))
    for base in ("tia", "integrator", "clamp_mirror"):
        named.add(f"readout_{base}_transistor")
    studies = {name for name in library.names("characterize", ".toml") if name.startswith("digits")}
    assert set(library.names("characterize", ".toml")) - studies <= named
