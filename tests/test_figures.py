"""One table of figures, printed the same way everywhere."""

import pytest

from abn.faithfulness.figures import ANSWERS, BENCHMARK, MAPS, in_words, measured
from abn.faithfulness.run import table
from abn.space.locale import CATALOGUES

FOUND = {"top1": 92.514, "loss": 0.65, "top5": None, "insertion": 0.75}


def test_figures_are_told_by_their_own_form():
    shown = {figure.key: figure.shown(value) for figure, value in measured((*ANSWERS, *MAPS), FOUND)}
    assert shown == {"top1": "92.51 %", "loss": "0.6500", "insertion": "0.750"}
    assert in_words(FOUND, "loss", "top5", "top1") == "loss 0.6500  top-1 92.51 %"


def test_the_benchmarks_table_has_a_column_for_what_was_measured():
    rows = {
        "a": {
            "label": "A",
            "insertion": 0.7404,
            "pointing": 0.5,
            "milliseconds": 8.46,
            "similarity_to_shuffled": 0.018,
        },
        "b": {"label": "B", "insertion": 0.5, "pointing": None, "milliseconds": 9.0, "similarity_to_shuffled": 1.0},
    }
    assert table(rows).splitlines() == [
        "| method | insertion | pointing | shuffled | ms |",
        "|---|---|---|---|---|",
        "| A | 0.740 | 0.500 | 0.02 | 8.5 |",
        "| B | 0.500 | – | 1.00 | 9.0 |",
    ]


@pytest.mark.parametrize("figure", [*ANSWERS, *MAPS], ids=lambda figure: figure.key)
def test_the_page_has_words_for_every_figure_of_metrics(figure):
    assert all(f"figure_{figure.key}" in words for words in CATALOGUES.values())


def test_no_two_figures_share_a_key_or_a_column():
    keys = [figure.key for figure in (*ANSWERS, *MAPS, *BENCHMARK)]
    columns = [figure.column for figure in (*MAPS, *BENCHMARK)]
    assert len(set(keys)) == len(keys)
    assert all(columns)
    assert len(set(columns)) == len(columns)
