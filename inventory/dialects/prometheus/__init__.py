"""Prometheus of a centre: reads the exporters that its flows let it reach, and the servers of the level below."""

from __future__ import annotations

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent


def files(intent: Intent, *, lab: bool) -> list[File]:
    """prometheus.yml of a metrics host; in a lab without the sites that the twin leaves out."""
    if intent.metrics is None:
        return []
    exporters = [target for target in intent.metrics.exporters if target.running or not lab]
    children = [target for target in intent.metrics.children if target.running or not lab]
    conf = fill(
        "prometheus/prometheus.yml.j2",
        metrics=intent.metrics,
        exporters=exporters,
        children=children,
        device=intent.device.name,
    )
    return [
        File(
            "/etc/prometheus/prometheus.yml", conf, "metrics", validator="promtool check config %s",
            unit="prometheus.service",
        )
    ]  # fmt: skip
