"""Pictures in shards, for tests, and what comes of unpacking them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from thaw.errors import ThawError
from thaw.intake.unpacking import is_packed, unpack


def picture(seed: int, form: str = "JPEG") -> bytes:
    levels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(levels).save(data, form)
    return data.getvalue()


def parquet(path: Path, columns: Mapping[str, Any], metadata: dict[bytes, bytes] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=5)
    return path


def unpacked(source: Path, into: Path, **options: Any) -> dict[str, bytes]:
    assert is_packed(source)
    into.mkdir()
    unpack(source, into, **options)
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


def refused(source: Path, into: Path) -> str:
    assert is_packed(source)
    into.mkdir()
    with pytest.raises(ThawError) as caught:
        unpack(source, into)
    assert list(into.iterdir()) == []
    assert caught.value.cure
    return str(caught.value)
