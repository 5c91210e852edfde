"""What each part of the front end's benchmark hands in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from benchmarks.harness import Target


@dataclass(frozen=True, slots=True)
class Section:
    """One part's figures for machines, its promises, and its tables and notes for people."""

    document: dict[str, Any]
    targets: Sequence[Target]
    tables: Sequence[Table]
    notes: Sequence[str] = ()
