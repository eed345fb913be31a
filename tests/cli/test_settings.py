"""Settings: flag > environment > jac.toml with its profile > default; each value knows where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_cli.sections import SECTIONS, extra, fields
from jacfn_cli.settings import Settings, read_settings
from jacfn_runtime.errors import SettingsError

DOCUMENT = """
[project]
name = "my-production-app"
version = "1.0.0"
entry-point = "main.jac"

[serve]
port = 8000
session = "prod"
cl_route_prefix = "cl"

[plugins.scale]

[plugins.scale.jwt]
secret = "${JWT_SECRET}"
algorithm = "HS256"
exp_delta_days = 7

[plugins.scale.sso]
host = "${SSO_HOST}"
[plugins.scale.sso.google]
client_id = "${GOOGLE_CLIENT_ID}"
client_secret = "${GOOGLE_CLIENT_SECRET}"

[plugins.scale.database]
mongodb_uri = ""    # Auto-provisioned in K8s
redis_url = ""      # Auto-provisioned in K8s
shelf_db_path = ".jac/data/anchor_store.db"

[plugins.scale.kubernetes]
app_name = "my-app"
namespace = "production"
container_port = 8000
node_port = 30001
mongodb_enabled = true
redis_enabled = true

[plugins.scale.server]
port = 8000
host = "0.0.0.0"
"""  # the jac-scale document's complete example, letter for letter


def settings(folder: Path, toml: str = "", env: dict[str, str] | None = None, **more: object) -> Settings:
    if toml:
        (folder / "jac.toml").write_text(toml)
    return read_settings(folder, env or {}, **more)  # type: ignore[arg-type]


def test_the_documents_complete_example_is_read_without_a_warning(tmp_path: Path) -> None:
    secrets = {"JWT_SECRET": "j" * 40, "SSO_HOST": "https://x/sso", "GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "g-secret"}
    found = settings(tmp_path, DOCUMENT, secrets)
    assert found.warnings == ()
    assert found.missing == {}
    assert found.project_name == "my-production-app"
    assert (found.serve.session, found.port, found.server.host) == ("prod", 8000, "0.0.0.0")
    assert (found.kubernetes.app_name, found.kubernetes.namespace) == ("my-app", "production")
    assert (found.jwt.secret, found.sso.host) == ("j" * 40, "https://x/sso")
    assert found.sso_providers["google"].client_secret == "g-secret"
    assert set(found.secrets) == {"j" * 40, "g-secret"}


def test_a_value_comes_from_the_flag_before_the_environment_before_jac_toml_before_the_default(tmp_path: Path) -> None:
    key, toml, env = (
        "plugins.scale.kubernetes.app_name",
        '[plugins.scale.kubernetes]\napp_name = "from-toml"',
        {"APP_NAME": "from-env"},
    )
    assert settings(tmp_path).kubernetes.app_name == "jaseci"
    assert settings(tmp_path).origin(key) == "default"
    assert settings(tmp_path, toml).kubernetes.app_name == "from-toml"
    assert settings(tmp_path, toml).origin(key) == "jac.toml"
    assert settings(tmp_path, toml, env).kubernetes.app_name == "from-env"
    assert settings(tmp_path, toml, env).origin(key) == "environment variable APP_NAME"
    flagged = settings(tmp_path, toml, env, flags={key: "from-flag"})
    assert (flagged.kubernetes.app_name, flagged.origin(key)) == ("from-flag", "--app-name")


def test_an_empty_environment_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert settings(tmp_path, env={"APP_NAME": ""}).kubernetes.app_name == "jaseci"


def test_jac_toml_is_found_in_a_folder_above_and_paths_start_there(tmp_path: Path) -> None:
    (tmp_path / "jac.toml").write_text('[project]\nname = "above"')
    (tmp_path / "deep" / "er").mkdir(parents=True)
    found = read_settings(tmp_path / "deep" / "er", {})
    assert (found.project_name, found.folder) == ("above", tmp_path)


def test_a_project_without_a_name_is_named_after_its_folder(tmp_path: Path) -> None:
    assert settings(tmp_path).project_name == tmp_path.name


def test_two_unnamed_folders_of_one_name_have_different_owners(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "app").mkdir(parents=True)
    owners = {settings(tmp_path / parent / "app").owner for parent in ("a", "b")}
    assert len(owners) == 2
    assert all(owner.startswith("app (unnamed, folder ") for owner in owners)


def test_a_named_project_has_the_same_owner_wherever_it_lies(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        (tmp_path / parent / "jac.toml").write_text('[project]\nname = "shop"\n')
    assert {settings(tmp_path / parent).owner for parent in ("a", "b")} == {"shop"}


def test_a_profile_overrides_jac_toml_by_file_then_by_environments_table_then_by_the_local_file(tmp_path: Path) -> None:
    base = '[serve]\nport = 1\nsession = "base"\n[environments.prod.serve]\nport = 3\n'
    (tmp_path / "jac.prod.toml").write_text('[serve]\nport = 2\nsession = "file"')
    found = settings(tmp_path, base, profile="prod")
    assert (found.serve.port, found.serve.session, found.profile) == (3, "file", "prod")
    assert found.origin("serve.port") == "jac.toml [environments.prod]"
    assert found.origin("serve.session") == "jac.prod.toml"
    (tmp_path / "jac.local.toml").write_text("[serve]\nport = 4")
    assert settings(tmp_path, profile="prod").serve.port == 4


def test_a_profile_inherits_and_is_chosen_by_variable_or_default(tmp_path: Path) -> None:
    toml = """
    [environment]
    default_profile = "staging"
    [environments.base.serve]
    port = 5
    [environments.staging]
    inherits = "base"
    [environments.dev.serve]
    port = 6
    """
    assert settings(tmp_path, toml).serve.port == 5
    assert settings(tmp_path, toml, {"JAC_PROFILE": "dev"}).serve.port == 6


def test_a_profile_that_does_not_exist_is_refused_with_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no profile `prdo`") as error:
        settings(tmp_path, "[environments.prod.serve]\nport = 1", profile="prdo")
    assert error.value.next_step == "Did you mean `prod`?"


def test_profiles_that_inherit_in_a_circle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a -> b -> a"):
        settings(tmp_path, '[environments.a]\ninherits = "b"\n[environments.b]\ninherits = "a"', profile="a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${HERE}", "x"),
        ("a-${HERE}-b", "a-x-b"),
        ("${GONE:-fall}", "fall"),
        ("${GONE:-}", ""),
        ("$HERE", "$HERE"),
        ("${EMPTY}", ""),
    ],
)
def test_variables_are_expanded_where_they_stand(tmp_path: Path, text: str, value: str) -> None:
    found = settings(tmp_path, f"[plugins.scale.sso]\nhost = '{text}'", {"HERE": "x", "EMPTY": ""})
    assert (found.sso.host, found.missing) == (value, {})


def test_a_missing_variable_is_named_where_it_is_needed_and_nowhere_else(tmp_path: Path) -> None:
    found = settings(tmp_path, DOCUMENT)
    found.need("plugins.scale.kubernetes", "plugins.scale.database")
    with pytest.raises(SettingsError) as error:
        found.need("plugins.scale.jwt")
    assert str(error.value) == (
        "The environment variable JWT_SECRET is not set\n"
        "jac.toml: [plugins.scale.jwt] secret asks for it\n"
        "Set it, or write ${JWT_SECRET:-} for an empty default."
    )


def test_a_variable_with_a_message_gives_it_when_it_is_missing(tmp_path: Path) -> None:
    found = settings(tmp_path, "[plugins.scale.jwt]\nsecret = '${KEY:?ask the team}'")
    with pytest.raises(SettingsError, match=r"KEY \(ask the team\) is not set"):
        found.need("plugins.scale.jwt")


def test_a_misspelt_key_stops_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, '[plugins.scale.kubernetes]\nnamespce = "production"')
    assert str(error.value) == "[plugins.scale.kubernetes] has no key `namespce`\njac.toml\nDid you mean `namespace`?"


def test_a_key_or_section_that_is_nobodys_is_named_and_does_not_stop(tmp_path: Path) -> None:
    toml = '[plugins.scale]\nb = 1\n[plugins.scale.kubernetes]\nplugin_versions = "x"\n[plugins.scale.monitoring]\na = 1'
    assert settings(tmp_path, toml).warnings == (
        "jac.toml: [plugins.scale] b is not a setting of jacfn and has no effect",
        "jac.toml: [plugins.scale.kubernetes] plugin_versions is not a setting of jacfn and has no effect",
        "jac.toml: [plugins.scale.monitoring] a is not a setting of jacfn and has no effect",
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plugins.scale.kubernets", "plugins.scale.kubernetes"),
        ("plugin.scale.kubernetes", "plugins.scale.kubernetes"),
        ("plugins.scale.function.create_item", "plugins.scale.functions.create_item"),
        ("plugins.scale.secret", "plugins.scale.secrets"),
    ],
)
def test_a_misspelt_section_stops_with_the_near_one(tmp_path: Path, written: str, meant: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, f'[{written}]\nnamespace = "production"')
    assert str(error.value) == f"There is no section [{written}]\njac.toml\nDid you mean [{meant}]?"


def test_keys_of_jaclang_and_of_other_plugins_are_none_of_our_business(tmp_path: Path) -> None:
    assert (
        settings(tmp_path, '[project]\nauthors = ["a"]\n[serve]\non_conflict = "retry"\n[plugins.byllm]\nmodel = "m"').warnings
        == ()
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"APP_NAME": "My App"}, "app_name = 'My App' cannot be"),
        ({"K8s_NODE_PORT": "many"}, "node_port = 'many' cannot be"),
        ({"K8s_CPU_LIMIT": "lots"}, "cpu_limit = 'lots' cannot be"),
        ({"K8s_MONGODB": "perhaps"}, "mongodb_enabled = 'perhaps' cannot be"),
        ({"JWT_ALGORITHM": "none"}, "algorithm = 'none' cannot be"),
        ({"JWT_EXP_DELTA_DAYS": "-1"}, "exp_delta_days = '-1' cannot be"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_key_and_origin(tmp_path: Path, env: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, env=env)
    assert error.value.what == said
    assert error.value.evidence.startswith(f"environment variable {next(iter(env))}, key [plugins.scale.")


def test_a_file_that_is_no_toml_is_refused_with_line_and_caret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not valid TOML") as error:
        settings(tmp_path, "[serve]\nport = = 1\n")
    assert error.value.evidence.endswith("\n  port = = 1\n         ^")


def test_the_documents_variables_may_stand_in_jac_toml_as_it_shows_them(tmp_path: Path) -> None:
    found = settings(tmp_path, 'K8s_HEALTHCHECK_PATH = "/healthz/live"\nK8s_LIVENESS_PERIOD = 5   # seconds\n')
    assert (found.kubernetes.healthcheck_path, found.kubernetes.liveness_period) == ("/healthz/live", 5)


@pytest.mark.parametrize(
    ("base", "profile"),
    [
        ('K8s_NAMESPACE = "base"\n', 'namespace = "prod"'),
        ('[plugins.scale.kubernetes]\nnamespace = "base"\n', 'K8s_NAMESPACE = "prod"'),
        ('[plugins.scale.kubernetes]\nK8s_NAMESPACE = "base"\n', 'namespace = "prod"'),
    ],
)
def test_a_profile_wins_in_either_spelling(tmp_path: Path, base: str, profile: str) -> None:
    found = settings(tmp_path, f"{base}[environments.prod.plugins.scale.kubernetes]\n{profile}", profile="prod")
    assert found.kubernetes.namespace == "prod"
    assert found.origin("plugins.scale.kubernetes.namespace") == "jac.toml [environments.prod]"
    assert settings(tmp_path).kubernetes.namespace == "base"


def test_functions_and_the_programs_own_environment_have_sections(tmp_path: Path) -> None:
    toml = """
    [plugins.scale.functions.create_item]
    min_scale = 1
    window = "30s"
    [plugins.scale.functions."walker/get_items"]
    isolation = "snapshot"
    [plugins.scale.env]
    LOG = "debug"
    [plugins.scale.secrets]
    OPENAI_API_KEY = "${OPENAI_API_KEY}"
    """
    found = settings(tmp_path, toml, {"OPENAI_API_KEY": "sk-very-secret"})
    assert found.functions["create_item"].min_scale == 1
    assert found.functions["walker/get_items"].isolation == "snapshot"
    assert (found.env, found.secret_env) == ({"LOG": "debug"}, {"OPENAI_API_KEY": "sk-very-secret"})
    assert found.secrets == ("sk-very-secret",)


@given(st.text(st.characters(codec="ascii", exclude_characters="'$\\", min_codepoint=33), min_size=8))
def test_no_repr_shows_a_secret(text: str) -> None:
    secret = f"\u00a7{text}"  # a sign that no setting's name has: a secret may well spell one of them
    found = read_settings(Path("/nowhere"), {"JWT_SECRET": secret, "DOCKER_PASSWORD": secret, "MONGODB_URI": secret})
    for text in (repr(found), repr(found.kubernetes), repr(found.jwt), repr(found.database)):
        assert secret not in text.replace("(hidden)", "")


def test_every_secret_of_the_document_is_marked_as_one() -> None:
    marked = {
        f"{section}.{name}" for section in SECTIONS for name, kind in fields(SECTIONS[section]).items() if extra(kind, "secret")
    }
    assert marked == {
        "plugins.scale.jwt.secret",
        "plugins.scale.database.mongodb_uri",
        "plugins.scale.database.redis_url",
        "plugins.scale.kubernetes.docker_password",
    }
