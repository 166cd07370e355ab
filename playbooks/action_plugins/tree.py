"""Reads a device's rendered tree on the controller and hands the module the files of one role, secrets resolved."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import msgspec
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ground import files, secret, tree
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.diff import Difference, differences

# FRR takes its file up line by line, daemon by daemon, and says nothing of what it left out. nft takes the whole or nothing.
READ_BACK = {dialect.target: dialect for dialect in (FRR,)}
# A daemon that was just started reads its file after systemd has it active.
LOOKS, PAUSE_SECONDS, RELOADS = 4, 1.0, 2

ALLOWED = {"role", "packages", "retire", "extra", "folder", "state_folder", "manifests"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """`tree: role: <role>` for the device whose tree lies in `jinbao_tree` (or `folder:`).

    Files, units and the note that the units took the files up are one task and no handlers: a handler that a run notified
    before it failed is lost, while what is pending here stands on the device. It also costs a third of the time.

    What a unit of `READ_BACK` runs is looked at in every run: where rendered lines are lacking, it reloads.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's answer. Installs missing Debian packages first, and lets the units take up what was installed."""
        variables = task_vars or {}
        super().run(tmp, variables)
        args: dict[str, Any] = dict(self._task.args)
        if unknown := sorted(set(args) - ALLOWED):
            raise AnsibleActionFail(f"tree: unknown option {', '.join(unknown)}")
        arguments = {name: args[name] for name in ("role", "manifests") if name in args}
        folder = Path(args.get("folder") or self._variable("jinbao_tree", variables))
        state = Path(args.get("state_folder") or self._variable("jinbao_state", variables))
        filled = wanted(folder, state, args["role"], bool(args.get("retire")), args.get("packages") or {})
        filled["entries"] += [extra(entry) for entry in args.get("extra") or []]
        answer = self._ask(arguments | filled, variables)
        read_back = [entry for entry in filled["entries"] if entry["target"] in READ_BACK]
        self._look(answer, read_back)
        if self._task.check_mode or answer.get("failed"):
            return answer
        if absent := answer.get("missing_packages"):
            answer = self._packages(absent, variables) or self._ask(arguments | filled, variables) | {"changed": True}
            if answer.get("failed"):
                return answer
        if refusals := self._take_up(answer, variables):
            why = f"JB4010  role {args['role']}: files are in place, units are not: "
            return {**answer, "failed": True, "msg": why + "; ".join(refusals)}
        taken = {unit["name"] for unit in answer["take_up"]}
        for entry in read_back:
            if entry["unit"] in taken and (left := self._left_out(entry, variables)):
                what = f"JB4011  role {args['role']}: {entry['unit']} runs {entry['target']} without {len(left)} of its lines: "
                return {**answer, "failed": True, "msg": what + "; ".join(_words(left[:3]))}
        if answer.get("pending"):
            self._ask(arguments | {"settled": True}, variables)
        return answer

    def _packages(self, absent: list[str], variables: dict[str, Any]) -> dict[str, Any] | None:
        """Install `absent`; the answer when that failed, else None."""
        installed: dict[str, Any] = self._execute_module(
            module_name="ansible.builtin.apt",
            # 101: a service must not start before it has its configuration.
            module_args={"name": absent, "state": "present", "install_recommends": False, "policy_rc_d": 101},
            task_vars=variables,
        )
        if not installed.get("failed"):
            return None
        return {**installed, "msg": f"JB4004  packages are missing ({', '.join(absent)}): {installed.get('msg', '')}"}

    def _take_up(self, answer: dict[str, Any], variables: dict[str, Any]) -> list[str]:
        """Bring each unit to its state; what the refusing ones said."""
        refusals = []
        for number, unit in enumerate(answer["take_up"]):
            ran = self._execute_module(
                module_name="ansible.builtin.systemd_service",
                module_args={**unit, "daemon_reload": answer["daemon_reload"] and number == 0},
                task_vars=variables,
            )
            if ran.get("failed"):
                refusals.append(f"{unit['name']}: {ran.get('msg', '')}".strip())
        return refusals

    def _look(self, answer: dict[str, Any], entries: list[dict[str, Any]]) -> None:
        """Add to `answer` the reload of every running unit that lacks lines of its file, with the lines as a diff."""
        if answer.get("failed") or answer.get("missing_packages"):
            return
        for entry in entries:
            if entry["unit"] in {unit["name"] for unit in answer["take_up"]}:
                continue
            if left := self._lacking(entry):
                answer["changed"] = True
                answer["take_up"].append({"name": entry["unit"], "state": "reloaded"})
                shown = {"before_header": f"{entry['target']} (running)", "after_header": entry["target"]}
                lines = "".join(f"{line}\n" for line in _words(left))
                answer.setdefault("diff", []).append({**shown, "before": "", "after": lines})

    def _left_out(self, entry: dict[str, Any], variables: dict[str, Any]) -> list[Difference]:
        """What the unit of `entry` lacks after it took it up, and after `RELOADS` more times where that was not enough."""
        left: list[Difference] = []
        for reload in range(RELOADS + 1):
            if reload:
                again = {"name": entry["unit"], "state": "reloaded"}
                self._take_up({"take_up": [again], "daemon_reload": False}, variables)
            for look in range(LOOKS):
                if look:
                    time.sleep(PAUSE_SECONDS)
                if not (left := self._lacking(entry)):
                    return []
        return left

    def _lacking(self, entry: dict[str, Any]) -> list[Difference]:
        """The rendered lines that do not run. A unit that does not answer runs nothing."""
        dialect = READ_BACK[entry["target"]]
        said = self._low_level_execute_command(dialect.show)
        return lacking(
            entry["target"], said["stdout"] if said["rc"] == 0 else "", base64.b64decode(entry["content"]).decode()
        )

    def _ask(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_name="tree", module_args=arguments, task_vars=variables)
        # The module's arguments hold resolved secrets; they are shown at no verbosity.
        answer.pop("invocation", None)
        return answer

    def _variable(self, name: str, variables: dict[str, Any]) -> str:
        if name not in variables:
            raise AnsibleActionFail(
                f"JB4002  the inventory gives no {name} for this device; run Ansible with `-i inventory/hosts`"
            )
        return str(self._templar.template(variables[name]))


