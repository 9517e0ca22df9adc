"""A request from options as the command line names them."""

from dataclasses import fields
from typing import Any

from mdn.commands.request import Request
from mdn.pipeline.options import Options


def request(model: str | None = None, **named: Any) -> Request:
    """A request on the CPU in float32; options of the pipeline and of the request, mixed."""
    known = {each.name for each in fields(Options)} - {"passes"}
    options = {key: named.pop(key) for key in list(named) if key in known}
    asked = Options(**{"precision": "fp32"} | options)
    return Request(model, options=asked, **{"device": "cpu"} | named)
