"""The one place that imports MLflow, but for the making of its database."""

import json
import logging
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Any

from filelock import FileLock

from thaw import telemetry
from thaw.decision import decision_of
from thaw.errors import ThawError
from thaw.files import read_json
from thaw.tracking import address
from thaw.tracking.database import create_database
from thaw.tracking.links import pages_url, run_page, runs_page
from thaw.tracking.names import own_tags, stored_tag
from thaw.tracking.outbox import PIPELINE, Event, Outbox
from thaw.tracking.pipeline_runs import NUMBER_TAG, PipelineRuns
from thaw.tracking.registry import VERSION_TAG, Registry
from thaw.tracking.relocation import relocate
from thaw.tracking.run_page import write_run_page

_STORE_TAG = "thaw.store"
_LAST_NUMBER_TAG = "thaw.last_number"
_BATCH = 100
"""Parameters, or tags, that MLflow takes at once."""
# What MLflow answers when the same event will be refused the next time too.
_REFUSALS = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
        "BAD_REQUEST",
        "MALFORMED_REQUEST",
        "INVALID_STATE",
        "ENDPOINT_NOT_FOUND",
        "FEATURE_DISABLED",
        "NOT_IMPLEMENTED",
        "RESOURCE_LIMIT_EXCEEDED",
    }
)

log = logging.getLogger("thaw.tracking")


class _Untried:
    """The `pyfunc` flavour, for `Model.log`'s `validate_serving_input`, which it takes for an argument of the flavour's too."""

    __name__ = "mlflow.pyfunc"

    @staticmethod
    def save_model(validate_serving_input: bool, **arguments: Any) -> None:
        import mlflow

        mlflow.pyfunc.save_model(**arguments)


