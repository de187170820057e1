"""Generated code is what the .proto files say, and no importable package is named ``proto``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.regenerate_proto import ROOT, SERVICES, outputs, regenerate, sources


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proto")
    regenerate(folder)
    return folder


def test_the_committed_files_are_those_that_are_generated(generated: Path) -> None:
    assert list(outputs(generated)) == list(outputs(ROOT)), "make proto"
    for path in outputs(generated):
        assert (ROOT / path).read_text() == (generated / path).read_text(), f"{path} is not up to date: make proto"


def test_every_file_with_a_service_has_stubs() -> None:
    assert {path.stem for path in sources() if "\nservice " in (ROOT / path).read_text()} == set(SERVICES)


def test_the_folder_of_protos_is_no_package() -> None:
    """A folder without modules at most becomes a namespace, over which any real package ``proto`` wins."""
    assert ROOT.name == "proto"
    assert not list(ROOT.glob("*.py"))
