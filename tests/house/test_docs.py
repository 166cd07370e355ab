"""What the documents say is so: codes, commands, options, files, schemas, and the two languages of the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

import jinbao
from ground.reach import Reach
from tests.house import documents
from tests.house.contract import CHECKOUT, rooms

ROOMS = [*(CHECKOUT / room for room in rooms(CHECKOUT)), CHECKOUT / "jinbao.py"]
BIN = Path(sys.executable).parent
# What is quick, and needs neither a lab nor a target, is really run; the rest is held against the options there are.
RUN = [("plan", "init"), ("plan", "check"), ("plan", "compile"), ("plan", "show"), ("plan", "schema")]
RUN += [("plan", "diff"), ("plan", "forecast"), ("plan", "export"), ("plan", "import"), ("plan", "moved")]
RUN += [("config", "render"), ("twin", "doctor")]


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from [room] if room.is_file() else room.rglob("*.py")


def explained() -> dict[str, list[str]]:
    """Code → how its message reads, line by line, as docs/errors.md says."""
    parts = re.split(r"^### (JB[0-9]{4})\n", documents.ERRORS.read_text(), flags=re.M)
    found: dict[str, list[str]] = {}
    for code, body in zip(parts[1::2], parts[2::2], strict=True):
        assert code not in found, f"{code} has two sections"
        assert body.count("**Cause.** ") == body.count("**Cure.** ") == 1, code
        (forms,) = documents.blocks(body)
        found[code] = forms.text.splitlines()
    return found


def test_every_code_has_a_section_and_every_section_a_code() -> None:
    used = {code for path in sources() for code in re.findall(r"JB[0-9]{4}", path.read_text())}
    assert len(used) > 100
    assert sorted(explained()) == sorted(used)


def test_sections_stand_in_order() -> None:
    assert all(one < other for one, other in pairwise(explained()))


def fits(form: str, said: str) -> bool:
    """Whether a message is of a form in which `<…>` stands for anything."""
    return re.fullmatch(".+?".join(re.escape(part) for part in re.split(r"<[^>]*>", form)), said) is not None


def told() -> list[tuple[str, str]]:
    """(code, message) of every expected output of the tests."""
    texts = (path.read_text() for path in sorted((CHECKOUT / "tests").rglob("bad/**/*.txt")))
    return re.findall(r"^\S+  (JB[0-9]{4})  (.+)$", "\n".join(texts), re.M)


def test_messages_read_as_explained() -> None:
    forms = explained()
    assert len(told()) > 80
    assert [(code, said) for code, said in told() if not any(fits(form, said) for form in forms[code])] == []


def test_a_message_of_another_form_is_seen() -> None:
    assert fits("<row>: zone `<zone>` is not defined", "FL-01: zone `decisions` is not defined")
    assert not fits("<row>: zone `<zone>` is not defined", "FL-01: zone decisions is not defined")
    assert not fits("the file is empty", "the file is empty again")


# --- commands --------------------------------------------------------------------------------------------------------


def leaves(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command of the program that does something, by its words."""
    listed: dict[str, Any] = getattr(command, "commands", {})
    if not listed:
        return {path: command}
    return {words: leaf for name, below in listed.items() for words, leaf in leaves(below, (*path, name)).items()}


PROGRAM = leaves(typer.main.get_command(jinbao.build([])))


