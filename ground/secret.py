"""Secrets: the plan, the tree and the log hold references; the values are made once and resolved only at apply.

A reference is `@secret:<name>@`, e.g. `@secret:database/640100-prod1/app@`. Its value lies in `<state>/secrets/<name>`,
readable by its owner only: 32 random bytes in base64, which serves as a password and as a TSIG key (RFC 8945) alike.
`@ssh-private:<name>@` and `@ssh-public:<name>@` are the halves of the SSH key that the secret is the seed of.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from ground import files, sshkey

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*"
FORMS: Mapping[str, Callable[[str], str]] = {
    "secret": lambda value: value,
    "ssh-private": sshkey.private,
    "ssh-public": sshkey.public,
}
"""Form of a reference → what stands in its place."""
REFERENCE = re.compile(rb"@(" + "|".join(FORMS).encode() + rb"):(" + _NAME.encode() + rb")@")


def reference(name: str, form: str = "secret") -> str:
    """How a rendered file refers to the secret called `name`. Raises ValueError when that is no name."""
    _require_name(name)
    return f"@{form}:{name}@"


def references(content: bytes) -> tuple[str, ...]:
    """The names of the secrets that `content` refers to, sorted, each once."""
    return tuple(sorted({name.decode() for _, name in REFERENCE.findall(content)}))


def value(state: Path, name: str) -> str:
    """The secret called `name`, made when it is asked for the first time. Raises ValueError when that is no name."""
    _require_name(name)
    folder = state / "secrets"
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        with files.lock(folder / ".lock"):
            if not path.exists():
                files.write(path, base64.b64encode(secrets.token_bytes(32)), 0o600)
    return path.read_text()


def fill(state: Path, content: bytes) -> bytes:
    """`content` with every reference replaced by its value."""
    return REFERENCE.sub(lambda found: FORMS[found[1].decode()](value(state, found[2].decode())).encode(), content)


def hide(state: Path, content: bytes) -> bytes:
    """`content` with every value of a secret replaced by its reference: what may be kept where others read."""
    for name in known(state):
        content = content.replace(value(state, name).encode(), reference(name).encode())
    return content


def known(state: Path) -> tuple[str, ...]:
    """The names of all secrets made so far, sorted: what must never be seen in a log."""
    folder = state / "secrets"
    paths = (Path(at) / name for at, _, names in os.walk(folder) for name in names if not name.startswith("."))
    return tuple(sorted(str(path.relative_to(folder)) for path in paths))


def _require_name(name: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"{name!r} is no name of a secret: letters, digits, dots, hyphens, parts divided by /")
