.PHONY: check format run migrate demo

check:
	uv run ruff format --check
	uv run ruff check
	uv run mypy
	uv run lint-imports
	uv run pytest

format:
	uv run ruff format
	uv run ruff check --fix

run:
	uv run rolecall serve

migrate:
	uv run rolecall migrate

demo:
	uv run rolecall demo
