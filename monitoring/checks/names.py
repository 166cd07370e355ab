"""`dns.forward` and `dns.reverse`: every host asks the name server it is told to ask, over both families, for services of its own
centre, of the one above and of another branch, by name and by address.
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename
import msgspec

from ground.record import Measure, Record
from ip_plan.network import Device, Network, Service, Site
from monitoring.checks import exchange
from monitoring.checks.crew import Crew
from monitoring.checks.look import Found, Look, addresses, hosts, serving_exchange, some, subject

FORWARD, REVERSE = "dns.forward", "dns.reverse"
METHOD = "DNS query over UDP to the name server of the host's centre, over both families"
ANSWERED = ("A", "AAAA", "PTR")


class Question(msgspec.Struct, frozen=True):
    """A name or address, and the one answer that is right."""

    server: str
    name: str
    kind: str
    right: str
    whose: str
    """Site the answer belongs to."""


def known(network: Network, site: Site) -> list[Service]:
    """Services whose names a host of `site` asks for: two of its centre's, two of the one above, one of another branch."""
    centre = serving_exchange(network, site)
    if centre is None:
        return []
    above, aside = network.known_sites.get(centre.parent), _other_branch(network, centre)
    found = [network.service(centre.key, zone, name) for zone, name in (("production", "app"), ("exchange", "dns"))]
    if above:
        found += [network.service(above.key, "exchange", name) for name in ("exchange", "dns")]
    if aside:
        found.append(network.service(aside.key, "exchange", "exchange"))
    return [one for one in found if one]


def _other_branch(network: Network, centre: Site) -> Site | None:
    """A running centre that is neither `centre` nor on its way up or below it."""
    kin = {centre.key, centre.parent, *(child.key for child in network.children.get(centre.key, ()))}
    others = [site for site in network.running() if site.kind == "centre" and site.key not in kin]
    return min(others, key=lambda site: site.key, default=None)


def questions(network: Network, host: Device) -> list[Question]:
    """What `host` asks, each over both families; empty where no name server serves it."""
    site = network.sites[host.site]
    centre = serving_exchange(network, site)
    server = network.service(centre.key, "exchange", "dns") if centre else None
    if server is None:
        return []
    return [
        question
        for address in (server.v4, server.v6)
        for one in known(network, site)
        for question in (
            Question(address, one.fqdn, "A", one.v4, one.site),
            Question(address, one.fqdn, "AAAA", one.v6, one.site),
            Question(address, _reverse(one.v4), "PTR", one.fqdn, one.site),
            Question(address, _reverse(one.v6), "PTR", one.fqdn, one.site),
        )
    ]


def _reverse(address: str) -> str:
    return dns.reversename.from_address(address).to_text(omit_final_dot=True)


def run(look: Look, crew: Crew) -> Found:
    """Ask everything at once; two records a host."""
    listed = {host.name: (host, questions(look.network, host)) for host in hosts(look.network)}
    look.told(f"names: {sum(len(asked) for _, asked in listed.values())} questions")
    queries = {
        name: [
            exchange.Ask(addresses(host)["6" if ":" in q.server else "4"], q.server, 53, _query(number, q))
            for number, q in enumerate(asked)
        ]
        for name, (host, asked) in listed.items()
    }
    replies, absent = exchange.ask(crew, queries)
    records = []
    for name, (host, asked) in listed.items():
        said: list[str | None] = [
            None if reply is None else read(reply.data, question.kind)
            for reply, question in zip(replies.get(name, []), asked, strict=False)
        ]
        for check in (FORWARD, REVERSE):
            picked = [number for number, q in enumerate(asked) if (q.kind == "PTR") == (check == REVERSE)]
            answers = [said[number] for number in picked] if name not in absent else None
            records.append(
                judge(look, check, host, [asked[number] for number in picked], answers, absent.get(name, ""))
            )
    return Found(tuple(records))


def _query(number: int, question: Question) -> bytes:
    query = dns.message.make_query(question.name, question.kind, id=number)
    return query.to_wire()


def rows(data: bytes, kind: str) -> list[str] | str:
    """The records of that type in a reply, as text and in its order; in angle brackets what it says instead."""
    try:
        message = dns.message.from_wire(data)
    except dns.exception.DNSException as why:
        return f"<unreadable: {why}>"
    if message.rcode() != dns.rcode.NOERROR:
        return f"<{dns.rcode.to_text(message.rcode())}>"
    wanted = dns.rdatatype.from_text(kind)
    return [row.to_text() for answer in message.answer if answer.rdtype == wanted for row in answer] or "<nothing>"


def read(data: bytes, kind: str) -> str:
    """The answers of a reply, sorted and joined by blanks; in angle brackets what it says instead."""
    found = rows(data, kind)
    return found if isinstance(found, str) else " ".join(sorted(row.rstrip(".") for row in found)) or "<nothing>"


def judge(
    look: Look, check: str, host: Device, asked: Sequence[Question], said: Sequence[str | None] | None, why: str
) -> Record:
    """The record of one host. `said`: one answer a question, None where none came; None altogether: the host was not asked."""
    site = look.network.sites[host.site]
    wrong = [
        f"{question.name} {question.kind} at {question.server}: {answer or 'no answer'}, not {question.right}"
        for question, answer in zip(asked, said or (), strict=False)
        if answer != question.right
    ]
    if not asked:
        result, reason = "error", "the plan has no name server for this site"
    elif said is None:
        result, reason = "not-observed", why
    elif wrong:
        result, reason = "fail", f"{len(wrong)} of {len(asked)} wrong: {some(wrong)}"
    else:
        centres = len({question.whose for question in asked})
        result, reason = "pass", f"all {len(asked)} answers right, of {centres} centres"
    return look.record(
        check,
        subject(site, zone=host.zone, device=host.name),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=tuple(asked),
        observer=host.name,
        seen=0 if said is None else len(said),
        expected=len(asked),
        measures=() if said is None else (Measure("wrong", "answers", len(wrong), 0.0),),
    )
