"""The page: complete without a network, honest about rehearsals and about what was not seen, readable by machines that read aloud."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ground.record import Record, Subject
from monitoring import rollout
from monitoring.evidence import log, verify
from monitoring.portal import page
from tests.monitoring.sample import GROUPS, NOW, TARGET, entries, everything, network, record, regions

GOLDEN = Path(__file__).parent / "golden"


def shown(records: list[Record], *, target: str = TARGET, findings: tuple[verify.Finding, ...] = ()) -> rollout.Status:
    """The status of those records."""
    import msgspec

    moved = [msgspec.structs.replace(one, target=target) for one in records]
    listed = tuple(entries(moved))
    head = log.Head("a" * 32, len(listed), listed[-1].hash) if listed else None
    verdict = verify.Verdict(findings, listed, head)
    calendar = (("MS-2-01", "2026-12-31"), ("MS-4-00", "2026-11-01"))
    return rollout.status(network(calendar), regions(), verdict, target, NOW, groups=GROUPS, witnessed="agreed")


@pytest.fixture(scope="module")
def html() -> str:
    """The page of a good run."""
    return page.render(shown(everything()), regions())


class Outline(HTMLParser):
    """Tags with their attributes, whether every tag is closed, and the text."""

    VOID = frozenset({"meta", "br", "rect", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.captions: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "caption":
            self.captions.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "caption" in self.open:
            self.captions[-1] += data


def test_the_page_is_well_formed_and_small(html: str) -> None:
    outline = Outline(html)
    assert outline.open == []
    assert len(html.encode()) < 1_000_000
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {str(a["href"]).removeprefix("#") for tag, a in outline.tags if tag == "a"}
    assert anchors and anchors <= set(ids)


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    outline = Outline(html)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in outline.tags}
    assert not re.search(r"https?://|url\(|@import|src=", html)
    assert "default-src 'none'" in html


def test_headers_and_languages_are_marked(html: str) -> None:
    outline = Outline(html)
    assert ("html", {"lang": "zh-CN"}) in outline.tags
    assert all("scope" in attributes for tag, attributes in outline.tags if tag == "th")
    assert sum(tag == "caption" for tag, _ in outline.tags) == sum(tag == "table" for tag, _ in outline.tags)
    english = [attributes for _, attributes in outline.tags if str(attributes.get("class", "")) == "en"]
    assert english and all(attributes.get("lang") == "en" for attributes in english)


def test_a_rehearsal_is_called_one_on_every_view(html: str) -> None:
    outline = Outline(html)
    assert all(rollout.REHEARSAL in caption for caption in outline.captions)
    assert f'@top-center{{content:"{rollout.REHEARSAL}"' in html[html.index("@media print") :], "on every sheet"
    assert html.count('<tr class="every"') == len(outline.captions), "a long table repeats it on each sheet"


def test_production_is_not_called_a_rehearsal() -> None:
    assert "演练数据" not in page.render(shown(everything(), target="production"), regions())


def test_the_grid_has_every_unit_once_in_the_order_of_codes(html: str) -> None:
    codes = re.findall(r'<span class="code">(\w+)</span>', html)
    assert codes[0] == "000000" and codes[-1] == "BT0000"
    assert codes[1:-1] == sorted(codes[1:-1]) and len(codes) == 33
    assert "示意，非地图" in html and html.count("无证据<br>") == 31


def test_ningxia_shows_two_of_its_five_cities(html: str) -> None:
    assert "有证据的市 2 / 5" in html
    assert "5 个市中 2 个有证据" in html and "石嘴山市、固原市、中卫市" in html
    assert 'id="r640100"' in html and 'id="r640300"' in html and 'id="r640200"' not in html


def test_the_scope_is_the_one_of_the_sources(html: str) -> None:
    assert rollout.SCOPE in html
    assert "全国" not in re.sub(r"全国联网|全国网", "", html), "only in the titles that the sources give"


def test_a_golden_row() -> None:
    """The row of one milestone, word for word."""
    text = page.render(shown(everything()), regions())
    start = text.index("<tbody>", text.index('id="t640100"')) + len("<tbody>\n")
    found = text[start : text.index("</tr>", start) + 5]
    assert f"{found}\n" == (GOLDEN / "row.html").read_text()


def test_source_dates_are_shown_as_such_and_only_the_plan_makes_late(html: str) -> None:
    assert "文件所载日期：2003 年（首批）" in html
    late = [row for row in re.findall(r"<tr class=.*?</tr>", html, re.S) if '"late">逾期' in row]
    assert late and all("2026-11-01" in row for row in late)


def test_what_records_say_is_escaped() -> None:
    nasty = record("reach.office", Subject("640121", "640121:office1"), "fail", reason="<script>alert(1)</script>")
    text = page.render(shown([*everything(), nasty]), regions())
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_an_empty_log_gives_a_page_that_says_so() -> None:
    text = page.render(shown([]), regions())
    assert text.count("无证据<br>") == 32 and "尚无演练记录" in text


def test_a_damaged_log_is_said_on_top() -> None:
    finding = verify.Finding(
        "JB6211", 17, "was changed: its hash does not fit its bytes", "Keep the folder.", "log.jsonl:18"
    )
    text = page.render(shown(everything(), findings=(finding,)), regions())
    assert 'role="alert"' in text and "record 17: was changed" in text and "校验不符" in text


def test_the_drill_stands_in_it(html: str) -> None:
    row = html[html.index('id="recovery"') :]
    assert ">4.4<" in row and ">21<" in row and ">5<" in row


def test_words_exist_for_every_state() -> None:
    from typing import get_args

    from ground.record import Result
    from monitoring import catalogue, members, milestones

    assert set(page.STATES) == set(get_args(milestones.Standing))
    assert set(page.COLUMNS) == set(get_args(members.State))
    assert set(page.OPERATING) == set(get_args(milestones.Operating))
    assert set(page.RESULTS) == set(get_args(Result))
    assert set(page.DECIDED) == set(get_args(catalogue.DecidedBy))
    assert {one.decided_by for one in catalogue.shipped()} == set(page.DECIDED)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, §1.4.3)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ("ink", "paper"), ("soft", "paper"), ("soft", "wash"), ("soft", "badwash"), ("soft", "goodwash"),
        ("soft", "waitwash"), ("soft", "oldwash"), ("good", "goodwash"), ("bad", "badwash"), ("wait", "waitwash"), ("old", "oldwash"),
    ],
)  # fmt: skip
def test_text_has_contrast(html: str, ink: str, paper: str) -> None:
    colours = {name: value for name, value in re.findall(r"--(\w+):(#[0-9a-f]{3,6})", html)}
    full = {
        name: value if len(value) == 7 else "#" + "".join(c * 2 for c in value[1:]) for name, value in colours.items()
    }
    a, b = sorted((luminance(full[ink]), luminance(full[paper])), reverse=True)
    assert (a + 0.05) / (b + 0.05) >= 4.5
