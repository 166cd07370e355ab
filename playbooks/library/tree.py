#!/usr/bin/python
"""Install all files that one role owns on a device: all of them or none, checked before they are moved in place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tree
short_description: Install the files of one role from the rendered tree of a device
description:
  - Compares every file with what stands on the device (SHA-256, owner, group, mode) on every run.
  - Stages what differs, runs the validators, and moves the files in place only when all validators agree.
  - Removes what an earlier tree of this role installed and this one no longer has.
  - Keeps what still has to be taken up by units in its manifest until told that it is settled, so that an
    interrupted run is completed by the next one.
  - Its action plugin reads the entries from C(jinbao_tree) on the controller, so that a playbook gives only I(role);
    afterwards it enables, starts, reloads or restarts those units of the role that are not as they have to be.
options:
  role: {type: str, required: true, description: The role whose files are installed.}
  entries:
    type: list
    elements: dict
    default: []
    description: The files; given by the action plugin.
  units: {type: list, elements: str, default: [], description: Units that this role keeps enabled and running.}
  kept: {type: list, elements: str, default: [], description: Targets and units of other roles, never removed here.}
  roles: {type: list, elements: str, default: [], description: All roles of the device; files of others are removed.}
  packages: {type: list, elements: str, default: [], description: Debian packages that have to be there.}
  manifests: {type: path, default: /var/lib/jinbao/tree, description: Folder of the manifests.}
  settled: {type: bool, default: false, description: The units took up what was installed.}
author: [jinbao]
"""

EXAMPLES = r"""
- name: Install the files of the router and run its units
  tree:
    role: router
"""

RETURN = r"""
files: {type: list, returned: always, description: Targets that were installed.}
removed: {type: list, returned: always, description: Targets that were removed.}
units_reload: {type: list, returned: always, description: Running units that have to reload.}
units_restart: {type: list, returned: always, description: Running units that have to restart.}
units_stopped: {type: list, returned: always, description: Units that this device no longer runs.}
daemon_reload: {type: bool, returned: always, description: Whether unit files changed.}
take_up: {type: list, returned: always, description: Units that are not as they have to be, with the state to get.}
pending: {type: bool, returned: always, description: Whether anything has to be settled.}
missing_packages: {type: list, returned: always, description: Packages that are not installed.}
"""

import base64
import contextlib
import glob
import grp
import hashlib
import json
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

UNIT_FOLDERS = ("/etc/systemd/system/", "/usr/lib/systemd/system/")
DAEMON = "systemd"
EMPTY: dict[str, Any] = {"files": {}, "units": [], "pending": {}, "examined": True}
STATES = {"start": "started", "reload": "reloaded", "restart": "restarted"}
VALIDATOR_SECONDS = 120
# A unit that cannot be enabled (static) or that a generator makes is there after a reboot as well.
LASTING = ("enabled", "static", "indirect", "generated", "alias")
SHOWN = 64 * 1024  # bytes of one file that a diff shows


class Refused(Exception):
    """What makes the whole set impossible; every line is one reason."""

    def __init__(self, reasons: list[str], invalid: list[dict[str, str]] | None = None) -> None:
        self.reasons = reasons
        self.invalid = invalid or []
        super().__init__("\n".join(reasons))


# --- what stands on the device ---------------------------------------------------------------------------------------


def standing(path: str) -> tuple[bytes | None, tuple[int, int, int] | None]:
    """Content, and (uid, gid, mode), of the regular file at `path`; (None, None) when there is none."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return None, None
        with open(path, "rb") as stream:
            return stream.read(), (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
    except (FileNotFoundError, NotADirectoryError):
        return None, None


def ids(entry: dict[str, Any]) -> tuple[int, int, int]:
    """uid, gid and mode an entry asks for. Raises KeyError for an unknown owner or group."""
    return pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid, int(entry["mode"], 8)


def read_manifest(path: str) -> dict[str, Any]:
    """What earlier runs of a role left: files (target → unit and action), units, pending, examined. Damaged is empty."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        if isinstance(found, dict):
            return EMPTY | found
    return dict(EMPTY)


def missing(packages: list[str]) -> list[str]:
    """Those of `packages` that dpkg does not have installed."""
    if not packages:
        return []
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    there = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in packages if package not in there]


