"""The one place that imports MLflow."""

import os
from pathlib import Path
from typing import Any

from thaw import telemetry
from thaw.errors import ThawError
from thaw.files import read_json
from thaw.tracking.outbox import Event

EXPERIMENT = "thaw"


def tracking_uri(home: Path) -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite store in the project's `mlruns`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlruns' / 'mlflow.db'}"


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

        (home / "mlruns").mkdir(parents=True, exist_ok=True)
        self.uri = tracking_uri(home)
        named = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(self.uri)
        if named is None:  # MLflow sets the variable too, and the next project would take it for the user's
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        mlflow.set_registry_uri(self.uri)
        self.client = mlflow.MlflowClient(self.uri, self.uri)
        self.experiment_id = self._experiment(home)
        self._monitors: dict[str, Any] = {}

    def _experiment(self, home: Path) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found:
            return str(found.experiment_id)
        served = self.uri.startswith(("http:", "https:", "databricks"))
        location = None if served else (home / "mlruns" / "artifacts").as_uri()
        # Without the tag MLflow's page opens on prompts and traces.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=location, tags=tags))

    def open_run(self, event: Event, parent_id: str) -> str:
        """Create a run; its id."""
        from mlflow.entities import Param, RunTag

        tags = {**event["tags"], **({"mlflow.parentRunId": parent_id} if parent_id else {})}
        run = self.client.create_run(self.experiment_id, event["time"], tags, event["name"])
        params = [Param(key, value[:6000]) for key, value in event["params"].items()]
        self.client.log_batch(run.info.run_id, params=params, tags=[RunTag("thaw.run", event["run"])])
        return str(run.info.run_id)

    def reopen_run(self, run_id: str) -> None:
        """Set a run that was killed going again."""
        self.client.update_run(run_id, status="RUNNING")

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
                from mlflow.entities import RunTag

                self.client.log_batch(
                    run_id, tags=[RunTag(key, value) for key, value in event["tags"].items()]
                )
            case "file":
                self.client.log_artifact(run_id, str(folder / event["path"]), event["folder"] or None)
            case "dataset":
                self._log_dataset(run_id, event)
            case "model":
                self._log_model(run_id, event, folder)
            case "close":
                self.stop_monitor(run_id)
                self.client.set_terminated(run_id, event["status"], event["time"])

    def _log_dataset(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(event["name"], event["version"][:36], "dvc", f'{{"uri": "{event["source"]}"}}')
        self.client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", event["context"])])]
        )

    def _log_model(self, run_id: str, event: Event, folder: Path) -> None:
        import mlflow
        import numpy as np
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        model_dir = folder / event["path"]
        config = read_json(model_dir / "model.json")
        shape = tuple(config["input_shape"])
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, *shape), "pixels")]),
            outputs=Schema([TensorSpec(np.dtype("float32"), (-1, len(config["classes"])), "probabilities")]),
        )
        with mlflow.start_run(run_id=run_id):
            # As `mlflow.pyfunc.log_model` does, but for the trial prediction, which would load TensorFlow here.
            Model.log(
                artifact_path=None,
                name="model",
                flavor=_Untried,
                validate_serving_input=False,
                loader_module="thaw.serving",
                data_path=str(model_dir),
                code_paths=[event["source"]],
                pip_requirements=[
                    "tensorflow==2.21.0",
                    "keras==3.15.1",
                    "pydantic>=2.12",
                    "pillow>=12",
                    "numpy>=2",
                ],
                signature=signature,
                input_example={"pixels": np.zeros((1, *shape), np.uint8)},
                registered_model_name=event["name"],
            )
        self.client.update_run(run_id, status="RUNNING")

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

    def pipeline_runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest pipeline runs, newest first: id, name, status, start (ms), metrics, params and tags."""
        runs = self.client.search_runs(
            [self.experiment_id],
            "tags.`thaw.run` = 'pipeline'",
            max_results=limit,
            order_by=["attributes.start_time DESC"],
        )
        return [
            {
                "run_id": run.info.run_id,
                "name": run.info.run_name,
                "status": run.info.status,
                "start_ms": run.info.start_time,
                "metrics": dict(run.data.metrics),
                "params": dict(run.data.params),
                "tags": {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
            }
            for run in runs
        ]

    def _whole_id(self, beginning: str) -> str:
        runs = self.client.search_runs([self.experiment_id], max_results=5000)
        found = [run.info.run_id for run in runs if run.info.run_id.startswith(beginning)]
        if len(found) != 1:
            cure = "`thaw runs` lists the runs." if not found else "Give more of its id."
            raise ThawError(f"{len(found)} runs have an id that begins with {beginning}", cure)
        return str(found[0])

    def download_model(self, run_id: str, target_dir: Path) -> Path:
        """Fetch the model that a run logged; the folder that holds its `model.json`.

        Args:
            run_id: or how it begins, as `thaw runs` shows it.

        Raises:
            ThawError: no run, or several, have such an id.
        """
        import mlflow

        run_id = self._whole_id(run_id)
        models = self.client.search_logged_models(
            [self.experiment_id], filter_string=f"source_run_id = '{run_id}'", max_results=1
        )
        source = models[0].artifact_location if models else f"runs:/{run_id}/model"
        local = Path(mlflow.artifacts.download_artifacts(source, dst_path=str(target_dir)))
        return next(local.rglob("model.json")).parent
