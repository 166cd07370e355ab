"""What the desk answers and what it refuses: nothing twice, nothing unsigned, nothing out of time, and all of it recorded."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.dialects import answering, nginx
from inventory.dialects.answering import Away, Refused
from inventory.dialects.desk import desk
from inventory.dialects.desk.desk import answered
from ip_plan import catalogue
from tests.inventory.desk.counter import NOW, PERSON, QUESTIONS, Counter, request, signature

DAY = datetime.timedelta(days=1)
Asked = tuple[bytes, str | None, str]


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path)


def at(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def plain(**changes: Any) -> Callable[[Counter], Asked]:
    """A request that is signed well, with keys said otherwise."""
    return lambda counter: (request(**changes), None, "bank1")


def replayed(counter: Counter) -> Asked:
    data = request()
    assert counter.ask(data)[0] == 200
    counter.moment += datetime.timedelta(seconds=20)
    return data, None, "bank1"


def replayed_after_a_restart(counter: Counter) -> Asked:
    asked = replayed(counter)
    counter.desk = counter.opened()
    return asked


def same_nonce(counter: Counter) -> Asked:
    assert counter.ask(request("A-1", nonce="ab" * 16))[0] == 200
    return request("A-2", nonce="ab" * 16), None, "bank1"


def same_id(counter: Counter) -> Asked:
    assert counter.ask(request("A-1"))[0] == 200
    return request("A-1", nonce="cd" * 16, about={"person": PERSON, "kind": "pension"}), None, "bank1"


def changed(counter: Counter) -> Asked:
    return request(), signature(counter.folder, request(id="another")), "bank1"


def of_another(counter: Counter) -> Asked:
    return request(), signature(counter.folder, request(), "hospital1"), "bank1"


def of_another_purpose(counter: Counter) -> Asked:
    return request(), signature(counter.folder, request(), namespace="file"), "bank1"


def under_a_false_name(counter: Counter) -> Asked:
    data = request(body="hospital1")
    return data, signature(counter.folder, data), "bank1"


def cut(counter: Counter) -> Asked:
    return request()[:-9], None, "bank1"


FAULTS: dict[str, tuple[str, str, Callable[[Counter], Asked]]] = {
    "no JSON": ("JB2964", "no JSON", lambda _: (b"{", None, "bank1")),
    "cut short": ("JB2964", "no JSON", cut),
    "nothing": ("JB2964", "no JSON", lambda _: (b"", None, "bank1")),
    "deep JSON": ("JB2964", "no JSON", lambda _: (b"[" * 4000, None, "bank1")),
    "GB18030": ("JB2964", "no JSON in UTF-8", lambda _: ("银行".encode("gb18030"), None, "bank1")),
    "a zero byte": ("JB2964", "no JSON", lambda _: (b"{\0}", None, "bank1")),
    "a list": ("JB2964", "not of the form", lambda _: (b"[]", None, "bank1")),
    "a key too few": ("JB2964", "not of the form", plain(nonce=None)),
    "a key too many": ("JB2964", "not of the form", plain(account="1")),
    "an id that is SQL": ("JB2964", "id is not", plain(id="x'; drop table outside.request; --")),
    "an id that is a number": ("JB2964", "everything else is text", plain(id=7)),
    "a nonce too short": ("JB2964", "nonce is not", plain(nonce="ab")),
    "a time without zone": ("JB2964", "time is not", plain(time="2026-11-22T08:00:00")),
    "a day that is none": ("JB2964", "no moment", plain(time="2026-02-30T08:00:00Z")),
    "about is a list": ("JB2964", "`about` is an object", plain(about=[])),
    "of another body": ("JB2965", "certificate is that of bank1", under_a_false_name),
    "of no body": ("JB2965", "that of stranger", lambda _: (request(body="stranger"), None, "stranger")),
    "not signed": ("JB2966", "not one of bank1", lambda _: (request(), "", "bank1")),
    "signed with rubbish": ("JB2966", "not one of bank1", lambda _: (request(), "AAAA", "bank1")),
    "a signature that is a command": ("JB2966", "not one", lambda _: (request(), "$(id)\n-n", "bank1")),
    "changed on the way": ("JB2966", "not one of bank1", changed),
    "signed by another body": ("JB2966", "not one of bank1", of_another),
    "signed for something else": ("JB2966", "not one of bank1", of_another_purpose),
    "a clock a day behind": ("JB2967", "86400 s behind", plain(time=at(NOW - DAY))),
    "a clock a day ahead": ("JB2967", "86400 s ahead of", plain(time=at(NOW + DAY))),
    "just too late": ("JB2967", "301 s behind", plain(time=at(NOW - datetime.timedelta(seconds=301)))),
    "replayed": ("JB2968", "answered at 2026-11-22T08:00:00Z", replayed),
    "replayed after a restart": ("JB2968", "asked before", replayed_after_a_restart),
    "the same nonce": ("JB2968", "nonce", same_nonce),
    "the same id, another question": ("JB2968", "asked before", same_id),
    "a question that is none": ("JB2969", "not agreed", plain(ask="wealth")),
    "a question of others": ("JB2969", "not agreed", plain(ask="employed", about={"person": PERSON})),
    "a column for a question": ("JB2969", "not agreed", plain(ask="insurance.participation")),
    "asked by too little": ("JB2970", "asked by person, kind", plain(about={"person": PERSON})),
    "asked by too much": ("JB2970", "asked by person, kind", plain(about={"person": PERSON, "kind": "x", "name": "y"})),
    "asked by a number": ("JB2970", "person is no text", plain(about={"person": 7, "kind": "medical"})),
    "asked by nothing": ("JB2970", "person is no text", plain(about={"person": "", "kind": "medical"})),
    "asked by a line break": ("JB2970", "kind is no text", plain(about={"person": PERSON, "kind": "a\nb"})),
    "a month that is none": (
        "JB2970", "month is no date", plain(ask="benefit", about={"person": PERSON, "kind": "pension", "month": "2026-13-01"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_refused_with_its_code_and_recorded(counter: Counter, fault: str) -> None:
    code, words, prepare = FAULTS[fault]
    data, signed, shown = prepare(counter)
    before = len(counter.kept)
    status, told = counter.ask(data, signed, shown)
    assert (told["result"], told["code"], told["cure"]) == ("refused", code, desk.CURES[code]), told
    assert words in told["reason"] and 400 <= status < 500 and "values" not in told
    (entry,) = counter.kept[before:]
    assert (entry.code, entry.answer) == (code, told) and "\0" not in entry.content
    assert counter.desk.counts[entry.body]["refused"] == {code: 1}


def test_every_code_of_a_refusal_was_seen() -> None:
    assert {code for code, _, _ in FAULTS.values()} == set(desk.CURES)
    assert set(desk.CURES) & set(nginx.REFUSALS) == {"JB2964"}  # what nginx cannot read, and what the desk cannot


def test_a_question_is_answered_once_with_results_only_and_recorded_as_it_was_sent(counter: Counter) -> None:
    data = request()
    status, told = counter.ask(data)
    assert (status, told["result"], told["found"]) == (200, "answered", True)
    assert told["values"] == {"status": "insured", "since": "2020-01-01"}
    (entry,) = counter.kept
    assert (entry.content.encode(), entry.code, entry.body, entry.asked) == (data, "", "bank1", "insured")
    assert entry.signature == signature(counter.folder, data)
    status, told = counter.ask(request("2", about={"person": "990101198001010029", "kind": "medical"}))
    assert (status, told["found"], told["values"]) == (200, False, {})
    assert counter.desk.counts == {"bank1": {"answered": 2, "refused": {}}}


def test_what_was_refused_uses_up_no_id(counter: Counter) -> None:
    assert counter.ask(request(), "")[1]["code"] == "JB2966"  # whoever forges a request spoils no true one
    assert counter.ask(request(time=at(NOW - DAY)))[1]["code"] == "JB2967"
    assert counter.ask(request())[0] == 200


def test_two_bodies_may_use_one_id_and_one_nonce(counter: Counter) -> None:
    data = request(body="hospital1")
    assert counter.ask(request())[0] == 200
    assert counter.ask(data, signature(counter.folder, data, "hospital1"), "hospital1")[0] == 200


def test_a_nonce_is_kept_no_longer_than_its_time_would_do(counter: Counter) -> None:
    assert counter.ask(request("A-1"))[0] == 200
    counter.moment += datetime.timedelta(seconds=601)
    assert counter.ask(request("A-2", time=at(counter.moment)))[0] == 200
    assert [nonce for _, nonce in counter.desk.nonces] == [json.loads(request("A-2"))["nonce"]]


@pytest.mark.parametrize("step", ["before", "find", "keep"])
def test_where_the_database_goes_away_nothing_is_said_and_the_request_may_come_again(
    counter: Counter, step: str
) -> None:
    counter.away = step
    with pytest.raises(Away):
        counter.ask(request())
    assert counter.kept == [] and counter.desk.counts == {}
    waiting = [{"ticket": "t", "body": "bank1", "request": "e30=", "signature": ""}]
    answers, trouble = answered(counter.desk, waiting if step == "keep" else [])
    assert [(each["ticket"], each["status"]) for each in answers] == [("t", 503)] * len(answers)
    assert bool(trouble) == bool(answers)
    counter.away = ""
    assert counter.ask(request())[0] == 200


def test_what_the_front_end_hands_over_is_never_believed(counter: Counter) -> None:
    spoilt = [{"ticket": "t", "body": "bank1", "request": "no base64", "signature": "x"}]
    answers, trouble = answered(counter.desk, spoilt)
    assert (answers[0]["status"], answers[0]["answer"]["code"], trouble) == (422, "JB2964", "")


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="JB2964"):
        desk.read(data)


@given(st.dictionaries(st.sampled_from(["person", "kind", "month", "name"]), st.text(max_size=20) | st.integers()))
def test_any_values_are_taken_as_they_are_or_refused(about: dict[str, Any]) -> None:
    question = QUESTIONS["benefit"]
    try:
        values = answering.given(question, about, "JB2970")
    except Refused as why:
        assert why.code == "JB2970"
    else:
        assert dict(zip(question.by, values, strict=True)) == about and all(value.isprintable() for value in values)


def test_no_question_gives_what_stays() -> None:
    tables = catalogue.shipped().tables
    for each in tables.requests.values():
        assert not set(each.gives) & {*tables.stays, "name", "person"}
