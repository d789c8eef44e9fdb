"""Exporting a model file: refuse what failed, then write each target whole or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from imccircuit.errors import UsageError, VerdictError
from imccircuit.exporters.content import Content, content_of, plain, write_npz
from imccircuit.exporters.fidelity import absent_parts, stated_fidelity
from imccircuit.exporters.licence import LICENCE
from imccircuit.exporters.macro_parts import target_for
from imccircuit.exporters.registry import get_target
from imccircuit.exporters.replay import Replay, exported_target
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import file_sha256
from imccircuit.surrogates.files import load_model
from imccircuit.versions import library_versions

_MARK = "provenance.json"


def export_model(
    model_path: Path, targets: list[str], out: Path, force: bool = False
) -> list[Path]:
    """Export a model to ``out/<target>/`` for each target; other folders of ``out`` stay.

    Every export carries the target's own files and README.md, LICENSE, provenance.json,
    fidelity.json and replay.npz.

    Parameters
    ----------
    force : export a model whose verdict is ``fail`` too; the export says so.

    Returns
    -------
    The folders written.

    Raises
    ------
    VerdictError : the verdict is ``fail`` and ``force`` is not set; nothing is written.
    FileFormatError : the model file is none.
    UsageError : unknown target, nothing to write, or a folder that is not an export stands there.
    """
    model_path, out = Path(model_path), Path(out)
    known = [get_target(name) for name in dict.fromkeys(targets)]
    if not known:
        raise UsageError("no export target given")
    model = load_model(model_path)
    if model.verdict.state == "fail" and not force:
        raise VerdictError(
            f"{model_path} failed its gates ({model.verdict.reason}); "
            "only --force (force=True) exports it all the same"
        )
    content = content_of(model)
    known = [target_for(target, content.kind) for target in known]
    return [_export(target, content, model, model_path, out, force=force) for target in known]


def _export(
    target: Target, content: Content, model: Surrogate, source: Path, out: Path, *, force: bool
) -> Path:
    folder = out / target.name
    if folder.exists() and not (folder / _MARK).is_file():
        raise UsageError(f"{folder} exists and is no export; it is not overwritten")
    temporary = out / f".{target.name}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        target.write(content, model, temporary)
        _write_common(target, content, model, source, temporary, force=force)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_common(
    target: Target, content: Content, model: Surrogate, source: Path, folder: Path, *, force: bool
) -> None:
    forced = force and model.verdict.state == "fail"
    provenance = {
        "target": target.name,
        "kind": model.kind,
        "model_sha256": file_sha256(source),
        **asdict(model.model.provenance),
        "exported_by": library_versions(),
        "forced_in_spite_of_verdict": forced,
        "verdict": json.loads(model.verdict.to_json()),
    }
    _write_json(folder / _MARK, provenance)
    _write_json(
        folder / "fidelity.json", [asdict(item) for item in stated_fidelity(target, content)]
    )
    write_npz(folder / "replay.npz", plain(content.replay))
    (folder / "LICENSE").write_text(LICENCE, encoding="utf-8")
    (folder / "README.md").write_text(_readme(target, content, model, forced=forced), "utf-8")


def _readme(target: Target, content: Content, model: Surrogate, *, forced: bool) -> str:
    provenance = model.model.provenance
    lines = [f"# {provenance.title or provenance.recipe_name}: {target.summary}", ""]
    if forced:
        lines += ["**This model failed its gates and was exported by force.**", ""]
    if model.verdict.state == "not judged":
        lines += [f"**This model was not judged: {model.verdict.reason}.**", ""]
    lines += [target.usage(content).strip(), "", "## What is not in it", ""]
    lines += [f"- {item.quantity}: {item.how}" for item in absent_parts(target, content)]
    lines += ["", "## What it is worth", "", "```"]
    lines += [*str(model.verdict).splitlines(), "```", ""]
    lines += [
        "`fidelity.json` says of every quantity whether it is exact, approximated or dropped, and "
        "which parts are absent; "
        "`replay.npz` holds inputs and outputs of SPICE beside what the model answers "
        "(`expected_…`); `provenance.json` says where it comes from. Data and code are under the "
        "licence in `LICENSE`.",
        "",
    ]
    return "\n".join(lines)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def replay_export(folder: Path) -> Replay:
    """Drive the stored vectors of an export through the target's own code.

    Raises
    ------
    FileFormatError : the folder is no export.
    SetupError : the target's own program is not installed.
    UsageError : the export has nothing that runs.
    """
    name, kind = exported_target(folder)
    target = get_target(name)
    if kind == "macro":
        target = target_for(target, kind)
    return target.replay(folder)
