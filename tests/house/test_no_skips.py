"""A skipped test fails the run, wherever the skip was written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.contract import CHECKOUT


@pytest.mark.parametrize(
    ("code", "summary"),
    [
        ("def test_done():\n    pass\n", "1 passed"),
        ("import pytest\n\ndef test_skipped():\n    pytest.skip('no time')\n", "1 failed"),
        ("import pytest\n\n@pytest.mark.skip\ndef test_marked():\n    pass\n", "1 error"),
        ("import pytest\n\npytest.importorskip('not_there')\n", "1 error"),
    ],
)
def test_skips_fail(tmp_path: Path, code: str, summary: str) -> None:
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        text=True,
        capture_output=True,
    )
    assert summary in run.stdout.splitlines()[-1], run.stdout + run.stderr
    assert (run.returncode == 0) == (summary == "1 passed")
