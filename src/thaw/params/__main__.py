"""`python -m thaw.params` writes `params.yaml` and `docs/params.md`.

`params.yaml` is the user's from then on; a test holds the one in the repository to the defaults.
"""

from pathlib import Path

from thaw.files import write_text
from thaw.params.rendering import render_markdown, render_yaml

write_text(Path("params.yaml"), render_yaml())
write_text(Path("docs/params.md"), render_markdown())
