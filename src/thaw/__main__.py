import sys

try:
    from thaw.cli import main
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}\n  cure: Run `make install`, then `. .venv/bin/activate` in this shell.")

main()
