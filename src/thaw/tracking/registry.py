"""The registered model: its versions, and which of them is the champion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thaw.files import read_json, write_json

VERSION_TAG = "dvc.version"
ACCURACY_TAG = "test.accuracy"
CHAMPION = "champion"
_DESCRIPTION = (
    "An image classifier that thaw trained. Each version has its test accuracy, interval and data version as tags. "
    "`models:/{name}@champion` is the best by test accuracy: another takes its place only with an accuracy above the upper "
    "end of its interval. `models:/{name}/latest` is the newest."
)


class Registry:
    """Versions of registered models, through MLflow's client.

    Args:
        client: `mlflow.MlflowClient`.
        home: the project's folder; `.thaw/registered.json` in it keeps what is registered for those who do not ask MLflow.
    """

    def __init__(self, client: Any, home: Path) -> None:
        self._client = client
        self._path = registered_path(home)

    def has(self, name: str, version: str) -> bool:
        """Whether a model is registered, by DVC's hash of it."""
        return bool(version) and any(item.tags.get(VERSION_TAG) == version for item in self._versions(name))

    def _versions(self, name: str) -> list[Any]:
        return list(self._client.search_model_versions(f"name = '{name}'"))

    def register(self, name: str, model_id: str, run_id: str, tags: Mapping[str, str], weights: str) -> None:
        """Add a version, make it the champion where the rule says so, and keep both beside the project.

        Args:
            tags: the version's.
            weights: SHA-256 of the model's weights, by which `thaw predict` knows it.
        """
        description = _DESCRIPTION.format(name=name)
        known = [model.name for model in self._client.search_registered_models(f"name = '{name}'")]
        if name not in known:
            self._client.create_registered_model(name, description=description)
        older = self._versions(name)
        source = self._client.get_logged_model(model_id).artifact_location
        made = self._client.create_model_version(
            name, source, run_id, dict(tags), description=_describe(tags), model_id=model_id
        )
        champion = choose_champion(self._champion(name, older), made)
        if champion is not None:
            self._client.set_registered_model_alias(name, CHAMPION, str(champion.version))
        kept = read_json(self._path) if self._path.exists() else {}
        entry = {"name": name, "version": str(made.version), "accuracy": tags.get(ACCURACY_TAG, "")}
        versions = kept.get("versions", {}) | {weights: entry}
        write_json(self._path, {CHAMPION: str(champion.version) if champion else "", "versions": versions})
        if champion is not None:
            self._tag_run(champion, made.run_id)

    def _tag_run(self, champion: Any, run_id: str) -> None:
        """Tag the run that made the champion, and no other of its experiment."""
        experiment_id = self._client.get_run(run_id).info.experiment_id
        for run in self._client.search_runs([experiment_id], f"tags.{CHAMPION} LIKE '{champion.name} %'"):
            self._client.delete_tag(run.info.run_id, CHAMPION)
        self._client.set_tag(champion.run_id, CHAMPION, f"{champion.name} v{champion.version}")

    def tell(self, weights: str) -> str:
        """Name and version of the model with these weights (SHA-256), and the champion's; empty where it is not registered."""
        kept = read_json(self._path) if self._path.exists() else {"versions": {}}
        entry = kept["versions"].get(weights)
        if not entry:
            return ""
        champion = kept[CHAMPION]
        stands = "the champion" if entry["version"] == champion else f"the champion is v{champion}" if champion else ""
        return f"{entry['name']} v{entry['version']}" + (f", {stands}" if stands else "")

    def _champion(self, name: str, versions: list[Any]) -> Any:
        """The version that holds the alias; the most accurate one in a registry that has no alias yet."""
        alias = self._client.get_registered_model(name).aliases.get(CHAMPION)
        holder = next((item for item in versions if str(item.version) == str(alias)), None)
        judged = [item for item in versions if _number(item.tags, ACCURACY_TAG) is not None]
        return holder or max(judged, key=lambda item: float(item.tags[ACCURACY_TAG]), default=None)


def choose_champion(champion: Any, made: Any) -> Any:
    """Which of two versions is the champion: the new one where its test accuracy is above the interval of the other's.

    None where neither has an accuracy. The champion's interval ends at its accuracy where it has none.
    """
    accuracy = _number(made.tags, ACCURACY_TAG)
    if champion is None:
        return made if accuracy is not None else None
    to_beat = _number(champion.tags, f"{ACCURACY_TAG}_high") or _number(champion.tags, ACCURACY_TAG)
    return made if accuracy is not None and (to_beat is None or accuracy > to_beat) else champion


def _number(tags: Mapping[str, str], name: str) -> float | None:
    try:
        return float(tags[name])
    except (KeyError, ValueError):
        return None


def _describe(tags: Mapping[str, str]) -> str:
    accuracy, low, high = (_number(tags, f"{ACCURACY_TAG}{end}") for end in ("", "_low", "_high"))
    if accuracy is None:
        return ""
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"Test accuracy {accuracy:.3f}{interval}. Classes: {tags.get('classes', '')}."


def registered_path(home: Path) -> Path:
    """What is known of registered models without MLflow: `champion`, and of each model's weights the version."""
    return home / ".thaw" / "registered.json"


def registered_as(home: Path, model_dir: Path) -> tuple[dict[str, str], str]:
    """Name, version and test accuracy under which a saved model is registered, and the champion's version.

    Both empty where it is not.
    """
    path = registered_path(home)
    if not path.exists():
        return {}, ""
    kept = read_json(path)
    weights = read_json(model_dir / "model.json").get("weights_sha256", "")
    return dict(kept["versions"].get(weights, {})), str(kept[CHAMPION])


def tell_registered(home: Path, model_dir: Path) -> str:
    """`model thaw: v2 registered; champion stays v1`; empty where it is not registered."""
    entry, champion = registered_as(home, model_dir)
    if not entry:
        return ""
    stands = "it is the champion" if entry["version"] == champion else f"champion stays v{champion}"
    return f"model {entry['name']}: v{entry['version']} registered; {stands if champion else 'no champion'}"


def name_model(home: Path, model_dir: Path) -> str:
    """One line that says which model is used: `model: thaw v2, test accuracy 0.8963 (champion: v1)`."""
    entry, champion = registered_as(home, model_dir)
    if not entry:
        return f"model: {model_dir}, not registered"
    judged = f", test accuracy {float(entry['accuracy']):.4f}" if entry["accuracy"] else ""
    if entry["version"] == champion:
        return f"model: {entry['name']} v{champion}, the champion{judged}"
    return f"model: {entry['name']} v{entry['version']}{judged}" + (f" (champion: v{champion})" if champion else "")
