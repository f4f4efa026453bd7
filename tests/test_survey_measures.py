"""What is told of a map by numbers, against values worked out by hand."""

import numpy as np
import pytest
import torch
from helpers import made_up_picture

from abn import AbnImageProcessor
from abn.faithfulness import pointing_game, similarity
from abn.survey.decode import in_boxes, in_mask
from abn.survey.measures import agreement, border, border_area, energy, peaks, spread
from abn.survey.rows import in_picture

PROCESSOR = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 32, "width": 64})


def maps(*rows) -> torch.Tensor:
    return torch.tensor([rows], dtype=torch.float32)


def spearman(one: list[float], other: list[float]) -> float:
    """By its definition: Pearson's correlation of ranks, equal values at the mean of their places."""

    def ranks(values):
        ordered = sorted(values)
        places = {value: [at for at, each in enumerate(ordered) if each == value] for value in set(values)}
        return [sum(places[value]) / len(places[value]) for value in values]

    return np.corrcoef(ranks(one), ranks(other))[0, 1]


def test_energy_is_of_the_map_minus_its_minimum():
    assert energy(maps([0.5, 0.7], [0.5, 1.3]))[0].tolist() == [[0, pytest.approx(0.2)], [0, pytest.approx(0.8)]]
    assert energy(torch.full((1, 2, 4), 0.3))[0].tolist() == [[0.125] * 4] * 2
    assert energy(torch.zeros(1, 2, 2))[0].tolist() == [[0.25] * 2] * 2


def test_the_peak_is_the_highest_places_centre():
    most, x, y = peaks(torch.stack([maps([0, 1, 2, 0], [0, 0, 0, 3])[0], maps([0, 9, 2, 0], [0, 0, 0, 3])[0]]))
    assert (most.tolist(), x.tolist(), y.tolist()) == ([3, 9], [0.875, 0.375], [0.75, 0.25])


def test_of_equal_peaks_the_one_in_the_middle_counts():
    found = maps([5, 0, 5, 0, 5])
    _, x, _ = peaks(found)
    assert x.item() == 0.5
    assert pointing_game(found[0], [(0.4, 0, 0.6, 1)])


def test_spread():
    assert spread(maps([0, 0, 0], [0, 4, 0])).item() == 0
    assert spread(maps([0, 1, 0, 1])).item() == pytest.approx(0.25)  # at 0.375 and 0.875
    assert spread(maps([0], [1], [0], [3])).item() == pytest.approx(np.sqrt(0.25 * 0.375**2 + 0.75 * 0.125**2))
    assert spread(torch.ones(1, 60, 60)).item() == pytest.approx((1 / 6) ** 0.5, abs=1e-4)


def test_border():
    found = torch.zeros(1, 4, 5)
    found[0, 1, 1], found[0, 0, 3], found[0, 2, 4], found[0, 3, 0] = 5, 1, 3, 1
    assert border(found).item() == pytest.approx(0.5)
    assert border(torch.ones(1, 4, 5)).item() == pytest.approx(border_area(4, 5)) == pytest.approx(0.7)
    assert border(maps([1, 2])).item() == border_area(1, 2) == 1


def test_agreement_is_of_ranks_and_equal_places_share_theirs():
    one = maps([1, 2, 3], [4, 5, 6])
    assert agreement(one, one**3 + 7).item() == pytest.approx(1)
    assert agreement(one, -one).item() == pytest.approx(-1)
    assert agreement(one, torch.ones_like(one)).item() == 0
    generator = torch.Generator().manual_seed(0)
    ones, others = (torch.rand(5, 6, 7, generator=generator) for _ in range(2))
    others = (others - 0.6).clamp(min=0)  # as Grad-CAM is, 0 at most places
    expected = [spearman(a.ravel().tolist(), b.ravel().tolist()) for a, b in zip(ones, others, strict=True)]
    assert agreement(ones, others).tolist() == pytest.approx(expected, abs=1e-9)
    assert similarity(ones, others).tolist() != pytest.approx(expected, abs=1e-3)


def test_a_place_of_the_crop_is_one_of_the_picture():
    geometry = PROCESSOR.geometry((100, 200), "model")  # resized to (64, 128), the middle (32, 64) cut out
    assert in_picture(0, 0, geometry) == pytest.approx((0.25, 0.25))
    assert in_picture(1, 0.5, geometry) == pytest.approx((0.75, 0.5))


def test_boxes_and_masks_are_of_the_whole_picture_and_cut_by_the_crop():
    geometry = PROCESSOR.geometry((100, 200), "model")
    inside = in_boxes([(0.25, 0, 0.5, 0.5)], geometry)
    assert inside.shape == (32, 64)
    assert inside.nonzero().amax(0).tolist() == [15, 31]
    assert inside[:16, :32].all()
    mask = np.zeros((100, 200), bool)
    mask[:50, 50:100] = True
    assert torch.equal(in_mask(mask, geometry), inside)
    assert not in_boxes([(0, 0, 0.2, 1)], geometry).any()


def test_a_padded_crops_edge_is_no_part_of_a_mask():
    processor = AbnImageProcessor(do_resize=False, crop_size={"height": 64, "width": 64})
    geometry = processor.geometry((made_up_picture(32, 48).height, 32), "model")
    assert in_mask(np.ones((48, 32), bool), geometry).sum() == 48 * 32
