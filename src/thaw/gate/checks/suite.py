"""The contract: one suite of Great Expectations, built from the parameters, and the user's own. Only here is it imported.

The suite runs on the manifest with one column more for each check, `found_<check>`: how often the row's path failed it. Paths
that are no images, such as folders, follow as rows of their own with verdict `no_image`.
"""

import json
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thaw.errors import ThawError
from thaw.gate.checks import CHECKS
from thaw.gate.findings import Finding, Findings
from thaw.params.gate import ValidateParams

if TYPE_CHECKING:
    import pandas as pd

_SEVERITY = {"block": "critical", "quarantine": "warning", "warn": "info"}
_FIT = {"type": "comparison", "column": {"name": "verdict"}, "operator": "==", "parameter": "ok"}


@dataclass(frozen=True)
class Verdict:
    """What the suite said: expectations in all, those that were not met, and the Data Docs' first page."""

    expectations: int
    failed: list[str]
    docs_path: Path


def contract(params: ValidateParams) -> list[dict[str, Any]]:
    """thaw's own expectations, as a JSON suite file holds them."""
    limits = params.limits
    wanted = [
        _expect("expect_column_values_to_be_unique", "critical", column="path"),
        _expect("expect_column_values_to_not_be_null", "critical", column="class"),
        _expect(
            "expect_column_values_to_be_in_set",
            "critical",
            column="format",
            value_set=limits.formats,
            fit=True,
        ),
        _expect(
            "expect_column_values_to_match_regex",
            "critical",
            column="sha256",
            regex="^[0-9a-f]{64}$",
            fit=True,
        ),
        _expect(
            "expect_column_max_to_be_between",
            "critical",
            column="bytes",
            max_value=limits.max_file_mb * 1e6,
            fit=True,
        ),
    ]
    for check in CHECKS:
        severity = getattr(params.severity, check)
        if severity != "off":
            kind = "expect_column_max_to_be_between"
            wanted.append(_expect(kind, _SEVERITY[severity], column=f"found_{check}", max_value=0))
    return wanted


def _expect(kind: str, severity: str, *, fit: bool = False, **kwargs: Any) -> dict[str, Any]:
    condition = {"row_condition": _FIT} if fit else {}
    return {"type": kind, "kwargs": kwargs | condition, "severity": severity}


def read_suite(path: Path) -> list[dict[str, Any]]:
    """The expectations of a JSON suite file.

    Raises:
        ThawError: it is missing, not JSON, or holds no list of expectations.
    """
    cure = 'Write {"expectations": [{"type": ..., "kwargs": {...}}]}; docs/gate.md shows one.'
    try:
        wanted = json.loads(path.read_text(encoding="utf-8"))["expectations"]
    except OSError as error:
        raise ThawError(
            f"{path}: cannot be read: {error.strerror}", "Set validate.expectations to a file."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ThawError(f"{path}: not a suite: {error}", cure) from None
    if not isinstance(wanted, list) or not all(isinstance(one, dict) and "type" in one for one in wanted):
        raise ThawError(f"{path}: `expectations` is no list of objects with a `type`", cure)
    return wanted


def frame(manifest_path: Path, rows: list[Finding], params: ValidateParams) -> "pd.DataFrame":
    """The manifest with a column `found_<check>` for each check that is on, and rows for paths that are no images."""
    import numpy as np
    import pandas as pd

    table = pd.read_parquet(manifest_path)
    known = set(table["path"])
    others = sorted({row.path for row in rows} - known)
    extra = pd.DataFrame({"path": others, "class": "", "split": "", "verdict": "no_image"})
    table = pd.concat([table, extra], ignore_index=True) if others else table
    position = {path: at for at, path in enumerate(table["path"])}
    counts = Counter((row.check, position[row.path]) for row in rows)
    columns = {
        f"found_{check}": np.zeros(len(table), np.int32)
        for check in CHECKS
        if getattr(params.severity, check) != "off"
    }
    for (check, at), count in counts.items():
        columns[f"found_{check}"][at] = count
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def check_contract(
    manifest_path: Path, findings: Findings, params: ValidateParams, docs_dir: Path, suite_path: Path | None = None
) -> Verdict:
    """Run the suite, report the user's expectations that are not met, and build Data Docs.

    An expectation of the user's has the severity of check `expectation`, or only warns where the suite file gives it severity
    `warning` or `info`.

    Args:
        suite_path: the user's expectations, as JSON.

    Raises:
        ThawError: the user's suite file cannot be used.
    """
    own = read_suite(suite_path) if suite_path else []
    table = frame(manifest_path, findings.sorted(), params)
    wanted = contract(params)
    results = _validate(table, wanted + own, docs_dir)
    failed = []
    for number, result in enumerate(results):
        if result["success"]:
            continue
        failed.append(_name(result))
        if number >= len(wanted):
            _report(result, own[number - len(wanted)].get("severity", "critical"), findings)
    return Verdict(len(results), failed, docs_dir / "index.html")


def _report(result: dict[str, Any], severity: str, findings: Findings) -> None:
    raised = result.get("exception_info", {})
    messages = [raised] if "exception_message" in raised else list(raised.values())
    error = next((one["exception_message"] for one in messages if one.get("raised_exception")), "")
    details = result.get("result", {})
    seen = details.get("observed_value", details.get("partial_unexpected_list"))
    reason = f"{_name(result)}: {error.splitlines()[0] if error else f'found {json.dumps(seen, default=str)[:200]}'}"
    findings.add(
        "expectation", ".", reason, details.get("unexpected_count"), warn_only=severity != "critical"
    )


def _name(result: dict[str, Any]) -> str:
    config = result["expectation_config"]
    kwargs = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    return f"{config['type']}({', '.join(f'{key}={value}' for key, value in kwargs.items())})"


def _validate(table: "pd.DataFrame", wanted: list[dict[str, Any]], docs_dir: Path) -> list[dict[str, Any]]:
    """Validate `table` in a context that lives in memory and calls nobody; results in the order of `wanted`."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    # It tells of each temporary folder whatever its parent's level is.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    context.enable_analytics(enable=False)
    _add_site(context, docs_dir)
    suite = context.suites.add(gx.ExpectationSuite(name="thaw", expectations=_numbered(wanted)))
    known = {one.meta["number"] for one in suite.expectations}
    for number, one in enumerate(wanted):
        if number not in known:  # Great Expectations logs it and goes on without it
            reason = f"validate.expectations: {one['type']} is no expectation, or its kwargs are wrong"
            raise ThawError(reason, "Mend the suite file; the log names what is wrong with it.")
    batch = context.data_sources.add_pandas("thaw").add_dataframe_asset("manifest")
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name="gate", data=batch.add_batch_definition_whole_dataframe("all"), suite=suite
        )
    )
    checkpoint = context.checkpoints.add(gx.Checkpoint(name="gate", validation_definitions=[definition]))
    run = checkpoint.run(batch_parameters={"dataframe": table})
    context.build_data_docs()
    result = next(iter(run.run_results.values())).to_json_dict()
    return sorted(result["results"], key=lambda one: one["expectation_config"]["meta"]["number"])


def _numbered(wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | {"meta": one.get("meta", {}) | {"number": number}} for number, one in enumerate(wanted)]


def _add_site(context: Any, docs_dir: Path) -> None:
    for name in list(context.variables.data_docs_sites or {}):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        site_name="thaw",
        site_config={
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs_dir.resolve()),
            },
        },
    )
