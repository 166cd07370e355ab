"""A Debian 12 without any network, set up from a bundle: plans, configuration and proof, the engine, the twin's machines.

The bundle is made from the last commit: with changes that are not committed, `./run bundle` says so.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stacks.twin import image
from tests.full import machine

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = {
    "plan compile --confirm pilot": "",
    "config render": "",
    "config prove": "",
    "stack preview 640100; test $? -eq 1": "18 would change",
    "twin up --bare": "",
    "twin shell 640100-exch1 'named -v'": "BIND 9.18",
    "twin down": "",
}
"""Command → what it says among other things."""


@pytest.mark.timeout(2 * 3600)
def test_a_machine_without_a_network_is_set_up(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    subprocess.run([REPOSITORY / "run", "bundle", bundle], check=True)
    mirror = urlsplit(image.own_mirror().url)
    address = (socket.gethostbyname(mirror.hostname or ""), mirror.port or {"http": 80, "https": 443}[mirror.scheme])
    socket.create_connection(address, 20).close()
    with machine.container(tmp_path, bundle, network=False) as run:

        def well(command: str, seconds: float = 1200) -> str:
            done = run(command, seconds)
            print(f"$ {command}\n{done.stdout}")
            assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"
            return done.stdout

        assert [line.split()[0] for line in well("ip -brief link").splitlines() if line] == ["lo"]
        connect = f"import socket; socket.create_connection({address!r}, 20)"
        assert "Network is unreachable" in run(f"python3 -c {shlex.quote(connect)}", 60).stdout
        well("git clone --quiet /srv/bundle/jinbao.git jinbao")

        wheel, deb = (
            next(bundle.glob(each)).relative_to(bundle) for each in ("wheels/msgspec-*", "cache/image/*/nft*")
        )
        well(f"cp -al /srv/bundle damaged && cd damaged && cp {wheel} x && printf x >>x && mv x {wheel} && rm '{deb}'")
        refused = run("jinbao/run setup --from damaged", 300)
        assert refused.returncode == 2
        assert f"{wheel}: FAILED" in refused.stdout and f"{deb}: FAILED" in refused.stdout
        well("! test -e jinbao/.venv && ! test -e /var/cache/jinbao && ! command -v nft && rm -r damaged")

        well("jinbao/run setup --from /srv/bundle")
        settings = "export PATH=$PWD/.venv/bin:$PATH JINBAO_PLAN=pilot JINBAO_AT=twin:far"
        for command, said in COMMANDS.items():
            assert said in well(f"cd jinbao && {settings} && jinbao {command}")
        assert "installing" not in well("jinbao/run setup")
