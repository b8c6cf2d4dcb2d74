"""Adopting a legacy checkout: what will change, and the change itself."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path, PurePath

from kerasbert.errors import InputError, UsageError
from kerasbert.files import describe_os_error
from migration.adoption import (
    Record,
    Script,
    clear,
    digest,
    home,
    install,
    is_adopted,
    kept,
    locked,
    read_record,
    restore,
)
from migration.checkout import HOME, ORIGINALS
from migration.commands import SCRIPTS
from migration.dispatcher import dispatcher, is_dispatcher


@dataclass(frozen=True, slots=True)
class Plan:
    """A change of a checkout that is yet to be made.

    Attributes:
      root: the checkout.
      record: what is replaced; None where only remains of an interrupted call are to be removed.
      undo: whether it is the way back.
      pending: whether there is anything to do.
    """

    root: Path
    record: Record | None
    undo: bool
    pending: bool

    def describe(self) -> str:
        """Every file and what becomes of it."""
        if not self.pending:
            return f"{self.root} is adopted already; nothing to do. To go back: {self._way_back()}"
        lines = [f"In {self.root}:"]
        for script in self.record.scripts if self.record else ():
            place = f"{HOME}/{ORIGINALS}/{script.path}"
            if self.undo:
                lines.append(f"  {script.path}: {'put back from ' + place if script.original else 'removed'}")
            elif script.original is None:
                lines.append(f"  {script.path}: is not there; made, calls kerasbert")
            else:
                lines.append(f"  {script.path}: kept as {place}; replaced by a script that calls kerasbert")
        if self.undo:
            return "\n".join([*lines, f"  {HOME}: removed"])
        assert self.record is not None
        return "\n".join([*lines, f"They will run {self.record.python}", "No other file is touched."])

    def carry_out(self) -> None:
        """Makes the change, or on any error none at all.

        Raises:
          InputError: a file cannot be written; everything is as before.
          UsageError: another process is changing the checkout.
        """
        with locked(self.root):
            now = (
                plan_undo(self.root)
                if self.undo or self.record is None
                else plan_adoption(self.root, self.record.python)
            )
            if now != self:
                raise UsageError("changed while you were asked", path=self.root, hint="give the command again")
            adopted = is_adopted(self.root)
            try:
                self._forward()
            except BaseException as error:
                try:
                    if self.undo or not adopted:
                        self._back()
                except OSError as second:
                    again = self._way_back()
                    raise InputError(
                        f"cannot be changed ({_reason(error)}) nor put back at once ({_reason(second)}); its scripts "
                        f"behave as {'those of kerasbert' if is_adopted(self.root) else 'the original'}",
                        path=self.root,
                        hint=f"when the cause is gone: {again}",
                    ) from error
                if isinstance(error, OSError):
                    raise InputError(
                        f"cannot be changed: {_reason(error)}; everything is as before", path=self.root
                    ) from error
                raise

    def done(self) -> str:
        """What to tell the user afterwards."""
        if self.undo:
            return f"{self.root}: the original's scripts are back"
        return f"{self.root}: adopted; its commands work as they are typed. To go back: {self._way_back()}"

    def _forward(self) -> None:
        if self.record is None:
            clear(self.root)
        elif self.undo:
            restore(self.root, self.record)
        else:
            install(self.root, self.record)

    def _back(self) -> None:
        if self.record is None:
            return
        if self.undo:
            # Where the originals are all back and only the folder with the record is left, there is no way back.
            if read_record(self.root) is not None:
                install(self.root, self.record)
        elif home(self.root).exists():
            restore(self.root, self.record)

    def _way_back(self) -> str:
        return f"kerasbert-migrate adopt {shlex.quote(str(self.root))} --undo"


def plan_adoption(directory: str | Path, python: str = sys.executable) -> Plan:
    """Looks at a checkout and says what adopting it changes.

    Args:
      directory: the checkout.
      python: the interpreter that its scripts are to use.

    Raises:
      InputError: no checkout of the original; a script that is no plain file; or, where it was adopted before, one
        that was changed since or whose original is gone.
    """
    root = _checkout(directory)
    earlier = read_record(root)
    if earlier is None and not any((root / script).exists() for script in SCRIPTS):
        raise InputError(
            "holds none of the original's scripts",
            path=root,
            hint=f"give the folder that holds {SCRIPTS[2]} and bin/",
        )
    known = {script.path: script for script in earlier.scripts} if earlier else {}
    scripts = tuple(_script(root, path, known.get(path)) for path in SCRIPTS)
    folders = {str(parent) for path in SCRIPTS for parent in PurePath(path).parents if parent != PurePath()}
    missing = {folder for folder in folders if not (root / folder).exists()}
    directories = tuple(sorted(missing | set(earlier.directories if earlier else ())))
    complete = is_adopted(root) and all(digest(root / s.path) == s.replacements[-1] for s in scripts)
    if complete and earlier is not None:
        return Plan(root, earlier, undo=False, pending=False)
    return Plan(root, Record(python, scripts, directories), undo=False, pending=True)


def plan_undo(directory: str | Path) -> Plan:
    """Looks at an adopted checkout and says what going back changes.

    Raises:
      UsageError: it is not adopted.
      InputError: scripts were changed since, or a kept original was; all of them are named.
    """
    root = _checkout(directory)
    record = read_record(root)
    if record is None:
        if any(_is_ours(root / script) for script in SCRIPTS):
            raise InputError(
                "holds scripts of ours, but no record of what they replaced",
                path=home(root),
                hint=f"put the originals back by hand, from {HOME}/{ORIGINALS} if they are there",
            )
        if home(root).exists():
            return Plan(root, None, undo=True, pending=True)
        raise UsageError("is not adopted; there is nothing to undo", path=root)
    changed = []
    for script in record.scripts:
        found = digest(root / script.path)
        if found == script.original or (found is None and script.original is None):
            continue
        if found is not None and found not in script.replacements:
            changed.append(script.path)
        elif script.original is not None and digest(kept(root, script.path)) != script.original:
            changed.append(f"{HOME}/{ORIGINALS}/{script.path}")
    if changed:
        raise InputError(
            f"changed since it was adopted: {', '.join(changed)}",
            path=root,
            hint="nothing was undone; move your version of these files to another place and undo again",
        )
    return Plan(root, record, undo=True, pending=True)


def _checkout(directory: str | Path) -> Path:
    root = Path(directory).absolute()
    if not root.is_dir():
        raise InputError("no such directory; a checkout of the original is expected", path=root, hint="check the path")
    return root


def _script(root: Path, path: str, earlier: Script | None) -> Script:
    """A script as it is now: the original in its place, or ours with the original kept."""
    place = root / path
    if place.is_symlink() or (place.exists() and not place.is_file()):
        raise InputError(
            "is no plain file, so it could not be put back as it is",
            path=place,
            hint="put the script itself in its place",
        )
    content = place.read_bytes() if place.exists() else None
    original = digest(kept(root, path))
    replacement = hashlib.sha256(dispatcher(path)).hexdigest()
    if content is not None and is_dispatcher(content):
        if original is None and (earlier is None or earlier.original is not None):
            raise InputError(
                f"is a script of ours whose original is not kept in {HOME}",
                path=place,
                hint="put the original's script back in its place first",
            )
        if earlier is not None and digest(place) not in (*earlier.replacements, replacement):
            raise _changed(place)
    elif content is not None:
        original = hashlib.sha256(content).hexdigest()
        if is_adopted(root) and earlier is not None and original != earlier.original:
            raise _changed(place)
    before = tuple(text for text in (earlier.replacements if earlier else ()) if text != replacement)
    return Script(path, original, (*before, replacement))


def _changed(place: Path) -> InputError:
    return InputError(
        "was changed since the checkout was adopted",
        path=place,
        hint="move your version to another place, undo, and adopt again with it in its place",
    )


def _is_ours(path: Path) -> bool:
    return path.is_file() and is_dispatcher(path.read_bytes())


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return where + describe_os_error(error)
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
