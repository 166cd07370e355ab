"""Writes a workbook of the same cells, or reads workbooks, with openpyxl alone; runs in the environment of peers.lock."""

import json
import sys
from pathlib import Path


def main() -> None:
    """`write CELLS OUT`, CELLS being `{sheet: [[cell, …], …]}`; `read FOLDER`. Print how many rows went through."""
    import openpyxl  # type: ignore[import-untyped,unused-ignore]

    count = 0
    if sys.argv[1] == "write":
        book = openpyxl.Workbook(write_only=True)
        for name, rows in json.loads(Path(sys.argv[2]).read_text()).items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
            count += len(rows)
        book.save(f"{sys.argv[3]}.xlsx")
    else:
        for path in sorted(Path(sys.argv[2]).glob("*.xlsx")):
            book = openpyxl.load_workbook(path, read_only=True)
            count += sum(1 for sheet in book for _ in sheet.iter_rows(values_only=True))
    print(json.dumps({"units": count}))


if __name__ == "__main__":
    main()
