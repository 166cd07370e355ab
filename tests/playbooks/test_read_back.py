"""What a router runs against its file, as the role of the router looks at it."""

from __future__ import annotations

import pytest

from inventory.dialects.frr.running import DIALECT as FRR
from playbooks.action_plugins.tree import lacking
from tests.inventory.test_remedy import golden

ROUTERS = {device: texts[FRR.target] for device, texts in golden().items() if FRR.target in texts}


@pytest.mark.parametrize("device", ROUTERS)
def test_a_router_that_runs_its_file_lacks_nothing(device: str) -> None:
    assert lacking(FRR.target, ROUTERS[device], ROUTERS[device]) == []
    more = ROUTERS[device].replace("!\nrouter", "!\nip route 192.0.2.0/24 blackhole\n!\nrouter", 1)
    assert lacking(FRR.target, more, ROUTERS[device]) == []


@pytest.mark.parametrize("device", ROUTERS)
def test_each_line_that_does_not_run_is_named(device: str) -> None:
    """One line of each kind of section taken out, as `vtysh` would."""
    lines = ROUTERS[device].splitlines()
    tried = 0
    for number, line in enumerate(lines):
        if not line.startswith((" ip ospf", "  neighbor", "ip prefix-list", "ipv6 prefix-list", " match", "log")):
            continue
        left = lacking(FRR.target, "\n".join(lines[:number] + lines[number + 1 :]), ROUTERS[device])
        assert [each.line for each in left] == [line.strip()]
        tried += 1
    assert tried


@pytest.mark.parametrize("device", ROUTERS)
def test_a_file_that_was_taken_up_in_part_is_seen(device: str) -> None:
    lines = ROUTERS[device].splitlines()
    assert len(lacking(FRR.target, "\n".join(lines[: len(lines) // 6]), ROUTERS[device])) > len(lines) // 4
    assert len(lacking(FRR.target, "", ROUTERS[device])) > len(lines) // 3
