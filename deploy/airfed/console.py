"""How commands speak: readable lines or JSON on stdout, one readable line per error on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer


@contextmanager
def readable_errors(as_json: bool = False) -> Iterator[None]:
    """Turn a ``FedError`` into one line (or one JSON object) and an exit code: 2 for what a DSL says, else 1."""
    from federatedml.errors import DslError, FedError

    try:
        yield
    except FedError as error:
        if as_json:
            report = {"code": error.code, "message": error.message, "hint": error.hint}
            print(json.dumps({"error": report}), file=sys.stderr)
        else:
            print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, DslError) else 1) from None


def show_json(value: Any) -> None:
    """Machine-readable output: one document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def show_rows(head: list[str], rows: list[list[str]]) -> None:
    """Columns of text, wide enough for what they hold."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
