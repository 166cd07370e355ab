"""Takes a leaf–spine fabric through pyavd: inputs checked, structured, configuration as text; runs in the environment of peers.lock."""

import argparse
import json
from typing import Any

SPINES, VLANS = 2, 20


def fabric(devices: int) -> dict[str, dict[str, Any]]:
    """Host → inputs of an L3LS EVPN fabric: leaves in pairs, each with the same networks of one tenant."""
    numbers = range(1, devices - SPINES + 1)
    spines = [f"spine{number}" for number in range(1, SPINES + 1)]
    ports = [f"Ethernet{number}" for number in range(1, SPINES + 1)]
    leaves = [
        {
            "name": f"leaf{number}",
            "id": number,
            "mgmt_ip": f"172.16.{number // 200}.{number % 200 + 10}/16",
            "uplink_switch_interfaces": [f"Ethernet{number}"] * SPINES,
        }
        for number in numbers
    ]
    groups = [
        {"group": f"rack{at // 2 + 1}", "bgp_as": str(65101 + at // 2), "nodes": leaves[at : at + 2]}
        for at in range(0, len(leaves), 2)
    ]
    networks = [
        {"id": 10 + number, "name": f"net{number}", "enabled": True, "ip_address_virtual": f"10.{number}.0.1/24"}
        for number in range(1, VLANS + 1)
    ]
    common: dict[str, Any] = {
        "fabric_name": "fabric",
        "underlay_routing_protocol": "ebgp",
        "mgmt_gateway": "172.16.0.1",
        "spine": {
            "defaults": {"platform": "vEOS-lab", "loopback_ipv4_pool": "10.255.0.0/24", "bgp_as": "65100"},
            "nodes": [
                {"name": name, "id": number, "mgmt_ip": f"172.16.250.{number}/16"}
                for number, name in enumerate(spines, 1)
            ],
        },
        "l3leaf": {
            "defaults": {
                "platform": "vEOS-lab",
                "loopback_ipv4_pool": "10.252.0.0/16",
                "vtep_loopback_ipv4_pool": "10.253.0.0/16",
                "uplink_switches": spines,
                "uplink_interfaces": ports,
                "uplink_ipv4_pool": "10.254.0.0/16",
                "mlag_interfaces": ["Ethernet5", "Ethernet6"],
                "mlag_peer_ipv4_pool": "10.250.0.0/16",
                "mlag_peer_l3_ipv4_pool": "10.249.0.0/16",
                "virtual_router_mac_address": "00:1c:73:00:00:99",
                "spanning_tree_priority": 4096,
            },
            "node_groups": groups,
        },
        "tenants": [
            {"name": "tenant", "mac_vrf_vni_base": 10000, "vrfs": [{"name": "vrf", "vrf_vni": 10, "svis": networks}]}
        ],
    }
    kinds = {**dict.fromkeys(spines, "spine"), **{f"leaf{number}": "l3leaf" for number in numbers}}
    return {name: {**common, "inventory_hostname": name, "type": kind} for name, kind in kinds.items()}


def main() -> None:
    """Print how many devices went through, and how many lines came out."""
    import pyavd  # type: ignore[import-not-found,unused-ignore]

    parser = argparse.ArgumentParser()
    parser.add_argument("devices", type=int)
    parser.add_argument("--check", action="store_true", help="check the inputs, no more")
    given = parser.parse_args()
    inputs: dict[str, Any] = {}
    for name, said in fabric(given.devices).items():
        checked = pyavd.validate_inputs(said)
        if checked.validated_data is None:
            raise SystemExit(f"{name}: {checked.validation_result}")
        inputs[name] = checked.validated_data
    lines = 0
    if not given.check:
        facts = pyavd.get_avd_facts(inputs)
        for name, said in inputs.items():
            structured = pyavd.get_device_structured_config(name, said, facts)
            lines += pyavd.get_device_config(structured).count("\n")
    print(json.dumps({"units": len(inputs), "lines": lines}))


if __name__ == "__main__":
    main()
