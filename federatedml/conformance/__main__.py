"""``python -m federatedml.conformance FILE ...``: write the golden charts of the suites that test files define."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from federatedml.conformance.suite import Conformance


def main(files: list[str]) -> int:
    """Write the charts, and drop those of cases that are no more; the exit code."""
    if not files:
        print(__doc__)
        return 2
    for file in files:
        for suite in _suites(Path(file)):
            _write(suite)
    return 0


def _write(suite: type[Conformance]) -> None:
    paths = {suite.golden_file(step): step for step in suite().cases()}
    for path, step in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(suite.chart(step), encoding="utf-8")
    for folder in {path.parent for path in paths}:
        for stale in set(folder.glob("*.txt")) - set(paths):
            stale.unlink()
    print(f"{suite.__name__}: {len(paths)} charts")


def _suites(file: Path) -> Iterator[type[Conformance]]:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Conformance) and value.__module__ == file.stem:
            yield value


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
