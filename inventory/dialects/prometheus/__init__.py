"""Prometheus of a centre: reads the exporters that its flows let it reach, and the servers of the level below."""

from __future__ import annotations

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent


def files(intent: Intent) -> list[File]:
    """prometheus.yml of a metrics host."""
    if intent.metrics is None:
        return []
    conf = fill("prometheus/prometheus.yml.j2", metrics=intent.metrics, device=intent.device.name)
    return [
        File(
            "/etc/prometheus/prometheus.yml", conf, "metrics", validator="promtool check config %s",
            unit="prometheus.service",
        )
    ]  # fmt: skip
