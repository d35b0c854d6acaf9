"""Conditional requests: whether the only page of a list is still what it was when it was read (RFC 9110, section 13).

What validators an answer has is ``reading``'s to find.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from adapters.sources.rest.endpoints import Deletes, StreamOptions

#: The bookmark that keeps them.
VALIDATORS = "validators"


def remembered_validators(options: StreamOptions, validators: Mapping[str, str]) -> str:
    """Validators as the text of a bookmark."""
    return json.dumps([_identity(options), dict(validators)], sort_keys=True)


def conditions(options: StreamOptions, bookmarks: Mapping[str, str]) -> dict[str, str]:
    """The headers that ask for the page only if it changed since the last look; of an image, which is known as a
    whole, and only if it was read as it is now.
    """
    if options.since is not None or options.deletes is not Deletes.DIFF:
        return {}
    try:
        identity, validators = json.loads(bookmarks.get(VALIDATORS, ""))
    except ValueError:
        return {}
    return dict(validators) if identity == _identity(options) else {}


def _identity(options: StreamOptions) -> str:
    """Changes when the stream is read in another way, so that an unchanged page still has to be read anew."""
    read = repr((options, sorted(options.endpoint.parameters.items())))
    return hashlib.sha256(read.encode()).hexdigest()[:16]
