"""Six times as many changes to vendors' configurations as the ordinary tests draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inventory.vendors.test_mutate import COUNT, FILES, SEED, missed, prepared


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("vendor", FILES)
def test_each_change_is_found(vendor: str, tmp_path: Path) -> None:
    left = missed(vendor, *prepared(vendor, tmp_path), 6 * COUNT, SEED)
    assert not left, "\n".join(left)
