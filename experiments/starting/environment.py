"""What a stored config must not hold: secrets, and values from this machine's environment.

`${oc.env:NAME}` stays text: a config that names a variable is stored with the name, never with its value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from fmtbench.errors import UserError
from fmtbench.secret import INSTEAD, secrets


def refuse_secrets(config: DictConfig) -> None:
    """Raises `UserError` for a value that would be stored beside the results and looks like a secret."""
    for place in secrets(OmegaConf.to_container(config, resolve=True)):
        raise UserError(f"{place} looks like a secret, and would be stored beside the results: {INSTEAD}")
    backend = config.get("backend")
    body = OmegaConf.to_yaml(backend.get("extra_body") or {}) if OmegaConf.is_dict(backend) else ""
    if "${oc.env" in body:
        raise UserError(f"backend.extra_body takes a value from the environment, and is stored with every request: {INSTEAD}")


@contextmanager
def naming_the_environment() -> Iterator[None]:
    """Inside, every reference to an environment variable resolves to itself, also through another key.

    Raises `UserError` if a number is taken from a variable, since the reference that would be stored is not a number.
    """
    OmegaConf.register_new_resolver("oc.env", lambda name, *_: f"${{oc.env:{name}}}", replace=True)
    try:
        yield
    except OmegaConfBaseException as error:
        place = error.full_key or "a key"
        raise UserError(f"{place} takes a number from the environment, which cannot be stored: give {place}=$NAME") from error
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
