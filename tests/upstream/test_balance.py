"""How a target is chosen: by turns, by load, by whose request it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.balance import Hash, HashBalance
from gateway.exchange import Exchange, Headers
from gateway.testing import exchange
from gateway.upstream.balance import Pick, least_request, pick, round_robin


@dataclass
class Fake:
    url: str
    active: int = 0


def fakes(*active: int) -> list[Fake]:
    return [Fake(f"http://10.0.0.{n}:3000", load) for n, load in enumerate(active, 1)]


EX = exchange()


def client(address: str) -> Exchange:
    return exchange(client=address)


def test_each_in_its_turn() -> None:
    choose: Pick[Fake] = round_robin()
    among = fakes(0, 0, 0)
    assert [choose(EX, among).url[-6] for _ in range(7)] == list("1231231")
    assert {choose(EX, among[:2]).url for _ in range(4)} == {fake.url for fake in among[:2]}  # with one of them gone


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers())
def test_of_two_the_one_with_fewer_requests(loads: list[int], seed: int) -> None:
    """The busiest of all, if it stands alone, is never chosen; of two the idler always is."""
    choose: Pick[Fake] = least_request(Random(seed).random)
    among = fakes(*loads)
    chosen = [choose(EX, among) for _ in range(20)]
    if len(loads) > 1 and loads.count(max(loads)) == 1:
        assert max(loads) not in {fake.active for fake in chosen}
    if len(loads) == 2:
        assert {fake.active for fake in chosen} == {min(loads)}


def test_equals_are_all_chosen() -> None:
    choose: Pick[Fake] = least_request(Random(1).random)
    among = fakes(0, 0, 0, 0)
    counts = Counter(choose(EX, among).url for _ in range(4000))
    assert all(900 < count < 1100 for count in counts.values()) and len(counts) == 4


def test_requests_under_way_stay_even() -> None:
    """Ten targets, one of them ten times slower: it does not gather what it cannot do, as it would by turns."""
    choose: Pick[Fake] = least_request(Random(2).random)
    among = fakes(*[0] * 10)
    ends: list[tuple[int, Fake]] = []
    for now in range(2000):
        for end, fake in [one for one in ends if one[0] <= now]:
            fake.active -= 1
            ends.remove((end, fake))
        fake = choose(EX, among)
        fake.active += 1
        ends.append((now + (200 if fake is among[0] else 20), fake))
    assert among[0].active <= 5  # by turns: 20


by_client: Pick[Fake] = pick(HashBalance(hash=Hash(by=("client",))), Random(0).random)


def test_the_same_target_for_the_same_client_and_about_as_many_for_each() -> None:
    among = fakes(0, 0, 0)
    chosen = {n: by_client(client(f"203.0.113.{n}"), among) for n in range(250)}
    assert all(by_client(client(f"203.0.113.{n}"), list(reversed(among))) is fake for n, fake in chosen.items())
    assert all(count > 60 for count in Counter(fake.url for fake in chosen.values()).values())


@given(st.integers(0, 4), st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=20))
def test_a_target_that_goes_moves_its_own_clients_alone(gone: int, addresses: list[str]) -> None:
    among = fakes(0, 0, 0, 0, 0)
    left = [fake for fake in among if fake is not among[gone]]
    for address in addresses:
        before = by_client(client(address), among)
        assert before is among[gone] or by_client(client(address), left) is before


def test_the_choice_is_the_same_in_every_process() -> None:
    """No hash that differs from one to the next: workers, and gateways, send a client to one target."""
    chosen = [by_client(client(f"198.51.100.{n}"), fakes(0, 0, 0)).url[-6] for n in range(8)]
    assert "".join(chosen) == "11223322"


def test_who_sends_no_such_header_is_taken_by_its_address() -> None:
    by_header: Pick[Fake] = pick(HashBalance(hash=Hash.model_validate({"by": {"header": "X-Tenant"}})), Random(0).random)
    among = fakes(*[0] * 20)
    assert len({by_header(exchange(headers=Headers({"X-Tenant": "a"}), client=f"10.1.1.{n}"), among).url for n in range(20)}) == 1
    assert len({by_header(exchange(client=f"10.1.1.{n}"), among).url for n in range(20)}) > 5


@pytest.mark.parametrize("balance", ["round_robin", "least_request", HashBalance(hash=Hash(by=("client",)))])
def test_one_is_chosen_where_there_is_but_one(balance: object) -> None:
    choose: Pick[Fake] = pick(balance, Random(3).random)  # type: ignore[arg-type]
    (only,) = fakes(7)
    assert choose(EX, [only]) is only
