"""Options that several commands share."""

from typing import Annotated

import typer

Compute = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Where the work is done, instead of where params.yaml says: local, ray, host:6379 or ray://host:10001.",
        show_default=False,
    ),
]
