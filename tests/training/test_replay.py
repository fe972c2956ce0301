"""The buffer of earlier fakes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gansearch.config import ReplayConfig
from gansearch.training.replay import Replay

SHAPE = (1, 2, 2)


def replay_of(seed: int = 0, **options: float) -> Replay:
    return Replay(ReplayConfig.model_validate(options), torch.Generator().manual_seed(seed))


def batch(number: int, size: int = 8) -> Tensor:
    """Images that carry their own number: whole numbers that float16 holds."""
    return (number * size + torch.arange(float(size))).view(size, 1, 1, 1).expand(size, *SHAPE)


def numbers(images: Tensor) -> list[int]:
    assert images.shape[1:] == SHAPE and (images.flatten(1).min(1)[0] == images.flatten(1).max(1)[0]).all()
    return [int(number) for number in images[:, 0, 0, 0]]


def stored(replay: Replay) -> list[int]:
    images = replay.state_dict()["images"]
    return [] if images is None else numbers(images)


def test_never_means_never() -> None:
    replay = replay_of(every=0)
    for number in range(5):
        fakes = batch(number)
        assert replay.mix(fakes, None)[0] is fakes
    assert replay.state_dict() == {"images": None, "labels": None, "steps": 0}


@given(st.integers(1, 5), st.floats(0.01, 1), st.integers(1, 200), st.integers(2, 12))
def test_every_so_often_a_share_is_of_earlier_steps(every: int, fraction: float, capacity: int, size: int) -> None:
    replay = replay_of(every=every, fraction=fraction, capacity=capacity)
    for step in range(1, 16):
        now = numbers(batch(step, size))
        mixed = numbers(replay.mix(batch(step, size), None)[0])
        share = max(1, round(fraction * size)) if step > 1 and step % every == 0 else 0
        assert len(mixed) == size and mixed[share:] == now[share:]
        assert all(size <= number < step * size for number in mixed[:share])
        assert len(stored(replay)) == min(capacity, step * size)
        if step * size <= capacity:
            assert stored(replay) == list(range(size, (step + 1) * size))
        assert set(stored(replay)) <= set(range(size, (step + 1) * size))


def test_a_full_buffer_forgets_at_random_and_takes_in_the_new() -> None:
    replay = replay_of(every=1, capacity=64)
    for number in range(200):
        replay.mix(batch(number), None)
    ages = [1600 - number for number in stored(replay)]
    assert len(ages) == 64
    assert min(ages) <= 8 and max(ages) > 100  # some of the last batch, and some that have long survived
    assert sum(ages) / 64 < 200


def test_images_come_back_in_the_type_of_the_batch() -> None:
    replay = replay_of(every=1, fraction=1.0)
    replay.mix(torch.rand(4, *SHAPE).bfloat16(), None)
    mixed, _ = replay.mix(torch.rand(4, *SHAPE).bfloat16(), None)
    assert mixed.dtype == torch.bfloat16
    assert replay.state_dict()["images"].dtype == torch.float16


@pytest.mark.parametrize("steps", [1, 3, 30])
def test_a_restored_buffer_goes_on_as_the_first(steps: int) -> None:
    first = replay_of(every=2, capacity=20)
    for number in range(steps):
        first.mix(batch(number) / 7, None)
    state = first.state_dict()
    second = replay_of(seed=1, every=2, capacity=20)
    second.mix(batch(99), None)
    second.load_state_dict(state)
    assert torch.equal(second.state_dict()["images"], state["images"]) and second.state_dict()["steps"] == steps
    second._rng.set_state(first._rng.get_state())
    for number in range(steps, steps + 6):
        assert torch.equal(first.mix(batch(number) / 7, None)[0], second.mix(batch(number) / 7, None)[0])


def test_a_saved_state_does_not_change_with_the_buffer() -> None:
    replay = replay_of(every=1, capacity=4)
    replay.mix(batch(0, 4), None)
    state = replay.state_dict()
    replay.mix(batch(1, 4), None)
    assert numbers(state["images"]) == [0, 1, 2, 3]


def test_labels_stay_with_their_images_also_after_a_break() -> None:
    def labelled(number: int) -> tuple[Tensor, Tensor]:
        images = batch(number)
        return images, images[:, 0, 0, 0].long() + 1000

    replay = replay_of(every=2, capacity=20)
    for number in range(30):
        if number == 17:
            state = replay.state_dict()
            replay = replay_of(seed=1, every=2, capacity=20)
            replay.load_state_dict(state)
        images, labels = replay.mix(*labelled(number))
        assert labels is not None and [number + 1000 for number in numbers(images)] == labels.tolist()


def test_no_place_is_written_twice_in_one_step() -> None:
    """Which of two writes to one place wins is not defined, nor the same for images and labels."""
    replay = replay_of(every=1, capacity=10)
    for number in range(50):
        replay.mix(batch(number), None)
        now = stored(replay)
        assert len(set(now)) == len(now)
        assert sum(value >= 8 * number for value in now) == 8  # the whole batch is in
