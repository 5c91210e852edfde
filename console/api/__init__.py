"""The JSON API below `/api/v1`; see docs/api.md."""
