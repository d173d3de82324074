"""Ids cannot be guessed (S17)."""

import math
import time

from engine.core.ids import new_id, new_job_id


def test_an_id_is_its_prefix_and_at_least_120_random_bits():
    made = [new_id("job") for _ in range(2_000)]
    tails = [one.removeprefix("job_") for one in made]
    used = set("".join(tails))

    assert len(set(made)) == len(made)
    assert len(used) == 62, "every digit and letter comes up"
    assert all(len(tail) * math.log2(len(used)) >= 120 for tail in tails)
    assert {position for position in range(len(tails[0])) if len({tail[position] for tail in tails}) < 50} == set()


def test_jobs_of_a_moment_begin_alike_and_later_ones_behind_them_with_as_many_random_bits():
    tails = [new_job_id().removeprefix("job_") for _ in range(2_000)]
    assert {len(tail) for tail in tails} == {28}
    times = [tail[:7] for tail in tails]
    assert times == sorted(times), "an index sorts by bytes, and these digits are in that order"
    chance = [tail[7:] for tail in tails]
    assert len(set(chance)) == len(chance)
    assert 21 * math.log2(62) >= 120
    assert all(len({tail[position] for tail in chance}) >= 50 for position in range(21))


def test_an_id_of_a_job_made_later_is_greater():
    before = new_job_id()
    time.sleep(0.011)
    assert new_job_id() > before
