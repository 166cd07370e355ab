"""The catalogue is complete and well made; attestations are read with every mistake in them."""

from datetime import date
from pathlib import Path

import pytest

from ground import files
from ground.mistake import Mistakes
from monitoring import catalogue
from tests.monitoring.sample import regions

BAD = Path(__file__).parent / "bad"
# domain.md 4.4, every row of the table, of the annex and of the zones of S3 四(一).
ROWS = (
    {f"MS-1-{n:02}" for n in range(1, 12)} | {f"MS-2-{n:02}" for n in range(13)} | {f"MS-3-{n:02}" for n in range(1, 5)}
)
ROWS |= {"MS-4-00", "MS-4-01", "MS-4-02", "MS-4-03", "MS-4-04"} | {f"MS-4-{n}" for n in range(11, 19)}
ROWS |= {f"A{n}" for n in range(1, 11)} | {"S3-4-1", "S3-2-3"}
ALONE = {
    "MS-1-01",
    "MS-1-04",
    "MS-1-05",
    "MS-1-06",
    "MS-1-07",
    "MS-1-09",
    "MS-2-11",
    "MS-3-03",
    "MS-4-03",
    "MS-4-04",
    "MS-4-14",
}
MACHINE = {"MS-2-10", "MS-2-12"}


def test_every_row_of_the_sources_is_there_and_none_besides() -> None:
    assert {one.id.partition(".")[0] for one in catalogue.shipped()} == ROWS
    assert {f"MS-2-01.{part}" for part in ("city", "province", "network")} <= {one.id for one in catalogue.shipped()}


def test_what_decides_each_is_what_evidence_can_decide() -> None:
    by_id = {one.id: one for one in catalogue.shipped()}
    for name in ALONE:
        assert by_id[name].decided_by == "attestation" and not by_id[name].decidable
    machine = {name for name, one in by_id.items() if one.decided_by == "machine" and name.startswith("MS-")}
    assert machine == MACHINE
    for one in by_id.values():
        assert one.clause and one.title.zh and one.title.en
        for want in (*one.probe, *one.data):
            assert want.max_age_hours > 0


@pytest.mark.parametrize("case", sorted(BAD.glob("milestones-*.yml")), ids=lambda path: path.stem)
def test_a_wrong_catalogue_is_refused_word_for_word(case: Path) -> None:
    with pytest.raises(Mistakes) as raised:
        catalogue.catalogue(case.read_bytes(), case.name)
    assert f"{raised.value}\n" == case.with_suffix(".txt").read_text()


def sign(folder: Path, name: str, text: str) -> None:
    (folder / "attestations").mkdir(exist_ok=True)
    (folder / "attestations" / "a.pdf").write_bytes(b"signed")
    (folder / "attestations" / name).write_text(text.replace("SHA", files.sha256(b"signed")))


GOOD = """milestone: MS-2-01.city
region: "640100"
statement: 覆盖全部参保人员和参保单位
office: 银川市人力资源和社会保障局
document: a.pdf
sha256: SHA
date: 2026-11-01
"""


def read(folder: Path) -> tuple[catalogue.Attestation, ...]:
    return catalogue.attestations(folder, catalogue.shipped(), regions(), date(2026, 11, 20))


def test_a_plan_without_the_folder_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) == ()


def test_a_signed_statement_is_read(tmp_path: Path) -> None:
    sign(tmp_path, "one.yml", GOOD)
    (one,) = read(tmp_path)
    assert (one.milestone, one.region, one.date, one.target) == (
        "MS-2-01.city",
        "640100",
        date(2026, 11, 1),
        "production",
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("MS-2-01.city", "MS-9-99", "JB6235"),
        ("MS-2-01.city", "MS-2-12", "JB6235"),
        ('"640100"', '"640199"', "JB6235"),
        ('"640100"', "640100", "JB6234"),
        ("a.pdf", "b.pdf", "JB6236"),
        ("SHA", "f" * 64, "JB6236"),
        ("2026-11-01", "2026-11-21", "JB6237"),
        ("office:", "ofice:", "JB6234"),
        ("milestone: MS", "milestone: [MS", "JB1003"),
    ],
)
def test_a_wrong_statement_is_refused(tmp_path: Path, old: str, new: str, code: str) -> None:
    sign(tmp_path, "one.yml", GOOD.replace(old, new))
    sign(tmp_path, "two.yml", GOOD)
    with pytest.raises(Mistakes) as raised:
        read(tmp_path)
    assert [mistake.code for mistake in raised.value.found] == [code]
    assert "one.yml" in raised.value.found[0].file and raised.value.found[0].cure


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    sign(tmp_path, "one.yml", GOOD.replace("MS-2-01.city", "MS-9-99").replace("a.pdf", "b.pdf"))
    sign(tmp_path, "two.yml", GOOD.replace('"640100"', '"999999"'))
    with pytest.raises(Mistakes) as raised:
        read(tmp_path)
    assert [mistake.code for mistake in raised.value.found] == ["JB6235", "JB6236", "JB6235"]
