"""Prometheus reads the same figures as the page shows, as its own parser understands them."""

import urllib.request
from pathlib import Path

from prometheus_client import start_http_server
from prometheus_client.parser import text_string_to_metric_families

from monitoring import metrics
from monitoring.milestones import seen_regions
from monitoring.rollout import Status
from tests.monitoring.sample import TARGET, everything
from tests.monitoring.test_page import shown


def read(text: bytes) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Name → labels → value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def labelled(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"target": TARGET, **labels}.items()))


def check(status: Status, text: bytes) -> None:
    found = read(text)
    shown_regions = set(seen_regions(status.lines))
    states = {
        labelled(milestone=line.milestone, region=line.region, level=line.level, state=line.state): 1.0
        for line in status.lines
        if line.region in shown_regions
    }
    assert found["jinbao_milestone"] == states
    assert sum(found["jinbao_milestones"].values()) == len(status.lines)
    assert found["jinbao_evidence_head"][labelled()] == status.ground.count
    assert found["jinbao_evidence_findings"][labelled()] == 0
    assert found["jinbao_evidence_records"][labelled(result="pass")] == len(everything())
    database = "640100:centre1:production:db"
    assert found["jinbao_drill_rpo_seconds"][labelled(database=database)] == 4.4
    assert found["jinbao_drill_rto_seconds"][labelled(database=database)] == 21
    assert found["jinbao_drill_layer"][labelled(database=database)] == 5
    assert found["jinbao_backup_age_seconds"][labelled(database=database)] == 900
    column = {"milestone": "MS-2-01.cities", "region": "640000", "column": "probe"}
    assert found["jinbao_milestone_column"][labelled(**column, count="held")] == 2
    assert found["jinbao_milestone_column"][labelled(**column, count="expected")] == 5
    city = {"milestone": "MS-2-01.city", "region": "640100", "level": "city"}
    assert found["jinbao_milestone_operating"][labelled(**city)] == 1
    assert labelled(**city) not in found["jinbao_milestone_reached_timestamp_seconds"], "undecided is not reached"


def test_the_text_holds_the_figures_of_the_status(tmp_path: Path) -> None:
    status = shown(everything())
    check(status, metrics.text(status))
    path = tmp_path / "jinbao.prom"
    assert metrics.textfile(path, status)
    assert not metrics.textfile(path, status), "the same figures are not written twice"
    check(status, path.read_bytes())


def test_they_are_served_over_http() -> None:
    status = shown(everything())
    server, thread = start_http_server(0, "127.0.0.1", registry=metrics.registry(lambda: status))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            check(status, answer.read())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
