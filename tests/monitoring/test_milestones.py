"""What a line says, for every kind of evidence: good, missing, failing, stale, contradictory, incomplete, of another target."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground import clock
from ground.record import Record, Result, Subject
from ip_plan import regions as divisions
from ip_plan.network import Network
from monitoring.catalogue import Attestation, shipped
from monitoring.milestones import Line, evaluate, seen_regions
from tests.monitoring.sample import GROUPS, NOW, TARGET, entries, everything, network, record, regions


def judged(
    records: Iterable[Record],
    *,
    plan: Network | None = None,
    minutes: float = 0,
    divided: Mapping[str, divisions.Region] | None = None,
    **more: object,
) -> dict[tuple[str, str], Line]:
    """Lines by milestone and region."""
    lines = evaluate(
        plan or network(), divided or ningxia(), entries(records), shipped(), NOW + timedelta(minutes=minutes), TARGET,
        **{"groups": GROUPS, **more},  # type: ignore[arg-type]
    )  # fmt: skip
    return {(line.milestone, line.region): line for line in lines}


def change(records: Iterable[Record], check: str, region: str, **values: object) -> list[Record]:
    """The records, with those of one check and region changed."""
    return [
        msgspec.structs.replace(one, **values) if (one.check, one.subject.region) == (check, region) else one
        for one in records
    ]


@cache
def ningxia() -> dict[str, divisions.Region]:
    """The ministry and one province: enough for most questions."""
    return {code: one for code, one in regions().items() if code.startswith("64") or code == "000000"}


PRODUCTION = ("S3-4-1.production", "640100")
CITY = ("MS-2-01.city", "640100")


def test_a_milestone_that_a_machine_decides_is_reached_when_all_of_it_holds() -> None:
    line = judged(everything())[PRODUCTION]
    assert (line.state, line.operating_now) == ("reached", "yes")
    assert line.reached_on == clock.stamp(NOW - timedelta(minutes=10))
    assert (line.probe.state, line.data.state, line.attestation.state) == ("held", "held", "not-needed")
    assert {entry.record.check for entry in line.probe.evidence} == {"zone.probe"}
    assert {entry.record.check for entry in line.data.evidence} == {"database.answers"}


def test_what_needs_a_signature_stays_undecided_without_one() -> None:
    line = judged(everything())[CITY]
    assert (line.state, line.operating_now, line.reached_on) == ("undecided", "yes", "")
    assert (line.probe.state, line.data.state, line.attestation.state) == ("held", "held", "awaited")


def test_a1_shows_its_precondition_and_stays_undecided() -> None:
    line = judged(everything())["A1", "640100"]
    assert (line.state, line.probe.state, line.probe.held, line.probe.expected) == ("undecided", "held", 2, 2)


def signed(milestone: str, region: str, on: date, target: str = TARGET) -> Attestation:
    return Attestation(milestone, region, "覆盖全部参保人员", "某办公室", "a.pdf", "0" * 64, on, target)


def test_a_signature_completes_a_line_and_dates_it() -> None:
    line = judged(everything(), attestations=[signed(*CITY, date(2026, 11, 1))])[CITY]
    assert (line.state, line.attestation.state) == ("reached", "held")
    assert line.reached_on == clock.stamp(NOW - timedelta(minutes=10)), "the network came after the signature"
    late = judged(everything(minutes=-2000), attestations=[signed(*CITY, date(2026, 11, 20))], minutes=-1500)[CITY]
    assert late.state == "undecided", "a signature of tomorrow is none"


def test_an_office_speaks_of_the_world_and_not_of_a_rehearsal() -> None:
    line = judged(everything(), attestations=[signed(*CITY, date(2026, 11, 1), "production")])[CITY]
    assert line.attestation.state == "awaited"


def test_a_signature_alone_is_not_enough() -> None:
    line = judged([], attestations=[signed(*CITY, date(2026, 11, 1))])[CITY]
    assert (line.state, line.probe.state, line.attestation.state) == ("not-observed", "not-observed", "held")


def spoil(check: str, **values: object) -> Callable[[list[Record]], list[Record]]:
    return lambda records: change(records, check, "640100", **values)


def old(check: str) -> Callable[[list[Record]], list[Record]]:
    return spoil(check, time=clock.stamp(NOW - timedelta(hours=25)))


def without(check: str) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [one for one in records if (one.check, one.subject.region) != (check, "640100")]


def contradicted(records: list[Record]) -> list[Record]:
    found = [one for one in records if one.check == "zone.probe" and one.subject.region == "640100"]
    return records + [msgspec.structs.replace(one, result="fail", observer="640000-r2") for one in found]


@pytest.mark.parametrize(
    ("evidence", "state", "operating", "reason"),
    [
        (without("zone.probe"), "not-observed", "not-observed", "no record"),
        (spoil("zone.probe", result="fail", reason="no such route"), "not-reached", "no", "no such route"),
        (spoil("zone.probe", result="error", reason="timeout"), "not-observed", "not-observed", "timeout"),
        (spoil("zone.probe", result="not-observed", reason="no way in"), "not-observed", "not-observed", "no way in"),
        (spoil("zone.probe", result="waived", reason="until June"), "not-reached", "no", "waived: until June"),
        (spoil("zone.probe", seen=2, expected=3), "not-observed", "not-observed", "says pass on 2 of 3"),
        (spoil("zone.probe", seen=0, expected=0), "not-observed", "not-observed", "says pass on 0 of 0"),
        (spoil("zone.probe", time="2026-11-20T12:06:00.000Z"), "not-observed", "not-observed", "still to come"),
        (spoil("zone.probe", target="production"), "not-observed", "not-observed", "no record"),
        (spoil("zone.probe", target="twin:other"), "not-observed", "not-observed", "no record"),
        (contradicted, "not-observed", "not-observed", "contradictory: record"),
        (without("database.answers"), "not-observed", "not-observed", "no record"),
        (spoil("database.answers", result="fail", reason="refused"), "not-reached", "no", "refused"),
    ],
)  # fmt: skip
def test_evidence_that_is_not_a_pass_is_not_counted_and_says_why(
    evidence: Callable[[list[Record]], list[Record]], state: str, operating: str, reason: str
) -> None:
    line = judged(evidence(everything()))[PRODUCTION]
    assert (line.state, line.operating_now, line.reached_on) == (state, operating, "")
    assert reason in line.reason


def test_old_evidence_is_stale_now_and_stays_history() -> None:
    line = judged(old("zone.probe")(everything()))[PRODUCTION]
    assert (line.probe.state, line.operating_now) == ("stale", "stale")
    assert line.reached_on == "" and line.state == "stale", "the two parts never held at the same time"
    whole = judged(everything(), minutes=25 * 60)[PRODUCTION]
    assert (whole.state, whole.operating_now) == ("reached", "stale")
    assert whole.reached_on == clock.stamp(NOW - timedelta(minutes=10))


def test_a_record_of_another_plan_is_stale() -> None:
    keys = {(one.check, one.subject): "another" for one in everything() if one.check == "zone.probe"}
    line = judged(everything(), keys=keys)[PRODUCTION]
    assert (line.state, line.operating_now, line.reached_on) == ("stale", "stale", "")
    assert "the plan has changed since" in line.reason


def test_what_left_the_plan_says_nothing() -> None:
    gone = record("zone.probe", Subject("640100", "640100:centre1", "production", peer="640100:centre1:dr"), "fail")
    left = record("database.answers", Subject("640100", "640100:centre1", "production", device="640100-old1"), "fail")
    lines = judged([*everything(), gone, left])
    assert lines[PRODUCTION].operating_now == "yes"


def test_a_zone_that_the_plan_does_not_give_is_not_reached() -> None:
    line = judged([], plan=network(without="decision"))["S3-4-1.decision", "640300"]
    assert (line.state, line.operating_now) == ("not-reached", "no")
    assert "no decision zone" in line.reason


def test_zones_are_kept_apart_only_when_each_pair_was_probed() -> None:
    separated = ("S3-4-1.separated", "640100")
    assert judged(everything())[separated].state == "reached"
    one = Subject("640100", "640100:centre1", "decision", peer="640100:centre1:production")
    unseen = [r for r in everything() if not (r.check == "zone.probe" and r.subject == one)]
    line = judged(unseen)[separated]
    assert (line.state, line.operating_now, line.probe.seen, line.probe.expected) == (
        "not-observed",
        "not-observed",
        5,
        6,
    )
    broken = [msgspec.structs.replace(r, result="fail") if r.subject == one else r for r in everything()]
    assert judged(broken)[separated].state == "not-reached"


def bgp(code: str, peer: str, result: Result, minutes: float = -1) -> Record:
    subject = Subject("640100", "640100:centre1", device=f"{code}-r1", peer=peer)
    return record("bgp.session", subject, result, minutes=minutes, observer=subject.device)


def test_one_of_two_lines_is_enough_and_the_other_is_said() -> None:
    backup = [bgp("640100", "640000-r2", "fail")]
    line = judged(everything() + backup)[CITY]
    assert line.probe.state == "held"
    assert "bgp.session says fail" in line.probe.reason


def test_both_lines_cut_means_not_operating_and_the_rest_is_not_observed() -> None:
    cut = [bgp("640000", "640100-r1", "fail"), bgp("640100", "640000-r1", "not-observed")]
    cut += [
        msgspec.structs.replace(one, result="not-observed", reason="640100 is not reached", time=clock.stamp(NOW))
        for one in everything()
        if one.subject.region == "640100" and one.check != "bgp.session"
    ]
    before = [signed(*CITY, date(2026, 11, 1))]
    line = judged(everything() + cut, attestations=before)[CITY]
    assert (line.state, line.operating_now) == ("reached", "no"), "history stays, operation does not"
    assert (line.probe.state, line.data.state) == ("not-held", "not-observed")
    back = [bgp("640000", "640100-r1", "pass", 1), bgp("640100", "640000-r1", "pass", 1)]
    back += [msgspec.structs.replace(one, time=clock.stamp(NOW + timedelta(minutes=1))) for one in everything()]
    after = judged(everything() + cut + back, attestations=before, minutes=2)[CITY]
    assert (after.operating_now, after.reached_on) == ("yes", line.reached_on)


def test_a_share_counts_the_division_data_and_not_the_plan() -> None:
    line = judged(everything())["MS-4-00.reach", "640100"]
    many = [r for r in regions().values() if r.code.startswith("6401") and r.level in ("county", "township")]
    many = [r for r in many if r.kind != "statistical"]
    assert (line.probe.held, line.probe.seen, line.probe.expected) == (2, 2, len(many))
    assert line.state == "not-reached" and "without evidence" in line.reason


def test_ningxia_has_five_cities_of_which_two_are_shown() -> None:
    lines = judged(everything())
    line = lines["MS-2-01.cities", "640000"]
    assert (line.probe.held, line.probe.expected, line.data.held) == (2, 5, 2)
    assert line.state == "not-reached" and "2 / 5" in line.reason
    network_line = lines["MS-2-01.network", "640000"]
    assert (network_line.probe.held, network_line.probe.expected, network_line.state) == (3, 6, "not-reached")


def test_a_third_of_31_is_eleven_and_the_corps_is_not_among_them() -> None:
    line = judged(everything(), divided=regions())["MS-2-01", "000000"]
    assert line.probe.expected == 31 and line.probe.held == 0
    assert ("MS-2-01.province", "BT0000") not in judged([], divided=regions())
    assert ("S3-4-1.production", "BT0000") in judged([], divided=regions())


def test_regions_by_group_are_those_of_the_plan() -> None:
    lines = judged(everything(), divided=regions())
    assert lines["MS-4-00.west", "000000"].probe.expected == 5, "the five cities of Ningxia"
    assert lines["MS-4-00.east", "000000"].probe.expected == 1, "Beijing is a city of its own"
    assert lines["MS-4-00.central", "000000"].state == "not-observed"
    assert "no province in group Central" in lines["MS-4-00.central", "000000"].reason


def test_a_number_that_no_source_gives_is_not_made_up() -> None:
    line = judged(everything())["MS-2-02", "000000"]
    assert line.state in ("not-observed", "not-reached") and "no source says how many" in line.reason


def test_publishing_is_decided_by_the_own_log() -> None:
    key = ("MS-2-12", "000000")
    assert judged(everything())[key].state == "not-observed"
    published = [record("rollout.published", Subject("000000"))]
    assert judged(everything() + published)[key].state == "reached"
    assert judged(published, minutes=93 * 24 * 60)[key].operating_now == "stale"


def test_lateness_is_counted_against_the_plan_and_never_against_the_source() -> None:
    late = judged(everything(), plan=network(calendar=(("MS-2-01", "2026-11-19"),)))
    assert late[CITY].planned == "2026-11-19" and late[CITY].late
    assert not judged(everything(), plan=network(calendar=(("MS-2-01.city", "2026-11-20"),)))[CITY].late
    assert not judged(everything())[CITY].late, "2003 is long past"


def test_regions_without_evidence_are_not_among_the_seen_ones() -> None:
    lines = judged(everything())
    assert set(seen_regions(lines.values())) == {"000000", "640000", "640100", "640300"}
    assert set(seen_regions(judged([]).values())) == set()


def test_denominators_are_those_of_the_division_data() -> None:
    lines = judged([], divided=regions())
    cities = [region for milestone, region in lines if milestone == "MS-2-01.city"]
    assert len(cities) == divisions.denominator(regions(), "prefecture", municipalities=True) == 337
    assert sum(milestone == "MS-2-01.province" for milestone, _ in lines) == 31
    reach = sum(line.probe.expected for (milestone, _), line in lines.items() if milestone == "MS-4-00.reach")
    corps = sum(1 for r in regions().values() if r.level in ("county", "township") and _corps(r.code))
    counted = divisions.denominator(regions(), "county") + divisions.denominator(regions(), "township") - corps
    hanging = sum(1 for r in regions().values() if r.level in ("county", "township") and _direct(r.code))
    assert reach == counted - hanging


def _corps(code: str) -> bool:
    unit = divisions.province_of(regions(), code)
    return unit is not None and unit.kind == "corps"


def _direct(code: str) -> bool:
    """Counties (and their townships) that hang on a province directly, so that no city covers them."""
    above = [region for region in divisions.ancestors(regions(), code)]
    province = above[-2]
    grouped = any(region.kind == "grouping" for region in above)
    return grouped and province.kind not in ("municipality", "corps")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["fail", "error", "not-observed", "waived"])), max_size=40)
)
def test_spoiling_any_record_never_makes_a_line_better(spoiled: list[tuple[int, str]]) -> None:
    records = [one for one in everything() if one.subject.region.startswith("6401")]
    good = judged(records)
    for number, result in spoiled:
        records[number % len(records)] = msgspec.structs.replace(records[number % len(records)], result=result)
    for key, line in judged(records).items():
        if line.operating_now == "yes":
            assert good[key].operating_now == "yes"
        if line.state == "reached":
            assert good[key].state == "reached"
