import ast
import sys
from dataclasses import asdict

import pytest

from snnbench import declared, registry

BASE = '''
from typing import ClassVar
from snnbench.algorithm import Algorithm, Capabilities

class Base(Algorithm):
    """The base.

    More of it.
    """
    family: ClassVar[str] = "mine"
    requires = ("json", "no_such_module_at_all")
    later: int

class Odd(Base):
    family = "a" + str(1)
    capabilities = Capabilities(2, True, max_dimension=7)
    hopeless = Capabilities(objectives=min(1, 2))
    wrong = Capabilities(colour="red")
'''

CHILD = """
from .base import Base as Renamed
from ..declared_package.other import Circle

raise RuntimeError("imported")

class Child(Renamed):
    extra = "bayes"
    later = 3

class Silent(Child): pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "declared_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "base.py").write_text(BASE)
    (folder / "child.py").write_text(CHILD)
    (folder / "other.py").write_text("from declared_package.child import Circle\nclass Loop(Loop): pass")
    (folder / "broken.py").write_text("class (")
    monkeypatch.syspath_prepend(str(tmp_path))
    declared._module.cache_clear()
    declared._spec.cache_clear()
    yield "declared_package"
    declared._module.cache_clear()
    declared._spec.cache_clear()


def test_own_and_inherited_attributes_without_importing(package):
    child = f"{package}.child"
    assert declared.attribute(child, "Child", "extra") == "bayes"
    assert declared.attribute(child, "Silent", "family") == "mine"
    assert declared.attribute(child, "Silent", "later") == 3
    assert declared.attribute(f"{package}.base", "Base", "later") is None
    assert declared.attribute(child, "Silent", "extra") == "bayes"
    assert declared.attribute(child, "Silent", "nothing") is None
    assert isinstance(declared.attribute(child, "Child", "capabilities"), ast.Call)  # from Algorithm itself
    assert package not in sys.modules
    assert declared.missing(declared.attribute(child, "Child", "requires")) == ["no_such_module_at_all"]


def test_summary(package):
    assert declared.summary(f"{package}.base", "Base") == "The base."
    assert declared.summary(f"{package}.child", "Child") == ""
    assert declared.summary(f"{package}.child", "Nobody") == ""


@pytest.mark.parametrize("module", ["broken", "absent", "absent.deeper"])
def test_what_cannot_be_read_declares_nothing(package, module):
    assert declared.attribute(f"{package}.{module}", "Child", "family") is None


def test_circles_end(package):
    assert declared.attribute(f"{package}.other", "Circle", "family") is None
    assert declared.attribute(f"{package}.other", "Loop", "family") is None


def test_fields_of_a_call(package):
    call = declared.attribute(f"{package}.base", "Odd", "capabilities")
    fields = declared.arguments(call, "snnbench.algorithm", "Capabilities")
    assert (fields["objectives"], fields["constraints"], fields["max_dimension"]) == (2, True, 7)
    assert fields["min_dimension"] == 1
    for key, words in (("hopeless", "objectives is no literal"), ("wrong", "no field colour")):
        call = declared.attribute(f"{package}.base", "Odd", key)
        with pytest.raises(declared.Unreadable, match=words):
            declared.arguments(call, "snnbench.algorithm", "Capabilities")
    with pytest.raises(declared.Unreadable, match=r"Odd\.family"):
        declared.attribute(f"{package}.base", "Odd", "family")
    assert registry.Entry("algorithm", "odd", f"{package}.base:Odd").declares("family") is None


@pytest.mark.parametrize("name", list(registry.entries("algorithm")))
def test_source_says_what_the_class_says(name):
    entry = registry.entries("algorithm")[name]
    cls = registry.load("algorithm", name)
    assert entry.declares("capabilities") == asdict(cls.capabilities)
    for key in ("requires", "extra", "family"):
        assert entry.declares(key) == getattr(cls, key)
