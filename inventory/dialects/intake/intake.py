"""Takes in what outside bodies left in their drop boxes: fetched, quarantined, checked, loaded whole or not at all, answered by receipt.

Runs on the database host of an exchange zone, started by a timer, with Python's standard library and two programs: `sftp` to the boxes and
`psql` to the database of the host. It opens every connection itself. docs/exchange.md has the format of manifests and receipts.

A delivery is a manifest and the files that it names. It waits in `<state>/quarantine/<body>/<stem>-<hash>/` until it is answered, so that
a run that was cut off at any point is completed by the next one and nothing is loaded twice.
"""

from __future__ import annotations

import csv
import datetime
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol

from inventory.dialects.answering import TEXT_LENGTH, Away, Refused, read, short, write

FORMAT = "jinbao-delivery-1"
MANIFEST_BYTES = 65536
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DELIVERY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

CURES = {
    "JB2980": "Write the manifest as docs/exchange.md says, and put it last.",
    "JB2981": "Put plain files into `in` and name them without a folder.",
    "JB2982": "Divide it into smaller deliveries, or have the limit of the plan raised.",
    "JB2983": "Put all files before their manifest, and deliver again under a new id.",
    "JB2984": "Compute the checksum of the file as it was sent, and deliver again.",
    "JB2985": "Give every delivery an id of its own; what came first stays.",
    "JB2986": "Put a manifest that names the file, after the file.",
    "JB2987": "Deliver the tables and columns agreed for this body.",
    "JB2988": "Write the file as UTF-8 without a byte order mark.",
    "JB2989": "Correct the line, and deliver the whole again under a new id.",
}
"""Code of a refusal → what the body can do."""


@dataclass(frozen=True)
class Item:
    """What lies in a box."""

    name: str
    kind: str
    """First letter of its mode: `-` a file, `l` a link, `d` a folder."""
    size: int


