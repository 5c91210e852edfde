"""One stream of events with fields: ours (structlog), Pipecat's (loguru) and every library's (logging).

`structlog.contextvars.bound_contextvars(call_id=...)` around a call puts its id on every line of it, from
whichever library. Fields whose name begins with `pii_` are personal data and never leave the process.
Nothing is written to stdout, which belongs to the commands.
"""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from loguru import logger as loguru_logger
from structlog.typing import EventDict, Processor, WrappedLogger

from rolecall.settings import Logs

if TYPE_CHECKING:
    from loguru import Message, Record

OURS = ("agent", "audio", "console", "db", "graphs", "pipelines", "rolecall", "telephony")
QUIET = (
    "alembic",
    "faster_whisper",
    "httpcore",
    "httpx",
    "twilio",
    "urllib3",
    "uvicorn.access",
    "websockets",
)
"""Libraries that log each request, with phone numbers or tokens in its address; only their warnings count."""

FILE_BYTES = 5_000_000


def configure_logs(logs: Logs, *, file: Path | None = None) -> None:
    """Sends every logger of this process to stderr, or to `file` (made with its folder at the first line).

    `logs.level` is for our own packages; of libraries nothing below info is taken, because what they say
    there quotes conversations and credentials.
    """
    handler = _LogFile(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(logs, colors=file is None and sys.stderr.isatty()))
    level = logging.getLevelNamesMapping()[logs.level.upper()]
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    loguru_logger.remove()
    loguru_logger.add(
        _relay, level="INFO", filter=_is_news, format="{message}", diagnose=False, backtrace=False
    )
    _configure_structlog()


def drop_personal_data(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Removes the fields marked `pii_`."""
    return {key: value for key, value in event.items() if not key.startswith("pii_")}


class _LogFile(RotatingFileHandler):
    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=FILE_BYTES, backupCount=1, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            Path(self.baseFilename).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            self.handleError(record)
        else:
            super().emit(record)


_ALWAYS: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_ALWAYS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _formatter(logs: Logs, *, colors: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if logs.format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_ALWAYS,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            drop_personal_data,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )


def _is_news(record: "Record") -> bool:
    """Pipecat greets at import, from its top module."""
    return record["name"] != "pipecat" or record["level"].no > logging.INFO


def _relay(message: "Message") -> None:
    """Hands a loguru record to logging; loguru has levels between logging's, which round down."""
    record = message.record
    level = record["level"].no // 10 * 10
    exception = record["exception"]
    exc_info = (exception.type, exception.value, exception.traceback) if exception else None
    logging.getLogger(record["name"]).log(level, "%s", record["message"], exc_info=exc_info)  # type: ignore[arg-type]
