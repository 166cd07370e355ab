"""The figures of the status as Prometheus reads them: one collector, served over HTTP or written for a textfile collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from ground import clock, files
from monitoring.milestones import seen_regions
from monitoring.rollout import Status


class Figures(Collector):
    """Asks for the status at every scrape; two targets are two collectors and never one figure."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self.status = status

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures of one status. Regions of which nothing is known are counted, not listed."""
        status = self.status()
        target = status.target
        shown = set(seen_regions(status.lines))

        lines = GaugeMetricFamily(
            "jinbao_milestone",
            "1 for the state a milestone of a region is in",
            labels=["target", "milestone", "region", "level", "state"],
        )
        operating = GaugeMetricFamily(
            "jinbao_milestone_operating", "1: probe and data hold now; 0: they do not, or could not be told",
            labels=["target", "milestone", "region", "level"],
        )  # fmt: skip
        reached = GaugeMetricFamily(
            "jinbao_milestone_reached_timestamp_seconds", "When all parts first held at once",
            labels=["target", "milestone", "region", "level"],
        )  # fmt: skip
        columns = GaugeMetricFamily(
            "jinbao_milestone_column",
            "Members of one column of a milestone",
            labels=["target", "milestone", "region", "column", "count"],
        )
        for line in status.lines:
            if line.region not in shown:
                continue
            place = [target, line.milestone, line.region, line.level]
            lines.add_metric([*place, line.state], 1)
            if line.operating_now != "not-applicable":
                operating.add_metric(place, line.operating_now == "yes")
            if line.reached_on:
                reached.add_metric(place, clock.moment(line.reached_on).timestamp())
            for name, column in (("probe", line.probe), ("data", line.data), ("attestation", line.attestation)):
                if column.state != "not-needed":
                    for count, value in (("held", column.held), ("seen", column.seen), ("expected", column.expected)):
                        columns.add_metric([target, line.milestone, line.region, name, count], value)
        yield lines
        yield operating
        yield reached
        yield columns

        counts = GaugeMetricFamily(
            "jinbao_milestones", "Milestone lines by level and state", labels=["target", "level", "state"]
        )
        for (level, state), many in sorted(Counter((line.level, line.state) for line in status.lines).items()):
            counts.add_metric([target, level, state], many)
        yield counts

        records = GaugeMetricFamily(
            "jinbao_evidence_records", "Records in the log by result", labels=["target", "result"]
        )
        for result, many in status.ground.records.items():
            records.add_metric([target, result], many)
        yield records
        for name, words, value in (
            ("jinbao_evidence_head", "Lines of the log after its first one", status.ground.count),
            ("jinbao_evidence_findings", "What verification found against the log", len(status.ground.findings)),
        ):
            figure = GaugeMetricFamily(name, words, labels=["target"])
            figure.add_metric([target], value)
            yield figure

        ages = GaugeMetricFamily(
            "jinbao_backup_age_seconds",
            "Age of the newest backup when it was last looked at",
            labels=["target", "database"],
        )
        for database, age in sorted(status.backup_age_seconds.items()):
            ages.add_metric([target, database], age)
        yield ages
        for name, words in (
            ("rpo_seconds", "Data lost in the last drill"),
            ("rto_seconds", "Time to recover in the last drill"),
            ("layer", "Layer the last drill reached (0–5)"),
        ):
            figure = GaugeMetricFamily(f"jinbao_drill_{name}", words, labels=["target", "database"])
            for one in status.recoveries:
                value = getattr(one, name)
                if value is not None:
                    figure.add_metric([target, f"{one.subject.site}:{one.subject.zone}:{one.subject.service}"], value)
            yield figure


def registry(status: Callable[[], Status]) -> CollectorRegistry:
    """A registry of these figures alone."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Figures(status))
    return made


def text(status: Status) -> bytes:
    """The figures in the text format."""
    return generate_latest(registry(lambda: status))


def textfile(path: Path, status: Status) -> bool:
    """Write the figures whole (a node exporter may be reading); returns whether they changed."""
    return files.write(path, text(status))
