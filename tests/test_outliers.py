"""Pictures of none of the classes: what each kind shows."""

import pytest
import torch

from train import outliers as kinds
from train.outliers import KINDS, outliers

SIZE = 120


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(kind, count=40, seed=0):
    found = kind(count, SIZE, seeded(seed))
    assert found.shape == (count, 3, SIZE, SIZE)
    assert found.dtype == torch.float32
    assert 0 <= found.min() <= found.max() <= 255.01
    return found


def test_plain_pictures_are_even_or_run_evenly():
    found = made(kinds.plain)
    even = (found - found[:, :, :1, :1]).abs().amax((1, 2, 3)) < 1e-3
    assert 8 < even.sum() < 32
    assert found.diff(n=2, dim=3).abs().max() < 1e-3
    assert found[even].flatten(1).std(0).min() > 40  # of any colour
    grey = (found[even][:, 0] - found[even][:, 2]).abs().amax((1, 2)) < 1e-3
    assert 0 < grey.sum() < even.sum()


def test_noise_is_of_any_grain():
    found = made(kinds.noise)
    assert (found.std((2, 3)).amax(1) > 3).all()
    rough = found.diff(dim=3).abs().mean((1, 2, 3)) / found.std((1, 2, 3))
    assert rough.min() < 0.1
    assert rough.max() > 0.5
    grey = (found.diff(dim=1) - found.diff(dim=1)[..., :1, :1]).abs().amax((1, 2, 3)) < 1e-3
    assert grey.sum() < 30


def test_strokes_are_thin_lines_on_an_even_ground():
    found = made(kinds.strokes)
    ground = found.flatten(2).mode().values[:, :, None, None]
    drawn = ((found - ground).abs().amax(1) > 1).float().mean((1, 2))
    assert drawn.median() > 0.03
    assert drawn.max() < 0.6


def test_the_distance_to_a_line_of_two_pieces():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    where = torch.tensor([[[0.5, 0.25], [1.5, 0.5], [-3.0, -4.0], [1.0, 0.75]]])
    assert kinds._distance(where, points)[0].tolist() == pytest.approx([0.25, 0.5, 5, 0], abs=1e-6)


def test_a_batch_is_the_same_for_the_same_draws():
    found = outliers(50, 64, seeded(1))
    assert found.shape == (50, 3, 64, 64)
    assert torch.equal(found, outliers(50, 64, seeded(1)))
    assert not torch.equal(found, outliers(50, 64, seeded(2)))


def test_kinds_come_as_often_as_they_say(monkeypatch):
    """Each kind gives its own number as a picture."""
    marked = [
        (lambda count, size, g, i=i: torch.full((count, 3, size, size), float(i)), share)
        for i, (_, share) in enumerate(KINDS)
    ]
    monkeypatch.setattr(kinds, "KINDS", tuple(marked))
    found = outliers(6000, 2, seeded())
    counts = found[:, 0, 0, 0].long().bincount(minlength=len(KINDS))
    shares = torch.tensor([share for _, share in KINDS])
    torch.testing.assert_close(counts / 6000, shares / shares.sum(), atol=0.03, rtol=0)
