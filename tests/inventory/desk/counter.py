"""A desk without a network: a database that is lists, keys that are real, and requests that a body signs as docs/exchange.md says."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ground import sshkey
from inventory.dialects.answering import Away, Question
from inventory.dialects.desk.desk import ASKED, Body, Desk, Entry, Page, Signers

BANK, CLINIC = Body("bank1", ("insured", "benefit")), Body("hospital1", ("insured",))
QUESTIONS = {
    "insured": Question("insurance.participation", {"person": "text", "kind": "text"}, ("status", "since")),
    "benefit": Question("insurance.benefit", {"person": "text", "kind": "text", "month": "date"}, ("paid_yuan",)),
    "employed": Question("market.employment", {"person": "text"}, ("status",)),
}
PERSON = "990101198001010011"
NOW = datetime.datetime(2026, 11, 22, 8, 0, tzinfo=datetime.UTC)
SEEDS = {body.id: base64.b64encode(bytes([number]) * 32).decode() for number, body in enumerate((BANK, CLINIC), 1)}


def request(id: str = "20261122-1", body: str = "bank1", **changes: Any) -> bytes:
    """A request as its body writes it; `changes` are keys said otherwise, None: left out."""
    said = {
        "format": ASKED, "id": id, "body": body, "time": f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "nonce": hashlib.md5(str(id).encode()).hexdigest(),
        "ask": "insured", "about": {"person": PERSON, "kind": "medical"},
    }  # fmt: skip
    said |= changes
    return json.dumps({key: value for key, value in said.items() if value is not None}, ensure_ascii=False).encode()


def signature(folder: Path, data: bytes, body: str = "bank1", namespace: str = ASKED) -> str:
    """The base64 of what `ssh-keygen -Y sign` writes, by the key of a body."""
    key = folder / f"key-{body}"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(sshkey.private(SEEDS[body]) + "\n")
    line = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace]
    ran = subprocess.run(line, input=data, capture_output=True, check=True)
    return "".join(ran.stdout.decode().splitlines()[1:-1])


class Counter:
    """The desk with its books. `rows`: what `insured` is answered with, by person."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.moment = folder, NOW
        signers = folder / "signers"
        signers.write_text(
            "".join(f'{body} namespaces="{ASKED}" {sshkey.public(seed)}\n' for body, seed in SEEDS.items())
        )
        self.rows = {PERSON: {"status": "insured", "since": "2020-01-01"}}
        self.kept: list[Entry] = []
        self.away = ""
        """Step at which the database goes away: `before`, `find` or `keep`."""
        self.desk = self.opened()

    def opened(self) -> Desk:
        """A desk that was started anew: it remembers what stands in the books."""
        return Desk([BANK, CLINIC], QUESTIONS, Signers(self.folder / "signers"), self, 300, lambda: self.moment)

    def ask(self, data: bytes, signed: str | None = None, shown: str = "bank1") -> tuple[int, dict[str, Any]]:
        return self.desk.answer(shown, data, signature(self.folder, data) if signed is None else signed)

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        standing = len(self.kept)
        try:
            yield self
        except BaseException:
            del self.kept[standing:]
            raise

    def before(self, body: str, request: str) -> str:
        self.step("before")
        entries = (each for each in self.kept if (each.body, each.request, each.code) == (body, request, ""))
        return next((f"{each.received:%Y-%m-%dT%H:%M:%SZ}" for each in entries), "")

    def find(self, question: Question, values: Sequence[str]) -> dict[str, str] | None:
        self.step("find")
        return self.rows.get(values[0])

    def keep(self, entry: Entry) -> None:
        self.kept.append(entry)
        self.step("keep")

    def step(self, name: str) -> None:
        if name == self.away:
            raise Away("the database does not answer: it was ended")
