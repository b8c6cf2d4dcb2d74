"""The one import of Apache Beam."""

from __future__ import annotations

from kerasbert.errors import UsageError

try:
    import apache_beam as beam
except ImportError as missing:
    raise UsageError(
        f"runners need the package {missing.name}, which is not installed",
        hint="install the extra: pip install -e '.[beam]'",
    ) from missing

__all__ = ["beam"]
