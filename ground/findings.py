"""Findings as other programs read them: SARIF 2.1.0 for reviews of a change, JUnit XML for whatever counts tests.

Every command that judges files hands its mistakes to `text`; nowhere else is either format written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import msgspec

from ground.files import sha256
from ground.mistake import Mistake

FORMATS = ("sarif", "junit")
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# XML 1.0 §2.2: no other control characters, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(format: str, command: str, judged: Sequence[str], found: Sequence[Mistake]) -> str:
    """`found` in one of `FORMATS`. `command`: what looked, e.g. `plan check`; `judged`: every file or device it looked at."""
    return sarif(command, found) if format == "sarif" else junit(command, judged, found)


# --- SARIF -----------------------------------------------------------------------------------------------------------


def sarif(command: str, found: Sequence[Mistake]) -> str:
    """A SARIF 2.1.0 log of one run. Files below the working folder are named relative to it, as a review expects."""
    codes = sorted({one.code for one in found})
    driver = {"name": "jinbao", "version": version("jinbao"), "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"jinbao {command}/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes) for one in found],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=1).decode() + "\n"


def _rule(code: str) -> dict[str, object]:
    return {"id": code, "help": {"text": f"docs/errors.md has a section {code}: message, cause, cure."}}


def _result(one: Mistake, codes: Sequence[str]) -> dict[str, object]:
    said = f"{one.object}: {one.what}" if one.object else one.what
    result: dict[str, object] = {
        "ruleId": one.code,
        "ruleIndex": codes.index(one.code),
        "level": one.severity,
        "message": {"text": f"{said}\n{one.cure}"},
        # Not by its line: what stands above it may grow.
        "partialFingerprints": {"jinbao/v1": sha256(f"{one.code}\n{one.file}\n{said}".encode())},
    }
    # A cell of a workbook is named `plan.xlsx!sheet!C17`.
    file, _, cell = one.file.partition("!")
    if file:
        place: dict[str, object] = {"artifactLocation": {"uri": _uri(file)}}
        if one.line:
            place["region"] = {"startLine": one.line} | ({"startColumn": one.column} if one.column else {})
        location: dict[str, object] = {"physicalLocation": place}
        if name := cell or one.object:
            location["logicalLocations"] = [{"fullyQualifiedName": name}]
        result["locations"] = [location]
    return result


def _uri(file: str) -> str:
    path = Path(file).absolute()
    here = Path.cwd()
    return quote(path.relative_to(here).as_posix()) if path.is_relative_to(here) else path.as_uri()


# --- JUnit -----------------------------------------------------------------------------------------------------------


def junit(command: str, judged: Sequence[str], found: Sequence[Mistake]) -> str:
    """JUnit XML: one test case for each of `judged`, and for each other thing that something was found about.

    An error fails its case; a warning is told in its output and does not.
    """
    from xml.etree import ElementTree

    cases: dict[str, list[Mistake]] = {name: [] for name in judged}
    for one in found:
        name = next((name for name in (one.file, one.object) if name in cases), one.file or one.object or command)
        cases.setdefault(name, []).append(one)
    failing = sum(any(one.severity == "error" for one in listed) for listed in cases.values())
    counts = {"tests": str(len(cases)), "failures": str(failing), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", {"name": "jinbao", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"jinbao {command}", **counts})
    for name, listed in cases.items():
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"jinbao.{command.replace(' ', '.')}", name=_legal(name)
        )
        wrong = [one for one in listed if one.severity == "error"]
        if wrong:
            codes = ", ".join(dict.fromkeys(one.code for one in wrong))
            failure = ElementTree.SubElement(
                case, "failure", message=f"{len(wrong)} errors: {codes}", type=wrong[0].code
            )
            failure.text = _legal("\n".join(map(str, wrong)))
        warned = [one for one in listed if one.severity == "warning"]
        if warned:
            ElementTree.SubElement(case, "system-out").text = _legal("\n".join(map(str, warned)))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _legal(said: str) -> str:
    return _FORBIDDEN.sub("\ufffd", said)
