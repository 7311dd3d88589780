"""Check the images before compute is spent on them."""

import logging
from dataclasses import dataclass
from pathlib import Path

from thaw.compute import open_executor
from thaw.files import write_json
from thaw.gate.checks.suite import check_contract
from thaw.gate.findings import raise_if_blocked, shorten
from thaw.gate.inspection import inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.gate.report.markdown import write_markdown
from thaw.gate.report.page import write_page
from thaw.params import ComputeParams, ValidateParams
from thaw.project import named_file

_log = logging.getLogger("thaw.validate")


@dataclass(frozen=True)
class ValidateInputs:
    """What `validate` reads."""

    raw_dir: Path
    """The images, `<class>/*` or `{train,test[,validation]}/<class>/*`, with or without metadata.csv."""
    contract_dir: Path
    """Holds the files that `validate.reference` and `validate.expectations` name."""


@dataclass(frozen=True)
class ValidateOutputs:
    """What `validate` writes."""

    manifest_path: Path
    """Parquet, a row an image (docs/architecture.md)."""
    findings_path: Path
    """JSON: status, totals, counts by check, the findings, 10,000 of a check at most."""
    gate_path: Path
    """The report in Markdown."""


def validate(
    params: ValidateParams, compute: ComputeParams, inputs: ValidateInputs, outputs: ValidateOutputs, scratch_dir: Path
) -> None:
    """Inspect the images, write the manifest, the findings and the report, and refuse data that is not fit.

    The page `gate.html` beside the findings is no output: it may change where they do not.

    Args:
        params: what is checked, and how hard.
        compute: where images are read.
        scratch_dir: keeps what the scan saw, so that an unchanged file is not opened again, and Data Docs.

    Raises:
        GateError: a finding blocks; all outputs are written.
        ThawError: the images cannot be listed, or a file of the contract is missing or cannot be used.
    """
    reference_path = named_file("validate.reference", params.reference, inputs.contract_dir)
    suite_path = named_file("validate.expectations", params.expectations, inputs.contract_dir)
    with open_executor(compute) as executor:
        inspection = inspect_folder(
            params, inputs.raw_dir, scratch_dir, _tell_count, reference_path, executor
        )
    write_manifest(outputs.manifest_path, inspection)
    docs_dir = scratch_dir / "data_docs"
    verdict = check_contract(outputs.manifest_path, inspection.findings, params, docs_dir, suite_path)
    summary = inspection.summary()
    write_json(outputs.findings_path, shorten(summary))
    write_markdown(outputs.gate_path, summary)
    page_path = outputs.findings_path.with_name("gate.html")
    write_page(page_path, inspection, summary)
    totals = summary["totals"]
    found = len(summary["findings"])
    counted = f"{found} finding" if found == 1 else f"{found} findings"
    _log.info("%s images, %s of them fit, %s: %s", totals["images"], totals["fit"], counted, page_path)
    _log.info("%s expectations, %s not met: %s", verdict.expectations, len(verdict.failed), verdict.docs_path)
    raise_if_blocked(summary)


def _tell_count(count: int) -> None:
    _log.info("%d images read", count, extra={"done": count, "total": 0})
