"""``airfed component``: the modules that are installed, and what each of them tells to whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airfed.console import readable_errors, say, show_json, show_rows

if TYPE_CHECKING:
    from federatedml.component import Component

component = typer.Typer(no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@component.command("list")
def list_components(as_json: AsJson = False) -> None:
    """All modules that a DSL can name."""
    from federatedml.component import registry

    with readable_errors(as_json):
        found = sorted(registry().values(), key=lambda each: each.module)
    if as_json:
        return show_json([_brief(each) for each in found])
    rows = [[each.module, each.version, ", ".join(each.roles), each.title] for each in found]
    return show_rows(["module", "version", "roles", "what it does"], rows)


@component.command("show")
def show_component(
    module: Annotated[str, typer.Argument(help="Its name in a DSL: HeteroLR.")], as_json: AsJson = False
) -> None:
    """Parameters, messages and what each role learns."""
    from federatedml.component import component as find

    with readable_errors(as_json):
        found = find(module)
    details = {**_brief(found), "parameters": found.params.model_json_schema(), "disclosure": found.disclosure()}
    details["predicting"] = find(module, predicting=True).disclosure() if found.prediction else None
    if as_json:
        return show_json(details)
    print(f"{found.module} (version {found.version}): {found.title}\nroles: {', '.join(found.roles)}\n")
    show_rows(["parameter", "default", "meaning"], _parameters(found))
    print()
    _show_disclosure(details["disclosure"])
    if found.prediction:
        print("\nwith a model that is fitted already, in a predict job:")
        _show_disclosure(details["predicting"])
    return None


@component.command("docs")
def write_component_docs(
    folder: Annotated[Path, typer.Argument(help="Gets a page per module.")],
    charts: Annotated[Path, typer.Option(help="Charts that conformance tests wrote: MODULE/CASE.txt.")],
    examples: Annotated[Path, typer.Option(help="Pipelines to link: NAME/NAME_dsl.json.")] = Path("examples"),
) -> None:
    """Pages of all modules from their declarations, with pictures of their protocols."""
    from airfed.component_docs import write_docs

    with readable_errors():
        say(f"{len(write_docs(folder, charts, examples))} files in {folder}")


def _show_disclosure(disclosure: Mapping[str, Any]) -> None:
    messages = disclosure["topics"]
    if messages:
        show_rows(list(messages[0]), [[_text(value) for value in message.values()] for message in messages])
    print(f"{'' if messages else 'no messages'}\nwhat each role learns from the outputs:")
    for role, sentences in disclosure["outputs"].items():
        for sentence in sentences:
            print(f"  {role}: {sentence}")
    if not disclosure["outputs"]:
        print("  nothing of another party's")


def _brief(found: Component) -> dict[str, Any]:
    return {
        "module": found.module,
        "title": found.title,
        "version": found.version,
        "roles": [str(role) for role in found.roles],
        "optional_roles": [str(role) for role in found.optional_roles],
        "protocols": found.protocols(),
        "inputs": list(found.inputs),
        "ports": {
            "input": {"data": list(found.inputs), "model": found.prediction is not None},
            "output": {"data": _data_outputs(found), "model": list(found.model.buffers) if found.model else []},
        },
        "has_data": found.has_data,
        "data_outputs": list(found.data_outputs),
        "has_model": found.has_model,
        "online": found.scorer is not None,
        "need_deploy": found.need_deploy,
        "reproducible": found.reproducible,
    }


def _data_outputs(found: Component) -> list[str]:
    return list(found.data_outputs) or (["data"] if found.has_data else [])


def _parameters(found: Component) -> list[list[str]]:
    fields = found.params.model_fields.items()
    return [
        [name, str(field.get_default(call_default_factory=True)), field.description or ""] for name, field in fields
    ]


def _text(value: Any) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)
