"""Flags that are a dataclass's fields, and the recipe's: each overrides its own field, and nothing else does."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields

import pytest

from train.checks import check_recipe
from train.options import add_options, check_values, option, options_of
from train.recipes import RECIPES, recipe_of
from train.recipes.recipe import PART_OF, PARTS
from train.run import parse
from train.settings import Settings


@dataclass(kw_only=True)
class Soup:
    bowls: int = option(2, "-b", least=1, help="how many")
    salt: float = option(0.5, "--sodium", least=0, most=1)
    heat: float = option(60.0, above=0)
    kind: str | None = option(None, choices=("leek", "pea"))
    sizes: tuple[int, ...] = option((1,), least=1)
    guests: tuple[int, ...] = option((), empty=True)
    range: tuple[float, float] = option((0.0, 1.0), metavar=("LOW", "HIGH"))
    pot: str = option("pot", path=True)
    lids: Sequence[str] | None = option(None, path=True)
    again: str | None = option(None, bare="newest")
    hot: bool = option(False)
    stirred: bool = option(True)
    beside: str = "not a flag"


def given(line: str, overriding: bool = False) -> dict:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, {"soup": (Soup,)}, (Soup,) if overriding else ())
    return vars(parser.parse_args(line.split()))


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("-b 3", "bowls", 3),
        ("--bowls 3", "bowls", 3),
        ("--sodium 0.25", "salt", 0.25),
        ("--kind pea", "kind", "pea"),
        ("--sizes 4 5", "sizes", [4, 5]),
        ("--guests", "guests", []),
        ("--range 0.5 2", "range", [0.5, 2.0]),
        ("--pot ~/pot", "pot", os.path.expanduser("~/pot")),
        ("--lids ~/a b", "lids", [os.path.expanduser("~/a"), "b"]),
        ("--again", "again", "newest"),
        ("--again 5", "again", "5"),
        ("--hot", "hot", True),
    ],
)
def test_a_field_is_a_flag_of_its_type(line, name, value):
    assert {key for key, other in given(line).items() if other != given("")[key]} == {name}
    assert given(line)[name] == value
    assert given(line, overriding=True) == {**dict.fromkeys(given("")), name: value}


def test_what_is_not_said_is_the_default_or_where_it_overrides_nothing():
    assert given("") == {name: value for name, value in vars(Soup()).items() if name != "beside"}
    assert set(given("", overriding=True).values()) == {None}
    assert given("--no-stirred --no-hot", overriding=True)["stirred"] is False


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--bowls 0", "argument -b/--bowls: must be 1 or more; got 0"),
        ("--bowls x", "argument -b/--bowls: must be a whole number; got 'x'"),
        ("--sizes 3 0", "argument --sizes: must be 1 or more; got 0"),
        ("--kind bean", "argument --kind: invalid choice: 'bean'"),
        ("--range 1", "argument --range: expected 2 arguments"),
    ],
)
def test_a_value_of_another_form_is_named(line, words):
    with pytest.raises(argparse.ArgumentError) as caught:
        given(line)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"salt": 1.5}, "--salt must be between 0 and 1; got 1.5"),
        ({"salt": float("nan")}, "--salt must be between 0 and 1; got nan"),
        ({"heat": 0.0}, "--heat must be above 0; got 0.0"),
        ({"heat": float("inf")}, "--heat must be above 0; got inf"),
        ({"bowls": 0}, "--bowls must be 1 or more; got 0"),
        ({"sizes": (3, 0)}, "--sizes must be 1 or more; got 0"),
        ({"kind": "bean"}, "--kind must be leek or pea; got 'bean'"),
    ],
)
def test_a_value_out_of_bounds_is_named(changes, words):
    check_values(Soup())
    check_values(Soup(salt=0.0, bowls=1, heat=1e-9, kind="pea"))
    with pytest.raises(ValueError, match="must be") as caught:
        check_values(Soup(**changes))
    assert str(caught.value) == words


# The recipe's


def another(field, about):
    """A value of the field that is not the compact recipe's, and the flag that gives it."""
    name, value = "--" + field.name.replace("_", "-"), RECIPES["compact"].values()[field.name]
    if isinstance(value, bool):
        return not value, [name if not value else name.replace("--", "--no-", 1)]
    if about.choices:
        new = next(choice for choice in about.choices if choice != value)
    elif isinstance(value, tuple):
        new = (0.25, 0.5) if "crop" in field.name else (7, 9)
    elif field.name == "arch":
        new = "resnet34"
    else:
        least = max(1, about.least or 0)
        new = type(value)(least if value != least else least + 1)
    return new, [name, *map(str, new if isinstance(new, tuple) else (new,))]


