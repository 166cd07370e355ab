"""`lookup('identity', ['640100-bkup1…', …], state=…)`: authority, certificate and key of a device, made on first use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from ansible.plugins.lookup import LookupBase

from playbooks import pki


class LookupModule(LookupBase):  # type: ignore[misc]
    """One identity for all the names given."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **options: Any) -> list[dict[str, str]]:
        """A mapping with `authority`, `certificate` and `key`, each PEM text."""
        names = [name for term in terms for name in ([term] if isinstance(term, str) else term)]
        return [msgspec.to_builtins(pki.identity(Path(options["state"]), names))]
