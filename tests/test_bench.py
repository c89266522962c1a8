"""The bench as far as no browser is needed: what it takes, and its still form."""

import re

import pytest
import torch
import torch.nn.functional as F

from cnnlib import data, experiments
from cnnlib.figures import bench
from cnnlib.figures.bench import OFFERED


def still(figure):
    return figure.form[
        figure.form.index('<div class="still"') : figure.form.index("<script")
    ]


def tables(figure):
    """Caption and numbers of each table of the still form."""
    found = {}
    for caption, body in re.findall(
        r"<caption>(.*?)</caption><tbody>(.*?)</tbody>", still(figure)
    ):
        rows = re.findall(r"<tr>(.*?)</tr>", body)
        cells = [re.findall(r"<td>(?:<b>)?(.*?)(?:</b>)?</td>", row) for row in rows]
        found[caption] = torch.tensor([[float(c) for c in row] for row in cells])
    return found


def test_the_still_form_has_the_example_of_the_notes():
    found = tables(bench())
    assert list(found) == ["picture", "kernel", "result"]
    assert found["result"].tolist() == [[0, 30, 30, 0]] * 4
    assert still(bench()).count("<td><b>10</b></td>") == 9
    assert "<td><b>0</b></td><td>30</td>" in still(bench())


def test_the_still_form_computes_what_torch_does():
    x = torch.arange(42.0).view(6, 7) % 11
    kernel = torch.tensor([[1.0, 2], [3, -4]])
    found = tables(
        bench(
            "stride", pictures={"x": x}, kernel=kernel, stride=2, padding=1, dilation=2
        )
    )
    y = F.conv2d(x[None], kernel[None, None], stride=2, padding=1, dilation=2)
    assert torch.equal(found["result"], y[0])
    pooled = tables(bench("pooling", pictures={"x": x}, size=3, padding=1, stride=2))
    assert torch.equal(pooled["result"], F.max_pool2d(x[None], 3, 2, 1)[0])
    twice = tables(bench("layers", pictures={"x": x}, kernel=kernel, layers=2))
    y = F.conv2d(F.conv2d(x[None], kernel[None, None]), kernel[None, None])
    assert torch.equal(twice["map 2"], y[0])


def test_of_tensorflow_s_padding_the_odd_pixel_comes_after():
    x = torch.arange(64.0).view(8, 8)
    figure = bench("padding", pictures={"x": x}, padding="SAME", stride=2)
    kernel = torch.tensor(OFFERED["kernels"]["vertical edges"])[None, None].float()
    y = F.conv2d(F.pad(x[None], (0, 1, 0, 1)), kernel, stride=2)
    assert torch.equal(tables(figure)["result"], y[0])
    assert still(figure).count("<b>") == 9 + 1


def test_a_bench_is_the_same_in_every_run_small_and_needs_no_other_host():
    boot = data.fashion_mnist(1, 1)[1].images[0, 0]
    edge = torch.tensor(OFFERED["pictures"]["edge"])
    form = bench(
        "padding", "stride", "dilation", pictures={"edge": edge, "boot": boot}
    ).form
    assert (
        form
        == bench(
            "padding", "stride", "dilation", pictures={"edge": edge, "boot": boot}
        ).form
    )
    assert len(form.encode()) < 40_000
    assert not re.search(
        r"https?://(?!www.w3.org/2000/svg)|src=|href=|@import|url\(", form
    )


def test_the_learned_kernel_is_one_of_those_stored():
    rows = experiments.load("convolution-changes")["rows"]
    filters = [
        r["filters"] for r in rows if not r["setting"]["changing"] and "filters" in r
    ]
    learned = torch.tensor(filters[0]).view(16, 5, 5)[13]
    offered = torch.tensor(OFFERED["kernels"]["learned"])
    assert (learned - offered).abs().max() <= 0.0051


@pytest.mark.parametrize(
    ("controls", "options", "message"),
    [
        (["strides"], {}, r"no control 'strides'.*'stride'"),
        ([], {"strides": 2}, r"no setting 'strides'.*'stride'"),
        ([], {"kernel": "sobel"}, r"no kernel 'sobel'.*'Sobel'"),
        ([], {"kernel": "red against green"}, "no kernel 'red against green'"),
        (["layers", "pooling"], {}, "one of layers, pooling: switch on one"),
        (
            [],
            {"pictures": {"x": torch.ones(3, 6, 6)}},
            r"'x' has the shape \(3, 6, 6\)",
        ),
        ([], {"pictures": {"x": torch.ones(29, 6)}}, "1 to 28 rows and columns"),
        (["channels"], {}, r"'edge' has the shape \(6, 6\): give \(C, H, W\)"),
        ([], {"dilation": 3}, "a window of 7 does not fit 6 pixels"),
    ],
)
def test_what_a_bench_cannot_show_is_named(controls, options, message):
    with pytest.raises(ValueError, match=message):
        bench(*controls, **options)
