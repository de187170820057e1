"""Pages of components are what the declarations say, and the pictures show what runs sent."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airfed.cli import app
from airfed.component_docs import docs, write_docs
from airfed.picture import picture
from airfed.sequence import Line, Loop, protocol
from federatedml.component import Component, Params, registry
from federatedml.conformance.chart import Message
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

ROOT = Path(__file__).parents[2]
FOLDER, CHARTS, EXAMPLES = ROOT / "docs" / "components", ROOT / "tests" / "golden", ROOT / "examples"


def test_the_pages_are_those_of_the_declarations() -> None:
    expected = docs(CHARTS, EXAMPLES)
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    found = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in files}
    assert sorted(found) == sorted(expected), "make docs"
    assert [name for name, text in expected.items() if found[name] != text] == [], "make docs"


def test_every_module_has_a_page_that_says_who_learns_what() -> None:
    for module, component in registry().items():
        page = (FOLDER / f"{module}.md").read_text(encoding="utf-8")
        assert f"[{module}]({module}.md)" in (FOLDER / "README.md").read_text(encoding="utf-8")
        for topic in component.topics:
            assert f"| `{topic.name}` |" in page
        for name in component.params.model_fields:
            assert f"`{name}" in page


def test_links_and_pictures_of_pages_are_there() -> None:
    for page in FOLDER.glob("*.md"):
        targets = [part.partition(")")[0] for part in page.read_text(encoding="utf-8").split("](")[1:]]
        assert [target for target in targets if not (FOLDER / target).exists()] == [], page.name


@pytest.mark.parametrize("path", sorted((FOLDER / "pictures").glob("*.svg")), ids=lambda path: path.stem)
def test_pictures_are_plain_and_name_every_message(path: Path) -> None:
    tree = ElementTree.parse(path)  # noqa: S314 - our own files
    assert {element.tag.rpartition("}")[2] for element in tree.iter()} <= {"svg", "title", "rect", "path", "text", "g"}
    module, _, chart = path.stem.partition("_")
    lines = (CHARTS / module / f"{chart}.txt").read_text(encoding="utf-8").splitlines()
    topics = {line.split()[3] for line in lines if not line.startswith("#")}
    assert topics <= {element.text for element in tree.iter() if element.tag.endswith("text")}


def sent(topic: str, source: Member, to: Member, round: int = 0) -> Message:
    return Message(source, to, topic, round, 1)


def test_members_of_a_role_are_one_and_blocks_are_folded() -> None:
    messages = [sent("key", ARBITER, m) for m in (GUEST, HOST, OTHER_HOST)]
    for round in range(3):
        messages += [sent("ask", GUEST, HOST, round), sent("ask", GUEST, OTHER_HOST, round)]
        messages += [sent("say", HOST, GUEST, round), sent("say", HOST, OTHER_HOST, round)]
    messages.append(sent("end", GUEST, HOST))
    key = Line("key", ((Role.ARBITER, Role.GUEST), (Role.ARBITER, Role.HOST)))
    ask, say = Line("ask", ((Role.GUEST, Role.HOST),)), Line("say", ((Role.HOST, Role.GUEST), (Role.HOST, Role.HOST)))
    assert protocol(messages) == (key, Loop((ask, say), 3), Line("end", ((Role.GUEST, Role.HOST),)))


def test_a_picture_has_a_lifeline_per_role_that_takes_part_and_escapes_names() -> None:
    text = picture((Line("a<b", ((Role.GUEST, Role.HOST),)),), {"a<b": Carries.MASKED}, "<x>")
    assert "a&lt;b" in text
    assert "arbiter" not in text
    assert ElementTree.fromstring(text).find("{*}title").text == "<x>"  # type: ignore[union-attr]  # noqa: S314


def test_files_of_modules_that_are_no_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("Old.md", "pictures/Old_one.svg", "notes.txt"):
        (tmp_path / name).touch()
    written = write_docs(tmp_path, CHARTS, EXAMPLES)
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*written, tmp_path / "notes.txt"}


def test_every_module_is_listed_with_its_ports_roles_and_protocols() -> None:

    found = {
        each["module"]: each for each in json.loads(CliRunner().invoke(app, ["component", "list", "--json"]).stdout)
    }
    assert set(found) == set(registry())
    assert found["HeteroLR"]["protocols"] == ["shared", "paillier"]
    assert found["HeteroLR"]["roles"] == ["guest", "host", "arbiter"]
    assert found["Intersection"]["protocols"][0] != "auto"
    assert found["DataIO"]["protocols"] == []
    assert found["HeteroLR"]["ports"] == {
        "input": {"data": ["data", "train_data", "eval_data"], "model": True},
        "output": {"data": ["data"], "model": list(registry()["HeteroLR"].model.buffers)},  # type: ignore[union-attr]
    }
    assert Component("Local", "", Params, {}).protocols() == []