def lacking(target: str, running: str, rendered: str) -> list[Difference]:
    """The lines of the file `target` that are not in what runs. What runs besides is left to `jinbao config remediate`."""
    dialect = READ_BACK[target]
    found = differences(dialect.read(running), dialect.read(rendered), dialect.known)
    return [each for each in found if each.kind == "missing"]


def _words(found: list[Difference]) -> list[str]:
    return [" / ".join((*each.section, each.line)) for each in found]


def wanted(folder: Path, state: Path, role: str, retire: bool, packages: dict[str, list[str]]) -> dict[str, Any]:
    """The module's arguments for `role` of the tree in `folder`. `packages` is role → Debian packages.

    A unit belongs to the first role with a file for it; one without files belongs to the role that retires others.
    """
    try:
        rendered = tree.read(folder)
    except FileNotFoundError:
        raise AnsibleActionFail(f"JB4002  there is no rendered tree in {folder}; run `jinbao config render`") from None
    except msgspec.DecodeError as error:
        raise AnsibleActionFail(f"JB4003  {folder}/tree.json: {error}; run `jinbao config render`") from None
    owners: dict[str, str] = {}
    for entry in rendered.entries:
        if entry.unit:
            owners.setdefault(entry.unit, entry.role)
    mine = [unit for unit in rendered.units if (owners[unit] == role if unit in owners else retire)]
    roles = sorted({entry.role for entry in rendered.entries} | {role})
    return {
        "role": role,
        "entries": [_described(folder, state, entry) for entry in rendered.entries if entry.role == role],
        "units": mine,
        "kept": [entry.target for entry in rendered.entries if entry.role != role] + list(rendered.units),
        "roles": roles if retire else [],
        "packages": sorted({package for name in roles for package in packages.get(name, [])}) if retire else [],
    }


def _described(folder: Path, state: Path, entry: tree.Entry) -> dict[str, Any]:
    content = tree.content(folder, entry)
    if files.sha256(content) != entry.sha256:
        raise AnsibleActionFail(
            f"JB4003  {folder}/files/{entry.source} is not what tree.json says; "
            f"run `jinbao config render --device {folder.name}`"
        )
    hidden = bool(secret.references(content))
    return {
        "target": entry.target,
        "content": base64.b64encode(secret.fill(state, content) if hidden else content).decode(),
        "owner": entry.owner,
        "group": entry.group,
        "mode": entry.mode,
        "validator": entry.validator,
        "unit": entry.unit,
        "action": entry.action,
        "secret": hidden,
    }


def extra(entry: dict[str, Any]) -> dict[str, Any]:
    """A file that a role adds to those of the tree: made at apply, such as a certificate."""
    given = {
        "owner": "root",
        "group": "root",
        "mode": "0644",
        "validator": "",
        "unit": "",
        "action": "reload",
        "secret": False,
    }
    return {**given, **entry, "content": base64.b64encode(str(entry["content"]).encode()).decode()}