def running(units: list[str]) -> dict[str, bool]:
    """Unit → whether it comes back after a reboot, of those of `units` that systemd has active."""
    if not units:
        return {}
    line = ["systemctl", "show", "--property=ActiveState,UnitFileState", "--", *units]
    asked = subprocess.run(line, capture_output=True, text=True, check=False)
    found = {}
    # One paragraph a unit, in the order asked.
    for unit, paragraph in zip(units, asked.stdout.strip().split("\n\n"), strict=False):
        state = dict(part.split("=", 1) for part in paragraph.splitlines() if "=" in part)
        if state.get("ActiveState") in ("active", "reloading", "activating"):
            found[unit] = state.get("UnitFileState") in LASTING
    return found


# --- writing ---------------------------------------------------------------------------------------------------------


def place(path: str, content: bytes, owner: tuple[int, int, int]) -> None:
    """Put `content` at `path` whole: a file beside it, then a rename."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix="." + os.path.basename(path) + ".")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(stream.fileno(), owner[0], owner[1])
            os.fchmod(stream.fileno(), owner[2])
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_manifest(path: str, manifest: dict[str, Any]) -> None:
    """Keep `manifest` unless it stands there already. It names paths and units only: no contents."""
    body = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    if standing(path)[0] != body:
        place(path, body, (os.geteuid(), os.getegid(), 0o600))


def remove(path: str) -> None:
    """Remove the file at `path`, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


# --- validation ------------------------------------------------------------------------------------------------------


def refusal(validator: str, path: str) -> str | None:
    """What a validator says against `path` (it replaces every `%s`); None when it agrees."""
    line = [word.replace("%s", path) for word in shlex.split(validator)]
    try:
        ran = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=VALIDATOR_SECONDS,
            check=False,
            env={
                **os.environ,
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
            },
        )
    except FileNotFoundError:
        return f"{line[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"no answer within {VALIDATOR_SECONDS} s"
    if ran.returncode == 0:
        return None
    return ran.stdout.decode(errors="replace").strip() or f"exit code {ran.returncode}"


def refuse(found: list[tuple[str, str, str]]) -> None:
    """Raise `Refused` when there are refusals (target, validator, output)."""
    if found:
        raise Refused(
            [f"{target}: refused by `{validator}`:\n{output}" for target, validator, output in found],
            [{"file": target, "validator": validator, "output": output} for target, validator, output in found],
        )


def validate(entries: list[dict[str, Any]], differing: list[dict[str, Any]]) -> None:
    """Run the `%s` validator of each differing entry on its candidate. Raises `Refused` with all refusals.

    All files of the role are staged under one folder at their own paths, so that the candidate keeps its name and finds
    its neighbours beside it.
    """
    if not any("%s" in entry["validator"] for entry in differing):
        return
    stage = tempfile.mkdtemp(prefix="jinbao-tree-")
    try:
        os.chmod(stage, 0o711)  # a validator that runs as the service's user must get through
        for entry in entries:
            path = stage + entry["target"]
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
                stream.write(entry["bytes"])
                if entry["asked"] is not None:
                    os.fchown(stream.fileno(), *entry["asked"][:2])
                    os.fchmod(stream.fileno(), entry["asked"][2])
        refuse(
            [
                (entry["target"], entry["validator"], output.replace(stage, ""))
                for entry in differing
                if "%s" in entry["validator"]
                and (output := refusal(entry["validator"], stage + entry["target"])) is not None
            ]
        )
    finally:
        shutil.rmtree(stage, ignore_errors=True)


# --- one run ---------------------------------------------------------------------------------------------------------


def shown(content: bytes | None, secret: bool) -> str:
    """`content` as a diff shows it."""
    if content is None:
        return ""
    if secret:
        return "(a secret, not shown)\n"
    if len(content) > SHOWN or b"\0" in content:
        return f"({len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()})\n"
    return content.decode(errors="replace")


def difference(
    target: str, before: bytes | None, after: bytes | None, secret: bool, owners: tuple[str, str]
) -> dict[str, str]:
    """One entry of the module's diff: of the contents, or of owner, group and mode when only these differ."""
    old, new = shown(before, secret), shown(after, secret)
    if before == after:
        old, new = owners[0] + "\n", owners[1] + "\n"
    elif secret and before is not None and after is not None:
        new = "(another secret, not shown)\n"
    return {
        "before_header": "/dev/null" if before is None else target,
        "after_header": "/dev/null" if after is None else target,
        "before": old,
        "after": new,
    }


