"""The Model tab: which model answers, and how good it was measured to be, from its metrics.json."""

import html
import math
import threading

import gradio as gr

from ...faithfulness.figures import ANSWERS, MAPS
from ...families import FAMILIES
from ..faults import or_say_why, told
from ..locale import both, label, language_of, say
from ..server.events import QUIET
from ..server.models import Models
from ..server.serving import Served, in_both, named

BESIDE = [family.beside for family in FAMILIES if family.beside]  # measured beside the network's own map
MATRIX_AT_MOST = 20  # classes
PROVENANCE = ("recipe", "command", "commit", "date", "hardware")


class ModelPage:
    """The components of the tab and their handlers. Call inside `gr.Blocks`."""

    def __init__(self, models: Models):
        self.models = models
        with gr.Row(equal_height=False):
            self.name = gr.Dropdown(
                models.listed(),
                value=models.of("").name,
                label=label("model_choose"),
                info=label("model_choose_info"),
                allow_custom_value=True,
                elem_id="abn-model-name",
                min_width=260,
                scale=3,
            )
            self.use = gr.Button(label("model_use"), variant="primary", elem_id="abn-model-use", min_width=120)
        self.status = gr.HTML(elem_id="abn-model-status", js_on_load=None)
        self.about = gr.HTML(model_html(models.of("")), elem_id="abn-model", js_on_load=None)

    def wire(self, demo: gr.Blocks, tab: gr.Tab, choice: gr.State, model: gr.State) -> None:
        """`choice` is this visitor's; `model`, the name of what answers, tells the other tabs when it changes."""
        self.use.click(
            self.bring,
            [self.name, choice],
            [self.status, choice, model],
            concurrency_id="model",
            concurrency_limit=2,
            trigger_mode="once",
            **QUIET,
        )
        model.change(self.show, choice, [self.name, self.about], **QUIET)
        demo.load(self.arrive, choice, [self.status, choice, model], concurrency_id="model", **QUIET)
        tab.select(lambda: gr.update(choices=self.models.listed()), None, self.name, **QUIET)

    def bring(self, name: str | None, choice: str, request: gr.Request):
        """Yields how far it is, and at last the choice; a model that cannot be had leaves the old one in use."""
        language = language_of(request)
        if not (name or "").strip():
            yield _line(say("model_none_named", request)), gr.skip(), gr.skip()
            return
        share, outcome = [0.0], {}

        def work():
            try:
                outcome["served"] = self.models.of(name, report=lambda value: share.__setitem__(0, value))
            except Exception as error:
                outcome["error"] = error

        thread = threading.Thread(target=work, name=f"bring {name}", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.3)
            yield _line(say("model_bringing", request, name=name, share=f"{share[0]:.0%}")), gr.skip(), gr.skip()
        if error := outcome.get("error"):
            old = named(choice or self.models.serving.current.name, language)
            words = say("model_refused", request, reason=told(error, language), name=old)
            yield _line(words, "abn-refused"), gr.skip(), gr.skip()
            return
        served = outcome["served"]
        yield _line(say("model_in_use", request, name=named(served.name, language))), name.strip(), served.name

    def arrive(self, choice: str, request: gr.Request):
        """The model that a share link names."""
        if name := request.query_params.get("model"):
            yield from self.bring(name, choice, request)
        else:
            yield gr.skip(), gr.skip(), gr.skip()

    def show(self, choice: str, request: gr.Request):
        """What the tab says of the model in use."""
        with or_say_why(request):
            served = self.models.of(choice)
        return gr.update(value=served.name, choices=self.models.listed()), model_html(served)


def _line(words: str, kind: str = "") -> str:
    return f'<p class="{kind}" role="status">{html.escape(words)}</p>'


