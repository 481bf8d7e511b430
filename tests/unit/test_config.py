import re
from pathlib import Path

import pytest

from cluster_agent import setup
from cluster_agent.config import Config, ConfigError, load_config, settings


def test_flags_beat_the_environment_which_beats_the_file(tmp_path):
    (tmp_path / "agent.toml").write_text('port = 1\ncontact = "file"\ndefault_timeout = "1h"\n')
    environ = {"CLUSTER_AGENT_PORT": "2", "CLUSTER_AGENT_CONTACT": "env"}
    config = load_config({"home": str(tmp_path), "port": "3"}, environ)
    assert (config.port, config.contact, config.default_timeout) == (3, "env", 3600)


def test_lists_switches_and_variables_of_the_file(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text(
        'allowed_hosts = ["a", "b"]\nshared_uid = true\ngpus = "auto"\nisolation = ["user", "cgroup"]\n'
        '[env]\nHF_HOME = "/data"\n[users]\nada = "alovelace"\n'
    )
    config = load_config({"home": str(tmp_path)}, {}, file)
    assert config.allowed_hosts == ("a", "b")
    assert config.shared_uid
    assert config.gpus is None
    assert config.env == {"HF_HOME": "/data"}
    assert config.isolation == ("user", "cgroup")
    assert config.users == {"ada": "alovelace"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("porto = 1", "there is no setting 'porto'"),
        ("port = 70000", "'70000' is not a port"),
        ('default_timeout = "4"', "'4' has no unit"),
        ('project = "s3://x/y"', "only folders"),
        ("port = ", "agent.toml"),
        ("[env]\nA = 1", r"\[env\]"),
        ("[users]\nada = 1000", r"\[users\] takes PERSON"),
        ('isolation = "root"', "root: auto, or some of process, user, cgroup, bwrap"),
        ('network = "none"', "'none' is none of on, off"),
        ('shared_uid = "maybe"', "neither true nor false"),
        ('public_url = "gpu-box"', "not of the form"),
        ('default_timeout = "30d"', "above max_timeout"),
        ("limits = 3", r"\[limits\] is a table"),
        ("[limits]\nGPUs = 3", r"\[limits\] takes gpus, jobs, queued, timeout, priority, not 'GPUs'"),
        ("[limits]\ngpus = -1", r"\[limits\] gpus: -1 is not a whole number"),
        ("[limits.users.ada]\njobs = 0", r"\[limits.users.ada\] jobs: 0 would let no job run"),
        ("[limits.users.ada]\ntimeout = 3", r"\[limits.users.ada\] timeout: '3' has no unit"),
        ("[limits.roles.boss]\njobs = 1", "the roles are viewer, user, admin"),
        ('[limits]\npriority = "top"', "'top' is none of low, normal, high"),
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


def test_the_most_specific_limit_counts(tmp_path):
    (tmp_path / "agent.toml").write_text("""
        max_timeout = "3d"
        [limits]
        gpus = 2
        queued = 50
        [limits.roles.admin]
        gpus = "none"
        jobs = 9
        [limits.users.ada]
        gpus = 4
        timeout = "14d"
        priority = "high"
    """)
    table = load_config({"home": str(tmp_path)}, {}).limits
    anybody = table.of("tim", "user")
    assert (anybody.gpus, anybody.jobs, anybody.queued, anybody.timeout_s, anybody.priority) == (
        2,
        None,
        50,
        3 * 86400,
        "normal",
    )
    admin = table.of("tim", "admin")
    assert (admin.gpus, admin.jobs, admin.priority) == (None, 9, "high")
    ada = table.of("ada", "user")
    assert (ada.gpus, ada.queued, ada.timeout_s, ada.priority) == (4, 50, 14 * 86400, "high")


def test_what_init_writes_can_be_read_and_says_the_defaults(tmp_path):
    text = setup._toml(None, tmp_path / "cert.pem", tmp_path / "key.pem")
    (tmp_path / "agent.toml").write_text(text)
    config = load_config({"home": str(tmp_path)}, {})
    for line in text.splitlines():
        if found := re.fullmatch(r"# ([a-z_]+) = (.+)", line):
            name, value = found[1], found[2].strip('"')
            item = next((item for item in settings() if item.name == name), None)
            if item is not None and value not in {"", "[]"} and getattr(config, name) is not None:
                assert item.metadata["parse"](value) == getattr(config, name), line
    # and the examples in its tables are right
    load_config({"home": str(tmp_path)}, {}, _uncommented(tmp_path, text[text.index("\n[limits]") :]))


def _uncommented(folder, text):
    path = folder / "examples.toml"
    path.write_text(re.sub("^# ", "", text, flags=re.MULTILINE))
    return path
