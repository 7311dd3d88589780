"""What trials came to, in a file that outlives a kill: a search that is started again takes it from there."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Score:
    """How a model that was trained without a fold does on it."""

    log_loss: float
    accuracy: float


DIVERGED = Score(float("inf"), 0.0)
"""Of a training that came to nothing."""


class ScoreJournal:
    """Scores by what a trial sets and by fold, a line each.

    Args:
        folder: one a project; the file in it is that of `key`.
        key: all that decides a score but what a trial sets and the fold; those of another key are never taken.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / f"{key[:16]}.jsonl"
        self._scores: dict[tuple[str, int], Score] = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # a kill tore the line: it is trained again
                    entry = json.loads(line)
                    self._scores[_name(entry["sets"]), entry["fold"]] = Score(**entry["score"])

    def __len__(self) -> int:
        return len(self._scores)

    def find(self, overrides: Mapping[str, Any], fold: int) -> Score | None:
        """What is known."""
        return self._scores.get((_name(overrides), fold))

    def add(self, overrides: Mapping[str, Any], scores: Mapping[int, Score]) -> None:
        """Keep the scores of a trial's folds."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [{"sets": dict(overrides), "fold": fold, "score": asdict(score)} for fold, score in scores.items()]
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(map(json.dumps, lines)) + "\n")  # a torn line before stays apart
        for fold, score in scores.items():
            self._scores[_name(overrides), fold] = score


def _name(overrides: Mapping[str, Any]) -> str:
    return json.dumps(dict(overrides), sort_keys=True)