class Store:
    """MLflow's tracking store: takes events, and answers questions about runs.

    Args:
        home: the project's folder; `mlruns` in it holds the database and the artifacts, unless a server is named.
    """

    def __init__(self, home: Path) -> None:
        telemetry.switch_off()
        # One request that fails is tried again by the shipper, not for minutes within the client.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it may hold a password
        import mlflow

        self.uri, self.registry_uri = address.tracking_uri(home), address.registry_uri(home)
        self.address = address.address_digest(home)
        self._database_path = address.database_path(home) if address.is_own(home) else None
        if self._database_path:
            create_database(self._database_path, address.creation_lock(home))
            relocate(self._database_path, address.artifacts_dir(home))
        unnamed = {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"} - set(os.environ)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.registry_uri)
        for name in unnamed:  # MLflow sets the variables too, and the next project would take them for the user's
            os.environ.pop(name, None)
        self.client = mlflow.MlflowClient(self.uri, self.registry_uri)
        self._registry = Registry(self.client, home)
        self._pages_url = pages_url(home)
        self.experiment_id, self.store_id = self._experiment(home)
        self._runs = PipelineRuns(self.client, self.experiment_id)
        self._inode = self._database_inode()
        self._numbering = FileLock(home / ".thaw" / "numbering.lock")
        self._monitors: dict[str, Any] = {}

    def _experiment(self, home: Path) -> tuple[str, str]:
        """The experiment's id and the store's, which is a tag of the experiment."""
        name = address.experiment_name(home)
        found = self.client.get_experiment_by_name(name)
        store_id = uuid.uuid4().hex
        if found is None:
            location = None if address.is_served(home) else address.artifacts_dir(home).as_uri()
            # Without the tag on its kind MLflow's page opens on prompts and traces.
            tags = {"mlflow.experimentKind": "custom_model_development", _STORE_TAG: store_id}
            return str(self.client.create_experiment(name, location, tags)), store_id
        self._restore_experiment(found)
        if _STORE_TAG not in found.tags:
            self.client.set_experiment_tag(found.experiment_id, _STORE_TAG, store_id)
        return str(found.experiment_id), str(found.tags.get(_STORE_TAG, store_id))

    def _restore_experiment(self, experiment: Any) -> bool:
        if experiment.lifecycle_stage != "deleted":
            return False
        log.warning("the experiment %s was deleted in MLflow; it is restored", experiment.name)
        self.client.restore_experiment(experiment.experiment_id)
        return True

    def _database_inode(self) -> int:
        try:
            return self._database_path.stat().st_ino if self._database_path else 0
        except FileNotFoundError:
            return -1

    def is_database_gone(self) -> bool:
        """Whether the project's own database was deleted, or another put in its place."""
        return self._database_inode() != self._inode

    def is_gone(self, run_ids: list[str]) -> bool:
        """Whether the database, the experiment or a run is not there any more, or another in its place."""
        from mlflow.exceptions import MlflowException

        if self.is_database_gone():
            return True
        try:
            self.client.get_experiment(self.experiment_id)
            for run_id in run_ids:
                self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return True
            raise
        return False

    def revive(self, run_id: str) -> bool:
        """Restore a run that was deleted in MLflow, or its experiment; whether it was so."""
        restored = self._restore_experiment(self.client.get_experiment(self.experiment_id))
        if run_id and self.client.get_run(run_id).info.lifecycle_stage == "deleted":
            log.warning("the run %s was deleted in MLflow; it is restored", run_id)
            self.client.restore_run(run_id)
            return True
        return restored

    def refusal(self, error: Exception) -> str:
        """Why MLflow will never take an event; empty where the store is away, and may take it later."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        text = f"{type(error).__name__}: {error}"
        if isinstance(error, MlflowException):
            return text if error.error_code in _REFUSALS else ""
        return "" if isinstance(error, OSError | SQLAlchemyError | sqlite3.Error) else text

    def open_run(self, event: Event, parent_id: str) -> str:
        """Create a run; its id."""
        tags = {"thaw.run": event["run"]}
        if parent_id:
            tags["mlflow.parentRunId"] = parent_id
        elif event["run"] == PIPELINE:
            tags[NUMBER_TAG] = self._next_number()
        if not parent_id:
            self._runs.show([])
        run = self.client.create_run(self.experiment_id, event["time"], tags, event["name"])
        return str(run.info.run_id)

    def _next_number(self) -> str:
        """The number by which people name a run: they count up, and none is given twice."""
        with self._numbering:
            number = int(self.client.get_experiment(self.experiment_id).tags.get(_LAST_NUMBER_TAG, 0)) + 1
            self.client.set_experiment_tag(self.experiment_id, _LAST_NUMBER_TAG, str(number))
        return str(number)

    def describe_run(self, run_id: str, event: Event) -> None:
        """Log the parameters and tags that a run was opened with."""
        from mlflow.entities import Param

        unshown = event.get("unshown", ())  # not in the outboxes of earlier versions
        params = [Param(key, value) for key, value in event["params"].items() if key not in unshown]
        for start in range(0, len(params), _BATCH):
            self.client.log_batch(run_id, params=params[start : start + _BATCH])
        self._log_tags(run_id, event["tags"])

    def _log_tags(self, run_id: str, tags: dict[str, str]) -> None:
        from mlflow.entities import RunTag

        items = [RunTag(stored_tag(key), value) for key, value in tags.items()]
        for start in range(0, len(items), _BATCH):
            self.client.log_batch(run_id, tags=items[start : start + _BATCH])

    def reopen_run(self, run_id: str, event: Event) -> None:
        """Set a run going again that was killed or closed, with what it stands on now."""
        self.client.update_run(run_id, status="RUNNING")
        self._log_tags(run_id, event["tags"])

    def log_metrics(self, run_id: str, events: list[Event]) -> None:
        """Log metrics; logging the same event again changes nothing."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, event["time"], event["step"])
            for event in events
            for name, value in event["values"].items()
        ]
        for start in range(0, len(metrics), 900):
            self.client.log_batch(run_id, metrics=metrics[start : start + 900])

    def apply(self, run_id: str, event: Event, folder: Path) -> None:
        """Carry out one event on a run. `folder` is the outbox's, which file paths are relative to."""
        match event["op"]:
            case "tags":
                self._log_tags(run_id, event["tags"])
            case "file":
                self.client.log_artifact(run_id, str(folder / event["path"]), event["folder"] or None)
            case "dataset":
                self._log_dataset(run_id, event)
            case "model":
                self._log_model(run_id, event, folder)
            case "close" | "killed":
                self.stop_monitor(run_id)
                self.client.set_terminated(run_id, event.get("status", "KILLED"), event["time"])
                if event["run"] == PIPELINE:
                    self._runs.describe(run_id)

    def log_run_page(self, run_id: str, outbox: Outbox) -> None:
        """Make the page of a run that is closed, where it made a report, and log it at the root of its artifacts."""
        run, description = self._runs.told(run_id)
        links = {
            "This run in MLflow": run_page(self._pages_url, self.experiment_id, run_id),
            "All runs side by side": runs_page(self._pages_url, self.experiment_id),
        }
        model = self._registry.tell(outbox.report(PIPELINE).get("weights", ""))
        page = write_run_page(outbox, run, description, model, links)
        if page:
            self.client.log_artifact(run_id, str(page))

    def _log_dataset(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        described = event.get("schema") or None, event.get("profile") or None  # not in the outboxes of earlier versions
        source = json.dumps({"uri": event["source"]})
        dataset = Dataset(event["name"], event["version"][:36], "dvc", source, *described)
        self.client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", event["context"])])]
        )

    def _log_model(self, run_id: str, event: Event, folder: Path) -> None:
        if self._registry.has(event["name"], event["version"]):
            return
        saved = self._logged_models(
            f"source_run_id = '{run_id}' AND tags.`{VERSION_TAG}` = '{event['version']}'"
        )
        model_id = saved[0].model_id if saved else self._save_model(run_id, event, folder)
        weights = read_json(folder / event["path"] / "model.json").get("weights_sha256", "")
        tags = {VERSION_TAG: event["version"], **event["tags"]}
        self._registry.register(event["name"], model_id, run_id, tags, weights)

    def _save_model(self, run_id: str, event: Event, folder: Path) -> str:
        import mlflow
        import numpy as np
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        model_dir = folder / event["path"]
        config = read_json(model_dir / "model.json")
        shape = tuple(config["input_shape"])
        told = {"classes": config["classes"]} | decision_of(config).told()
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, *shape), "pixels")]),
            outputs=Schema(
                [
                    TensorSpec(np.dtype("str"), (-1,), "predicted"),
                    TensorSpec(np.dtype("float32"), (-1, len(config["classes"])), "probabilities"),
                ]
            ),
        )
        with mlflow.start_run(run_id=run_id):
            # As `mlflow.pyfunc.log_model` does, but for the trial prediction, which would load TensorFlow here.
            logged = Model.log(
                artifact_path=None,
                name="model",
                flavor=_Untried,
                validate_serving_input=False,
                loader_module="thaw.serving",
                data_path=str(model_dir),
                code_paths=[str(Path(__file__).parents[1])],
                pip_requirements=[
                    "tensorflow==2.21.0",
                    "keras==3.15.1",
                    "pydantic>=2.12",
                    "pillow>=12",
                    "numpy>=2",
                ],
                signature=signature,
                # A signature names tensors and not what is in them.
                metadata=told,
                params=told | {"classes": ", ".join(told["classes"])},
                input_example={"pixels": np.zeros((1, *shape), np.uint8)},
            )
        self.client.update_run(run_id, status="RUNNING")
        self.client.set_logged_model_tags(logged.model_id, {VERSION_TAG: event["version"]})
        return str(logged.model_id)

    def start_monitor(self, run_id: str) -> None:
        """Log the machine's load (GPUs' too, where there are any) to a run until it closes."""
        if run_id in self._monitors:
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(
            run_id, sampling_interval=5, resume_logging=True, tracking_uri=self.uri
        )
        monitor.start()
        self._monitors[run_id] = monitor

    def stop_monitor(self, run_id: str) -> None:
        monitor = self._monitors.pop(run_id, None)
        if monitor:
            monitor.finish()

    def pipeline_runs(self, limit: int = 0) -> list[dict[str, Any]]:
        """The newest pipeline runs (`PipelineRuns.newest`)."""
        return self._runs.newest(limit)

    def download_folder(self, run_id: str, folder: str, target_dir: Path) -> Path | None:
        """Fetch a folder of a run's artifacts, which keeps its name in `target_dir`; None where there is none."""
        if not self.client.list_artifacts(run_id, folder):
            return None
        return Path(self.client.download_artifacts(run_id, folder, str(target_dir)))

    def download_file(self, run_id: str, name: str, target_dir: Path) -> Path | None:
        """Fetch a file at the root of a run's artifacts; None where there is none."""
        if name not in {item.path for item in self.client.list_artifacts(run_id)}:
            return None
        return Path(self.client.download_artifacts(run_id, name, str(target_dir)))

    def whole_id(self, beginning: str) -> str:
        """The id of the run whose id begins so.

        Raises:
            ThawError: no run has, or several.
        """
        runs, token = [], None
        while token != "":
            page = self.client.search_runs([self.experiment_id], max_results=5000, page_token=token)
            runs += [run for run in page if run.info.run_id.startswith(beginning)]
            token = page.token or ""
        if len(runs) == 1:
            return str(runs[0].info.run_id)
        if not runs:
            raise ThawError(f"no run has an id that begins with {beginning}", "`thaw runs` lists the runs.")
        shown = ", ".join(f"{run.info.run_id} ({run.info.run_name})" for run in runs[:10])
        raise ThawError(
            f"{len(runs)} runs have an id that begins with {beginning}: {shown}", "Give more of the id."
        )

    def download_model(self, run_id: str, target_dir: Path) -> Path:
        """Fetch the model of a run: the one it logged, else the same one of another run; the folder of its `model.json`.

        Args:
            run_id: the whole id (`whole_id`).

        Raises:
            ThawError: the run has no model.
        """
        import mlflow

        tags = own_tags(self.client.get_run(run_id).data.tags)
        # Runs of earlier versions logged what `fine_tune` made.
        version = tags.get("dvc.models/evaluated", tags.get("dvc.models/fine_tuned", ""))
        models = self._logged_models(f"source_run_id = '{run_id}'")
        if not models and version:
            models = self._logged_models(f"tags.`{VERSION_TAG}` = '{version}'")
        if not models:
            raise ThawError(
                f"run {run_id} has no model: it did not come to `evaluate`", "`thaw runs` lists the runs."
            )
        local = Path(
            mlflow.artifacts.download_artifacts(models[0].artifact_location, dst_path=str(target_dir))
        )
        return next(local.rglob("model.json")).parent

    def _logged_models(self, filter_string: str) -> list[Any]:
        found = self.client.search_logged_models([self.experiment_id], filter_string, max_results=1)
        return [model for model in found if str(model.status) in ("READY", "LoggedModelStatus.READY")]
