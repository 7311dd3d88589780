"""`thaw model`: which networks there are, and what one is made of."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.cli.completion import complete_network
from thaw.errors import ThawError
from thaw.progress import showing

if TYPE_CHECKING:
    import keras
    from rich.table import Table

    from thaw.inspecting.summary import LayerSummary

models_app = typer.Typer(
    no_args_is_help=True, help="The networks that can be trained, and what they are made of."
)
app.add_typer(models_app, name="model")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")]


@models_app.command("list")
def list_networks(as_json: AsJson = False) -> None:
    """List every network that `model.architecture` may name.

    [bold]Examples[/bold]

      thaw model list
      thaw model list --json
    """
    from rich.table import Table

    rows = _list_rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("network", "weights", "smallest side", "usual input", "what it is")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    _print_wide(table)


@models_app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A network's name, or the folder of a trained model.", autocompletion=complete_network
        ),
    ],
    input_text: Annotated[str, typer.Option("--input", metavar="HxWxC", help="Size of the input.")] = "",
    classes: Annotated[int, typer.Option(min=0, help="Number of classes; 0: as many as usual.")] = 0,
    head: Annotated[str, typer.Option(help="Of a backbone: gap, flatten or dense.")] = "gap",
    hidden_units: Annotated[int, typer.Option(min=1, help="Of head dense.")] = 256,
    strategy: Annotated[
        str, typer.Option(help="What trains: head, partial or full; auto: as is usual.")
    ] = "auto",
    from_layer: Annotated[
        str, typer.Option(help="With partial: the first layer or block that trains; empty: the upper third.")
    ] = "",
    diagram_path: Annotated[
        Path | None, typer.Option("--diagram", metavar="FILE.svg", help="Draw it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a network layer by layer: shapes, parameters, multiply-adds, receptive field.

    [bold]Examples[/bold]

      thaw model show lenet5 --input 32x32x1
      thaw model show vgg16 --head flatten --strategy partial --from-layer block5_conv1
      thaw model show efficientnet_lite0 --diagram lite0.svg
    """
    options = {"head": head, "hidden_units": hidden_units, "weights": "none"}
    with showing("building the network"):
        model = _open(name, input_text, classes, options)
    _freeze(model, strategy, from_layer)
    from thaw.inspecting.diagram import draw_diagram
    from thaw.inspecting.summary import summarize

    layers = summarize(model)
    if diagram_path:
        from thaw.files import write_text

        write_text(diagram_path, draw_diagram(model.name, layers))
    if as_json:
        print(json.dumps(_as_json(model.name, layers), indent=2))
    else:
        _print(model.name, layers)
        if diagram_path:
            print(f"Drawn: {diagram_path}")


def _list_rows() -> list[dict[str, str | int]]:
    from thaw.models.catalog import BACKBONES, LITES, NETWORKS

    rows: list[dict[str, str | int]] = []
    for name, backbone in BACKBONES.items():
        source = "ImageNet, from PyPI" if name in LITES else "ImageNet, downloaded by Keras"
        about = "backbone without its top" if name in LITES else f"keras.applications.{backbone.function}"
        usual = f"{backbone.side}x{backbone.side}x3"
        rows.append(_list_row(name, source, backbone.smallest, usual, about))
    for name, network in NETWORKS.items():
        usual = "x".join(map(str, network.input_shape))
        rows.append(_list_row(name, "none", network.smallest, usual, network.about))
    return rows


def _list_row(name: str, weights: str, smallest: int, usual: str, about: str) -> dict[str, str | int]:
    return {"name": name, "weights": weights, "smallest_side": smallest, "usual_input": usual, "about": about}


def _open(name: str, input_text: str, classes: int, options: dict[str, object]) -> "keras.Model":
    from thaw.models.catalog import BACKBONES, NETWORKS, check_architecture
    from thaw.models.saving import load
    from thaw.params import ModelParams

    if (Path(name) / "model.json").is_file():
        return load(Path(name), averaged=False)[0]
    check_architecture(name)
    if name in NETWORKS:
        usual, usual_classes = NETWORKS[name].input_shape, NETWORKS[name].classes
    else:
        usual, usual_classes = (BACKBONES[name].side, BACKBONES[name].side, 3), 2
    shape = _parse_shape(input_text) if input_text else usual
    try:
        params = ModelParams.model_validate({"architecture": name, **options})
    except ValueError:
        raise ThawError(
            f"--head: there is no head {options['head']!r}", "Take gap, flatten or dense."
        ) from None
    from thaw.models.network import build  # only now: it takes ten seconds

    return build(params, shape, classes or usual_classes, seed=0, pretrained=False)


def _parse_shape(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})(?:x(\d))?", text)
    if not match:
        raise ThawError(f"--input: {text!r} is no size", "Write height, width and channels like 28x28x1.")
    return int(match[1]), int(match[2]), int(match[3] or 3)


def _freeze(model: "keras.Model", strategy: str, from_layer: str) -> None:
    from thaw.models import freeze
    from thaw.models.catalog import BACKBONES

    if strategy == "auto":
        strategy = "partial" if from_layer else "head" if model.name in BACKBONES else "full"
    if strategy not in ("head", "partial", "full"):
        raise ThawError(f"--strategy: there is no strategy {strategy!r}", "Take head, partial or full.")
    freeze(model, strategy, from_layer or "auto", "frozen")  # type: ignore[arg-type]


def _totals(layers: "list[LayerSummary]") -> dict[str, int]:
    total, trainable = sum(layer.parameters for layer in layers), sum(layer.trainable for layer in layers)
    return {
        "parameters": total,
        "trainable": trainable,
        "frozen": total - trainable,
        "multiply_adds": sum(layer.multiply_adds for layer in layers),
    }


def _as_json(name: str, layers: "list[LayerSummary]") -> dict[str, object]:
    from dataclasses import asdict

    return {"name": name, **_totals(layers), "layers": [asdict(layer) for layer in layers]}


def _print(name: str, layers: "list[LayerSummary]") -> None:
    from rich import box
    from rich.table import Table

    table = Table("layer", "kind", "output", "kernel", "bias", title=name, box=box.SIMPLE_HEAD)
    for heading in ("parameters", "multiply-adds", "sees"):
        table.add_column(heading, justify="right")
    for layer in layers:
        kernels = [_shape(shape) for shape in layer.weights.values() if len(shape) > 1]
        numbers = [f"{count:,}" if count else "" for count in (layer.parameters, layer.multiply_adds)]
        seen = _shape(layer.receptive_field) if layer.receptive_field else "all"
        bias = _shape(layer.weights["bias"]) if "bias" in layer.weights else ""
        table.add_row(
            layer.name, layer.kind, _shape(layer.output_shape), " + ".join(kernels), bias, *numbers, seen
        )
    _print_wide(table)
    totals = _totals(layers)
    print(
        f"{totals['parameters']:,} parameters: {totals['trainable']:,} trainable, {totals['frozen']:,} frozen; "
        f"{totals['multiply_adds']:,} multiply-adds a picture"
    )


def _print_wide(table: "Table") -> None:
    """Print a table at the width it needs: a terminal scrolls, but a number cut short is lost."""
    from rich.console import Console

    console = Console()
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    Console(width=max(console.width, needed)).print(table)


def _shape(shape: tuple[int | None, ...]) -> str:
    return "x".join(str(size) for size in shape)
