import importlib

import pytest

MODULES = [
    "greenroom",
    "greenroom.events",
    "greenroom.otel",
    "greenroom.testing",
    "greenroom.simulator",
    "greenroom.sources",
    "greenroom.sources.appstream",
    "greenroom.sources.deadline",
    "greenroom.sources.ec2",
    "greenroom.sources.nimble",
    "greenroom.sources.workspaces",
    "greenroom.sources.workspaces_instances",
    "greenroom.sync",
]


def in_order(name):
    """Constants, classes, functions, each by name: the order of the linter."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_module_says_what_it_offers_in_order(name):
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=in_order)
    for exported in module.__all__:
        assert hasattr(module, exported)
    assert module.__doc__


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_documented(name):
    module = importlib.import_module(name)
    for exported in module.__all__:
        thing = getattr(module, exported)
        if isinstance(thing, type):
            assert thing.__doc__, exported
            for attribute, value in vars(thing).items():
                if callable(value) and not attribute.startswith("_"):
                    assert value.__doc__, f"{exported}.{attribute}"
