"""A Debian 12 without any network, set up from a bundle: plans, configuration and proof; at this machine's speed also the engine
and the twin's machines.

The bundle is made from the last commit: with changes that are not committed, `./run bundle` says so.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stacks.twin import image
from tests.full import machine

REPOSITORY = Path(__file__).resolve().parents[2]
PLANS = {"plan compile --confirm pilot": "", "config render": "", "config prove": ""}
TWIN = {
    "stack preview 640100; test $? -eq 1": "18 would change",
    "twin up --bare": "",
    "twin shell 640100-exch1 'named -v'": "BIND 9.18",
    "twin down": "",
}
"""Command → what it says among other things."""
KINDS = {"container": (machine.container, PLANS | TWIN, 1.0), "emulator": (machine.emulator, PLANS, 10.0)}
"""How the machine is made, what is run on it, and how many times as long that may take."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "bundle"
    subprocess.run([REPOSITORY / "run", "bundle", made], check=True)
    return made


@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_without_a_network_is_set_up(kind: str, bundle: Path, tmp_path: Path) -> None:
    make, commands, slower = KINDS[kind]
    mirror = urlsplit(image.own_mirror().url)
    address = (socket.gethostbyname(mirror.hostname or ""), mirror.port or {"http": 80, "https": 443}[mirror.scheme])
    socket.create_connection(address, 20).close()
    with make(tmp_path, bundle, network=False) as run:

        def well(command: str, seconds: float = 1200) -> str:
            started = time.monotonic()
            done = run(command, slower * seconds)
            print(f"$ {command}\n{done.stdout}{kind}: {time.monotonic() - started:.0f} s", flush=True)
            assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"
            return done.stdout

        links = [line.split()[0] for line in well("ip -brief link").splitlines() if line]
        connect = f"python3 -c {shlex.quote(f'import socket; socket.create_connection({address!r}, 20)')}"
        assert "Network is unreachable" in run(connect, 60).stdout
        if kind == "container":
            assert links == ["lo"]
        else:  # SSH comes in by a wire whose other end leads nowhere, whatever route the machine takes
            well(f"ip route add default dev {links[1]} via 10.0.2.2")
            refused = run(connect, 120)
            assert refused.returncode == 1 and "Error" in refused.stdout
            well("ip route del default")
        well("git clone --quiet /srv/bundle/jinbao.git jinbao")

        wheel, deb = (
            next(bundle.glob(each)).relative_to(bundle) for each in ("wheels/msgspec-*", "cache/image/*/nft*")
        )
        well(f"cp -al /srv/bundle damaged && cd damaged && cp {wheel} x && printf x >>x && mv x {wheel} && rm '{deb}'")
        refused = run("jinbao/run setup --from damaged", slower * 300)
        assert refused.returncode == 2
        assert f"{wheel}: FAILED" in refused.stdout and f"{deb}: FAILED" in refused.stdout
        well("! test -e jinbao/.venv && ! test -e /var/cache/jinbao && ! command -v nft && rm -r damaged")

        well("jinbao/run setup --from /srv/bundle")
        settings = "export PATH=$PWD/.venv/bin:$PATH JINBAO_PLAN=pilot JINBAO_AT=twin:far"
        for command, said in commands.items():
            assert said in well(f"cd jinbao && {settings} && jinbao {command}")
        assert "installing" not in well("jinbao/run setup")
