"""The script that stands in an adopted checkout in place of one of the original's."""

from __future__ import annotations

from pathlib import PurePath

from migration.checkout import HOME, ORIGINALS

MARKER = "adopted.json"
"""File in `HOME` that decides for all scripts at once: there, they run on kerasbert; absent, as they always did."""

SIGNATURE = "# Stands in for a script of the original; made by `kerasbert-migrate adopt`, taken back with --undo.\n"

# For whatever Python the user's `python` is, version 2 included. Imported, it is the original, as other code of the
# checkout expects; run while the marker is absent, too, in this very module, so that __file__, sys.path and sys.argv
# are what they were.
_TEMPLATE = """\
import io as _io
import json as _json
import os as _os
import sys as _sys

_SCRIPT = {script!r}
_ROOT = _os.path.abspath(_os.path.join(_os.path.dirname(_os.path.abspath(__file__)), {up!r}))
_HOME = _os.path.join(_ROOT, {home!r})
_MARKER = _os.path.join(_HOME, {marker!r})
_ORIGINAL = _os.path.join(_HOME, {originals!r}, *_SCRIPT.split("/"))
_RUN = '''
import sys
if sys.path and sys.path[0] == "":
    del sys.path[0]
try:
    import migration.cli
except ImportError as error:
    sys.exit("error: kerasbert cannot be imported by %s (%s)\\\\n"
             "  -> install it there (pip install kerasbert), or take the old scripts back from an environment that "
             "has it: kerasbert-migrate adopt DIR --undo" % (sys.executable, error))
migration.cli.main()
'''


def _interpreter():
    try:
        with _io.open(_MARKER, encoding="utf-8") as handle:
            python = _json.load(handle)["python"]
    except (IOError, OSError):
        return None
    return python if _os.path.isfile(python) else _sys.executable


def _original():
    # The second one is for the moment in which --undo puts the original back while this is starting.
    for path in (_ORIGINAL, _os.path.abspath(__file__)):
        if _os.path.exists(path):
            with open(path, "rb") as handle:
                source = handle.read()
            if {signature!r} not in source:
                return compile(source, path, "exec", 0, True)
    _sys.exit("error: " + _SCRIPT + " is not in this checkout, and kerasbert-migrate adopt is not complete")


_python = _interpreter() if __name__ == "__main__" else None
if _python is None:
    exec(_original())
else:
    _sys.stdout.flush()
    _words = [_python, "-c", _RUN, "run", _os.path.join(_ROOT, *_SCRIPT.split("/"))]
    _os.execv(_python, _words + _sys.argv[1:])
"""


def dispatcher(script: str) -> bytes:
    """The text of the script that stands in for another.

    Args:
      script: the path of the original inside the checkout.
    """
    up = "/".join([".."] * (len(PurePath(script).parts) - 1)) or "."
    values: dict[str, object] = {"script": script, "up": up, "home": HOME, "marker": MARKER, "originals": ORIGINALS}
    values["signature"] = SIGNATURE.encode()
    return ("# coding: utf-8\n" + SIGNATURE + _TEMPLATE.format(**values)).encode()


def is_dispatcher(content: bytes) -> bool:
    """Whether a file is one of ours, of whatever version."""
    return SIGNATURE.encode() in content[:400]
