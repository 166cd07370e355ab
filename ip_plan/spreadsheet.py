"""Workbooks and CSV files as offices send them → the tables in them, each value with its cell.

Nothing here trusts the file: its sizes are measured before it is parsed, and it is parsed in a process of its own.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

import msgspec
import python_calamine as calamine

from ground import work
from ground.mistake import Mistake
from ip_plan import sheets

FILE_BYTES = 256 << 20
"""The largest file that is opened; the nation's 33 workbooks together have 20 MB."""
UNPACKED_BYTES = 1 << 30
"""The most that a workbook may unpack to, by what it declares and by what it holds; a province has 40 MB."""
MEMORY_BYTES = 3 << 30
HEADER_ROWS = 30
"""How far down a header is looked for: above it stand titles, dates, the name of the office."""

Rows = Iterable[Sequence[Any]]


class Found(msgspec.Struct, frozen=True):
    """A table in a file: the columns that are taken in, and the rows that are not empty."""

    file: str
    sheet: str
    """Empty for a CSV file, which has only one."""
    table: str
    columns: tuple[str, ...]
    letters: tuple[str, ...]
    """The letter of each column in the sheet."""
    rows: list[tuple[int, tuple[str, ...]]]
    """(row number, values): text in half-width characters, without blanks around it; numbers without `.0`."""

    def place(self, row: int, column: str) -> str:
        """Where a value stands: `plan.xlsx!地址块!C17`; for a column that is not there, its row."""
        letter = self.letters[self.columns.index(column)] if column in self.columns else ""
        return "!".join(part for part in (self.file, self.sheet, f"{letter}{row}") if part)


def read(paths: Iterable[Path]) -> tuple[list[Found], list[Mistake]]:
    """Every table of every file, and every mistake (JB1340–JB1348) in them."""
    listed = list(paths)
    tables: list[Found] = []
    mistakes: list[Mistake] = []
    for path, answer in zip(listed, work.confined(_file, listed, MEMORY_BYTES), strict=True):
        if answer is None:
            what = f"reading it takes more than {MEMORY_BYTES >> 30} GiB of memory: a cell far from the table, or a damaged file"
            cure = "Delete the rows and columns right of and below the table (Ctrl+End shows the last cell), and save again."
            mistakes.append(Mistake(str(path), None, None, "JB1343", "", what, cure))
            continue
        tables += answer[0]
        mistakes += answer[1]
    return tables, mistakes


class _Refused(Exception):
    """The file as a whole cannot be read: code, what, cure."""


def _file(path: Path) -> tuple[list[Found], list[Mistake]]:
    name = str(path)
    try:
        try:
            if path.stat().st_size > FILE_BYTES:
                what = f"it has {path.stat().st_size:,} bytes; {FILE_BYTES:,} are read at most"
                raise _Refused("JB1343", what, "Export the provinces one by one, a file each.")
            data = path.read_bytes()
        except OSError as error:
            raise _Refused("JB1340", f"it cannot be read: {error.strerror}", "Name a readable file.") from None
        suffix = path.suffix.lower()
        if suffix == ".csv":
            tables, mistakes = _csv(name, data)
        elif suffix == ".xlsx":
            tables, mistakes = _xlsx(name, data)
        elif suffix in (".xlsm", ".xltm", ".xlam"):
            raise _Refused("JB1340", "it is a workbook with macros", _SAVE_XLSX)
        else:
            raise _Refused("JB1340", f"files of the kind {suffix or name!r} are not read", _SAVE_XLSX)
        if not tables and not mistakes:
            listed = ", ".join(f"{table.zh} ({table.columns[0].zh}, …)" for table in sheets.TABLES)
            cure = f"Give the table a header row as `jinbao plan export` writes it; it may be one of: {listed}."
            raise _Refused("JB1345", f"no sheet has a header that is known, in its first {HEADER_ROWS} rows", cure)
    except _Refused as refused:
        code, what, cure = refused.args
        return [], [Mistake(name, None, None, code, "", what, cure)]
    return tables, mistakes


_SAVE_XLSX = "Save it as .xlsx (Excel workbook without macros) or as .csv."
_AGAIN = "Open it in the program that wrote it, save it again as .xlsx, and send it uncut."


# CSV


def _csv(name: str, data: bytes) -> tuple[list[Found], list[Mistake]]:
    text = _decode(data)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",\t;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return _table(name, "", reader, 0, ())
    except csv.Error as error:
        raise _Refused(
            "JB1341", f"line {reader.line_num} is not CSV: {error}", "Save the table as CSV again."
        ) from None


