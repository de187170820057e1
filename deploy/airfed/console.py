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
    """Turn an error into one line (or one JSON object) and an exit code: 2 for what a DSL says, else 1."""
    from federatedml.errors import DslError, FedError

    try:
        with _named_files():
            yield
    except FedError as error:
        if as_json:
            report = {"code": error.code, "message": error.message, "hint": error.hint}
            print(json.dumps({"error": report}), file=sys.stderr)
        else:
            print(one_line(f"error: {error}"), file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, DslError) else 1) from None


@contextmanager
def _named_files() -> Iterator[None]:
    """What the system says of a file is an error like every other one."""
    from federatedml.errors import FedError

    try:
        yield
    except OSError as error:
        raise FedError("FED-904", f"{error.filename or 'a file'}: {error.strerror or error}") from None


def one_line(text: str) -> str:
    """Text as a terminal may have it: parts of it are other parties' words, so nothing in it may steer the terminal."""
    return "".join(each if each.isprintable() else " " for each in text)


def say(text: str) -> None:
    """A line of text."""
    print(one_line(text), flush=True)


def show_json(value: Any) -> None:
    """Machine-readable output: one document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def show_rows(head: list[str], rows: list[list[str]]) -> None:
    """Columns of text, wide enough for what they hold."""
    table = [[one_line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
