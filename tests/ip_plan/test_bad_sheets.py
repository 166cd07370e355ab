"""Bad tables and what is said of them, word for word. A case is `bad/sheets/<name>.csv` beside `<name>.txt` (what the program
prints); adding one needs no code. `granted-…` is imported into a plan that was compiled before."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ground.mistake import Mistakes
from ip_plan import intake
from ip_plan.compile import compile_plan
from tests.ip_plan import nation

CASES = sorted((Path(__file__).parent / "bad" / "sheets").glob("*.csv"))
CODES = ("110000", "110100", "110101", "110102", "110101101", "110200", "120000")


def plan(folder: Path) -> Path:
    """A plan of two provinces that has granted nothing yet."""
    return nation.write(folder, [nation.row(code, f"名{code}", f"r{code}") for code in CODES])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_mistake_is_told_at_once_with_its_cell(path: Path, tmp_path: Path) -> None:
    folder, state = plan(tmp_path / "plan"), tmp_path / "state"
    if path.stem.startswith("granted-"):
        compile_plan(str(folder), state, executor=nation.Inline())
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != ".lock"}
    shutil.copy(path, tmp_path / "sent.csv")
    with pytest.raises(Mistakes) as caught:
        intake.take_in(str(folder), state, [tmp_path / "sent.csv"])
    said = str(caught.value).replace(f"{tmp_path}{os.sep}", "") + "\n"
    expected = path.with_suffix(".txt")
    if not expected.exists():
        expected.write_text(said)
        pytest.fail(f"{expected.name} was missing; it holds now what the program says: read it")
    assert said == expected.read_text()
    assert {file: file.read_bytes() for file in before} == before
    assert nation.ledger_bytes(folder).keys() == {file.name for file in before if file.suffix == ".tsv"}
