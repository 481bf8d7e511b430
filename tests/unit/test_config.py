from pathlib import Path

import pytest

from cluster_agent.config import Config, ConfigError, load_config


def test_flags_beat_the_environment_which_beats_the_file(tmp_path):
    (tmp_path / "agent.toml").write_text('port = 1\ncontact = "file"\ndefault_timeout = "1h"\n')
    environ = {"CLUSTER_AGENT_PORT": "2", "CLUSTER_AGENT_CONTACT": "env"}
    config = load_config({"home": str(tmp_path), "port": "3"}, environ)
    assert (config.port, config.contact, config.default_timeout) == (3, "env", 3600)


def test_lists_switches_and_variables_of_the_file(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text(
        'allowed_hosts = ["a", "b"]\nshared_uid = true\ngpus = "auto"\n[env]\nHF_HOME = "/data"\n'
    )
    config = load_config({"home": str(tmp_path)}, {}, file)
    assert config.allowed_hosts == ("a", "b")
    assert config.shared_uid
    assert config.gpus is None
    assert config.env == {"HF_HOME": "/data"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("porto = 1", "there is no setting 'porto'"),
        ("port = 70000", "'70000' is not a port"),
        ('default_timeout = "4"', "'4' has no unit"),
        ('project = "s3://x/y"', "only folders"),
        ("port = ", "agent.toml"),
        ("[env]\nA = 1", r"\[env\]"),
        ('shared_uid = "maybe"', "neither true nor false"),
        ('public_url = "gpu-box"', "not of the form"),
        ('default_timeout = "30d"', "above max_timeout"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_setting_and_origin(tmp_path, text, message):
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config({"home": str(tmp_path)}, {})
    assert "\n" not in str(caught.value)


def test_a_missing_file_that_was_named_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config({}, {}, tmp_path / "none.toml")


def test_plain_http_off_loopback_is_refused_unless_told(tmp_path):
    flags = {"home": str(tmp_path), "host": "0.0.0.0"}
    with pytest.raises(ConfigError, match=r"plain HTTP on 0\.0\.0\.0"):
        load_config(flags, {})
    assert load_config(flags | {"insecure_http": "true"}, {}).insecure_http


def test_certificate_and_key_go_together(tmp_path):
    with pytest.raises(ConfigError, match="go together"):
        load_config({"home": str(tmp_path), "tls_cert": "/c"}, {})


def test_a_relative_project_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config({"home": "h", "project": "p"}, {}).project == str(tmp_path / "p")
    assert Path(Config().project) == Path()
