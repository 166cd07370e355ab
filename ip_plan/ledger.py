"""The ledger: key → grant, for ever. Text, one file per province, one line per grant, sorted, made for review.

A line is `kind<TAB>key<TAB>first<TAB>second[<TAB>gone]`. For address grants the two values are the IPv4 and the IPv6 one (`-`
where there is only one); an `asn` and a `port` (the number of an interface) have no second one; a `label`'s is the region under
which it is unique. A removed key leaves its line, marked `gone`: nobody else gets the grant, and the key gets it back when it
returns. Keys carry the code under which a region was *first* granted; a later code change is an `alias` line (new code, first
code).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ground.mistake import Mistake, Mistakes
from ip_plan import addressing

HEADER = "# jinbao ledger 1: kind, key, grant (IPv4), grant (IPv6), gone. Never edit a line by hand.\n"
KINDS = ("alias", "asn", "block", "host", "infra", "label", "link", "loop", "port", "province", "svc", "zone")

Grant = tuple[str, str]
Key = tuple[str, str]


class Ledger:
    """The grants of one province. `grants` holds the living and the gone; `gone` names the keys marked so.

    Only `put` adds a grant.
    """

    __slots__ = ("_kinds", "gone", "grants")

    def __init__(self, grants: dict[Key, Grant] | None = None, gone: set[Key] | None = None) -> None:
        self.grants: dict[Key, Grant] = grants if grants is not None else {}
        self.gone: set[Key] = gone if gone is not None else set()
        self._kinds: dict[str, dict[str, Grant]] = {kind: {} for kind in KINDS}
        for (kind, key), grant in self.grants.items():
            self._kinds[kind][key] = grant

    def get(self, kind: str, key: str) -> Grant | None:
        """What `key` was granted, also if it is gone now."""
        return self.grants.get((kind, key))

    def put(self, kind: str, key: str, first: str, second: str = "-") -> Grant:
        """Grant once. Raises ValueError when the key holds another grant: a grant is never changed."""
        grant = (first, second)
        self._kinds[kind].setdefault(key, grant)
        held = self.grants.setdefault((kind, key), grant)
        if held != grant:
            raise ValueError(f"{kind} {key} holds {held} and cannot be granted {grant}")
        return grant

    def of(self, kind: str) -> Mapping[str, Grant]:
        """Every grant of a kind, gone ones included (they stay taken); it grows with the ledger."""
        return self._kinds[kind]

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget grants that are gone and may be granted anew; raises ValueError for one that is living."""
        for key in keys:
            if key not in self.gone:
                raise ValueError(f"{key} is living")
            self.gone.discard(key)
            del self.grants[key]
            del self._kinds[key[0]][key[1]]

    def settle(self, living: Iterable[Key]) -> None:
        """Mark as gone every key that is not living, and unmark those that returned. Aliases never go."""
        alive = set(living)
        self.gone = {key for key in self.grants if key not in alive and key[0] != "alias"}


def text(ledger: Ledger) -> str:
    """The ledger as its file holds it: sorted, one grant a line."""
    gone = ledger.gone
    lines = [
        f"{item[0][0]}\t{item[0][1]}\t{item[1][0]}\t{item[1][1]}\tgone\n"
        if item[0] in gone
        else f"{item[0][0]}\t{item[0][1]}\t{item[1][0]}\t{item[1][1]}\n"
        for item in sorted(ledger.grants.items())
    ]
    return HEADER + "".join(lines)


def parse(body: str, file: str) -> tuple[Ledger, list[Mistake]]:
    """Read a ledger file. A damaged line is a mistake; the ledger then must not be used."""
    grants: dict[Key, Grant] = {}
    gone: set[Key] = set()
    mistakes: list[Mistake] = []
    lines = body.split("\n")
    cure = "Take the file from the last commit: the ledger is what keeps addresses where they are."
    if lines[0] + "\n" != HEADER:
        return Ledger(), [
            Mistake(file, 1, 1, "JB1301", "", "this is not a ledger of a version this program reads", cure)
        ]
    if lines[-1] != "":
        mistakes.append(Mistake(file, len(lines), 1, "JB1302", "", "the last line is cut off", cure))
    for number, line in enumerate(lines[1:-1], 2):
        parts = line.split("\t")
        if not (len(parts) == 4 or (len(parts) == 5 and parts[4] == "gone")) or parts[0] not in KINDS:
            mistakes.append(Mistake(file, number, 1, "JB1302", "", "this is not a ledger line", cure))
            continue
        key = (parts[0], parts[1])
        if key in grants:
            mistakes.append(Mistake(file, number, 1, "JB1303", parts[1], "this key is granted twice", cure))
            continue
        grants[key] = (parts[2], parts[3])
        if len(parts) == 5:
            gone.add(key)
    return Ledger(grants, gone), mistakes


def faults(ledger: Ledger, file: str) -> list[Mistake]:
    """The lines whose grant is none: what reading passes over, since every grant is read again where it is used."""
    mistakes = []
    for number, ((kind, key), grant) in enumerate(ledger.grants.items(), 2):
        for value in grant:
            try:
                if kind in ("asn", "port") and value != "-":
                    int(value)
                elif kind not in ("alias", "label") and value != "-":
                    addressing.parse(value, 6 if ":" in value else 4)
            except ValueError as error:
                cure = "Take the line from the last commit: the ledger is what keeps addresses where they are."
                mistakes.append(Mistake(file, number, 1, "JB1302", key, f"this grant is none: {error}", cure))
    return mistakes


def held(folder: Path, province: str) -> Ledger:
    """The ledger of one province, for those who only look. Raises Mistakes: it is damaged, or the nation's is not there yet."""
    if not (folder / "00.tsv").exists():
        what, cure = "nothing is granted yet", "Compile the plan first (`jinbao plan compile`)."
        raise Mistakes([Mistake(str(folder), None, None, "JB1325", "", what, cure)])
    ledger, mistakes = read(folder, province)
    mistakes = mistakes or faults(ledger, str(folder / f"{province}.tsv"))
    if mistakes:
        raise Mistakes(mistakes)
    return ledger


def read(folder: Path, province: str) -> tuple[Ledger, list[Mistake]]:
    """The ledger of one province; empty when nothing was granted yet."""
    path = folder / f"{province}.tsv"
    try:
        body = path.read_text("utf-8")
    except FileNotFoundError:
        return Ledger(), []
    except UnicodeDecodeError:
        cure = "Take the file from the last commit."
        return Ledger(), [Mistake(str(path), None, None, "JB1301", "", "the ledger is not UTF-8", cure)]
    return parse(body, str(path))
