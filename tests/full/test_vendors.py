"""Six times as many changes to vendors' configurations as the ordinary tests draw; a whole province with switches."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory.models import VENDORS
from tests.inventory.vendors import plans
from tests.inventory.vendors.test_mutate import COUNT, FILES, SEED, missed, prepared


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("vendor", FILES)
def test_each_change_is_found(vendor: str, tmp_path: Path) -> None:
    left = missed(vendor, *prepared(vendor, tmp_path), 6 * COUNT, SEED)
    assert not left, "\n".join(left)


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_province_with_switches_is_proved(vendor: str, tmp_path: Path) -> None:
    """Ningxia: two switches at each centre, one at each county and township, everything that routes of the same vendor."""
    scope = [{"region": "000000"}, {"region": "640000", "below": True}]
    rows = [*plans.ROWS[vendor], plans.switch(vendor)]
    network, proof = plans.proved(tmp_path, rows, 2, scope=scope)
    switches = [device for device in network.devices.values() if device.role == "switch"]
    assert len(switches) > 250 and proof.good, (proof.findings[:3], proof.mistakes[:3])
