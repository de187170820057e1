"""Tables in text files: CSV, and lines of an id and a text that DataIO takes apart."""

from __future__ import annotations

from csv import Error as CsvError
from csv import reader as rows
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from federatedml.data.descriptor import Csv, Lines
from federatedml.errors import DataError

SID = "id"  # name of the id column of a file without a header
LINE = "line"  # and of the text of a row
MAX_LINE = 2**24  # characters
LONGEST_ROW = 2**24  # bytes


def read_csv(path: Path, declared: Csv) -> tuple[pa.Table, str]:
    """A CSV file and the name of its id column: types of columns are found, ids are text.

    Without a header the columns are 0, 1, ... and the first is the id.

    Raises:
        DataError: ``FED-853``, it is not CSV in UTF-8, or a row has another number of cells; names the line, never
            what stands in it. ``FED-206``, ``FED-857``: two columns of one name, no id column. ``FED-204``: empty ids.
    """
    names = first_row(path, declared)
    sid = declared.id if declared.id is not None else names[0] if declared.header else "f0"  # as Arrow calls it
    if declared.header and names.count(sid) != 1:
        raise DataError("FED-857", f"{path.name} has {names.count(sid)} columns of ids", f"{sid!r} is asked for")
    if declared.header and len(set(names)) < len(names):
        raise DataError("FED-206", f"{path.name} has {len(names)} columns of {len(set(names))} names")
    short: list[str] = []

    def wrong(row: csv.InvalidRow) -> str:
        short.append(f"line {row.number} has {row.actual_columns} cells, not {row.expected_columns}")
        return "error"

    try:
        arrow = csv.read_csv(
            path,
            csv.ReadOptions(  # one thread, so that lines are counted
                use_threads=False, block_size=LONGEST_ROW, autogenerate_column_names=not declared.header
            ),
            csv.ParseOptions(
                delimiter=declared.delimiter,
                quote_char=declared.quote,
                newlines_in_values=True,
                invalid_row_handler=wrong,
            ),
            csv.ConvertOptions(column_types={sid: pa.string()}),
        )
    except (pa.ArrowException, OSError) as error:
        raise _not_csv(path, short[0] if short else _kind_of(error)) from None
    if not declared.header:
        sid, arrow = SID, arrow.rename_columns([SID, *map(str, range(arrow.num_columns - 1))])
    _no_empty_ids(arrow, sid, path.name)
    return arrow, sid


def read_lines(path: Path, declared: Lines) -> tuple[pa.Table, str]:
    """A file of lines as ids and one column of text, ``line``, and the name of the id column; empty lines are left out.

    Raises:
        DataError: ``FED-853``, it is not text in UTF-8, or a line is too long. ``FED-204``: empty ids.
    """
    ids: list[str] = []
    texts: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE:
                    raise DataError("FED-853", f"{path.name}: row {len(ids) + 1} is longer than {MAX_LINE} characters")
                text = line.removesuffix("\n")
                if text.strip():
                    first, _, rest = text.partition(declared.separator) if declared.with_id else ("", "", text)
                    ids.append(first if declared.with_id else str(len(ids)))
                    texts.append(rest)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("FED-853", f"{path.name} is not text: {_kind_of(error)}", "UTF-8") from None
    arrow = pa.table({SID: pa.array(ids, pa.string()), LINE: pa.array(texts, pa.string())})
    _no_empty_ids(arrow, SID, path.name)
    return arrow, SID


def first_row(path: Path, declared: Csv) -> list[str]:
    """The cells of the first row, the header if there is one; ``DataError`` if the file is not CSV."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = next(rows(file, delimiter=declared.delimiter, quotechar=declared.quote), [])
    except (OSError, UnicodeDecodeError, CsvError) as error:
        raise _not_csv(path, _kind_of(error)) from None
    if not found:
        raise _not_csv(path, "its first line is empty")
    return found


def _not_csv(path: Path, found: str) -> DataError:
    return DataError("FED-853", f"{path.name} is not CSV: {found}", "see delimiter, quote and header; text is UTF-8")


def _no_empty_ids(arrow: pa.Table, sid: str, where: str) -> None:
    empty = pc.sum(pc.equal(arrow.column(sid), "")).as_py() or 0
    if empty:
        raise DataError("FED-204", f"{where}: {empty} ids are empty", f"column {sid!r}")


def _kind_of(error: Exception) -> str:
    """What is wrong without what was found: texts of Arrow's errors quote cells."""
    text = str(error)
    long = f"a row of more than {LONGEST_ROW} bytes"
    known = {
        "straddl": long,
        "UTF8": "not UTF-8",
        "utf-8": "not UTF-8",
        "Empty CSV": "it is empty",
        "No such file": "no such file",
    }
    return next((meant for part, meant in known.items() if part in text), type(error).__name__)
