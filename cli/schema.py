"""`windlass schema`: the JSON Schema of a document, for editors and checkers."""

from __future__ import annotations

import json

import click

from cli.exits import Exit
from cli.options import workspace_option
from cli.terminal import out


@click.command()
@click.argument("document", type=click.Choice(["batch"]), default="batch")
@workspace_option
def schema(document: str) -> Exit:
    """Print the JSON Schema of batch documents.

    \b
    windlass schema batch > batch.schema.json
    """
    from core.batch.schema import batch_schema

    out(json.dumps(batch_schema(), indent=2, ensure_ascii=False))
    return Exit.OK
