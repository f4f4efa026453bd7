"""AbnConfig: what it accepts, what it completes, what it refuses."""

import pytest

from abn import AbnConfig


def test_defaults_are_the_standard_network():
    config = AbnConfig()
    assert (config.arch, config.width, config.stem, config.shortcut) == ("resnet152", 64, "7x7", "conv")
    assert config.residual_attention is True
    assert config.attention_head is None
    assert config.padding == "zeros"


def test_labels_complete_each_other():
    config = AbnConfig(label2id={"cat": 1, "dog": 0})
    assert config.id2label == {0: "dog", 1: "cat"}
    config = AbnConfig(id2label={"0": "dog", "1": "cat"})
    assert config.label2id == {"dog": 0, "cat": 1}
    assert AbnConfig(num_labels=3).num_labels == 3


def test_a_class_may_have_many_names_and_two_classes_one():
    names = {"tench": 0, "Tinca tinca": 0, "golf ball": 1}
    config = AbnConfig(id2label={0: "Tinca tinca", 1: "golf ball"}, label2id=names)
    assert config.id2label == {0: "Tinca tinca", 1: "golf ball"}
    assert config.label2id == names
    assert AbnConfig(label2id=names).id2label == config.id2label
    for back in (0, 2):
        config = AbnConfig(id2label={0: "crane", 1: "ox", 2: "crane"}, label2id={"crane": back, "ox": 1})
        assert config.label2id == {"crane": back, "ox": 1}
    assert AbnConfig(id2label={0: "crane", 1: "crane"}).num_labels == 2


def test_survives_saving(tmp_path):
    config = AbnConfig(arch="resnet18", width=32, stem="3x3x3", shortcut="avgpool", attention_head="b", num_labels=4)
    config.padding = "replicate"
    config.save_pretrained(tmp_path)
    again = AbnConfig.from_pretrained(tmp_path)
    for name in ("arch", "width", "stem", "shortcut", "attention_head", "residual_attention", "id2label", "label2id"):
        assert getattr(again, name) == getattr(config, name)
    assert (again.attention_head, again.padding) == ("B", "replicate")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"arch": "vgg16"}, "resnet18.*resnet152.*got 'vgg16'"),
        ({"stem": "5x5"}, "'7x7', '3x3x3'; got '5x5'"),
        ({"shortcut": "none"}, "'conv', 'avgpool'"),
        ({"padding": "reflect"}, "padding must be one of 'zeros', 'replicate'; got 'reflect'"),
        ({"attention_head": "F"}, "'A', 'B', 'C', 'D', 'E'; got 'F'"),
        ({"residual_attention": "yes"}, "True or False"),
        ({"width": 0}, "width"),
        ({"width": 33}, "even"),
        ({"width": "64"}, "whole number"),
        ({"num_labels": 0}, "1 to 100,000"),
        ({"id2label": {0: "a", 1: "b"}, "num_labels": 3}, "num_labels=3 contradicts id2label.* 2 classes"),
        ({"id2label": {0: "a", 1: "b"}, "label2id": {"a": 1, "b": 0}}, "label2id contradicts id2label"),
        ({"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0}}, "contradicts id2label: 'b' is class 1 and has no index"),
        ({"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1, "c": 2}}, "contradicts .*'c' is 2, of 2 classes"),
        ({"id2label": {0: "a", 1: "a", 2: "b"}, "label2id": {"a": 2, "b": 2}}, "'a' is class 0 and is 2 in label2id"),
        ({"id2label": {0: "a", 2: "b"}}, "0 to 1, each once; it lacks 1"),
        ({"id2label": {0: "a", "0": "b"}}, "0 to 1, each once; it lacks 1"),
        ({"id2label": ["a", "b"]}, "map each index"),
        ({"id2label": {"first": "a"}}, "id2label must number its labels with whole numbers; got 'first'"),
        ({"id2label": {}}, "id2label must name 1 to 100,000 classes; got 0"),
        ({"label2id": ["a", "b"]}, "label2id must map each name to an index; got list"),
        ({"label2id": {"a": 0.5}}, "label2id must number its labels with whole numbers; got 0.5"),
    ],
)
def test_refuses_unknown_and_contradictory_values(fields, words):
    with pytest.raises(ValueError, match=words):
        AbnConfig(**fields)
