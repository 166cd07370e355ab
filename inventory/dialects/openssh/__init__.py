"""OpenSSH for outside bodies: a server of its own for drop boxes, apart from the administrators', with a chroot for each account.

Accounts and folders are made by the server's unit before it starts. A body can put files and read its receipts; what would let it
name something outside its folder (symbolic and hard links) or nest folders is refused by the server.
"""

from __future__ import annotations

from ground import secret
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent
from ip_plan.network import Partner
from ip_plan.partners import Boxes

FOLDER = "/etc/jinbao/boxes"
PLACE = "/srv/boxes"
UNIT = "jinbao-boxes.service"
RECEIPT_DAYS = 90
"""How long receipts lie in a box: sample data."""
SLACK_BYTES = 1_000_000
"""What a manifest may take beside the files that the limit counts."""


def host_key(boxes: Boxes) -> str:
    """Name of the secret that the server's own key is made from."""
    return f"ssh/{boxes.device}/boxes"


def fetcher_key(boxes: Boxes) -> str:
    """Name of the secret that the fetching host's key is made from."""
    return f"ssh/{boxes.fetcher}/{boxes.user}"


def body_key(device: str, body: Partner) -> str:
    """The public key of a body: the plan's, or the half of a secret of the host that keeps its box."""
    return body.key or secret.reference(f"ssh/{device}/box-{body.id}", "ssh-public")


def files(intent: Intent) -> list[File]:
    """Settings, accounts, folders, keys and unit of a host with drop boxes."""
    boxes = intent.boxes
    if boxes is None or boxes.device != intent.device.name:
        return []
    role = "boxes"
    accounts = [boxes.account(body) for body in boxes.bodies]
    values = {"boxes": boxes, "accounts": accounts, "folder": FOLDER, "place": PLACE, "days": RECEIPT_DAYS}
    conf = fill("openssh/boxes.conf.j2", **values)
    # The server's own key comes with the files: the host's stands in for it while they are checked.
    check = "/usr/sbin/sshd -t -h /etc/ssh/ssh_host_ed25519_key -f %s"
    limit = max(body.limit_bytes for body in boxes.bodies) + SLACK_BYTES
    unit = fill("openssh/boxes.service.j2", limit=limit, users=[boxes.user, *accounts])
    keys = {boxes.user: secret.reference(fetcher_key(boxes), "ssh-public")}
    keys |= {boxes.account(body): body_key(boxes.device, body) for body in boxes.bodies}
    return [
        File("/etc/sysusers.d/jinbao-boxes.conf", fill("openssh/boxes.sysusers.j2", **values), role, unit=UNIT, action="restart"),
        File("/etc/tmpfiles.d/jinbao-boxes.conf", fill("openssh/boxes.tmpfiles.j2", **values), role, unit=UNIT, action="restart"),
        File("/etc/ssh/jinbao-boxes.conf", conf, role, validator=check, unit=UNIT, action="restart"),
        File(f"/etc/systemd/system/{UNIT}", unit, role, unit=UNIT, action="restart"),
        File(f"{FOLDER}/host_key", f"{secret.reference(host_key(boxes), 'ssh-private')}\n", role, mode="0600", unit=UNIT, action="restart"),
        *(File(f"{FOLDER}/keys/{account}", f"{key}\n", role) for account, key in keys.items()),
    ]  # fmt: skip
