"""A desk for the intake without a network: boxes that are folders, a database that is a list, and both may be cut off at any step."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inventory.dialects.answering import Refused
from inventory.dialects.intake.intake import Body, Intake, Item, Manifest
from ip_plan import partners

BANK = Body("bank1", "box-bank1", 4096, ("payment",))
TAX = Body("tax1", "box-tax1", 4096, ("payment", "visit"))
COLUMNS = {table: dict(partners.columns(table)) for table in partners.tables()}
PAYMENTS = "person,kind,month,paid_yuan\n990101198001010011,pension,2026-10-01,812.50\n990101198001010029,pension,2026-10-01,640\n"
KIND = {stat.S_IFREG: "-", stat.S_IFLNK: "l", stat.S_IFDIR: "d"}


class Cut(Exception):
    """The program was ended here."""


class Desk:
    """Folders `<root>/<body>/in` and `receipts`, and what was loaded. `cut`: the step (from 1) at which everything ends."""

    def __init__(self, root: Path) -> None:
        self.root, self.moment = root, time.time()
        self.loaded: dict[tuple[str, str], str] = {}
        self.lines: list[str] = []
        self.cut, self.steps = 0, 0
        for body in (BANK, TAX):
            for name in ("in", "receipts"):
                (root / body.id / name).mkdir(parents=True)
        (root / "state").mkdir()

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.cut:
            raise Cut

    def run(self) -> dict[str, Any]:
        intake = Intake(self, self, [BANK, TAX], COLUMNS, self.root / "state", 600, 30, now=lambda: self.moment)
        return intake.run()

    def put(self, name: str, data: str | bytes, body: Body = BANK) -> Path:
        path = self.root / body.id / "in" / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def deliver(self, data: str | bytes = PAYMENTS, id: str = "20261122-1", **changes: Any) -> None:
        """A file and its manifest; `changes` are keys of the manifest, or of its one file, said otherwise."""
        body = bytes(data, "utf-8") if isinstance(data, str) else data
        said = {"name": "pay.csv", "table": "payment", "rows": 2, "bytes": len(body)}
        said |= {"sha256": hashlib.sha256(body).hexdigest()} | {
            k: v for k, v in changes.items() if k in (*said, "sha256")
        }
        whole = {"format": "jinbao-delivery-1", "id": id, "body": "bank1", "files": [said]}
        self.put("pay.csv", body)
        self.put("a.json", json.dumps(whole | {key: value for key, value in changes.items() if key in whole}))

    def receipts(self, body: Body = BANK) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.root / body.id / "receipts").iterdir())]

    def left(self, body: Body = BANK) -> set[str]:
        return {path.name for path in (self.root / body.id / "in").iterdir()}

    # The boxes

    def listed(self, bodies: Sequence[Body]) -> dict[str, list[Item]]:
        self.step()
        found: dict[str, list[Item]] = {}
        for body in bodies:
            for path in (self.root / body.id / "in").iterdir():
                about = path.lstat()
                found.setdefault(body.id, []).append(Item(path.name, KIND[stat.S_IFMT(about.st_mode)], about.st_size))
        return found

    def fetch(self, body: Body, names: Sequence[str], to: Path) -> None:
        for name in names:
            self.step()
            try:
                shutil.copyfile(self.root / body.id / "in" / name, to / name)
            except OSError as why:
                raise Refused("JB2983", str(why)) from None

    def answer(self, body: Body, name: str, receipt: Path, done: Sequence[str]) -> None:
        self.step()
        shutil.copyfile(receipt, self.root / body.id / "receipts" / name)
        for each in done:
            self.step()
            path = self.root / body.id / "in" / each
            if path.is_symlink() or path.is_file():
                path.unlink()
        self.step()

    # The database

    def known(self, body: Body, delivery: str) -> str:
        self.step()
        return self.loaded.get((body.id, delivery), "")

    def load(self, body: Body, taken: Manifest, digest: str, lines: Mapping[str, Callable[[], Iterator[str]]]) -> None:
        self.step()
        made = [line for each in lines.values() for line in each()]
        self.loaded[body.id, taken.id] = digest
        self.lines += made
        self.step()
