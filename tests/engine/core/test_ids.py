"""Ids cannot be guessed (S17)."""

import math

from engine.core.ids import new_id


def test_an_id_is_its_prefix_and_at_least_120_random_bits():
    made = [new_id("job") for _ in range(2_000)]
    tails = [one.removeprefix("job_") for one in made]
    used = set("".join(tails))

    assert len(set(made)) == len(made)
    assert len(used) == 62, "every digit and letter comes up"
    assert all(len(tail) * math.log2(len(used)) >= 120 for tail in tails)
    assert {position for position in range(len(tails[0])) if len({tail[position] for tail in tails}) < 50} == set()
