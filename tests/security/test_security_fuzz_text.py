"""Recipes, cards, tables and SPICE files of which anything may be wrong."""

import tomllib

import pytest
from attack import EVIL, NUMBERS, command, damaged, fuzz, one_line
from hypothesis import strategies as st

from imccircuit import library
from imccircuit.cli.import_levels import read_levels
from imccircuit.devices.cards import CARDS, load_card
from imccircuit.devices.netlist import load_netlist
from imccircuit.devices.spice_library import read_library

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

RECIPES = [name for name in library.names("characterize", ".toml") if not name.startswith("digits")]
NAMES = library.names("device_models", ".toml")
NETLIST = """\
* a divider
.param r = 1k
.include 'part.inc'
.lib 'parts.lib' tt
.subckt cell a b w=1u
R1 a b {r}
D1 a b diode
.ends
.end
"""
LIBRARY = ".lib tt\n.model nch nmos(level=1)\n.inc part.inc\n.endl tt\n.lib ss\n.endl\n"
PART = ".model diode d(is=1f)\n"
SPICE_EVIL = [
    ".control\nshell touch pwned\n.endc", "*# shell touch pwned", ".include '/etc/passwd'",
    ".include 'main.spice'", ".lib 'parts.lib' tt", ".model p d_process(process_file=sh)",
    "+ d_process", "\\\\", ".inc", ".lib", ".endl", "'", '"', "`touch pwned`", "{", "}", "\x00",
    "\x0b", ".param s='x'", ".subckt cell", ".ends", "$", "~/x", "\r", "..", ".model", "=",
]  # fmt: skip
rngs = st.randoms(use_true_random=False)


def text_of(value):
    """A value as TOML; what TOML cannot hold, it holds in a string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(str(k))} = {text_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if isinstance(value, int | float):
        return repr(value)
    escaped = "".join(
        c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in value
    )
    return f'"{escaped}"'


def toml(tables):
    return "\n".join(f"{text_of(key)} = {text_of(value)}" for key, value in tables.items())


def any_value(rng, depth=0):
    kind = rng.randrange(6 if depth < 3 else 3)
    if kind < 2:
        return rng.choice(EVIL)
    if kind == 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return [any_value(rng, depth + 1) for _ in range(rng.randrange(3))]
    if kind == 4:
        return {rng.choice(EVIL): any_value(rng, depth + 1) for _ in range(rng.randrange(3))}
    return rng.random() < 0.5


def change(rng, tables):
    """One change to a key or value, however deep it lies."""
    table = tables
    while True:
        inner = [value for value in table.values() if isinstance(value, dict) and value]
        if not inner or rng.random() < 0.4:
            break
        table = rng.choice(inner)
    key = rng.choice(list(table) or [""])
    kind = rng.randrange(5)
    if kind == 0:
        table.pop(key, None)
    elif kind == 1:
        table[rng.choice(EVIL)] = table.get(key, 1)
    elif kind == 2:
        table[rng.choice(EVIL)] = any_value(rng)
    elif kind == 3 and isinstance(table.get(key), list):
        table[key] = [*table[key], any_value(rng)]
    else:
        table[key] = any_value(rng)


def mutated(rng, source):
    """A TOML file with changes to its tables or to its bytes."""
    if rng.random() < 0.3:
        return damaged(rng, source)
    tables = tomllib.loads(source.decode())
    for _ in range(rng.choice([1, 1, 2, 3])):
        change(rng, tables)
    return toml(tables).encode("utf-8", "surrogatepass")


def body_recipes(inside, rng):
    source = library.find("characterize", rng.choice(RECIPES), ".toml").read_bytes()
    (inside / "r.toml").write_bytes(mutated(rng, source))
    command("run", "r.toml", "--dry-run")


def body_cards(inside, rng):
    name = rng.choice(NAMES)
    source = library.find("device_models", name, ".toml").read_bytes()
    path = inside / "card.toml"
    path.write_bytes(mutated(rng, source))
    for kind in CARDS if rng.random() < 0.2 else [tomllib.loads(source.decode())["kind"]]:
        one_line(lambda kind=kind: load_card(path, kind))
    (inside / "r.toml").write_text(
        'bench = "crossbar_mvm"\nengine = "nodal"\n[circuit]\ndevice_card = "card.toml"\n'
    )
    command("run", "r.toml", "--dry-run")
    command("list", "cards", "--library", inside)


def body_spice(inside, rng):
    texts = {"main.spice": NETLIST, "parts.lib": LIBRARY, "part.inc": PART}
    for name in rng.sample(sorted(texts), rng.choice([1, 1, 2])):
        lines = texts[name].splitlines()
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(lines))
            kind = rng.randrange(3)
            word = rng.choice([*SPICE_EVIL, *EVIL])
            if kind == 0:
                lines.insert(place, word)
            elif kind == 1:
                cut = rng.randrange(len(lines[place]) + 1)
                lines[place] = lines[place][:cut] + word + lines[place][cut:]
            else:
                lines[place] = word
        texts[name] = "\n".join(lines)
    for name, text in texts.items():
        content = text.encode("utf-8", "surrogatepass")
        (inside / name).write_bytes(damaged(rng, content) if rng.random() < 0.2 else content)
    one_line(lambda: load_netlist(f"{inside}/main.spice:cell"))
    one_line(lambda: read_library(inside / "parts.lib", "tt"))


def body_levels(good, inside, rng):
    content = (good / "levels.csv").read_bytes()[:400]
    for _ in range(rng.randint(1, 3)):
        cells = content.split(b",")
        cells[rng.randrange(len(cells))] = rng.choice(EVIL).encode("utf-8", "surrogatepass")
        content = b",".join(cells)
    path = inside / "levels.csv"
    path.write_bytes(damaged(rng, content) if rng.random() < 0.5 else content)
    one_line(lambda: read_levels(path, "V"))
    command("import-levels", path, "--reference", rng.choice(EVIL).replace("\x00", "") or "1 V",
            "-o", "out.h5")  # fmt: skip


test_recipes, test_recipes_long = fuzz(60, rng=rngs)(body_recipes)
test_cards, test_cards_long = fuzz(20, rng=rngs)(body_cards)
test_spice, test_spice_long = fuzz(100, rng=rngs)(body_spice)
test_levels, test_levels_long = fuzz(30, rng=rngs)(body_levels)