def compare(entries: list[dict[str, Any]], check: bool) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The entries that differ from what stands, and their diffs.

    Adds to each entry `bytes`, `standing` (what stood there: content, owner) and `asked` (uid, gid, mode).
    Raises `Refused`.
    """
    reasons, differing, diffs = [], [], []
    for entry in entries:
        target = entry["target"]
        if not target.startswith("/") or os.path.normpath(target) != target:
            reasons.append(f"{target}: is no absolute, plain path")
            continue
        if os.path.isdir(target) and not os.path.islink(target):
            reasons.append(f"{target}: a folder stands there")
            continue
        entry["bytes"] = base64.b64decode(entry["content"])
        entry["standing"] = content, owner = standing(target)
        try:
            entry["asked"] = ids(entry)
        except KeyError as unknown:
            # On a bare node a check comes before the package that brings the user.
            entry["asked"] = None
            if not check:
                reasons.append(f"{target}: {unknown.args[0]} on this device")
        if content == entry["bytes"] and owner == entry["asked"]:
            continue
        differing.append(entry)
        have = "" if owner is None else f"{owner[0]}:{owner[1]} {owner[2]:04o}"
        asked = entry["asked"]
        ask = (
            f"{entry['owner']}:{entry['group']} {entry['mode']}"
            if asked is None
            else f"{asked[0]}:{asked[1]} {asked[2]:04o}"
        )
        diffs.append(difference(target, content, entry["bytes"], entry["secret"], (have, ask)))
    if reasons:
        raise Refused(reasons)
    return differing, diffs


def earlier_manifests(folder: str, role: str, roles: list[str]) -> dict[str, dict[str, Any]]:
    """Path → manifest of `role`, and of every role that the device no longer has (when `roles` says which it has)."""
    found = {os.path.join(folder, role + ".json"): read_manifest(os.path.join(folder, role + ".json"))}
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.json"))) if roles else []:
        if os.path.basename(path)[: -len(".json")] not in roles:
            found.setdefault(path, read_manifest(path))
    return found


def waiting(takers: list[tuple[str, str]], touched: list[str]) -> dict[str, str]:
    """Unit → reload or restart (the stronger one) of those with something to take up; `DAEMON` is systemd itself."""
    found: dict[str, str] = {}
    for unit, action in takers:
        if unit and found.get(unit) != "restart":
            found[unit] = action
    if any(target.startswith(UNIT_FOLDERS) for target in touched):
        found[DAEMON] = "reload"
    return found


def apply(wanted: dict[str, Any], check: bool) -> dict[str, Any]:
    """Bring the files of one role to what is wanted; returns the module's answer. Raises `Refused`."""
    absent = missing(wanted["packages"])
    if absent and not check:
        # The action plugin installs them and asks again: a package must not find its files changed before it came.
        return {"changed": False, "missing_packages": absent}

    entries, kept, units = wanted["entries"], set(wanted["kept"]), wanted["units"]
    differing, diffs = compare(entries, check)
    earlier = earlier_manifests(wanted["manifests"], wanted["role"], wanted["roles"])
    kept |= {entry["target"] for entry in entries} | set(units)
    stale = {
        target: taker
        for manifest in earlier.values()
        for target, taker in manifest["files"].items()
        if target not in kept and standing(target)[0] is not None
    }
    dropped = sorted({unit for manifest in earlier.values() for unit in manifest["units"]} - kept)
    diffs += [difference(target, standing(target)[0], None, True, ("", "")) for target in sorted(stale)]
    # What a run that was cut short left pending is added to, never forgotten.
    takers = [taker for manifest in earlier.values() for taker in manifest["pending"].items()]
    takers += [(entry["unit"], entry["action"]) for entry in differing] + [
        (unit, action) for unit, action in stale.values()
    ]
    pending = waiting(takers, [*(entry["target"] for entry in differing), *stale])
    # A unit that does not run yet reads the new files when it is started.
    active = running(sorted({*units, *pending} - {DAEMON, *dropped}))
    pending = {unit: action for unit, action in pending.items() if unit in active or unit == DAEMON}

    if not absent:
        validate(entries, differing)
    if not check:
        install(wanted, earlier, pending, differing, stale, dropped)

    states = {unit: action for unit, action in pending.items() if unit != DAEMON}
    states |= {unit: "start" for unit in units if not active.get(unit) and unit not in states}
    return {
        "changed": bool(absent or differing or stale or dropped or pending or states),
        "files": [entry["target"] for entry in differing],
        "removed": sorted(stale),
        "units_reload": sorted(unit for unit, action in states.items() if action == "reload"),
        "units_restart": sorted(unit for unit, action in states.items() if action == "restart"),
        "units_stopped": dropped,
        "daemon_reload": DAEMON in pending,
        "take_up": [
            {"name": unit, "state": STATES[action]} | ({"enabled": True} if unit in units else {})
            for unit, action in states.items()
        ],
        "pending": bool(pending) and not check,
        "missing_packages": absent,
        "diff": diffs,
    }


