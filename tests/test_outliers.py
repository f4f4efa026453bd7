"""Pictures of none of the classes: what each kind shows, and what is left out of it."""

import pytest
import torch
from helpers import coordinates
from torch.nn import functional as F

from train import outliers as kinds
from train.outliers import KINDS, outliers

SIZE = 120  # a whole number of patches, whatever the grid


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(kind, pictures, maps=None, which=None, seed=0):
    maps = torch.zeros(len(pictures), 1, 32, 32) if maps is None else maps
    which = torch.arange(len(pictures)) if which is None else which
    found = kind(pictures, maps, which, SIZE, seeded(seed))
    assert found.shape == (len(which), 3, SIZE, SIZE)
    assert found.dtype == torch.float32
    assert 0 <= found.min() <= found.max() <= 255.01
    return found


@pytest.fixture
def places():
    """Eight pictures of SIZE pixels whose red is the column and green the row; blue says which it is."""
    stack = F.interpolate(coordinates(64)[None].float(), (SIZE, SIZE), mode="bilinear").repeat(8, 1, 1, 1)
    stack[:, 2] = 30 * torch.arange(8).view(-1, 1, 1)
    return stack.round().byte()


@pytest.fixture
def plain_colours():
    """Eight pictures of one colour each, every one another."""
    return (30 * torch.arange(1, 9)).byte().view(8, 1, 1, 1).expand(8, 3, SIZE, SIZE).clone()


def test_a_background_is_what_the_map_leaves_out(places):
    """The map covers the left half of the first pictures and the upper half of the others."""
    maps = torch.zeros(8, 1, 32, 32)
    maps[:4, :, :, :16], maps[4:, :, :16] = 1, 1
    for seed in range(4):
        found = made(kinds.background, places, maps, seed=seed)
        assert (found[:4, 0].mean((1, 2)) > 128).all()  # the columns
        assert (found[4:, 1].mean((1, 2)) > 128).all()  # the rows
        spans = found[:, 0].amax((1, 2)) - found[:, 0].amin((1, 2))
        assert (spans < 0.75 * 256).all()  # a small part
        assert torch.equal((found[:, 2].mean((1, 2)) / 30).round(), torch.arange(8.0))
    centres = made(kinds.background, places)[:, :2].mean((2, 3))  # nothing is to be left out: anywhere
    assert centres.std(0).min() > 15


def test_an_object_is_blurred_away(places):
    """One place of the map stands out: around it there are no more details, far from it all is as it was."""
    generator = seeded(1)
    noisy = torch.randint(0, 256, places.shape, generator=generator).byte()
    maps = torch.zeros(8, 1, 32, 32)
    maps[:, :, 6:10, 6:10] = 0.5
    found = made(kinds.faded, noisy, maps)
    inside, far = found[:, :, 24:36, 24:36], found[:, :, 75:, 75:]
    assert inside.std((2, 3)).max() < 10
    torch.testing.assert_close(far, noisy[:, :, 75:, 75:].float())


def test_shuffled_pictures_have_the_same_patches_elsewhere(places):
    for seed in range(4):
        found = made(kinds.shuffled, places, seed=seed)
        torch.testing.assert_close(found.flatten(2).sort().values, places.float().flatten(2).sort().values)
        assert (found - places.float()).abs().mean() > 40
        steps = (found[:, 0].diff(dim=2) - 2.1).abs() > 6  # the column grows evenly but where patches meet
        assert steps.float().mean() < 0.12
    assert not torch.equal(found[0, :2], found[1, :2])  # each in its own order


def test_a_collage_is_of_many_pictures(plain_colours):
    found = made(kinds.collage, plain_colours, which=torch.arange(3))
    for picture in found:
        assert len(picture.unique()) >= 5
        assert set(picture.unique().tolist()) <= set(range(30, 241, 30))
        assert torch.equal(picture[0], picture[2])
        patch = picture[0, : SIZE // 10, : SIZE // 10]
        assert (patch == patch[0, 0]).all()


def test_a_blend_is_the_mean_of_four(plain_colours):
    found = made(kinds.blend, plain_colours)
    levels = found[:, 0, 0, 0]
    assert (found == levels.view(-1, 1, 1, 1)).all()
    assert torch.equal((levels / 7.5).round() * 7.5, levels)  # fourths of 30
    assert len(levels.unique()) > 3


def test_plain_pictures_are_even_or_run_evenly():
    found = made(kinds.plain, torch.zeros(40, 3, 8, 8).byte())
    even = (found - found[:, :, :1, :1]).abs().amax((1, 2, 3)) < 1e-3
    assert 8 < even.sum() < 32
    assert found.diff(n=2, dim=3).abs().max() < 1e-3
    assert found[even].flatten(1).std(0).min() > 40  # of any colour
    grey = (found[even][:, 0] - found[even][:, 2]).abs().amax((1, 2)) < 1e-3
    assert 0 < grey.sum() < even.sum()


def test_noise_is_of_any_grain():
    found = made(kinds.noise, torch.zeros(40, 3, 8, 8).byte())
    assert (found.std((2, 3)).amax(1) > 3).all()
    rough = found.diff(dim=3).abs().mean((1, 2, 3)) / found.std((1, 2, 3))
    assert rough.min() < 0.1
    assert rough.max() > 0.5
    grey = (found.diff(dim=1) - found.diff(dim=1)[..., :1, :1]).abs().amax((1, 2, 3)) < 1e-3
    assert grey.sum() < 30


def test_strokes_are_thin_lines_on_an_even_ground():
    found = made(kinds.strokes, torch.zeros(40, 3, 8, 8).byte())
    ground = found.flatten(2).mode().values[:, :, None, None]
    drawn = ((found - ground).abs().amax(1) > 1).float().mean((1, 2))
    assert drawn.median() > 0.03
    assert drawn.max() < 0.6


def test_the_distance_to_a_line_of_two_pieces():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    where = torch.tensor([[[0.5, 0.25], [1.5, 0.5], [-3.0, -4.0], [1.0, 0.75]]])
    assert kinds._distance(where, points)[0].tolist() == pytest.approx([0.25, 0.5, 5, 0], abs=1e-6)


def test_a_batch_has_every_kind_and_is_the_same_for_the_same_draws(places):
    maps = torch.rand(8, 1, 32, 32, generator=seeded(3))
    found = outliers(places, maps, 50, 64, seeded(1))
    assert found.shape == (50, 3, 64, 64)
    assert torch.equal(found, outliers(places, maps, 50, 64, seeded(1)))
    assert not torch.equal(found, outliers(places, maps, 50, 64, seeded(2)))


def test_kinds_come_as_often_as_they_say(monkeypatch):
    """Each kind gives its own number as a picture."""
    marked = [
        (lambda p, m, which, size, g, i=i: torch.full((len(which), 3, size, size), float(i)), share)
        for i, (_, share) in enumerate(KINDS)
    ]
    monkeypatch.setattr(kinds, "KINDS", tuple(marked))
    found = outliers(torch.zeros(4, 3, 8, 8).byte(), torch.zeros(4, 1, 4, 4), 6000, 2, seeded())
    counts = found[:, 0, 0, 0].long().bincount(minlength=len(KINDS))
    shares = torch.tensor([share for _, share in KINDS])
    torch.testing.assert_close(counts / 6000, shares / shares.sum(), atol=0.03, rtol=0)