@dataclass(frozen=True)
class Announced:
    """One file of a manifest."""

    name: str
    table: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a body says that it delivers."""

    id: str
    files: tuple[Announced, ...]


@dataclass(frozen=True)
class Body:
    """What the plan allows a body."""

    id: str
    account: str
    limit: int
    tables: tuple[str, ...]


# --- judging ---------------------------------------------------------------------------------------------------------


def manifest(data: bytes, body: Body) -> Manifest:
    """Read a manifest. Raises Refused (JB2980, JB2981, JB2982, JB2987)."""
    try:
        said = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as why:
        raise Refused("JB2980", f"the manifest is no JSON in UTF-8: {why}") from None
    if not isinstance(said, dict) or said.get("format") != FORMAT or set(said) != {"format", "id", "body", "files"}:
        raise Refused("JB2980", f"the manifest is not of the form {FORMAT} with the keys format, id, body, files")
    if not isinstance(said["id"], str) or not DELIVERY.fullmatch(said["id"]):
        raise Refused("JB2980", "its id is not of letters, digits and hyphens, 64 at most")
    if said["body"] != body.id:
        raise Refused("JB2980", f"it is of the body {short(said['body'])}, and this box is that of {body.id}")
    if not isinstance(said["files"], list) or not said["files"]:
        raise Refused("JB2980", "it names no file")
    files = tuple(_announced(each) for each in said["files"])
    if len({each.name for each in files}) < len(files):
        raise Refused("JB2980", "it names a file twice")
    total = sum(each.size for each in files)
    if total > body.limit:
        raise Refused("JB2982", f"it announces {total} bytes, the plan allows this body {body.limit}")
    for each in files:
        if each.table not in body.tables:
            raise Refused("JB2987", f"{each.name}: the table {short(each.table)} is not agreed for {body.id}")
    return Manifest(said["id"], files)


def _announced(said: Any) -> Announced:
    if not isinstance(said, dict) or set(said) != {"name", "table", "rows", "bytes", "sha256"}:
        raise Refused("JB2980", "a file of it has other keys than name, table, rows, bytes, sha256")
    name, table, digest = said["name"], said["table"], said["sha256"]
    if not all(isinstance(each, str) for each in (name, table, digest)) or not DIGEST.fullmatch(digest):
        raise Refused("JB2980", f"{short(name)}: name, table or sha256 is not written as agreed")
    if not all(type(said[key]) is int and said[key] >= 0 for key in ("rows", "bytes")):
        raise Refused("JB2980", f"{short(name)}: rows and bytes are whole numbers")
    if not NAME.fullmatch(name) or ".." in name:
        raise Refused("JB2981", f"{short(name)} is no plain name of a file in this box")
    return Announced(name, table, said["rows"], said["bytes"], digest)


def present(wanted: Manifest, items: Mapping[str, Item]) -> None:
    """Whether the box has what the manifest announces. Raises Refused (JB2981, JB2983)."""
    for each in wanted.files:
        item = items.get(each.name)
        if item is None:
            raise Refused("JB2983", f"{each.name} is announced and not there")
        if item.kind != "-":
            raise Refused("JB2981", f"{each.name} is no plain file")
        _sized(each, item.size)


def whole(wanted: Announced, path: Path) -> None:
    """Whether a fetched file is the announced one. Raises Refused (JB2983, JB2984)."""
    _sized(wanted, path.stat().st_size)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wanted.sha256:
        raise Refused("JB2984", f"{wanted.name} has the checksum {found[:16]}…, announced is {wanted.sha256[:16]}…")


def _sized(wanted: Announced, size: int) -> None:
    if size != wanted.size:
        how = "cut short" if size < wanted.size else "longer than announced"
        raise Refused("JB2983", f"{wanted.name} is {how}: {size} of {wanted.size} bytes")


def rows(wanted: Announced, path: Path, columns: Mapping[str, str]) -> Iterator[list[str]]:
    """The rows of a file, their values in the order of `columns` (name → type). Raises Refused (JB2987–JB2989)."""
    number = 0
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            header = next(lines, [])
            if header[:1] and header[0].startswith("\ufeff"):
                raise Refused("JB2988", f"{wanted.name} begins with a byte order mark")
            if sorted(header) != sorted(columns):
                said = ", ".join(map(short, header[:20])) or "none"
                raise Refused(
                    "JB2987", f"{wanted.name} has the columns {said}; {wanted.table} has {', '.join(columns)}"
                )
            order = [header.index(name) for name in columns]
            for number, line in enumerate(lines, 1):
                if len(line) != len(header):
                    raise Refused("JB2989", f"{wanted.name}, row {number}: {len(line)} values in {len(header)} columns")
                yield [
                    _value(line[at], name, kind, f"{wanted.name}, row {number}")
                    for at, (name, kind) in zip(order, columns.items(), strict=True)
                ]
    except UnicodeDecodeError as why:
        raise Refused("JB2988", f"{wanted.name} is not UTF-8 after row {number}: {why.reason}") from None
    except csv.Error as why:
        raise Refused("JB2989", f"{wanted.name}, after row {number}: {why}") from None
    if number != wanted.rows:
        raise Refused("JB2989", f"{wanted.name} has {number} rows, announced are {wanted.rows}")


def _value(text: str, name: str, kind: str, where: str) -> str:
    good = 0 < len(text) <= TEXT_LENGTH and text.isprintable()
    try:
        if kind == "date":
            good = good and datetime.date.fromisoformat(text).isoformat() == text
        elif kind == "numeric":
            good = (
                good and re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,4})?", text) is not None and Decimal(text).is_finite()
            )
        elif kind == "boolean":
            good = text in ("true", "false")
    except (ValueError, InvalidOperation):
        good = False
    if not good:
        raise Refused("JB2989", f"{where}: {name} is no {kind}: {short(text)}")
    return text


def copied(values: Sequence[str]) -> str:
    """One line for COPY in text format."""
    return "\t".join(value.translate(ESCAPED) for value in values) + "\n"


def receipt(stem: str, body: Body, at: str, digest: str, taken: Manifest | None, why: Refused | None) -> dict[str, Any]:
    """What the body is told."""
    said: dict[str, Any] = {
        "delivery": taken.id if taken else stem,
        "body": body.id,
        "at": at,
        "manifest_sha256": digest,
    }
    if why is not None:
        return {**said, "result": "refused", "code": why.code, "reason": why.what, "cure": CURES[why.code]}
    assert taken is not None
    return {**said, "result": "loaded", "rows": {each.name: each.rows for each in taken.files}}


# --- the edges -------------------------------------------------------------------------------------------------------


class Box(Protocol):
    """The boxes of a centre."""

    def listed(self, bodies: Sequence[Body]) -> dict[str, list[Item]]:
        """Body → what lies in its box. Raises Away."""

    def fetch(self, body: Body, names: Sequence[str], to: Path) -> None:
        """Copy files into the folder `to`. Raises Away, and Refused (JB2983) for a file that cannot be read."""

    def answer(self, body: Body, name: str, receipt: Path, done: Sequence[str]) -> None:
        """Put the receipt under `name`, then remove the files `done`. Raises Away."""


class Database(Protocol):
    """The database of the exchange zone."""

    def known(self, body: Body, delivery: str) -> str:
        """SHA-256 of the manifest under which a delivery was loaded; empty: it was not. Raises Away."""

    def load(self, body: Body, taken: Manifest, digest: str, lines: Mapping[str, Callable[[], Iterator[str]]]) -> None:
        """Load every table (name → its lines for COPY) in one transaction. Raises Away, Refused (JB2985)."""


class Sftp:
    """The boxes over SFTP. Nothing of what a body wrote stands in a command but names that are letters, digits, `.`, `_`, `-`."""

    def __init__(self, host: str, port: int, user: str, folder: Path, state: Path) -> None:
        self.state = state
        keys = os.environ.get("CREDENTIALS_DIRECTORY", folder)  # where systemd puts what root alone may read
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=10", "ServerAliveInterval=15"]
        options += [f"UserKnownHostsFile={folder}/known_hosts", "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes"]
        self.line = ["sftp", "-b", "-", "-P", str(port), "-i", f"{keys}/key"]
        self.line += [word for option in options for word in ("-o", option)] + [f"{user}@{host}"]

    def ask(self, commands: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            ran = subprocess.run(
                self.line, input="\n".join([*commands, ""]), capture_output=True, text=True, errors="replace",
                cwd=self.state, env={**os.environ, "SHELL": "/bin/sh"}, timeout=600, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as why:
            raise Away(f"sftp: {why}") from None
        if ran.returncode == 255:
            raise Away(f"the boxes do not answer: {ran.stderr.strip()[-300:]}")
        return ran

    def listed(self, bodies: Sequence[Body]) -> dict[str, list[Item]]:
        # A name could carry a line break: what parts the boxes cannot be guessed.
        mark = secrets.token_hex(8)
        commands = [word for body in bodies for word in (f"!echo {mark} {body.id}", f"ls -lna /{body.account}/in")]
        ran = self.ask(commands)
        if ran.returncode:
            raise Away(f"the boxes cannot be listed: {ran.stderr.strip()[-300:]}")
        return read_listing(ran.stdout, mark)

    def fetch(self, body: Body, names: Sequence[str], to: Path) -> None:
        ran = self.ask([f"get /{body.account}/in/{name} {to}/{name}" for name in names])
        said = ran.stderr.strip()[-300:]
        if ran.returncode and ("not found" in said or "remote " in said):
            raise Refused("JB2983", f"a file of it cannot be read: {said}")
        if ran.returncode:
            raise Away(f"a file cannot be fetched: {said}")

    def answer(self, body: Body, name: str, receipt: Path, done: Sequence[str]) -> None:
        at = f"/{body.account}/receipts"
        commands = [f"put {receipt} {at}/.{name}.part", f"-rm {at}/{name}", f"rename {at}/.{name}.part {at}/{name}"]
        ran = self.ask([*commands, *(f"-rm /{body.account}/in/{each}" for each in done)])
        if ran.returncode:
            raise Away(f"the receipt cannot be left: {ran.stderr.strip()[-300:]}")


def read_listing(text: str, mark: str) -> dict[str, list[Item]]:
    """What `ls -lna` printed, parted by lines `<mark> <body>`."""
    found: dict[str, list[Item]] = {}
    here: list[Item] = []
    for line in text.splitlines():
        words = line.split(None, 8)
        if words[:1] == [mark] and len(words) == 2:
            here = found.setdefault(words[1], [])
        elif len(words) == 9 and re.fullmatch(r"[-dlbcps][-rwxsStT]{9}.?", words[0]) and words[4].isdigit():
            name = words[8].rpartition("/")[2]
            if name not in (".", ".."):
                here.append(Item(name, words[0][0], int(words[4])))
    return found


class Psql:
    """The database of this host over its socket."""

    def __init__(self, region: str, name: str, columns: Mapping[str, Mapping[str, str]]) -> None:
        self.region, self.columns = region, columns
        self.line = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate", "-d", name, "-f", "-"]

    def known(self, body: Body, delivery: str) -> str:
        where = f"region = '{self.region}' and body = '{body.id}' and delivery = '{delivery}'"
        ran = subprocess.run(
            self.line, input=f"select manifest from outside.delivery where {where};", capture_output=True, text=True, check=False
        )  # fmt: skip
        if ran.returncode:
            raise Away(f"the database does not answer: {ran.stderr.strip()[-300:]}")
        return ran.stdout.strip()

    def load(self, body: Body, taken: Manifest, digest: str, lines: Mapping[str, Callable[[], Iterator[str]]]) -> None:
        with subprocess.Popen(
            self.line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as ran:  # fmt: skip
            assert ran.stdin and ran.stderr
            try:
                for text in self.script(body, taken, digest, lines):
                    ran.stdin.write(text)
                ran.stdin.close()
            except OSError:
                pass  # it ended early and says why
            except BaseException:
                ran.kill()  # before `commit`: nothing of it stays
                raise
            said = ran.stderr.read().strip()
            ran.wait()
        if "23505" in said:
            raise Refused("JB2985", f"the delivery {taken.id} was loaded before")
        if ran.returncode:
            raise Away(f"the database took nothing: {said[-300:]}")

    def script(
        self, body: Body, taken: Manifest, digest: str, lines: Mapping[str, Callable[[], Iterator[str]]]
    ) -> Iterator[str]:
        """What psql is given. Every line of data begins with the region, so that none can end the data early."""
        own = [self.region, body.id, taken.id]
        yield "begin;\ncopy outside.delivery (region, body, delivery, manifest, rows, loaded) from stdin;\n"
        total, now = sum(each.rows for each in taken.files), datetime.datetime.now(datetime.UTC).isoformat()
        yield copied([*own, digest, str(total), now]) + "\\.\n"
        number = 0
        for table, made in lines.items():
            yield f"copy outside.{table} (region, body, delivery, line, {', '.join(self.columns[table])}) from stdin;\n"
            for line in made():
                number += 1
                yield copied([*own, str(number)])[:-1] + "\t" + line
            yield "\\.\n"
        yield "commit;\n"


# --- one run ---------------------------------------------------------------------------------------------------------


class Intake:
    """One centre's intake. `state` keeps the quarantine, when each stray file was first seen, and what was counted."""

    def __init__(
        self, box: Box, database: Database, bodies: Sequence[Body], columns: Mapping[str, Mapping[str, str]], state: Path,
        grace: float, keep_days: float, now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.box, self.database, self.bodies, self.columns = box, database, bodies, columns
        self.state, self.grace, self.keep, self.now = state, grace, keep_days * 86400, now
        self.status: dict[str, Any] = read(state / "status.json", {})

    def run(self) -> dict[str, Any]:
        """Answer everything that lies in the boxes. Returns, and keeps, what `status.json` says: times and counts for each body."""
        trouble = ""
        try:
            there = self.box.listed(self.bodies)
            for body in self.bodies:
                self._body(body, there.get(body.id, []))
        except Away as why:
            trouble = str(why)
        self._sweep()
        self.status["trouble"] = trouble
        self.status["run"] = self.now()
        if not trouble:
            self.status["good"] = self.status["run"]
        write(self.state / "status.json", self.status)
        return self.status

    def _body(self, body: Body, listed: Sequence[Item]) -> None:
        items = {item.name: item for item in listed}
        for stage in (self.state / "quarantine" / body.id).glob("*"):
            # Answered and cleared away by a run that was cut off before it could note it.
            noted = (stage / "answered").exists() or not (stage / "receipt.json").is_file()
            if not noted and not set(read(stage / "done.json", [])) & set(items):
                (stage / "answered").touch()
        # A name that is not plain stands in no command: it stays there, and is told of once.
        gone = {name for name in items if name.endswith(".json") and NAME.fullmatch(name)}
        for name in sorted(gone):
            gone |= self._delivery(body, items, name)
        self._strays(body, [item for name, item in items.items() if name not in gone])

    def _delivery(self, body: Body, items: Mapping[str, Item], name: str) -> set[str]:
        """Answer one manifest; the names that are gone from the box then."""
        stem = name.removesuffix(".json")
        landing = self.state / "landing"
        shutil.rmtree(landing, ignore_errors=True)
        landing.mkdir(parents=True, mode=0o700)
        digest = ""
        try:
            if items[name].kind != "-":
                raise Refused("JB2981", f"{name} is no plain file")
            if items[name].size > MANIFEST_BYTES:
                raise Refused("JB2980", f"the manifest has {items[name].size} bytes, {MANIFEST_BYTES} are the most")
            self.box.fetch(body, [name], landing)
            data = (landing / name).read_bytes()
            digest = hashlib.sha256(data).hexdigest()
        except Refused as why:
            return self._answer(body, name, stem, self._stage(body, stem, "0" * 64), digest, None, why)
        stage = self._stage(body, stem, digest)
        resumed = stage.is_dir()
        if (stage / "receipt.json").is_file() and not (stage / "answered").exists():
            return self._leave(body, name, stem, stage)
        if resumed and (stage / "answered").exists():
            shutil.rmtree(stage)
            resumed = False
        stage.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.replace(landing / name, stage / "manifest")
        taken: Manifest | None = None
        refusal: Refused | None = None
        try:
            taken = manifest(data, body)
            before = self.database.known(body, taken.id)
            if before and not (resumed and before == digest):
                raise Refused("JB2985", f"the delivery {taken.id} was loaded before")
            if not before:
                self._load(body, items, taken, digest, stage)
        except Refused as why:
            refusal = why
        return self._answer(body, name, stem, stage, digest, taken, refusal)

    def _load(self, body: Body, items: Mapping[str, Item], taken: Manifest, digest: str, stage: Path) -> None:
        present(taken, items)
        folder = stage / "files"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        self.box.fetch(body, [each.name for each in taken.files], folder)
        for each in taken.files:
            whole(each, folder / each.name)
        lines = {each.table: functools.partial(self._lines, taken, each.table, folder) for each in taken.files}
        for made in lines.values():  # all of it is read before any of it is loaded
            for _ in made():
                pass
        self.database.load(body, taken, digest, lines)

    def _lines(self, taken: Manifest, table: str, folder: Path) -> Iterator[str]:
        for each in taken.files:
            if each.table == table:
                yield from map(copied, rows(each, folder / each.name, self.columns[table]))

    def _answer(
        self, body: Body, name: str, stem: str, stage: Path, digest: str, taken: Manifest | None, why: Refused | None
    ) -> set[str]:
        stage.mkdir(parents=True, exist_ok=True, mode=0o700)
        moment = datetime.datetime.fromtimestamp(self.now(), datetime.UTC)
        said = receipt(stem, body, moment.strftime("%Y-%m-%dT%H:%M:%SZ"), digest, taken, why)
        # The manifest last: as long as it is there, a run that was cut off here is completed by the next one.
        done = [*(_names((stage / "manifest").read_bytes()) if (stage / "manifest").is_file() else ()), name]
        self._count(body, why.code if why else "", sum(each.rows for each in taken.files) if taken and not why else 0)
        write(stage / "done.json", done)
        write(stage / "receipt.json", said)
        (stage / "receipt.json").chmod(0o640)  # `put` asks for the same at the box, where the body is the group
        return self._leave(body, name, stem, stage)

    def _leave(self, body: Body, name: str, stem: str, stage: Path) -> set[str]:
        said, done = read(stage / "receipt.json", {}), read(stage / "done.json", [name])
        at = re.sub(r"[^0-9TZ]", "", said["at"])
        self.box.answer(body, f"{stem}.{at}.json", stage / "receipt.json", done)
        if said["result"] == "loaded":
            shutil.rmtree(stage)
        else:
            (stage / "answered").touch()
        return set(done)

    def _strays(self, body: Body, items: Sequence[Item]) -> None:
        """Files that no manifest names: refused when they have lain there, unchanged, for longer than the grace."""
        seen = read(self.state / f"seen-{body.id}.json", {})
        kept = {}
        for item in items:
            size, since = seen.get(item.name, (None, 0.0))
            since = since if size == item.size else self.now()
            kept[item.name] = (item.size, since)
            if self.now() - since < self.grace and item.kind == "-":
                continue
            if since < 0:
                continue  # told before, and cannot be removed
            plain = NAME.fullmatch(item.name) is not None
            code = "JB2986" if item.kind == "-" and plain else "JB2981"
            what = (
                f"no manifest names {short(item.name)}"
                if code == "JB2986"
                else f"{short(item.name)} is no plain file with a plain name"
            )
            stem = item.name if plain else "unnamed"
            stage = self._stage(body, stem, hashlib.sha256(f"{item}{self.now()}".encode()).hexdigest())
            self._answer(body, item.name if plain else stem, stem, stage, "", None, Refused(code, what))
            kept[item.name] = (item.size, -1.0)
        write(self.state / f"seen-{body.id}.json", kept)

    def _stage(self, body: Body, stem: str, digest: str) -> Path:
        return self.state / "quarantine" / body.id / f"{stem}-{digest[:12]}"

    def _count(self, body: Body, code: str, loaded: int) -> None:
        counts = self.status.setdefault("bodies", {}).setdefault(body.id, {"loaded": 0, "rows": 0, "refused": {}})
        if code:
            counts["refused"][code] = counts["refused"].get(code, 0) + 1
            counts["last"] = {"code": code, "at": self.now()}
        else:
            counts["loaded"] += 1
            counts["rows"] += loaded

    def _sweep(self) -> None:
        """What was refused is kept for people to look at, and not for ever."""
        for stage in (self.state / "quarantine").glob("*/*"):
            if (stage / "answered").exists() and self.now() - (stage / "answered").stat().st_mtime > self.keep:
                shutil.rmtree(stage)


def _names(data: bytes) -> list[str]:
    """The plain names in a manifest, be it otherwise as it may: what may be removed with it."""
    try:
        listed = json.loads(data)["files"]
        found = [each["name"] for each in listed if isinstance(each, dict) and isinstance(each.get("name"), str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name in dict.fromkeys(found) if NAME.fullmatch(name) and ".." not in name][:100]


def main(folder: Path, state: Path) -> int:
    """One run as `<folder>/intake.json` says; 1 where boxes or database did not answer."""
    said = json.loads((folder / "intake.json").read_text("utf-8"))
    bodies = [Body(each["id"], each["account"], each["limit_bytes"], tuple(each["tables"])) for each in said["bodies"]]
    box = Sftp(said["host"], said["port"], said["user"], folder, state)
    database = Psql(said["region"], said["database"], said["columns"])
    status = Intake(box, database, bodies, said["columns"], state, said["grace_seconds"], said["keep_days"]).run()
    print(status["trouble"] or json.dumps(status.get("bodies", {})))
    return 1 if status["trouble"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