def named(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The command that `words` name, and what is left of them. Raises LookupError."""
    path = max((path for path in PROGRAM if tuple(words[: len(path)]) == path), key=len, default=None)
    if path is None:
        raise LookupError(f"jinbao {' '.join(words)}: there is no such command")
    return path, words[len(path) :]


def refused(words: list[str]) -> str:
    """Why a command line cannot be given as it stands; empty: it can."""
    program, *rest = words
    if program == "jinbao":
        try:
            path, arguments = named(rest)
            PROGRAM[path].make_context(path[-1], list(arguments))
        except Exception as why:  # click's own errors are no public types of typer
            return str(why) or repr(why)
        return ""
    if program == "./run":
        return "" if f"./run {rest[0]} " in usage() else f"./run {rest[0]}: there is no such command"
    if program == "ansible-playbook":
        options = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", helped(program)))
        wrong = [word for word in rest if word.startswith("-") and word not in options]
        wrong += [word for word in rest if "/" in word and not (CHECKOUT / word).exists()]
        return " ".join(wrong)
    return f"{program}: not a program of this repository"


@cache
def usage() -> str:
    return subprocess.run([CHECKOUT / "run"], text=True, capture_output=True).stderr


@cache
def helped(program: str) -> str:
    return subprocess.run([BIN / program, "--help"], text=True, capture_output=True, check=True).stdout


@pytest.mark.parametrize("path", documents.ALL, ids=lambda path: path.name)
def test_every_command_can_be_given_as_it_stands(path: Path) -> None:
    given = list(documents.commands(path.read_text()))
    assert given or path == documents.ERRORS
    assert [(command.words, why) for command in given if (why := refused(command.words))] == []
    code = "".join(source.read_text() for source in sources())
    for name in {name for command in given for name in command.exported} - {"PATH"}:
        assert f'"{name}"' in code


def test_a_command_that_does_not_exist_is_seen() -> None:
    assert "no such command" in refused(["jinbao", "plan", "guess"])
    assert "No such option" in refused(["jinbao", "plan", "check", "--loud"])
    assert "folder" in refused(["jinbao", "plan", "init"])
    assert refused(["jinbao", "twin", "up", "--bare", "--at", "twin:demo"]) == ""
    assert refused(["./run", "demos"])
    assert refused(["ansible-playbook", "playbooks/sites.yml"])


@pytest.mark.parametrize("path", documents.ALL, ids=lambda path: path.name)
def test_commands_within_sentences_exist(path: Path) -> None:
    spans = [span for span in documents.inline(path.read_text()) if re.match(r"jinbao [a-z]", span)]
    assert spans or path == documents.WHERE
    for span in spans:
        words = span.replace("<command>", "plan check").split()[1:]
        if words[0] in jinbao.GROUPS and len(words) == 1 and (words[0],) not in PROGRAM:
            continue
        command, rest = named(words)
        options = {option for parameter in PROGRAM[command].params for option in parameter.opts}
        assert [word for word in rest if word.startswith("--") and word not in options] == [], span


def test_the_table_of_commands_is_whole() -> None:
    for readme in (documents.README, documents.CHINESE):
        rows = re.findall(r"^\| `jinbao ([a-z -]+)` \|", readme.read_text(), re.M)
        assert sorted(rows) == sorted(" ".join(path) for path in PROGRAM)


def test_what_is_quick_works_as_written(tmp_path: Path) -> None:
    texts = [path.read_text() for path in (documents.README, documents.WHERE)]
    for block in documents.blocks(texts[0]):
        if block.language == "yaml":
            first, _, body = block.text.partition("\n")
            file = tmp_path / first.removeprefix("# ")
            file.parent.mkdir()
            file.write_text(body)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("JINBAO_")}
    done = []
    for command in (command for text in texts for command in documents.commands(text)):
        if command.words[0] != "jinbao" or named(command.words[1:])[0] not in RUN:
            continue
        ran = subprocess.run(
            [BIN / "jinbao", *command.words[1:]], cwd=tmp_path, env=outside, text=True, capture_output=True
        )
        assert ran.returncode == 0, f"{command.words}\n{ran.stdout}{ran.stderr}"
        done.append(named(command.words[1:])[0])
    assert set(done) == set(RUN)
    for file in (CHECKOUT / "ip_plan" / "schema").iterdir():
        made = tmp_path / "ip_plan" / "schema" / file.name
        assert file.read_text() == made.read_text(), "run `jinbao plan schema ip_plan/schema`"
    assert len(list((tmp_path / "ip_plan" / "schema").iterdir())) == len(
        list((CHECKOUT / "ip_plan" / "schema").iterdir())
    )


def test_the_shown_reach_can_be_read() -> None:
    (shown,) = (block.text for block in documents.blocks(documents.README.read_text()) if block.language == "json")
    assert msgspec.json.decode(shown, type=dict[str, Reach])["640100-r1"].user == "root"


# --- files, links, languages -----------------------------------------------------------------------------------------


def test_plans_name_the_schemas_that_there_are() -> None:
    named_ = 0
    for plan in (CHECKOUT / "ip_plan" / "plans").rglob("*.yml"):
        for schema in re.findall(r"^# yaml-language-server: \$schema=(\S+)$", plan.read_text(), re.M):
            assert (plan.parent / schema).resolve().is_file(), plan
            named_ += 1
    assert named_ >= 7


@pytest.mark.parametrize("path", documents.ALL, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_where_names_changes_and_files_that_there_are() -> None:
    changes = documents.sections(documents.WHERE.read_text())
    assert len(changes) >= 10
    for title, section in changes.items():
        places = documents.places(section)
        assert places, title
        assert [place for place in places if not documents.standing(place)] == [], title


def test_a_place_with_a_placeholder_stands_for_one_name() -> None:
    section = "- `monitoring/checks/<subject>.py`: a check\n- `inventory/render.py`\n"
    assert documents.allows(section, "monitoring/checks/units.py")
    assert documents.allows(section, "inventory/render.py")
    assert not documents.allows(section, "monitoring/checks/units/more.py")
    assert not documents.allows(section, "monitoring/cli.py")
    assert documents.standing("monitoring/checks/<subject>.py")
    assert not documents.standing("monitoring/checks/<subject>.yml")


def test_both_languages_say_the_same() -> None:
    english, chinese = documents.README.read_text(), documents.CHINESE.read_text()
    assert documents.headings(english) == documents.headings(chinese)

    def plain(text: str) -> list[tuple[str, str]]:
        # Comments are for readers, each in his language.
        return [(block.language, re.sub(r" +#.*", "", block.text)) for block in documents.blocks(text)]

    assert plain(english) == plain(chinese)
    for mark in (r"^- ", r"^\| "):
        assert len(re.findall(mark, english, re.M)) == len(re.findall(mark, chinese, re.M))
    numbers = r"(?<![\w.:])\d[\d.]*(?![\w])"
    assert sorted(re.findall(numbers, english)) == sorted(re.findall(numbers, chinese))
    assert (
        "31个省、自治区、直辖市和新疆生产建设兵团" in english and "31个省、自治区、直辖市和新疆生产建设兵团" in chinese
    )


@pytest.mark.parametrize("path", documents.ALL, ids=lambda path: path.name)
def test_nothing_of_the_workplace_stands_in_the_documents(path: Path) -> None:
    assert re.findall(r"/work/|/root/|/home/|/tmp/|https?://|全国", path.read_text()) == []
