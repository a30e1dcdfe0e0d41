"""One latency an architecture.

Networks of one architecture take equally long. What differs between their figures is what else the
machine did while each was measured, which only ever adds: the least is the nearest to the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]


def with_one_latency(results: Sequence[Result]) -> list[dict[str, Any]]:
    """``result.json`` mappings in which networks of one architecture have their least latency.

    An architecture is its parameters, multiply-adds and last feature map. Networks that taught a
    student (``between``, and ``intermediate`` of earlier versions) count too.
    """
    least: dict[str, float] = {}
    for found in (network for result in results for network in _networks(result)):
        latency = found.get("latency_ms")
        if latency is not None:
            key = _architecture(found)
            least[key] = min(latency, least.get(key, latency))

    def mended(found: Result) -> dict[str, Any]:
        return {**found, "latency_ms": least.get(_architecture(found))}

    changed = []
    for result in results:
        own = mended(result)
        if result.get("between"):
            own["between"] = {
                role: mended(found) if found else found for role, found in own["between"].items()
            }
        if result.get("intermediate"):
            own["intermediate"] = mended(result["intermediate"])
        changed.append(own)
    return changed


def _networks(result: Result) -> list[Result]:
    taught = [*(result.get("between") or {}).values(), result.get("intermediate")]
    return [result, *(found for found in taught if found)]


def _architecture(found: Result) -> str:
    return str([found.get(name) for name in ("parameters", "macs", "map")])
