"""Writes ``docs/components``: a page per module that is installed, the pictures of its protocols, and an index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from airfed.component_page import page, roles, table
from airfed.picture import picture
from airfed.sequence import Step, protocol
from federatedml.component import Component, registry
from federatedml.conformance.chart import from_text

PICTURES = "pictures"


def write_docs(folder: Path, charts: Path, examples: Path) -> list[Path]:
    """Write all pages and pictures; files of modules that are no more are removed.

    Args:
        folder: gets ``MODULE.md``, ``README.md`` and ``pictures/``.
        charts: golden charts, ``MODULE/CASE.txt``.
        examples: pipelines, ``NAME/NAME_dsl.json``.
    """
    files = docs(charts, examples)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.md"), *folder.glob(f"{PICTURES}/*.svg")):
        if str(old.relative_to(folder)) not in files:
            old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def docs(charts: Path, examples: Path) -> Mapping[str, str]:
    """The text of every file, by its path below the folder of the docs."""
    used = _used(examples)
    found = [registry()[module] for module in sorted(registry())]
    files = {"README.md": _index(found)}
    for component in found:
        protocols = _protocols(component, charts)
        files[f"{component.module}.md"] = page(component, protocols, used.get(component.module, []))
        carries = {topic.name: topic.carries for topic in component.topics}
        for name, steps in protocols.items():
            if steps:
                title = f"Messages of {component.module}, {name}"
                files[f"{PICTURES}/{component.module}_{name}.svg"] = picture(steps, carries, title)
    return files


def _protocols(component: Component, charts: Path) -> dict[str, tuple[Step, ...]]:
    """The charts of a component that differ from each other, by name."""
    found: dict[str, tuple[Step, ...]] = {}
    for path in sorted((charts / component.module).glob("*.txt")):
        steps = protocol(from_text(path.read_text(encoding="utf-8"), path.name))
        if steps not in found.values():
            found[path.stem] = steps
    return found


def _used(examples: Path) -> dict[str, list[str]]:
    """Module -> examples whose DSL has it."""
    found: dict[str, list[str]] = {}
    for path in sorted(examples.glob("*/*_dsl.json")):
        modules = {each["module"] for each in json.loads(path.read_bytes())["components"].values()}
        for module in modules:
            found.setdefault(module, []).append(path.parent.name)
    return found


def _index(found: Iterable[Component]) -> str:
    rows = [[f"[{each.module}]({each.module}.md)", each.title, roles(each)] for each in found]
    text = "All modules that a DSL can name. `airfed component list --json` says the same to machines."
    return f"# Components\n\n{text}\n\n{table(['module', 'what it does', 'takes part'], rows)}\n"
