"""The brackets around measured values: what stands in them is a finite number."""

import math

import numpy as np
import pytest
import torch

from cnnlib import measured


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.87314, ".3f", "⟨0.873⟩"),
        (1234, "6,", "⟨ 1,234⟩"),
        (torch.tensor(-0.5), ".1f", "⟨-0.5⟩"),
        (np.float32(1e-30), ".0e", "⟨1e-30⟩"),
        ("0.4 to 0.6, banana, info", "", "⟨0.4 to 0.6, banana, info⟩"),
        ("YQ/nan+inf/Inf=", "", "⟨YQ/nan+inf/Inf=⟩"),  # base64
    ],
)
def test_a_value_stands_between_brackets(value, spec, text):
    assert measured(value, spec) == text


@pytest.mark.parametrize(
    ("value", "spec", "found"),
    [
        (math.nan, ".3f", "nan"),
        (-math.inf, ">9.0e", "-inf"),
        (torch.tensor(math.inf), "", "inf"),
        (np.float32("nan"), ".2%", "nan"),
        ("0.4 to nan", "", "nan"),
        (np.array([1.0, math.nan]), "", "nan"),
        ("a ratio of +Inf:", "", "+Inf"),
    ],
)
def test_a_value_that_is_not_finite_is_refused_in_one_sentence(value, spec, found):
    with pytest.raises(ValueError, match="a run that diverged or a div") as refused:
        measured(value, spec)
    assert f"the measured value is {found}," in str(refused.value)
    assert "\n" not in str(refused.value)