def model_html(served: Served) -> str:
    """Everything from metrics.json is another's text: checked and escaped."""
    metrics = served.metrics or {}
    name, description = in_both(served)
    parts = [f"<h3>{both('verbatim', words=name)}</h3><p>{both('verbatim', words=description)}</p>"]
    figures = _figures(metrics)
    if not figures:
        return "".join([*parts, f"<p>{both('model_no_metrics')}</p>"])
    pictures = _number(metrics.get("pictures"))
    dataset = str(metrics.get("dataset", "Imagenette"))
    words = both("model_measured", count=f"{pictures:,.0f}", dataset=dataset) if pictures else both("model_figures")
    parts += [f"<h3>{words}</h3>", _table(figures)]
    if explained := _explained(metrics.get("explanation")):
        parts += [f"<h3>{both('model_explanation')}</h3>", explained]
    if per_class := _per_class(metrics.get("per_class")):
        parts += [f"<h3>{both('model_per_class')}</h3>", _table(per_class)]
    if matrix := _matrix(metrics.get("confusion_matrix"), served.explainer.labels):
        parts += [f"<h3 id='abn-matrix-title'>{both('model_matrix')}</h3>", matrix]
    about = [f"{name}: {html.escape(str(metrics[name]))}" for name in PROVENANCE if metrics.get(name)]
    parts.append(f'<p class="abn-small">{"<br>".join(about)}</p>')
    return "".join(parts)


def _number(value) -> float | None:
    """A finite number, else None."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _figures(metrics: dict) -> list[tuple[str, str]]:
    values = ((figure, _number(metrics.get(figure.key))) for figure in ANSWERS)
    return [(both(f"figure_{figure.key}"), figure.shown(value)) for figure, value in values if value is not None]


def _per_class(values) -> list[tuple[str, str]]:
    if not isinstance(values, dict):
        return []
    numbers = ((str(name), _number(value)) for name, value in values.items())
    return [(html.escape(name), f"{value:.1f} %") for name, value in numbers if value is not None]


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th scope="row">{name}</th><td class="abn-number">{value}</td></tr>' for name, value in rows)
    return f"<table>{cells}</table>"


def _explained(values) -> str:
    """The attention map's figures, and another method's beside them where they are there."""
    if not isinstance(values, dict):
        return ""
    name = next((name for name in BESIDE if isinstance(values.get(name), dict)), BESIDE[0])
    other = values[name] if isinstance(values.get(name), dict) else {}
    rows = ""
    for figure in MAPS:
        found = [_number(each.get(figure.key)) for each in (values, other)]
        if found[0] is not None:
            cells = "".join(f'<td class="abn-number">{"" if v is None else figure.shown(v)}</td>' for v in found)
            rows += f'<tr><th scope="row">{both(f"figure_{figure.key}")}</th>{cells}</tr>'
    if not rows:
        return ""
    own = "rollout" if values.get("method") == "rollout" else "attention"
    heads = "<th></th>" + "".join(f'<th scope="col">{both(f"method_{each}")}</th>' for each in (own, name))
    return f"<table><tr>{heads}</tr>{rows}</table>"


def _matrix(values, labels: list[str]) -> str:
    """Rows true, columns predicted; coloured by the share of the row."""
    count = len(labels)
    square = isinstance(values, list) and len(values) == count <= MATRIX_AT_MOST
    if not square or not all(isinstance(row, list) and len(row) == count for row in values):
        return ""
    numbers = [[_number(value) for value in row] for row in values]
    if any(value is None or value < 0 for row in numbers for value in row):
        return ""
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in labels)
    rows = ""
    for name, row in zip(labels, numbers, strict=True):
        total = sum(row) or 1
        cells = "".join(f'<td style="--share: {value / total:.3f}">{value:.0f}</td>' for value in row)
        rows += f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'
    region = 'tabindex="0" role="region" aria-labelledby="abn-matrix-title"'  # the keyboard scrolls it
    return f'<div class="abn-scroll" {region}><table class="abn-matrix"><tr><th></th>{heads}</tr>{rows}</table></div>'
