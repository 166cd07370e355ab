"""A rule put into a real firewall by hand is fetched, adopted into the plan, and no difference is left after the deployment."""

from __future__ import annotations

from pathlib import Path

import yaml

from inventory.dialects.nftables.running import DIALECT as NFTABLES
from tests.ip_plan.test_exceptions import lay
from tests.playbooks.drift import FIREWALL, Drift

RULE = 'iifname "z-management" oifname "z-production" tcp dport 8443 counter accept'
FORBIDDEN = 'iifname "z-external" oifname "z-production" tcp dport 8443 counter accept'


def test_a_rule_of_an_emergency_becomes_the_plans(drift: Drift, tmp_path: Path) -> None:
    for rule in (RULE, FORBIDDEN):
        drift.says(FIREWALL, f"nft insert rule inet zone forward {rule}")
    assert drift.jinbao("config", "fetch", "--limit", FIREWALL).returncode == 0
    entries = tmp_path / "entries.yml"
    adopted = drift.jinbao("config", "adopt", FIREWALL, "--to", str(entries))
    assert adopted.returncode == 1 and "JB2430" in adopted.stderr and "NO-16" in adopted.stderr
    (entry,) = yaml.safe_load(entries.read_text())["exceptions"]

    plan = lay(tmp_path / "plan", entry, name="adopted")
    blank = drift.jinbao("plan", "check", "--plan", plan, at=False)
    assert blank.returncode == 2 and blank.stderr.count("JB1014") == 4
    lay(tmp_path / "plan", entry | dict(requester="a", reason="an outage", approver="b", ticket="T-1"), name="adopted")
    assert drift.jinbao("plan", "check", "--plan", plan, at=False).returncode == 0
    rendered = drift.jinbao("config", "render", "--plan", plan, "--device", FIREWALL)
    assert rendered.returncode == 0, rendered.stderr
    done = drift.jinbao("deploy", "--remediate", "--plan", plan, "--limit", FIREWALL, "--confirm", "adopted")
    assert done.returncode == 0, done.stdout + done.stderr
    assert drift.jinbao("config", "fetch", "--plan", plan, "--limit", FIREWALL).returncode == 0
    assert drift.jinbao("config", "diff", "--plan", plan, "--limit", FIREWALL).returncode == 0
    running = drift.says(FIREWALL, NFTABLES.show)
    assert (
        f'tcp dport 8443 counter accept comment "{entry["id"]}"' in running
        and '"z-external" oifname "z-production"' not in running
    )
    assert drift.jinbao("deploy", "--remediate", "--limit", FIREWALL, "--confirm", "pilot").returncode == 0