FIELDS = [pair for part in PARTS.values() for pair in options_of(part)]


@pytest.mark.parametrize(("field", "about"), FIELDS, ids=lambda part: getattr(part, "name", ""))
def test_each_field_of_the_recipe_has_a_flag_that_overrides_it_alone(field, about):
    new, flags = another(field, about)
    asked = parse(["--recipe", "compact", *flags])
    without = ("attention_weight", "outliers")
    changed = dict.fromkeys(without, 0.0) if field.name == "plain" else {}
    expected = {**RECIPES["compact"].values(), field.name: new, **changed}
    assert recipe_of(asked).values() == expected
    assert RECIPES["compact"].but(**{field.name: new}, **changed).values() == expected
    assert about.help


def test_no_field_of_the_recipe_has_the_name_of_another_or_of_a_setting():
    names = [field.name for part in PARTS.values() for field in fields(part)]
    assert [field.name for field, _ in FIELDS] == names
    assert len({*names, *(field.name for field in fields(Settings))}) == len(names) + len(fields(Settings))
    assert list(PART_OF) == list(RECIPES["compact"].values()) == names
    assert all(recipe_of(parse(["--recipe", name])) == recipe for name, recipe in RECIPES.items())


def test_an_unknown_field_is_no_change_of_a_recipe():
    with pytest.raises(KeyError, match="epoch"):
        RECIPES["compact"].but(epoch=1)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_holds_together(name):
    starts = RECIPES[name].training.epochs and not RECIPES[name].fitted
    check_recipe(RECIPES[name], None if starts else "some network")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_smoothing": 1.1}, "--label-smoothing must be between 0 and 1; got 1.1"),
        ({"ema_decay": 1.0}, "--ema-decay must be between 0 and 0.999999; got 1.0"),
        ({"ema_decay": 0.0}, "--average-rounds needs averaged weights: an --ema-decay above 0"),
        ({"before_share": 0.3, "average_rounds": False}, "--before-share needs --average-rounds"),
        (
            {"attention_weight": 0.0, "plain": True},
            "--outliers are told by both branches' answers to classes: not with --plain, not with --multitask",
        ),
        ({"warmup_epochs": -1.0}, "--warmup-epochs must be 0 or more; got -1.0"),
        ({"tune_warmup": float("nan")}, "--tune-warmup must be 0 or more; got nan"),
        ({"tune_crop_area": (0.5, 1.5)}, "--tune-crop-area must rise, above 0 and to 1 at most; got 0.5 1.5"),
        ({"crop_area": (0.5, 0.4)}, "--crop-area must rise, above 0 and to 1 at most; got 0.5 0.4"),
        ({"crop_aspect": (2.0, 1.0)}, "--crop-aspect must rise, above 0; got 2 1"),
        ({"crop_aspect": (0.0, 1.0)}, "--crop-aspect must rise, above 0; got 0 1"),
        ({"pad": 4}, "--pad, which shifts pictures, goes with one of --sizes and no fine-tuning rounds"),
        ({"channels": 1}, "--channels 1 is for a Vision Transformer; resnet18 sees colours"),
        ({"optimizer": "rmsprop"}, "--optimizer must be sgd or adam; got 'rmsprop'"),
        ({"stem": "5x5"}, "--stem must be 7x7 or 3x3x3; got '5x5'"),
        ({"epochs": -1}, "--epochs must be 0 or more; got -1"),
    ],
)
def test_what_a_recipe_cannot_say_is_named(changes, words):
    with pytest.raises(ValueError, match="--") as caught:
        check_recipe(RECIPES["compact"].but(**changes), None)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--initial x --zero-last-norms", "--initial and --zero-last-norms contradict each other"),
        ("--initial x --no-residual-attention", "--initial and --residual-attention contradict each other"),
        ("--evaluate --plain", "--evaluate and --plain contradict each other"),
        ("--plain --attention-weight 0", "--plain and --attention-weight contradict each other"),
        ("--data x --dataset mnist", "--data and --dataset contradict each other"),
        ("--split val", "--split goes with --evaluate"),
        ("--save-attention", "--save-attention goes with --evaluate"),
        ("--folds 2 --resume there", "--folds goes on with --resume alone; it takes no checkpoint-N folder"),
    ],
)
def test_flags_that_contradict_each_other_are_named(line, words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(line.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {words}\n"


@pytest.mark.parametrize("line", ["--evaluate --no-plain", "--initial x --no-zero-last-norms"])
def test_what_is_so_anyway_contradicts_nothing(line):
    assert parse(line.split()).recipe == ("finetune" if "--initial" in line else "compact")
