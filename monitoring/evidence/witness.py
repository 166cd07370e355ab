"""The second place: count and head of a log, appended to a file on a host of the level above, reached over SSH.

`/var/lib/jinbao/witness/<log id>` on that host begins with `# <target>`; each further line is `<count> <hash> <time>`. A line is only
added after one with a smaller count, so who holds this log alone cannot make the other place forget.
"""

from __future__ import annotations

import re

import msgspec

from ground import clock, mistake, remote
from ip_plan.network import Network
from monitoring.evidence.log import Head

FOLDER = "/var/lib/jinbao/witness"
_LOG = re.compile(r"[0-9a-f]{32}")
_LINE = re.compile(r"(\d{1,15}) ([0-9a-f]{64}) (\S+)")

_PUT = """set -eu
umask 077
mkdir -p {folder}
exec 9>>{file}
flock 9
[ -s {file} ] || echo '# {target}' >&9
last=$(grep -v '^#' {file} | tail -n 1)
count=${{last%% *}}
rest=${{last#* }}
if [ -n "$last" ] && [ "$count" -eq {count} ] && [ "${{rest%% *}}" = {hash} ]; then exit 0; fi
if [ -n "$last" ] && [ "$count" -ge {count} ]; then echo "$last"; exit 3; fi
echo '{count} {hash} {time}' >&9
sync {file}
"""


class Statement(msgspec.Struct, frozen=True):
    """What a host remembers of a log: that it had `count` records after its first line, ending in `hash`."""

    observer: str
    log: str
    target: str
    count: int
    hash: str
    time: str


def device(network: Network, region: str = "000000", zone: str = "management") -> str:
    """The host that keeps the witness (plan.yml `witness:`). Raises Mistakes (JB6220) when the plan has none there."""
    for name, one in sorted(network.devices.items()):
        if one.role == "host" and one.zone == zone and one.site.startswith(f"{region}:"):
            return name
    what = f"no host stands in zone {zone} of {region} to keep the log's head"
    raise mistake.one("JB6220", what, "Name another region or zone under `witness:` in plan.yml.", subject="witness")


def put(session: remote.Session, host: str, head: Head, target: str) -> None:
    """Have `host` remember `head`; saying the same twice changes nothing.

    Raises Mistakes: JB6221 when the host cannot be reached, JB6222 when it remembers a longer or another log of that id.
    """
    file = f"{FOLDER}/{head.log}"
    program = _PUT.format(
        folder=FOLDER, file=file, target=target, count=head.count, hash=head.hash, time=clock.now()
    )  # fmt: skip
    answer = remote.run(session, host, program)
    if answer.code == 3:
        what = f"{host} remembers {answer.out.split()[0]} records of log {head.log}, more than the {head.count} here or others"
        raise mistake.one("JB6222", what, "Run `jinbao evidence verify`: this log was cut or changed.", subject=host)
    if not answer.ok:
        raise _unreached(host, answer)


def get(session: remote.Session, host: str) -> list[Statement]:
    """Every statement that `host` keeps, of every log. Raises Mistakes (JB6221) when it cannot be reached or read."""
    answer = remote.run(session, host, f"cd {FOLDER} 2>/dev/null || exit 0; grep -H . -- * || true")
    if not answer.ok:
        raise _unreached(host, answer)
    return read(host, answer.out)


def read(host: str, text: str) -> list[Statement]:
    """The statements in `text`: lines of `<log id>:<line>` as `grep -H` prints them. Other lines are passed over."""
    found = []
    targets: dict[str, str] = {}
    for line in text.splitlines():
        log, _, rest = line.partition(":")
        if not _LOG.fullmatch(log):
            continue
        if rest.startswith("# "):
            targets.setdefault(log, rest[2:])
        elif fit := _LINE.fullmatch(rest):
            found.append(Statement(host, log, targets.get(log, ""), int(fit[1]), fit[2], fit[3]))
    return found


def _unreached(host: str, answer: remote.Answer) -> mistake.Mistakes:
    why = (answer.err or answer.out).strip().splitlines()[-1:] or ["no answer"]
    cure = "Bring the host up, or look at the reach of this target; until then a log cut at its end cannot be told from a whole one."
    return mistake.one("JB6221", f"the witness cannot be asked: {why[0]}", cure, subject=host)
