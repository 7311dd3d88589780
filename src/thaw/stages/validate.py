"""Check the images before compute is spent on them."""

import logging
from pathlib import Path

from thaw.files import write_json
from thaw.gate.checks.suite import check_contract
from thaw.gate.findings import raise_if_blocked
from thaw.gate.inspection import inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.gate.report.markdown import write_markdown
from thaw.gate.report.page import write_page
from thaw.params import ComputeParams, ValidateParams
from thaw.project import named_file

_log = logging.getLogger("thaw.validate")


def validate(
    params: ValidateParams,
    compute: ComputeParams,
    raw_dir: Path,
    contract_dir: Path,
    manifest_path: Path,
    findings_path: Path,
    gate_path: Path,
    scratch_dir: Path,
) -> None:
    """Inspect `raw_dir`, write the manifest, the findings and the report, and refuse data that is not fit.

    Args:
        params: what is checked, and how hard.
        compute: how many processes read images.
        raw_dir: the images, `<class>/*` or `{train,test[,validation]}/<class>/*`, with or without metadata.csv.
        contract_dir: holds the files that `params.reference` and `params.expectations` name.
        manifest_path: Parquet, a row an image (docs/architecture.md).
        findings_path: JSON: status, totals, counts by check, every finding.
        gate_path: the report in Markdown.
        scratch_dir: keeps what the scan saw, so that an unchanged file is not opened again, and Data Docs.

    The page `gate.html` beside the findings is no output: it may change where they do not.

    Raises:
        GateError: a finding blocks; all outputs are written.
        ThawError: `raw_dir` cannot be listed, or a file in `contract_dir` is missing or cannot be used.
    """
    reference_path = named_file("validate.reference", params.reference, contract_dir)
    suite_path = named_file("validate.expectations", params.expectations, contract_dir)
    inspection = inspect_folder(
        params, raw_dir, scratch_dir, reference_path=reference_path, workers=compute.workers
    )
    write_manifest(manifest_path, inspection)
    verdict = check_contract(manifest_path, inspection.findings, params, scratch_dir / "data_docs", suite_path)
    summary = inspection.summary()
    write_json(findings_path, summary)
    write_markdown(gate_path, summary)
    page_path = findings_path.with_name("gate.html")
    write_page(page_path, inspection, summary)
    totals = summary["totals"]
    _log.info("%s images, %s of them fit, %s findings", totals["images"], totals["fit"], len(summary["findings"]))
    _log.info("%s expectations, %s not met: %s", verdict.expectations, len(verdict.failed), verdict.docs_path)
    raise_if_blocked(inspection.found, str(page_path))
