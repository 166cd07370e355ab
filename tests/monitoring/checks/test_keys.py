"""The input key of a record: it changes when what decides the expected answer changes, and with nothing else."""

from __future__ import annotations

from pathlib import Path

from ip_plan import plan as plans
from ip_plan.compile import compiled
from monitoring.checks import run


def test_a_change_of_a_row_makes_stale_what_it_decides_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    for name, document in plans.load("pilot").documents.items():
        (folder / name).write_bytes(Path(document.file).read_bytes())
    before = run.keys(compiled(str(folder), tmp_path / "state"), "twin:x")
    assert len(before) > 800
    # METRICS-UP gets another port: the management zones of a centre and of the one below it.
    flows = (folder / "flows.yml").read_text("utf-8")
    row = "  - id: METRICS-UP\n"
    start = flows.index(row)
    end = flows.index("  - id:", start + len(row))
    changed = flows[start:end].replace(
        "    to_service: metrics\n", "    to_service: metrics\n    ports: [metrics, tcp/22]\n"
    )
    (folder / "flows.yml").write_text(flows[:start] + changed + flows[end:], "utf-8")
    after = run.keys(compiled(str(folder), tmp_path / "state"), "twin:x")
    assert before.keys() == after.keys()
    moved = {
        (check, subject.site, subject.zone, subject.peer)
        for (check, subject), key in after.items()
        if before[check, subject] != key
    }
    pairs = {(site, peer.rpartition(":")[0]) for check, site, zone, peer in moved if check == "zone.probe"}
    assert {check for check, *_ in moved} == {"zone.probe"}
    assert {zone for _, _, zone, _ in moved} == {"management"}
    assert pairs == {
        ("000000:centre1", "640000:centre1"),
        ("640000:centre1", "640100:centre1"),
        ("640000:centre1", "640300:centre1"),
    }
