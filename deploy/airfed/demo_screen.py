"""What the demo shows: one table that changes on a terminal, one line per change elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

Cells = Mapping[tuple[str, str], str]  # (row, column) -> text


class Board:
    """A table of states by row and party."""

    def __init__(self, console: Console, title: str, columns: Sequence[str], live: Live | None) -> None:
        self._console, self._title, self._columns, self._live = console, title, columns, live
        self._cells: dict[tuple[str, str], str] = {}

    def show(self, cells: Cells) -> None:
        """Set some cells."""
        changed = {key: text for key, text in cells.items() if self._cells.get(key) != text}
        self._cells |= changed
        if self._live is not None:
            self._live.update(self._table())
            return
        for (row, column), text in changed.items():
            self._console.print(f"  {column:8} {row:16} {text}", highlight=False, markup=False)

    def _table(self) -> Table:
        table = Table("", *self._columns, title=self._title, title_justify="left")
        for row in dict.fromkeys(row for row, _ in self._cells):
            table.add_row(row, *(self._cells.get((row, column), "") for column in self._columns))
        return table


class Screen:
    """Where the demo writes."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    def say(self, text: str = "") -> None:
        """A line of text, never cut or coloured: people copy from it."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """What comes next."""
        self._console.print(f"\n{text}", style="bold", highlight=False, soft_wrap=True)

    @contextmanager
    def board(self, title: str, columns: Sequence[str]) -> Iterator[Board]:
        """A table for as long as things change."""
        self.heading(title)
        if not self._console.is_terminal:
            yield Board(self._console, "", columns, None)
            return
        with Live(console=self._console, refresh_per_second=4) as live:
            yield Board(self._console, "", columns, live)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table that stays."""
        widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
        for row in (head, *rows):
            self.say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
