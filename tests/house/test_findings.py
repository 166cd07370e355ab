"""SARIF and JUnit of the commands that a review of a change runs: the form that their readers ask for, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import jinbao
from ground import findings
from ground.mistake import Mistake
from ip_plan import folder as folders
from tests.ip_plan.test_exceptions import lay

WRONG = {"scope": [{"region": "000000"}, {"region": "999999"}], "surprise": 1}

# What SARIF 2.1.0 requires of the objects that are written here (OASIS, sections 3.13 to 3.30), and the types it gives them.


class Text(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(min_length=1)]


class Region(msgspec.Struct, forbid_unknown_fields=True):
    startLine: Annotated[int, msgspec.Meta(ge=1)]
    startColumn: Annotated[int, msgspec.Meta(ge=1)] = 1


class Artifact(msgspec.Struct, forbid_unknown_fields=True):
    uri: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~:/%@!$&'()*+,;=-]+$")]


class Physical(msgspec.Struct, forbid_unknown_fields=True):
    artifactLocation: Artifact
    region: Region | None = None


class Logical(msgspec.Struct, forbid_unknown_fields=True):
    fullyQualifiedName: str


class Location(msgspec.Struct, forbid_unknown_fields=True):
    physicalLocation: Physical
    logicalLocations: list[Logical] = []


class Found(msgspec.Struct, forbid_unknown_fields=True):
    ruleId: Annotated[str, msgspec.Meta(pattern="^JB[0-9]{4}$")]
    ruleIndex: Annotated[int, msgspec.Meta(ge=0)]
    level: Literal["none", "note", "warning", "error"]
    message: Text
    partialFingerprints: dict[str, str]
    locations: list[Location] = []


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    help: Text


class Driver(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    version: str
    rules: list[Rule]


class Tool(msgspec.Struct, forbid_unknown_fields=True):
    driver: Driver


class Details(msgspec.Struct, forbid_unknown_fields=True):
    id: str


class Run(msgspec.Struct, forbid_unknown_fields=True):
    tool: Tool
    results: list[Found]
    columnKind: Literal["utf16CodeUnits", "unicodeCodePoints"]
    automationDetails: Details


class Sarif(msgspec.Struct, forbid_unknown_fields=True):
    schema: str = msgspec.field(name="$schema")
    version: Literal["2.1.0"]
    runs: Annotated[list[Run], msgspec.Meta(min_length=1, max_length=1)]


def read(text: str) -> list[Found]:
    """The results of a SARIF log that keeps to the form."""
    (run,) = msgspec.json.decode(text, type=Sarif).runs
    rules = [rule.id for rule in run.tool.driver.rules]
    assert len(rules) == len(set(rules)) and all(rules[one.ruleIndex] == one.ruleId for one in run.results)
    return run.results


def check(plan: str, format: str) -> Result:
    words = ["plan", "check", "--plan", plan, "--format", format]
    return CliRunner().invoke(jinbao.build(words), words)


def test_a_wrong_plan_has_a_result_for_each_mistake_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Path(lay(tmp_path / "plan", **WRONG)).relative_to(tmp_path)
    ran = check(str(plan), "sarif")
    assert ran.exit_code == 2
    (found,) = read(ran.stdout)
    lines = (plan / "plan.yml").read_text().splitlines()
    place = found.locations[0].physicalLocation
    assert found.ruleId == "JB1011" and place.artifactLocation.uri == "plan/plan.yml"
    assert place.region and lines[place.region.startLine - 1].startswith("surprise")


def test_a_right_plan_has_no_results_and_a_case_for_each_file(tmp_path: Path) -> None:
    ran = check("pilot", "sarif")
    assert ran.exit_code == 0 and read(ran.stdout) == []
    ran = check("national", "junit")
    (suite,) = ElementTree.fromstring(ran.stdout)
    assert ran.exit_code == 0 and suite.get("failures") == "0"
    folder, _ = folders.folder_of("national")
    assert {case.get("name") for case in suite} == {str(path) for path in folder.glob("*.yml")}
    assert suite.get("tests") == str(len(suite))


def test_the_failing_file_fails_and_no_other(tmp_path: Path) -> None:
    plan = lay(tmp_path / "plan", **WRONG)
    ran = check(plan, "junit")
    (suite,) = ElementTree.fromstring(ran.stdout)
    failed = {case.get("name"): case[0].text for case in suite if len(case)}
    assert ran.exit_code == 2 and failed.keys() == {f"{plan}/plan.yml"}
    assert "JB1011" in str(failed[f"{plan}/plan.yml"]) and suite.get("failures") == "1"


def test_a_warning_fails_nothing() -> None:
    soon = Mistake("plan.yml", 3, 1, "JB1323", "EX-7", "ends after tomorrow", "Tell its requester.", "warning")
    (suite,) = ElementTree.fromstring(findings.junit("plan check", ["plan.yml"], [soon]))
    assert suite.get("failures") == "0" and "JB1323" in str(suite[0].findtext("system-out"))
    assert read(findings.sarif("plan check", [soon]))[0].level == "warning"


def test_a_device_is_a_case_though_its_finding_names_a_file() -> None:
    found = [Mistake("build/r1/files/etc/frr/frr.conf", 7, None, "JB2410", "r1", "no route", "Render it.")]
    (suite,) = ElementTree.fromstring(findings.junit("config prove", ["r1", "r2"], found))
    assert [(case.get("name"), len(case)) for case in suite] == [("r1", 1), ("r2", 0)]


mistakes = st.builds(
    Mistake,
    st.sampled_from(["", "plan.yml", "/tmp/a b/规划.xlsx!表!C17", "build/r1/frr.conf"])
    | st.text(max_size=20).filter(lambda text: "\0" not in text),
    st.none() | st.integers(1, 9999),
    st.none() | st.integers(1, 200),
    st.sampled_from(["JB1207", "JB2404", "JB2431"]),
    st.text(max_size=30),
    st.text(min_size=1, max_size=60),
    st.text(max_size=60),
    st.sampled_from(["error", "warning"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(mistakes, max_size=5))
def test_whatever_is_found_both_forms_hold(found: list[Mistake]) -> None:
    results = read(findings.sarif("plan check", found))
    assert [one.ruleId for one in results] == [one.code for one in found]
    (suite,) = ElementTree.fromstring(findings.junit("plan check", ["plan.yml"], found))
    wrong = {one.file or one.object or "plan check" for one in found if one.severity == "error"}
    assert int(suite.get("failures") or 0) == sum(case.find("failure") is not None for case in suite)
    assert bool(wrong) == (suite.get("failures") != "0")


def test_a_log_without_its_required_fields_is_seen() -> None:
    log = json.loads(findings.sarif("plan check", [Mistake("a", 1, 1, "JB1207", "", "x", "y")]))
    del log["runs"][0]["results"][0]["message"]["text"]
    with pytest.raises(msgspec.ValidationError):
        read(json.dumps(log))
