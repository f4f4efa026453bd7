"""The endpoints as tools of an MCP server, for assistants.

An assistant gets a sentence, the classes as JSON, and the pictures as pictures; a map's numbers where it asks for them.
Gradio's own answers are Python's `str` of the outputs, as one text without any picture for a client that follows no
progress. Its server is kept, with the tools' names, descriptions and arguments; what they answer is made here.
"""

import base64
import json
import sys
import traceback
from collections.abc import Callable
from functools import partial

import anyio
import gradio as gr
import numpy as np
from gradio.context import LocalContext
from mcp import types

from ..data_urls import png
from ..editing import change
from ..explanation import Explanation
from ..overlay import overlay
from .answers import QUICK_METHODS, Answers, first
from .api import record_of, rows
from .server.budgets import spending
from .server.events import IN_TURN, TOGETHER
from .server.limits import ANSWERED_CLASSES
from .server.models import Models
from .widgets.picture.widget import PictureInput

WAITING = 200  # calls of a kind that may wait
NUMBERS = {
    "type": "boolean",
    "default": False,
    "description": "whether to give the map's numbers, too, row by row.",
}
GIVES = {
    "explain": "Gives a sentence, the classes with their confidences, and the picture with its attention laid over.",
    "edit": "Gives a sentence, the classes with their confidences under the model's own map and under the edited one, "
    "and the picture with the edited map laid over.",
    "compare": "Gives a sentence, the picture with each method's map laid over, and what each method explains.",
}


class Tools:
    """What each tool answers: functions of the endpoints' arguments, and `numbers`, to a list of content."""

    def __init__(self, models: Models, picture: PictureInput):
        self.answers, self.picture = Answers(models), picture
        self._together = anyio.CapacityLimiter(TOGETHER["concurrency_limit"])
        self._in_turn = anyio.CapacityLimiter(IN_TURN["concurrency_limit"])

    def explain(self, picture=None, alpha=1.0, view="whole", model="", classes=ANSWERED_CLASSES, numbers=False) -> list:
        found = self.answers.explained(picture, alpha, view, model)
        content = [
            _text(_sentence(found)),
            _json(_classes(first(found.probabilities, classes))),
            _image(found.overlay(alpha)),
        ]
        return content + ([_json({"attention_map": rows(found.attention_map)})] if numbers else [])

    def edit(self, picture=None, attention_map=None, model="", classes=ANSWERED_CLASSES, numbers=False) -> list:
        editing, edited = self.answers.edited(picture, attention_map, model)
        own = editing.explanation
        label, before, after = change(own, edited)
        words = f"Under the edited map {label} goes from {before:.1%} to {after:.1%}."
        if attention_map is None:
            words = f"Under the model's own map the answer is {label} ({before:.1%})."
        elif edited.label != label:
            words += f" The answer becomes {edited.label} ({edited.probabilities[edited.label]:.1%})."
        shown = overlay(own.view, editing.laid(edited))
        classes = {
            "own_map": _classes(first(own.probabilities, classes)),
            "edited_map": _classes(first(edited.probabilities, classes)),
        }
        content = [_text(words), _json(classes), _image(shown)]
        return content + ([_json({"attention_map": rows(own.attention_map)})] if numbers else [])

    def compare(self, picture=None, methods=QUICK_METHODS, target="", alpha=1.0, model="", numbers=False) -> list:
        several = self.answers.compared(picture, methods, target, alpha, model)
        comparison, found = several.comparison, several.found
        content = [_text(f"{', '.join(several.labels)}: what each finds in the picture for {comparison.target}.")]
        for one, label in zip(found, several.labels, strict=True):
            content += [_text(f"{label}:"), _image(overlay(comparison.view, one.heatmap, alpha))]
        records = [record_of(one) | ({"map": rows(one.grid)} if numbers else {}) for one in found]
        return [*content, _json({"methods": records})]

    def models(self, model="", classes=ANSWERED_CLASSES) -> list:
        found = self.answers.described(model, classes)
        words = (
            f"{found['model']} ({found['description']}) knows {found['count']} classes. "
            f"It can be explained by {len(found['methods'])} methods; {len(found['models'])} models are listed."
        )
        return [_text(words), _json(found)]

    def model(self) -> list:
        found = self.answers.status()
        words = f"{found['model']} ({found['description']}) answers by default."
        if found["state"] == "loading":
            words += f" {found['wanted']} is being fetched."
        elif found["reason"]:
            words += f" {found['wanted']} is not in use: {found['reason'].rstrip('.')}."
        return [_text(words), _json(found)]

    async def answer(self, name: str, arguments: dict) -> list:
        """The content that a tool answers with.

        Raises:
            ValueError: what is wrong, in a sentence.
        """
        tool: Callable = getattr(self, name)
        limiter = self._together if name == "explain" else self._in_turn
        if limiter.statistics().tasks_waiting >= WAITING:
            raise ValueError("Too many calls are waiting; try again later.")
        try:
            if "picture" in arguments:
                arguments = arguments | {"picture": await self._file_of(arguments["picture"])}
            return await anyio.to_thread.run_sync(partial(_spending, tool, arguments), limiter=limiter)
        except gr.Error as error:
            raise ValueError(error.message) from None
        except Exception:
            traceback.print_exc(file=sys.stderr)
            raise ValueError("The tool failed; the server's log says why.") from None

    async def _file_of(self, picture) -> str | None:
        sent = self.picture.received(picture)
        if sent is None:
            return None
        if "url" in sent:
            return await anyio.to_thread.run_sync(self.picture.written, sent["url"])
        return await self.picture.async_move_resource_to_block_cache(sent["path"])


