"""The command `thaw`, and `python -m thaw`."""

import sys


def run() -> None:
    """Run the command line; where it cannot run, say why."""
    if sys.platform == "win32":
        print(
            "error: thaw runs on Linux and macOS, not on Windows\n"
            "  cure: Run it in WSL 2: https://learn.microsoft.com/windows/wsl/install",
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        from thaw.cli import main
    except ModuleNotFoundError as missing:
        sys.exit(f"error: {missing}\n  cure: Run `make install`, then `. .venv/bin/activate` in this shell.")
    main()


if __name__ == "__main__":
    run()
