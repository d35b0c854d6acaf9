"""Shows the first rows of a stream and the types they would have, writing nothing anywhere."""

from __future__ import annotations

import attrs
import pyarrow as pa

from pipeline.application.session import Session
from pipeline.domain.processing import check_masks, process_rows
from pipeline.domain.schema import StreamSchema


@attrs.frozen(eq=False)
class Preview:
    """The stream's schema and its first rows as they would be loaded: masked columns are masked here too."""

    stream: str
    schema: StreamSchema
    rows: pa.Table


def preview(session: Session, stream: str, *, limit: int) -> Preview:
    """The first rows of a stream, at most ``limit``."""
    [spec] = session.specs([stream])
    schema = session.source.schemas([spec])[stream]
    check_masks(schema, spec.masks)
    rows = session.source.preview(spec, limit=limit)
    masked, rows = process_rows(schema, rows, masks=spec.masks)
    return Preview(stream, masked, rows)
