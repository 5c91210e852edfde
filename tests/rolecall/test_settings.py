"""Configuration: what wins, what is refused, and that no secret is quoted."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ConfigError
from rolecall.settings import CHECKOUT, CUSTOMARY, SECTIONS, Settings, find_config, load_settings, make_home

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(text: str) -> Path:
    path = Path("config.yaml")
    path.write_text(text)
    return path


def refusal(path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(path)
    return str(raised.value)


def test_the_shipped_configuration_is_the_defaults() -> None:
    shipped = load_settings(CHECKOUT / "config.yaml")
    assert shipped == load_settings(config(""))


def test_the_shipped_configuration_names_every_setting() -> None:
    document = yaml.safe_load((CHECKOUT / "config.yaml").read_text())
    assert {name: list(section) for name, section in document.items()} == {
        name: list(section.model_fields) for name, section in SECTIONS.items()
    }


def test_the_example_of_an_environment_file_names_every_customary_name_and_sets_none() -> None:
    lines = (CHECKOUT / ".env.example").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert sorted(names) == sorted(f"{name}=" for name in CUSTOMARY)


def test_the_example_of_an_environment_file_can_be_used_as_it_is() -> None:
    Path(".env").write_text((CHECKOUT / ".env.example").read_text())
    assert load_settings() == load_settings(config(""))


def test_the_environment_wins_over_the_env_file_which_wins_over_config_yaml(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = config("server: {host: 10.0.0.1, port: 1, max_calls: 1}")
    Path(".env").write_text("ROLECALL_SERVER__PORT=2\nROLECALL_SERVER__MAX_CALLS=2\n")
    monkeypatch.setenv("ROLECALL_SERVER__MAX_CALLS", "3")
    assert load_settings(path).server.model_dump() == {"host": "10.0.0.1", "port": 2, "max_calls": 3}


def test_a_number_in_the_environment_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_SCENARIOS__SEED", "7")
    monkeypatch.setenv("ROLECALL_WORDING__ANSWER_TIMEOUT_S", "1.5")
    monkeypatch.setenv("ROLECALL_RECORDING__ENABLED", "false")
    loaded = load_settings()
    assert (loaded.scenarios.seed, loaded.wording.answer_timeout_s, loaded.recording.enabled) == (
        7,
        1.5,
        False,
    )


def test_settings_reach_another_process_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", SECRET)
    loaded = load_settings()
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    assert load_settings().redis_url is None


def test_a_section_with_nothing_in_it_is_the_default() -> None:
    assert load_settings(config("server:\n")).server.port == 8000


def test_the_working_directory_has_the_first_word() -> None:
    assert find_config() == CHECKOUT / "config.yaml"
    config("server: {port: 9000}")
    assert find_config() == Path.cwd() / "config.yaml"
    assert load_settings().server.port == 9000


def test_a_relative_folder_is_counted_from_the_file_that_names_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.yaml").write_text("scenarios: {folder: mine}")
    assert load_settings(elsewhere / "config.yaml").scenarios.folder == elsewhere / "mine"


def test_folders_that_nobody_names_are_those_of_the_checkout() -> None:
    assert load_settings(config("server: {port: 9000}")).scenarios.folder == CHECKOUT / "scenarios"


def test_a_relative_folder_in_the_environment_is_counted_from_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROLECALL_HOME", "data")
    assert load_settings().home == tmp_path / "data"


def test_records_lie_in_a_file_of_the_home_unless_a_database_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (
        load_settings().database_url.get_secret_value() == f"sqlite:///{tmp_path / '.rolecall/rolecall.db'}"
    )
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody@127.0.0.1/records")
    assert load_settings().database_url.get_secret_value() == "postgresql://somebody@127.0.0.1/records"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: {port: abc}", "server.port in {path} should be a valid integer"),
        ("server: {port: true}", "server.port in {path} should be a valid integer"),
        ("server: {port: '8000'}", "server.port in {path} should be a valid integer"),
        ("server: {port: 70000}", "server.port in {path} should be less than or equal to 65535"),
        ("server: {host: }", "server.host in {path} should be a valid string"),
        ("server: 8000", "server in {path} should be a valid dictionary"),
        ("logs: {level: loud}", "logs.level in {path} should be 'debug', 'info', 'warning' or 'error'"),
        ("wording: {answer_timeout_s: .nan}", "wording.answer_timeout_s in {path}"),
        ("server: {prot: 1}", "server.prot in {path} is not a setting. Did you mean port?"),
        ("server: {colour: 1}", "The settings of server are host, port, max_calls"),
        ("servre: {}", "servre in {path} is not a section. Did you mean server?"),
        ("1: 2", "1 in {path} is not a section"),
        ('"a\\nb": 2', "a b in {path} is not a section"),
        ('server: {"a\\nb": 2}', "server.a b in {path} is not a setting"),
        ("- 1", "{path} is not a mapping of sections"),
        ("models: {folder: ~nobody-here/x}", "models.folder in {path} begins with ~"),
        ('models: {folder: "a\\0b"}', "models.folder in {path} must be a path"),
        ("server: {port: 1}\nserver: {port: 2}", "in line 2: server is there twice"),
        ("server: [", "is not valid YAML in line 1"),
        ("server: !!python/object:os.system {}", "is not valid YAML in line 1"),
        ("[" * 5000, "{path} is nested too deeply"),
    ],
)
def test_a_wrong_config_yaml_is_told_in_one_sentence(text: str, told: str) -> None:
    path = config(text)
    message = refusal(path)
    assert told.format(path=path.absolute()) in message
    assert "\n" not in message


def test_a_config_yaml_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "no such file" in refusal(Path("nowhere.yaml"))
    assert "is a directory" in refusal(tmp_path)
    Path("latin.yaml").write_bytes(b"\xff\xfe")
    assert "it is not UTF-8 text" in refusal(Path("latin.yaml"))


def test_a_secret_in_config_yaml_is_sent_to_the_environment() -> None:
    message = refusal(config(f"twilio_auth_token: {SECRET}"))
    assert "It is read from the environment (or .env) as TWILIO_AUTH_TOKEN" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ROLECALL_SERVER__PORT", SECRET, "should be a valid integer"),
        ("ROLECALL_SERVER__PROT", SECRET, "is not a setting. Did you mean ROLECALL_SERVER__PORT?"),
        ("ROLECALL_SERVER", SECRET, "is not a setting"),
        ("ROLECALL_SERVER__PORT__X", SECRET, "is not a setting"),
        ("ROLECALL_PUBLIC_ULR", SECRET, "is not a setting. Did you mean ROLECALL_PUBLIC_URL?"),
        ("ROLECALL_NOTHING_LIKE_ANY_OF_THEM", SECRET, "are named ROLECALL_SECTION__KEY"),
        ("ROLECALL_PUBLIC_URL", f"http://{SECRET}.example", "must begin with https://"),
        ("ROLECALL_PUBLIC_URL", f"https://me:{SECRET}@calls.example", "must be scheme and host only"),
        ("ROLECALL_PUBLIC_URL", f"https://calls.example/?key={SECRET}", "must be scheme and host only"),
        ("ROLECALL_PUBLIC_URL", f"https://calls.example/{SECRET}", "must be scheme and host only"),
        ("ROLECALL_PUBLIC_URL", f"https://[{SECRET}", "must be an address"),
        ("ROLECALL_PUBLIC_URL", f"https://calls.example:{SECRET}", "must be an address"),
        ("TWILIO_API_BASE_URL", f"http://{SECRET}.example", "must begin with https://"),
        ("DATABASE_URL", f"mysql://root:{SECRET}@127.0.0.1/x", "must begin with sqlite:// or postgresql://"),
        ("REDIS_URL", f"https://{SECRET}", "must begin with redis://"),
        ("OLLAMA_HOST", f"ftp://{SECRET}", "must be an address"),
        ("ROLECALL_WORDING__SERVER_URL", f"http://me:{SECRET}@host/v1", "without user"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_is_not(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    message = refusal()
    assert f"{name} in the environment" in message
    assert told in message
    assert SECRET not in message


def test_a_wrong_line_of_the_env_file_is_told() -> None:
    Path(".env").write_text("ROLECALL_SERVER__PORT=x\n")
    assert "ROLECALL_SERVER__PORT in .env should be a valid integer" in refusal()
    Path(".env").write_bytes(b"\xff")
    assert ".env cannot be read: it is not UTF-8 text" in refusal()


def test_names_of_other_programs_and_of_the_test_suite_are_none_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("POSTGRES_PASSWORD=x\nTWILIO_API_KEY_SID=y\n")
    monkeypatch.setenv("ROLECALL_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    assert load_settings() == load_settings(config(""))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://calls.example.org/", "https://calls.example.org"),
        ("https://calls.example.org:8443", "https://calls.example.org:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
    ],
)
def test_a_public_address_is_https_or_on_this_machine(
    written: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PUBLIC_URL", written)
    assert load_settings().public_url == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("models.internal", "http://models.internal:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::1]", "http://[::1]:11434"),
        ("https://models.internal/ollama/", "https://models.internal:443/ollama"),
    ],
)
def test_ollama_is_found_under_any_form_that_its_own_tools_take(
    written: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", written)
    assert load_settings().ollama_host == kept


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", SECRET)
    monkeypatch.setenv("ROLECALL_SECRET_KEY", SECRET)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://root:{SECRET}@127.0.0.1/x")
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@127.0.0.1/0")
    loaded = load_settings()
    assert SECRET not in f"{loaded!r} {loaded} {loaded.model_dump()}"
    assert loaded.twilio_auth_token is not None
    assert loaded.twilio_auth_token.get_secret_value() == SECRET


def test_the_home_is_made_for_this_user_alone(tmp_path: Path) -> None:
    home = make_home(load_settings())
    assert home == tmp_path / ".rolecall"
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROLECALL_HOME", "file/home")
    with pytest.raises(ConfigError, match=r"ROLECALL_HOME .*/file/home cannot be made: not a directory"):
        make_home(load_settings())


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "scratch.yaml"


@given(
    content=st.binary(max_size=200) | st.text(alphabet="server:port {}[]&*!|>-\n\t'\"#%@`~,?0", max_size=60)
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_in_the_file_there_are_settings_or_one_sentence(
    content: bytes | str, scratch: Path
) -> None:
    scratch.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        assert isinstance(load_settings(scratch), Settings)
    except ConfigError as error:
        assert "\n" not in str(error)
