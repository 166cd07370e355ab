"""A nation small enough to compile in a moment, whose blocks are so tight that regions outgrow them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ip_plan.folder import folder_of

HEADER = "code,name,level,parent,kind,reading,communities,villages\n"
MINISTRY = ("000000", "部", "ministry", "", "ministry", "m")


class Inline(Executor):
    """Runs in this process, so that an example costs no fork."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def row(code: str, name: str, reading: str) -> tuple[str, str, str, str, str, str]:
    """A region row from its code: 6 digits ending 0000 a province, 00 a city, else a county; 9 digits a township."""
    if len(code) == 9:
        return (code, name, "township", code[:6], "town", reading)
    if code.endswith("0000"):
        return (code, name, "province", "000000", "province", reading)
    if code.endswith("00"):
        return (code, name, "prefecture", code[:2] + "0000", "city", reading)
    return (code, name, "county", code[:4] + "00", "county", reading)


def write(folder: Path, rows: Iterable[tuple[str, ...]], **changes: Any) -> Path:
    """A plan folder over these regions; files not given come from the national plan, with tight blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join((*line, "0", "0")) for line in sorted([MINISTRY, *rows])]
    (folder / "regions.csv").write_text(HEADER + "\n".join(lines) + "\n", "utf-8")
    plan = {
        "name": "small",
        "title": "小样",
        "scope_text": "31个省、自治区、直辖市和新疆生产建设兵团",
        "base": "national",
        "divisions": "regions.csv",
        "scope": "all",
        "change_limit": 1.0,
        **changes,
    }
    (folder / "plan.yml").write_text(yaml.safe_dump(plan, allow_unicode=True, sort_keys=False), "utf-8")
    tight = yaml.load((folder_of("national")[0] / "addressing.yml").read_bytes(), yaml.CSafeLoader)
    for level, lengths in tight["zones"].items():
        start = 27 if level in ("ministry", "province", "prefecture") else 29
        lengths["lengths"] = dict.fromkeys(lengths["lengths"], start)
    tight["reserve"] = {name: {"value": 1.0, "reason": "tight"} for name in ("unit", "province")}
    tight["smallest_block"] = {name: {"value": 26, "reason": "tight"} for name in ("ministry", "province", "unit")}
    (folder / "addressing.yml").write_text(yaml.safe_dump(tight, allow_unicode=True), "utf-8")
    return folder


def ledger_bytes(state_or_folder: Path) -> dict[str, bytes]:
    """Every ledger shard below a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(state_or_folder.rglob("*.tsv"))}


def encoded(value: Any) -> bytes:
    """Canonical bytes, for comparing."""
    return msgspec.json.encode(value, order="deterministic")
