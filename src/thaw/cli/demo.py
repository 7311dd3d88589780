"""`thaw demo`: real images to try the pipeline on."""

from typing import Annotated, Literal

import typer

from thaw.cli import app


@app.command()
def demo(
    name: Annotated[
        Literal["elpv", "digits", "mnist", "fashion_mnist", "cifar10"],
        typer.Argument(help="The data set; mnist, fashion_mnist and cifar10 come from the network."),
    ] = "elpv",
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the data that is there aside first.")
    ] = False,
) -> None:
    """Lay a public image set out in [bold]data/raw[/bold], byte for byte the same every time.

    elpv: 2,624 photographs of solar cells, functional or defective. digits: 1,797 handwritten digits. A folder that holds
    anything else is left alone; one that is half filled is completed. The command to go on with is printed.

    [bold]Examples[/bold]

      thaw demo && thaw run
      thaw demo digits --replace
    """
    from rich.console import Console
    from rich.progress import Progress

    from thaw.cli.data import move_aside
    from thaw.demo import SETS, lay_out
    from thaw.project import find_root
    from thaw.versioning import Books

    root = find_root()
    raw_dir = root / "data" / "raw"
    console = Console()
    if replace and raw_dir.exists() and any(raw_dir.iterdir()):
        console.print(f"moved the old folder to {move_aside(raw_dir).relative_to(root)}", soft_wrap=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"laying out {name}", total=None)
        written = lay_out(
            name, raw_dir, lambda done, total: progress.update(task, completed=done, total=total)
        )
    books = Books(root)
    books.commit_data()
    books.close()
    console.print(
        f"{raw_dir}: {f'{written} files written' if written else 'complete, nothing to do'}", soft_wrap=True
    )
    console.print(f"[dim]{SETS[name].licence}[/dim]", soft_wrap=True)
    options = "".join(f" -S {override}" for override in SETS[name].overrides)
    console.print(f"Next: [bold]thaw run{options}[/bold]", soft_wrap=True)