def _decode(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or GBK (GB 18030), as Chinese spreadsheets save CSV."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    what = "it is text in no encoding that is known: neither UTF-8 nor UTF-16 nor GBK (GB 18030)"
    raise _Refused("JB1344", what, "Save it as `CSV UTF-8`, or as .xlsx.")


# Workbooks


def _xlsx(name: str, data: bytes) -> tuple[list[Found], list[Mistake]]:
    if data.startswith(
        b"\xd0\xcf\x11\xe0"
    ):  # an OLE container [MS-CFB]: an encrypted workbook, or the format before 2007
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise _Refused(
                "JB1342", "it is protected with a password", "Save it without a password; send it over a safe way."
            )
        raise _Refused("JB1340", "it is a workbook of the format before 2007 (.xls)", _SAVE_XLSX)
    formulas = _unpacked(data)
    tables: list[Found] = []
    mistakes: list[Mistake] = []
    try:
        with calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            for entry in book.sheets_metadata:
                if entry.typ != calamine.SheetTypeEnum.WorkSheet:
                    continue
                sheet = book.get_sheet_by_name(entry.name)
                if sheet.start is None:
                    continue
                hidden = entry.visible != calamine.SheetVisibleEnum.Visible
                merged = sheet.merged_cell_ranges or []
                found, wrong = _table(
                    name, entry.name, sheet.iter_rows(), sheet.start[1], merged, formulas.get(entry.name, frozenset())
                )
                if found and hidden:
                    what = f"the sheet is hidden and holds a table ({found[0].table}); what nobody sees is not taken in"
                    cure = "Show the sheet and look at it, or delete it."
                    mistakes.append(Mistake(f"{name}!{entry.name}", None, None, "JB1346", "", what, cure))
                elif not hidden:
                    tables += found
                    mistakes += wrong
    except calamine.PasswordError:
        raise _Refused("JB1342", "it is protected with a password", "Save it without a password.") from None
    except calamine.CalamineError as error:
        raise _Refused("JB1341", f"the workbook is damaged: {str(error).splitlines()[0]}", _AGAIN) from None
    except BaseException as error:
        if (
            type(error).__name__ != "PanicException"
        ):  # what the reader's own assertions raise; it has no importable name
            raise
        raise _Refused("JB1341", "the workbook is damaged: the reader gave up", _AGAIN) from None
    return tables, mistakes


def _unpacked(data: bytes) -> dict[str, frozenset[str]]:
    """Unpack every part once, counting, before anything parses it. Returns the formula cells of each sheet that has any."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise _Refused("JB1341", f"the workbook is damaged: {error}", _AGAIN) from None
    declared = sum(part.file_size for part in parts)
    if declared > UNPACKED_BYTES:
        _bomb(f"it declares {declared:,} bytes unpacked")
    names = {part.filename for part in parts}
    if any(name.endswith("vbaProject.bin") for name in names):
        raise _Refused("JB1340", "it is a workbook with macros", _SAVE_XLSX)
    if "xl/workbook.xml" not in names and "[Content_Types].xml" not in names:
        raise _Refused("JB1341", "this is a zip file and no workbook", _AGAIN)
    total = 0
    with_formulas: list[zipfile.ZipInfo] = []
    for part in parts:
        watch = part.filename.startswith("xl/worksheets/")
        tail = b""
        held = check = 0
        for chunk in _inflate(data, part):
            held += len(chunk)
            check = zlib.crc32(chunk, check)
            total += len(chunk)
            if total > UNPACKED_BYTES:
                _bomb(f"it holds more than {UNPACKED_BYTES:,} bytes unpacked, and declares {declared:,}")
            if watch and _FORMULA.search(tail + chunk):
                with_formulas.append(part)
                watch = False
            tail = chunk[-32:]
        if held != part.file_size:
            what = f"its part {part.filename} declares {part.file_size:,} bytes and holds {held:,}"
            raise _Refused("JB1341", f"the workbook is damaged: {what}", _AGAIN)
        if check != part.CRC:
            what = f"its part {part.filename} is not what was packed (CRC-32)"
            raise _Refused("JB1341", f"the workbook is damaged: {what}", _AGAIN)
    if not with_formulas:
        return {}
    try:
        sheet_of = _sheet_names(archive)
        return {sheet_of.get(part.filename, ""): _formula_cells(archive.read(part)) for part in with_formulas}
    except (expat.ExpatError, KeyError, zipfile.BadZipFile) as error:
        raise _Refused("JB1341", f"the workbook is damaged: {error}", _AGAIN) from None


_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")


def _bomb(what: str) -> None:
    cure = "Delete what does not belong to the table (pictures, formats of whole columns), or send a file a province."
    raise _Refused("JB1343", f"{what}; {UNPACKED_BYTES:,} are read at most", cure)


def _inflate(data: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a part as they really are; `zipfile` would stop where the part says that it ends."""
    start = part.header_offset
    header = data[start : start + 30]
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise _Refused("JB1341", f"the workbook is damaged: {part.filename} is not where it should be", _AGAIN)
    if part.flag_bits & 1:
        raise _Refused("JB1342", "it is protected with a password", "Save it without a password.")
    start += 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    packed = data[start : start + part.compress_size]
    if part.compress_type == zipfile.ZIP_STORED:
        yield packed
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise _Refused("JB1341", f"{part.filename} is packed in a way that workbooks are not", _AGAIN)
    stream = zlib.decompressobj(-15)
    try:
        while packed and not stream.eof:
            yield stream.decompress(packed, 1 << 20)
            packed = stream.unconsumed_tail
        yield stream.flush()
    except zlib.error as error:
        raise _Refused("JB1341", f"the workbook is damaged: {part.filename}: {error}", _AGAIN) from None
    if not stream.eof:
        raise _Refused("JB1341", f"the workbook is damaged: {part.filename} is cut off", _AGAIN)


def _elements(data: bytes) -> list[tuple[str, dict[str, str]]]:
    """The elements of a small part, by local name, with their attributes."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, held: found.append((name.rpartition(" ")[2], held))
    parser.Parse(data, True)
    return found


def _sheet_names(archive: zipfile.ZipFile) -> dict[str, str]:
    """Part → the name of its sheet."""
    target = {
        held["Id"]: "xl/" + held["Target"].removeprefix("/xl/")
        for name, held in _elements(archive.read("xl/_rels/workbook.xml.rels"))
        if name == "Relationship"
    }
    found = {}
    for name, held in _elements(archive.read("xl/workbook.xml")):
        if name == "sheet":
            link = next((value for key, value in held.items() if key.rpartition(" ")[2] == "id"), "")
            found[target.get(link, "")] = held["name"]
    return found


def _formula_cells(data: bytes) -> frozenset[str]:
    """The cells (`C17`) of a sheet that hold a formula."""
    found: set[str] = set()
    cell = ""
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, held: dict[str, str]) -> None:
        nonlocal cell
        local = name.rpartition(" ")[2]
        if local == "c":
            cell = held.get("r", "")
        elif local == "f":
            found.add(cell)

    parser.StartElementHandler = start
    parser.Parse(data, True)
    return frozenset(found)


# Tables


def _table(
    name: str,
    sheet: str,
    rows: Rows,
    offset: int,
    merged: Sequence[tuple[tuple[int, int], tuple[int, int]]],
    formulas: frozenset[str] = frozenset(),
) -> tuple[list[Found], list[Mistake]]:
    """The table of a sheet, if its first rows hold a header that is known. `offset`: the sheet's column of the first value."""
    mistakes: list[Mistake] = []
    found: Found | None = None
    places: list[int] = []
    heads: list[str] = []
    tried = 0
    for number, cells in _filled(rows, offset, merged):
        if found is None:
            texts = [_text(cell) for cell in cells]
            if not any(texts):
                continue
            tried += 1
            if tried > HEADER_ROWS:
                break
            known = sheets.recognise(texts)
            if known is None:
                continue
            table, columns = known
            for column, indexes in columns.items():
                if len(indexes) > 1:
                    entry = next(entry for entry in table.columns if entry.name == column)
                    where = ", ".join(_letter(index + offset) for index in indexes)
                    what = f"the header has this column {len(indexes)} times ({where})"
                    cure = "Keep one of them, or give the others a header of their own."
                    place = "!".join(part for part in (name, sheet, f"{_letter(indexes[1] + offset)}{number}") if part)
                    mistakes.append(Mistake(place, None, None, "JB1348", f"{entry.zh} {entry.en}", what, cure))
            taken = [entry.name for entry in table.columns if entry.read and entry.name in columns]
            places = [columns[column][0] for column in taken]
            heads = [texts[place] for place in places]
            letters = tuple(_letter(place + offset) for place in places)
            found = Found(name, sheet, table.name, tuple(taken), letters, [])
            continue
        values = tuple([_text(cells[place]) if place < len(cells) else "" for place in places])
        if not any(values) or values[0] == heads[0]:  # a header that is merged downward, or printed on every page
            continue
        found.rows.append((number, values))
        if formulas:
            for letter in found.letters:
                if f"{letter}{number}" in formulas:
                    cure = "Copy the cells and paste them as values: what a formula gives depends on who opened the file last."
                    what = "the cell holds a formula"
                    place = f"{name}!{sheet}!{letter}{number}"
                    mistakes.append(Mistake(place, None, None, "JB1347", "", what, cure))
    return ([found] if found else []), mistakes


def _filled(
    rows: Rows, offset: int, merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]
) -> Iterator[tuple[int, Sequence[Any]]]:
    """(row number, cells); a merged cell's value stands in all of its cells."""
    starts: dict[int, list[tuple[int, int, int]]] = {}
    for (top, left), (bottom, right) in merged:
        starts.setdefault(top, []).append((bottom, left - offset, right - offset))
    open_: list[tuple[int, int, int, Any]] = []
    for index, cells in enumerate(rows):
        if open_ or index in starts:
            cells = list(cells)
            open_ = [held for held in open_ if held[0] >= index]
            for bottom, left, right in starts.get(index, ()):
                open_.append((bottom, left, right, cells[left] if 0 <= left < len(cells) else ""))
            for _, left, right, value in open_:
                for place in range(max(left, 0), min(right + 1, len(cells))):
                    cells[place] = value
        yield index + 1, cells


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell.strip() if cell.isascii() else unicodedata.normalize("NFKC", cell).strip()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return str(cell)


def _letter(column: int) -> str:
    """0 → A, 26 → AA."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text
