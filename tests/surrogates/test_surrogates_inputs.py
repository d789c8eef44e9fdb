"""What `predict` does not know is refused, whoever wrote the kind."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.registry import get_kind, kind_names


class Doubler(Surrogate):
    """A kind of one's own."""

    kind: ClassVar[str] = "doubler"
    fit: Any = None
    judge: Any = None
    admissibility: Any = None
    sample_chips: Any = None

    def predict(
        self, *, voltage_v: float, gain: float = 2.0, strict: bool = False
    ) -> dict[str, Any]:
        return {"output_v": gain * voltage_v}


def doubler() -> Doubler:
    model: Any = None
    return Doubler(model)


def test_inputs_are_those_of_the_signature() -> None:
    assert Doubler.inputs == ("voltage_v", "gain", "strict")
    assert doubler().predict(voltage_v=3.0) == {"output_v": 6.0}
    assert doubler().predict(voltage_v=3.0, gain=1.0) == {"output_v": 3.0}


def test_an_unknown_input_is_refused_with_those_allowed() -> None:
    with pytest.raises(UsageError) as refusal:
        doubler().predict(voltage_v=3.0, gian=1.0)
    expected = "predict of doubler knows no gian; allowed: voltage_v, gain, strict"
    assert str(refusal.value) == expected


def test_a_missing_input_is_asked_for() -> None:
    with pytest.raises(UsageError) as refusal:
        doubler().predict(gain=1.0)
    expected = "predict of doubler lacks voltage_v; allowed: voltage_v, gain, strict"
    assert str(refusal.value) == expected


def test_a_kind_that_inherits_predict_has_the_inputs_of_its_parent() -> None:
    class Heir(Doubler):
        kind: ClassVar[str] = "heir"

    assert Heir.inputs == Doubler.inputs
    model: Any = None
    with pytest.raises(UsageError, match="predict of heir knows no gian"):
        Heir(model).predict(voltage_v=3.0, gian=1.0)


def test_a_kind_that_hides_its_inputs_is_none() -> None:
    with pytest.raises(TypeError, match="predict of Anything hides inputs in anything; allowed"):

        class Anything(Surrogate):
            def predict(self, **anything: Any) -> dict[str, Any]:
                return anything


@pytest.mark.parametrize("kind", kind_names())
def test_every_registered_kind_can_be_strict(kind: str) -> None:
    assert "strict" in get_kind(kind).inputs
