import importlib
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
NOT_INSTALLED = {"tests", "training"}


def pyproject() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def packages() -> list[str]:
    return sorted(folder.parent.name for folder in REPOSITORY.glob("*/__init__.py"))


def test_the_wheel_holds_every_package_that_is_ours() -> None:
    wheel = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(wheel) == sorted(set(packages()) - NOT_INSTALLED)


@pytest.mark.parametrize(("tool", "key"), [("mypy", "packages"), ("importlinter", "root_packages")])
def test_every_package_is_checked(tool: str, key: str) -> None:
    assert sorted(pyproject()["tool"][tool][key]) == sorted(set(packages()) - NOT_INSTALLED)


@pytest.mark.parametrize("name", packages())
def test_each_package_is_the_one_in_this_repository(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(REPOSITORY / name / "__init__.py")


def test_the_folder_alembic_is_no_package() -> None:
    assert not (REPOSITORY / "alembic" / "__init__.py").exists()
    assert not (REPOSITORY / "alembic" / "versions" / "__init__.py").exists()


def test_alembic_is_the_library_however_python_is_started() -> None:
    assert hasattr(importlib.import_module("alembic"), "__version__")
    run = [sys.executable, "-c", "import alembic; print(alembic.__version__)"]
    assert subprocess.run(run, cwd=REPOSITORY, capture_output=True, check=True).stdout.strip()