def _spending(tool: Callable, arguments: dict) -> list:
    with spending():
        return tool(**arguments)


def serve(server, tools: Tools) -> None:
    """Let a `gradio.mcp.GradioMCPServer` list and answer these tools, with progress followed or not."""
    described = {name: _described(server, name) for name in server.tool_to_endpoint}

    @server.mcp_server.list_tools()
    async def list_tools() -> list[types.Tool]:
        selected = server.get_selected_tools_from_request()
        return [tool for name, tool in described.items() if selected is None or name in selected]

    @server.mcp_server.call_tool(validate_input=False)  # null is no text, but the default: `checked` knows
    async def call_tool(name: str, arguments: dict) -> list:
        listed = {tool.name: tool for tool in await list_tools()}
        if name not in listed:
            raise ValueError(f"There is no tool {name!r}; there are {', '.join(listed)}.")
        arguments = checked(arguments, listed[name].inputSchema["properties"])
        context = server.mcp_server.request_context
        token = None if context.meta is None else context.meta.progressToken
        if token is not None:
            await context.session.send_progress_notification(
                token, 0, total=1, message="Processing", related_request_id=str(context.request_id)
            )
        LocalContext.request.set(context.request)  # where ZeroGPU looks for whose seconds it lends
        return await tools.answer(server.tool_to_endpoint[name].lstrip("/"), arguments)


def checked(arguments: dict, properties: dict) -> dict:
    """A call's arguments without those that are null.

    Args:
        properties: of the tool's JSON schema.

    Raises:
        ValueError: an unknown argument, or one of another type.
    """
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    for name, value in given.items():
        if name not in properties:
            raise ValueError(f"There is no argument {name!r}; there are {', '.join(properties) or 'none'}.")
        if name == "target" and isinstance(value, int) and not isinstance(value, bool):
            continue  # an index
        kind = properties[name].get("type")
        if (kind == "string" and name != "picture" and not isinstance(value, str)) or (
            kind == "boolean" and not isinstance(value, bool)
        ):
            raise ValueError(f"{name} must be a {kind}; got {json.dumps(value)[:100]}.")
    return given


def _described(server, name: str) -> types.Tool:
    endpoint = server.tool_to_endpoint[name]
    description, parameters = server.get_fn_description(server.get_block_fn_from_endpoint_name(endpoint), name)
    schema, _ = server.get_input_schema(name, parameters)
    gives = GIVES.get(endpoint.lstrip("/"))
    if gives:
        schema["properties"]["numbers"] = NUMBERS
        description = f"{description.partition(' Returns: ')[0].rstrip('.')}. {gives}"
    return types.Tool(name=name, description=description, inputSchema=schema)


def _sentence(found: Explanation) -> str:
    share = f"{found.probabilities[found.label]:.1%}"
    if found.target is not None:  # a multi-task network's map is one task's
        words = f"Most surely answered with yes is {found.label} ({share}). The map is that of {found.target}."
    else:
        words = f"The network answers {found.label} ({share})."
    if found.target is None and found.attention_probabilities:
        own, own_share = next(iter(found.attention_probabilities.items()))
        says = "agrees" if own == found.label else f"says {own}"
        words += f" Its attention branch {says} ({own_share:.1%})."
    if found.unfamiliar:
        words += " It is probably none of these: the picture is unlike what the network was trained on."
    return f"{words} In the picture, red is where it looked most, blue where it looked least."


def _classes(probabilities: dict[str, float]) -> dict:
    confidences = [{"label": label, "confidence": share} for label, share in probabilities.items()]
    return {"label": confidences[0]["label"], "confidences": confidences}


def _text(words: str) -> types.TextContent:
    return types.TextContent(type="text", text=words)


def _json(value) -> types.TextContent:
    return _text(json.dumps(value, ensure_ascii=False))


def _image(pixels: np.ndarray) -> types.ImageContent:
    data = base64.b64encode(png(pixels)).decode()
    return types.ImageContent(type="image", data=data, mimeType="image/png")


__all__ = ["Tools", "checked", "serve"]
