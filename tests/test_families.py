"""What differs between kinds of networks is said by their family, and asked of it alone."""

import ast

import pytest
from helpers import ROOT, tiny_model
from transformers import PreTrainedConfig, ViTConfig, ViTForImageClassification

from abn import AbnConfig, AbnForImageClassification, AbnForMultiTaskClassification, AbnImageProcessor, Explainer
from abn.errors import ENGLISH
from abn.families import ABN, FAMILIES, MULTITASK, VIT, Abilities, Shape, check_arch, family_of, find
from abn.methods import in_menus

ROOMS = ("abn/families", "abn/checkpoints", "abn/model")  # where kinds are known
ASKED = {"multitask", "model_type", "num_channels", "num_hidden_layers", "num_attention_heads", "hidden_size"}
NETWORKS = ("ForImageClassification", "ForMultiTaskClassification", "PreTrainedModel", "Explainer")


def last_name(node: ast.AST) -> str:
    """ "config" of `explainer.model.config`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def questions(code: str) -> list[str]:
    """Where code asks what kind a network is: by its class, by an attribute that it may lack, by its config."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and last_name(node.func) == "isinstance":
            kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            asks = any(last_name(kind).endswith(NETWORKS) for kind in kinds)
        elif isinstance(node, ast.Call) and last_name(node.func) in ("getattr", "hasattr"):
            asks = last_name(node.args[0]).endswith(("model", "config", "network", "explainer"))
            asks = asks and (last_name(node.func) == "hasattr" or len(node.args) > 2)
        else:
            asks = isinstance(node, ast.Attribute) and node.attr in ASKED and last_name(node.value).endswith("config")
        if asks:
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_nothing_else_asks_what_kind_a_network_is():
    found = {
        str(file.relative_to(ROOT)): asked
        for folder in ("abn", "train")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if not str(file.relative_to(ROOT)).startswith(ROOMS) and (asked := questions(file.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(model, ViTForImageClassification)",
        "isinstance(served.explainer, (int, families.MultiTaskExplainer))",
        "getattr(explainer.model.config, 'num_channels', 3)",
        "hasattr(model, 'attention_branch')",
        "model.config.multitask is None",
        "config.model_type == 'vit'",
    ],
)
def test_such_questions_are_found(code):
    assert len(questions(code)) == 1
    assert questions("isinstance(value, int), getattr(self, name), recipe.multitask, getattr(args, 'x', None)") == []


def vision_transformer(**kwargs) -> ViTForImageClassification:
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 8}
    return ViTForImageClassification(ViTConfig(image_size=28, patch_size=7, num_labels=3, **shape, **kwargs))


def multitask() -> AbnForMultiTaskClassification:
    return AbnForMultiTaskClassification(AbnConfig(arch="resnet18", width=8, multitask="v1", num_labels=3))


def unbounded() -> AbnForImageClassification:
    return AbnForImageClassification(AbnConfig(arch="se-resnet18", width=16, attention_head="E", num_labels=3))


CASES = {
    "abn": (tiny_model, ABN, Abilities(tunable=True), None),
    "unbounded": (
        unbounded,
        ABN,
        Abilities(uneditable="unbounded", tunable=True),
        Shape("se-resnet18", 16, 0, "zeros"),
    ),
    "multitask": (multitask, MULTITASK, Abilities(uneditable="tasks", tasks=True), Shape("resnet18", 8, 0, "zeros")),
    "vit": (vision_transformer, VIT, Abilities(uneditable="layers", layers=2, heads=4), Shape("vit", 8, 2)),
    "digits": (
        lambda: vision_transformer(num_channels=1),
        VIT,
        Abilities(uneditable="layers", layers=2, heads=4, channels=1),
        Shape("vit", 8, 2),
    ),
}


BASELINES = ["centre", "uniform"]
CAMS = ["attention", "attention-cam", "grad-cam", "grad-cam++", "layer-cam", "eigen-cam", *BASELINES]
ROLLOUTS = ["rollout", "last-layer", "gradient-rollout", *BASELINES]
SIGNS = ["attention", "attention-negative", "attention-both", *BASELINES]
QUICK = {"abn": CAMS, "unbounded": CAMS, "multitask": SIGNS, "vit": ROLLOUTS, "digits": ROLLOUTS}


@pytest.mark.parametrize("name", CASES)
def test_a_networks_family_and_abilities(name):
    make, family, abilities, shape = CASES[name]
    explainer = Explainer(make(), AbnImageProcessor(), device="cpu")
    assert type(explainer) is Explainer
    assert (explainer.family, explainer.abilities) == (family, abilities)
    assert shape is None or family.shape(explainer.model.config) == shape
    quick = {method.name for method in in_menus(explainer.methods, quick=True)}
    assert set(QUICK[name]) <= quick
    assert not {"score-cam", "occlusion", "layer-1"} & quick
    assert family.beside is None or family.beside in explainer.methods
    assert abilities.pad == (name == "digits")


@pytest.mark.parametrize("name", ["unbounded", "multitask", "vit"])
def test_a_map_that_cannot_be_edited_is_refused_with_the_reason(name):
    explainer = Explainer(CASES[name][0](), AbnImageProcessor(), device="cpu")
    reason = ENGLISH[f"uneditable_{explainer.abilities.uneditable}"]
    for ask in (lambda: explainer.explain_with_features("x.png"), lambda: explainer.perceive(None, None)):
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the words are compared
            ask()
        assert str(raised.value) == reason


def test_only_tasks_are_answered_one_by_one():
    with pytest.raises(ValueError, match="only a multi-task network answers task by task"):
        Explainer(tiny_model(), AbnImageProcessor(), device="cpu").every_task([])


class UnheardConfig(PreTrainedConfig):
    model_type = "unheard-of"


def test_every_config_is_of_one_family_at_most():
    for make, family, *_ in CASES.values():
        assert [each for each in FAMILIES if each.holds(make().config)] == [family]
    assert find(UnheardConfig()) is None
    known = ", ".join(sorted({repr(family.model_type) for family in FAMILIES}))
    assert "'abn', " in known
    with pytest.raises(
        ValueError, match=f"^a model of type 'unheard-of' cannot be explained; expected one of {known}$"
    ):
        family_of(UnheardConfig())


def test_another_architecture_than_the_checkpoints_is_refused():
    check_arch(None, "resnet18", "x")
    check_arch("resnet18", "resnet18", "x")
    with pytest.raises(ValueError, match=r"^--arch resnet50 contradicts x, which is a vit; leave it out$"):
        check_arch("resnet50", "vit", "x")
