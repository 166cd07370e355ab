"""A proof as records: one for each pair of sites, filters and routes apart, and one for the names of each that serves any."""

from __future__ import annotations

from ground import clock
from ground.record import Record, Result, Subject
from inventory.proof import names
from inventory.proof.finding import Finding
from inventory.proof.proving import Proof
from ip_plan.network import Network, Site

METHOD = "rendered text"


def records(network: Network, proof: Proof, target: str, *, tool: str, time: str | None = None) -> list[Record]:
    """One record for each pair of related sites and each site against all others (filters), each pair (routes), each zone (names)."""
    now = time or clock.now()
    found: list[Record] = []
    ports = len({port for flow in network.flows for port in flow.ports}) + 1
    bad = {mistake.file for mistake in proof.mistakes}

    def state(sites: tuple[str, ...], failing: list[Finding]) -> tuple[Result, str]:
        devices = [d for d in network.devices.values() if d.site in sites and d.role != "host"]
        missing = [d.name for d in devices if d.name not in proof.readings]
        if failing:
            return "fail", "; ".join(f"{f.file}:{f.line} {f.found}" for f in failing[:3])
        if missing:
            return "not-observed", f"not in the tree: {', '.join(missing[:5])}"
        unread = [d.name for d in devices if any(t.path in bad for t in proof.readings[d.name].texts.values())]
        if unread:
            return "error", f"text that cannot be read: {', '.join(unread[:5])}"
        return "pass", ""

    def add(check: str, one: Site, peer: str, sites: tuple[str, ...], failing: list[Finding], count: int) -> None:
        result, reason = state(sites, failing)
        key = network.key_of(check, network.flows, [network.known_sites[key] for key in sites])
        seen = count if result in ("pass", "fail") else 0
        found.append(
            Record(
                check, Subject(one.region, one.key, peer=peer), target, "controller", METHOD, now, tool, key, result, reason,
                seen, count,
            )
        )  # fmt: skip

    filters = [f for f in proof.findings if f.code in ("JB2403", "JB2404")]
    routed = [f for f in proof.findings if "JB2410" <= f.code <= "JB2419"]
    named = [f for f in proof.findings if "JB2420" <= f.code <= "JB2425"]

    def site_of(finding: Finding) -> str:
        return network.devices[finding.subject].site if finding.subject in network.devices else ""

    for site in network.sites.values():
        if not any(name in proof.readings for name in site.devices):
            continue
        for other in (site, *network.related(site, "serving-parent"), *network.related(site, "served-child")):
            if other.key not in network.sites:
                continue
            pair = {site.key, other.key}
            mine = [
                f
                for f in filters
                if site_of(f) in pair and (not f.source or not f.target or {_site(f.source), _site(f.target)} == pair)
            ]
            add(
                "proof.filter",
                site,
                other.key,
                tuple(sorted(pair)),
                mine,
                len(site.zones) * len(other.zones) * 2 * ports,
            )
            wanted = [need for need in proof.ways if need.site == site.key and _site(need.target) == other.key]
            if wanted:
                lost = [
                    f for f in routed if site_of(f) in pair or (f.source == site.key and _site(f.target) == other.key)
                ]
                add("proof.route", site, other.key, tuple(sorted(pair)), lost, len(wanted))
        related = {site.key, *(o.key for r in ("serving-parent", "served-child") for o in network.related(site, r))}
        strangers = [
            f
            for f in filters
            if site_of(f) == site.key and f.source and f.target and not {_site(f.source), _site(f.target)} <= related
        ]
        others = sum(len(o.zones) for o in network.known_sites.values() if o.key not in related)
        add("proof.filter", site, "elsewhere", (site.key,), strangers, len(site.zones) * others * 2 * ports)
        if names.servers(network, site):
            zones = [z for name in site.devices if name in proof.readings for z in proof.readings[name].zones]
            count = sum(len(file.entries) for _, file in zones)
            add("proof.names", site, "", (site.key,), [f for f in named if site_of(f) == site.key], count)
    return found


def _site(end: str) -> str:
    return end.rpartition(":")[0]