def install(
    wanted: dict[str, Any],
    earlier: dict[str, dict[str, Any]],
    pending: dict[str, str],
    differing: list[dict[str, Any]],
    stale: dict[str, Any],
    dropped: list[str],
) -> None:
    """Move all candidates in place, run the validators of the whole, then remove what is stale; or put all back."""
    path = os.path.join(wanted["manifests"], wanted["role"] + ".json")
    before = earlier[path]
    owned = {entry["target"]: [entry["unit"], entry["action"]] for entry in wanted["entries"]}
    if differing or stale or dropped:
        # First, so that the next run knows what a run cut short here may have installed, and who has not taken it up.
        everything = {target: taker for manifest in earlier.values() for target, taker in manifest["files"].items()}
        started = {"files": everything | owned, "units": before["units"], "pending": pending, "examined": False}
        write_manifest(path, started)
    done = []
    try:
        for entry in differing:
            done.append(entry)
            place(entry["target"], entry["bytes"], entry["asked"])
        # After a run cut short, what it moved in place no longer differs and may still be unexamined.
        examined = differing if before["examined"] else wanted["entries"]
        wholes = {
            entry["validator"]: entry["target"]
            for entry in examined
            if entry["validator"] and "%s" not in entry["validator"]
        }
        refuse([(target, line, output) for line, target in wholes.items() if (output := refusal(line, "")) is not None])
    except BaseException:
        for entry in reversed(done):
            content, owner = entry["standing"]
            if owner is None:
                remove(entry["target"])
            else:
                place(entry["target"], content, owner)
        write_manifest(path, before)
        raise
    for unit in dropped:
        # While its unit file still stands. A unit that is gone already is stopped enough.
        subprocess.run(["systemctl", "disable", "--now", "--", unit], capture_output=True, check=False)
    for target in [*stale, *(other for other in earlier if other != path)]:
        remove(target)
    write_manifest(path, {"files": owned, "units": wanted["units"], "pending": pending, "examined": True})


def settle(wanted: dict[str, Any], check: bool) -> dict[str, Any]:
    """Note that the units took up what was installed."""
    path = os.path.join(wanted["manifests"], wanted["role"] + ".json")
    manifest = read_manifest(path)
    if manifest["pending"] and not check:
        write_manifest(path, {**manifest, "pending": {}})
    return {"changed": bool(manifest["pending"])}


def main() -> None:
    """Read the arguments, bring the files to what is wanted, answer."""
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True},
            "entries": {"type": "list", "elements": "dict", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "kept": {"type": "list", "elements": "str", "default": []},
            "roles": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "manifests": {"type": "path", "default": "/var/lib/jinbao/tree"},
            "settled": {"type": "bool", "default": False},
        },
        no_log=True,  # contents hold resolved secrets: the arguments must not reach the device's log
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        answer = settle(wanted, module.check_mode) if wanted["settled"] else apply(wanted, module.check_mode)
    except Refused as refused:
        reasons, invalid = refused.reasons, refused.invalid
    except OSError as error:
        reasons, invalid = [str(error)], []
    else:
        module.exit_json(**answer)
    module.fail_json(
        msg="\n".join([f"JB4001  nothing of role {wanted['role']} was installed:", *reasons]),
        invalid=invalid,
        changed=False,
    )


if __name__ == "__main__":
    main()
