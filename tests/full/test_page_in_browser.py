"""The page in Debian's Chromium: as it stands on a screen, on a telephone and on every printed sheet."""

import subprocess
from pathlib import Path

import pytest

from monitoring import rollout
from monitoring.portal import page
from tests.monitoring.sample import everything, regions
from tests.monitoring.test_page import shown

BROWSER = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-pdf-header-footer",
    # Nothing may be needed from a network, so none is there.
    "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking",
]  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a good run as a file."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page.render(shown(everything()), regions()))
    return path.as_uri()


def browse(address: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BROWSER, *options, address], capture_output=True, text=True, timeout=120, check=True)


def test_the_browser_sees_what_was_written(address: str) -> None:
    dom = browse(address, "--dump-dom").stdout
    assert dom.count("<table") == dom.count("</table>") > 4
    assert rollout.REHEARSAL in dom and 'id="r640100"' in dom


@pytest.mark.parametrize("width", [500, 1280])
def test_it_is_drawn(address: str, tmp_path: Path, width: int) -> None:
    picture = tmp_path / "page.png"
    browse(address, f"--window-size={width},2400", f"--screenshot={picture}")
    data = picture.read_bytes()
    assert int.from_bytes(data[16:20]) == width
    assert len(data) > 100_000, "an empty page is a tenth of that"


def test_every_sheet_says_that_it_is_a_rehearsal(address: str, tmp_path: Path) -> None:
    sheets = tmp_path / "page.pdf"
    browse(address, f"--print-to-pdf={sheets}")
    text = subprocess.run(["pdftotext", "-layout", sheets, "-"], capture_output=True, text=True, check=True).stdout
    pages = text.removesuffix("\f").split("\f")
    assert len(pages) > 2
    for number, one in enumerate(pages, 1):
        assert rollout.REHEARSAL in one.replace(" ", ""), f"sheet {number}"
