import shutil
from pathlib import Path

import pytest


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    file = tmp_path / "only.db"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"
