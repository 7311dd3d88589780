"""One name for one thing: the options of all commands, held to the same names, and each told."""

from collections.abc import Iterator

import pytest
import typer

from thaw.cli import app
from thaw.cli.training import lr_find
from thaw.errors import ThawError

ONE_NAME = {
    "as_json": ("--json",),
    "quiet": ("--quiet", "-q"),
    "limit": ("--limit", "-n"),
    "overrides": ("--set-param", "-S"),
    "replace": ("--replace",),
    "force": ("--force", "-f"),
    "dry_run": ("--dry-run",),
}
ACTS = {"demo", "restore", "stage", "ui", "deploy"}
"""What these come to are files or servers, or what DVC runs: they list and report nothing."""
WITH_PROGRESS = {"run", "demo", "data add", "data update", "data pack", "validate", "clean"}


def walk(command: object, path: str = "") -> Iterator[tuple[str, object]]:
    for name, sub in getattr(command, "commands", {}).items():
        yield from walk(sub, f"{path} {name}".strip())
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(walk(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_told_and_goes_by_the_one_name(name: str) -> None:
    command = COMMANDS[name]
    assert "Examples" in command.help and f"thaw {name}" in command.help
    options = {parameter.name: parameter for parameter in command.params}
    for key, option in options.items():
        assert option.help, f"--{key} has no help"
        for thing, names in ONE_NAME.items():
            same = key == thing or set(names) & {*option.opts}
            assert not same or (key, *option.opts) == (thing, *names)
    assert ("as_json" in options) == (name not in ACTS)
    assert ("quiet" in options) == (name in WITH_PROGRESS)
    letters = [flag for option in options.values() for flag in option.opts if len(flag) == 2]
    assert set(letters) <= {names[-1] for names in ONE_NAME.values()}


@pytest.mark.parametrize("highest", ["0.01", "0.001"])
def test_a_range_of_rates_that_does_not_rise_is_refused(highest: str) -> None:
    with pytest.raises(ThawError, match=rf"--lowest: 0.01 is not below --highest {highest}"):
        lr_find(lowest=0.01, highest=float(highest))
