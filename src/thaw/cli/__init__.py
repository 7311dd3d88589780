"""The command line. Nothing heavy is imported before the command that needs it runs."""

import importlib
import pkgutil
from importlib.metadata import version
from typing import Annotated

import typer

from thaw import telemetry
from thaw.devices import prepare_backend
from thaw.errors import exiting_with_message
from thaw.redaction import hide_in_logs

app = typer.Typer(
    name="thaw",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Freeze a pretrained network, train a head, thaw it, and keep every step of how it got there.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"thaw {version('thaw')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error the user can mend is printed without a traceback."""
    telemetry.switch_off()
    telemetry.bypass_proxy_for_loopback()
    hide_in_logs()
    prepare_backend()
    with exiting_with_message():
        app()


# Each module of this package adds its commands to `app`.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
