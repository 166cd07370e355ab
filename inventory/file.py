"""A rendered file: an entry of the tree together with its content."""

from __future__ import annotations

import msgspec

from ground import files
from ground.tree import Entry


class File(msgspec.Struct, frozen=True):
    """One file of one device. The fields are those of `ground.tree.Entry`."""

    target: str
    content: str
    role: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    validator: str = ""
    unit: str = ""
    action: str = "reload"

    def entry(self) -> Entry:
        """The entry that describes it. Its source is its target: below `files/` the tree looks like the device."""
        return Entry(
            target=self.target,
            source=self.target.lstrip("/"),
            role=self.role,
            sha256=files.sha256(self.content.encode()),
            owner=self.owner,
            group=self.group,
            mode=self.mode,
            validator=self.validator,
            unit=self.unit,
            action=self.action,
        )
