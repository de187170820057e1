"""Regenerate the protobuf code: ``python -m tests.regenerate_proto`` writes it beside the .proto files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).parent.parent / "proto"
SERVICES = ("job", "local", "serving")  # the other files declare messages only


def sources() -> list[Path]:
    """All .proto files, relative to the folder of protos."""
    return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.proto"))


def outputs(folder: Path) -> Iterator[Path]:
    """Generated files below ``folder``, relative to it."""
    return (path.relative_to(folder) for path in sorted(folder.rglob("*_pb2*.py*")) if "__pycache__" not in path.parts)


def regenerate(folder: Path) -> None:
    """Generate messages, their types, and the stubs of services below ``folder``."""
    included = [f"-I{ROOT}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    files = [str(path) for path in sources()]
    services = [name for name in files if Path(name).stem in SERVICES]
    for arguments in (
        [f"--python_out={folder}", f"--pyi_out={folder}", *files],
        [f"--grpc_python_out={folder}", *services],
    ):
        if protoc.main(["protoc", *included, *arguments]) != 0:
            raise SystemExit("protoc failed")


if __name__ == "__main__":
    regenerate(ROOT)
