"""The model card, as the Hub reads it."""

from helpers import METRICS
from huggingface_hub import ModelCard

from train.card import write_card


def test_the_hub_reads_the_figures(tmp_path):
    (tmp_path / "curves.png").write_bytes(b"a picture")
    write_card(tmp_path, METRICS, name="someone/abn")
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.pipeline_tag, card.data.license, card.data.datasets) == (
        "image-classification",
        "mit",
        ["frgfm/imagenette"],
    )
    results = {result.metric_name: result for result in card.data.eval_results}
    assert results["top-1 accuracy"].metric_value == 0.9251
    assert results["top-5 accuracy"].metric_type == "accuracy"
    assert results["top-1 accuracy"].dataset_split == "validation"
    for words in (
        "4.9 M parameters",
        "| top-1, % | 92.51 |",
        "| attention map: insertion - deletion | 0.440 |",
        "| tench | 96.2 |",
        'from_pretrained("someone/abn", trust_remote_code=True)',
        "It needs `transformers>=5.17,<6`.",
        "`python train/run.py --recipe compact`",
        "140 epochs in 120 minutes, 180 pictures/s",
        "![curves.png](curves.png)",
    ):
        assert words in card.text
    assert "confusion_matrix.png" not in card.text  # there is none


def test_a_network_without_attention_says_so(tmp_path):
    plain = {key: value for key, value in METRICS.items() if key not in ("attention_top1", "explanation")}
    write_card(tmp_path, {**plain, "attention": False, "dataset": "flowers"})
    card = ModelCard.load(tmp_path / "README.md")
    assert "without an attention branch" in card.text
    assert card.data.eval_results[0].dataset_name == "flowers"
    assert "attention_map" not in card.text
