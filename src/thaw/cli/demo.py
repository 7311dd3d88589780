"""`thaw demo`: real images to try the pipeline on."""

from typing import Annotated, Literal

import typer

from thaw.cli import app


@app.command()
def demo(
    name: Annotated[
        Literal["elpv"], typer.Argument(help="The data set: solar cells, functional or defective.")
    ] = "elpv",
) -> None:
    """Lay the demo's images out in [bold]data/raw[/bold], byte for byte the same every time.

    A folder that holds anything else is left alone; one that is half filled is completed.

    [bold]Examples[/bold]

      thaw demo
      thaw demo && thaw run
    """
    from rich.console import Console
    from rich.progress import Progress

    from thaw.demo import LICENCE, lay_out
    from thaw.project import find_root
    from thaw.versioning import Books

    root = find_root()
    raw_dir = root / "data" / "raw"
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"laying out {name}")
        written = lay_out(raw_dir, lambda done, total: progress.update(task, completed=done, total=total))
    books = Books(root)
    books.commit_data()
    books.close()
    console.print(
        f"{raw_dir}: {f'{written} files written' if written else 'complete, nothing to do'}", soft_wrap=True
    )
    console.print(f"[dim]{LICENCE}[/dim]", soft_wrap=True)
    console.print("Next: [bold]thaw run[/bold]")
