"""The backbone without its attention branch."""

import torch
from helpers import tiny_model

from abn import AbnImageProcessor
from train.plain import PlainConfig, PlainForImageClassification, is_plain


def plain_of(abn):
    """A plain network with the ABN's own backbone."""
    plain = PlainForImageClassification(PlainConfig(arch="resnet18", width=8, id2label=abn.config.id2label)).eval()
    plain.features.load_state_dict(abn.model.features.state_dict())
    plain.stage.load_state_dict(abn.model.perception_branch.stage.state_dict())
    plain.fc.load_state_dict(abn.model.perception_branch.fc.state_dict())
    return plain


def test_it_is_an_abn_whose_map_is_zero():
    abn = tiny_model()
    pixels = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        features = abn.model.features(pixels)
        expected = abn.model.perception_branch(features, torch.zeros(2, 1, *features.shape[2:]))
        assert torch.equal(plain_of(abn)(pixel_values=pixels).logits, expected)


def test_it_survives_saving(tmp_path):
    plain = plain_of(tiny_model())
    plain.save_pretrained(tmp_path)
    AbnImageProcessor().save_pretrained(tmp_path)
    assert is_plain(tmp_path)
    assert not is_plain(tmp_path / "nowhere")
    assert not (tmp_path / "modeling_abn.py").exists()
    loaded, _ = PlainForImageClassification.load(tmp_path)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(loaded.eval()(pixels).logits, plain(pixels).logits, atol=1e-5)
    abn = tiny_model()
    abn.save_pretrained(tmp_path / "abn")
    assert not is_plain(tmp_path / "abn")
