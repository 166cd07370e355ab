"""The commands on the pilot plan: what they print, what they write, and the exit codes 0, 1 and 2."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ground import clock, files, remote
from ip_plan.compile import compiled
from monitoring import rollout as views
from monitoring.checks import run as checks
from monitoring.checks.look import tool
from monitoring.cli import evidence, rollout
from monitoring.evidence import log, witness
from monitoring.evidence.witness import Statement
from tests.monitoring.sample import everything

TARGET = "twin:pilot"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one good check run of the pilot."""
    now = datetime.now(UTC)
    keys = checks.keys(compiled("pilot", tmp_path), TARGET)
    made = [
        msgspec.structs.replace(
            one,
            target=TARGET,
            time=clock.stamp(now - timedelta(minutes=5)),
            detail=files.sha256(b"seen"),
            input_key=keys.get((one.check, one.subject), one.input_key),
        )
        for one in everything()
    ]
    log.of(tmp_path, TARGET, tool()).add(made, [b"seen"])
    return tmp_path


def run(app: object, state: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--state", str(state)])  # type: ignore[arg-type]


def test_status_says_what_holds_and_that_it_is_a_rehearsal(state: Path) -> None:
    said = run(rollout, state, "status", "--no-witness")
    assert said.exit_code == 0, said.output
    assert views.REHEARSAL in said.output and "640100" in said.output and "witness not-asked" in said.output


def test_status_for_programs_has_the_columns_apart_and_the_records_behind(state: Path) -> None:
    said = run(rollout, state, "status", "--no-witness", "--format", "json")
    value = json.loads(said.output)
    assert value["rehearsal"] == views.REHEARSAL and value["target"] == TARGET
    lines = {(line["milestone"], line["region"]): line for line in value["lines"]}
    line = lines["S3-4-1.production", "640100"]
    assert line["state"] == "reached" and line["operating_now"] == "yes"
    for one in line["probe"]["evidence"]:
        raw = list(log.lines(log.folder(state, TARGET)))[one["sequence"]]
        assert log.decode(raw).hash == one["hash"]
    decided = [line for line in value["lines"] if line["probe"]["evidence"]]
    assert len(decided) >= 6
    assert lines["MS-2-01.cities", "640000"]["state"] == "not-reached"
    assert value["recoveries"][0]["rpo_seconds"] == 4.4


def test_a_target_without_evidence_has_none_of_another(state: Path) -> None:
    value = json.loads(run(rollout, state, "status", "--no-witness", "--format", "json", "--at", "production").output)
    assert value["rehearsal"] == "" and value["ground"]["count"] == 0
    assert {line["state"] for line in value["lines"]} <= {"not-observed", "undecided", "not-reached"}
    assert not any(line["probe"]["seen"] for line in value["lines"] if line["region"] == "640100")


def test_publishing_writes_a_page_and_is_itself_evidence(state: Path) -> None:
    said = run(rollout, state, "publish", "--no-witness")
    assert said.exit_code == 0, said.output
    path = state / "rollout" / TARGET / "index.html"
    html = path.read_bytes()
    assert views.REHEARSAL in html.decode()
    last = list(log.entries(log.folder(state, TARGET)))[-1].record
    assert last.check == views.PUBLISHED and log.detail(log.folder(state, TARGET), last.detail) == html
    value = json.loads(run(rollout, state, "status", "--no-witness", "--format", "json").output)
    line = next(one for one in value["lines"] if one["milestone"] == "MS-2-12")
    assert (line["state"], line["operating_now"]) == ("reached", "yes")


def test_an_edited_record_is_named_and_not_counted(state: Path) -> None:
    path = log.path(log.folder(state, TARGET))
    raw = path.read_bytes()
    lines = raw.splitlines()
    number = next(
        n
        for n, line in enumerate(lines)
        if b'"database.answers"' in line and b'"production"' in line and b"640100" in line
    )
    lines[number] = lines[number].replace(b'"reason":""', b'"reason":"fine"')
    path.write_bytes(b"\n".join(lines) + b"\n")
    said = run(evidence, state, "verify", "--no-witness")
    assert said.exit_code == 1 and f"JB6211  record {number}: was changed" in said.output
    shown = run(rollout, state, "status", "--no-witness", "--format", "json")
    assert shown.exit_code == 1
    value = json.loads(shown.output)
    line = next(one for one in value["lines"] if (one["milestone"], one["region"]) == ("S3-4-1.production", "640100"))
    assert (line["state"], line["data"]["state"]) == ("not-observed", "not-observed")
    before = len(raw)
    published = run(rollout, state, "publish", "--no-witness")
    assert published.exit_code == 1 and "校验不符" in (state / "rollout" / TARGET / "index.html").read_text()
    assert path.stat().st_size < before + 10, "a damaged log is not written on"


def test_verify_without_log_or_witness_could_not_be_done(state: Path) -> None:
    assert run(evidence, state, "verify", "--no-witness").exit_code == 0
    unreached = run(evidence, state, "verify")
    assert unreached.exit_code == 2 and "the witness could not be asked" in unreached.output
    assert run(evidence, state, "verify", "--no-witness", "--at", "production").exit_code == 2
    assert run(evidence, state, "head", "--at", "production").exit_code == 2
    assert run(evidence, state, "witness", "--at", "production").exit_code == 2


def test_head_and_show(state: Path) -> None:
    head = log.head(log.folder(state, TARGET))
    assert head is not None
    assert run(evidence, state, "head").output == f"{head.count} {head.hash} {head.log}\n"
    said = run(evidence, state, "show", "1")
    assert said.exit_code == 0 and '"sequence": 1' in said.output and said.output.endswith("seen\n")
    assert run(evidence, state, "show", "999999").exit_code == 2


def test_metrics_are_printed_and_written(state: Path, tmp_path: Path) -> None:
    said = run(rollout, state, "metrics")
    assert f'jinbao_evidence_head{{target="{TARGET}"}}' in said.output
    path = tmp_path / "m.prom"
    assert run(rollout, state, "metrics", "--textfile", str(path)).exit_code == 0
    assert "jinbao_drill_rpo_seconds" in path.read_text()
    assert run(rollout, state, "metrics", "--listen", "127.0.0.1:99999").exit_code == 2


# ── the witness: its own program, run by a real shell in a folder of this test ──


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> remote.Session:
    """A session to a host that is this machine, with a folder of its own."""
    folder = tmp_path / "witness"

    def here(session: remote.Session, device: str, program: str, **more: object) -> remote.Answer:
        if device != "000000-mgmt1":
            return remote.Answer(None, "", "no route to host")
        done = subprocess.run(["sh", "-c", program], capture_output=True, text=True)
        return remote.Answer(done.returncode, done.stdout, done.stderr)

    monkeypatch.setattr(witness, "FOLDER", str(folder))
    monkeypatch.setattr(remote, "run", here)
    return remote.Session({}, tmp_path)


def test_the_witness_keeps_what_it_was_told(host: remote.Session, state: Path) -> None:
    from ground.mistake import Mistakes
    from monitoring.evidence.verify import verify

    place = log.folder(state, TARGET)
    assert witness.get(host, "000000-mgmt1") == []
    first = log.head(place)
    assert first is not None
    witness.put(host, "000000-mgmt1", first, TARGET)
    witness.put(host, "000000-mgmt1", first, TARGET)
    log.of(state, TARGET, "t").add([msgspec.structs.replace(one, target=TARGET) for one in everything()[:3]])
    second = log.head(place)
    assert second is not None
    witness.put(host, "000000-mgmt1", second, TARGET)
    kept = witness.get(host, "000000-mgmt1")
    assert [(one.log, one.target, one.count, one.hash) for one in kept] == [
        (one.log, TARGET, one.count, one.hash) for one in (first, second)
    ]
    assert verify(place, kept) == []
    with pytest.raises(Mistakes) as raised:
        witness.put(host, "000000-mgmt1", first, TARGET)
    assert [mistake.code for mistake in raised.value.found] == ["JB6222"]
    with pytest.raises(Mistakes) as raised:
        witness.put(host, "000000-mgmt1", log.Head(first.log, second.count, "0" * 64), TARGET)
    assert [mistake.code for mistake in raised.value.found] == ["JB6222"]
    assert witness.get(host, "000000-mgmt1") == kept, "what it was told stays"
    for ask in (lambda: witness.put(host, "gone", first, TARGET), lambda: witness.get(host, "gone")):
        with pytest.raises(Mistakes) as raised:
            ask()
        assert [mistake.code for mistake in raised.value.found] == ["JB6221"]


def test_other_lines_of_the_witness_are_passed_over() -> None:
    text = f"{'a' * 32}:# twin:x\n{'a' * 32}:3 {'b' * 64} 2026-11-20T08:00:00.000Z\nreadme:1 2 3\n{'a' * 32}:torn li\n"
    assert witness.read("h", text) == [Statement("h", "a" * 32, "twin:x", 3, "b" * 64, "2026-11-20T08:00:00.000Z")]
