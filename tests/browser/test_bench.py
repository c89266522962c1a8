"""The bench, used by mouse, keyboard and touch, and compared with torch."""

import random

import pytest
import torch
import torch.nn.functional as F

from cnnlib import data
from cnnlib.figures import bench
from tests.browser.conftest import BEST, assert_accessible

FIGURE = ".live-figure[data-state=live] .live"
TABLES = """live => [...live.querySelectorAll("details table")].map(table =>
    [table.caption.innerText, [...table.rows].map(row => [...row.cells].map(
        cell => Number(cell.innerText.replace("\\u2212", "-"))))])"""
BOOT = data.fashion_mnist(1, 1)[1].images[0, 0]


@pytest.fixture
def show(sheet):
    """`sheet`, which waits until benches are alive."""

    def page_of(*shown, **options):
        page = sheet(*shown, **options)
        if options.get("java_script_enabled", True):
            page.wait_for_selector(FIGURE)
        return page

    return page_of


def tables(live):
    """Caption and numbers of each table that the figure computed."""
    live.locator("summary").click()
    live.locator("details table").first.wait_for()
    found = live.evaluate(TABLES)
    return {caption: torch.tensor(rows).double() for caption, rows in found}


def line(page):
    return page.locator(f"{FIGURE} [role=status]").first.inner_text()


def pad(x, settings, value=0.0):
    """x with the padding of `settings`, written anew, one axis after the other."""
    sides = []
    reach = settings["dilation"] * (settings["size"] - 1) + 1
    for n in (x.shape[3], x.shape[2]):
        if settings["padding"] == "SAME":  # until the window of the last place ends
            places = (n + settings["stride"] - 1) // settings["stride"]
            last = (places - 1) * settings["stride"] + reach
            total = max(0, last - n)
        elif settings["padding"] == "same":
            total = reach - 1
        else:
            total = 2 * settings["padding"]
        sides += [total // 2, total - total // 2]
    if settings["values"] == "zeros":
        return F.pad(x, sides, value=value)
    return F.pad(x, sides, settings["values"])


def drawn(seed):
    """Random settings that PyTorch accepts, a picture and a kernel (float64)."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    height, width, size = draw.randint(6, 9), draw.randint(6, 9), draw.randint(1, 3)
    settings = {
        "stride": draw.randint(1, 3),
        "dilation": draw.randint(1, 2),
        "padding": draw.choice([0, 1, 2, "SAME", "same"]),
        "values": draw.choice(["zeros", "replicate", "circular"]),
    }
    if settings["padding"] == "same":
        settings["stride"] = 1
    x = torch.randint(-9, 10, (height, width)).double()
    kernel = torch.randint(-9, 10, (size, size)).double() / 4
    return settings, x, kernel


@pytest.mark.parametrize("seed", range(12))
def test_a_convolution_and_its_gradient_are_torch_s(show, seed):
    settings, x, kernel = drawn(seed)
    figure = bench(
        "backward", "padding", "stride", pictures={"x": x}, kernel=kernel, **settings
    )
    found = tables(show(figure).locator(FIGURE))
    leaf = x[None, None].requires_grad_()
    padded = pad(leaf, settings | {"size": len(kernel)})
    weight = kernel[None, None]
    y = F.conv2d(
        padded, weight, stride=settings["stride"], dilation=settings["dilation"]
    )
    y.square().sum().div(2).backward()
    torch.testing.assert_close(found["result"], y[0, 0].detach(), rtol=1e-4, atol=1e-4)
    gradient = found["gradient of the picture"]
    torch.testing.assert_close(gradient, leaf.grad[0, 0], rtol=1e-4, atol=1e-4)
    if settings["padding"] == "same" and settings["values"] == "zeros":
        same = F.conv2d(leaf, weight, padding="same", dilation=settings["dilation"])
        torch.testing.assert_close(same, y)


@pytest.mark.parametrize("seed", range(6))
def test_channels_and_layers_are_torch_s(show, seed):
    settings, x, _ = drawn(seed)
    settings |= {"padding": 1, "dilation": 1, "stride": 1 + seed % 2}
    colour = torch.randint(0, 10, (3, 7, 6)).double()
    kernel = torch.randint(-3, 4, (3, 3, 3)).double()
    page = show(bench("channels", pictures={"x": colour}, kernel=kernel, **settings))
    found = tables(page.locator(FIGURE))
    padded = pad(colour[None], settings | {"size": 3})
    y = F.conv2d(padded, kernel[None], stride=settings["stride"])[0, 0]
    torch.testing.assert_close(found["result"], y, rtol=1e-4, atol=1e-4)
    page = show(
        bench("layers", pictures={"x": x}, kernel=kernel[0], layers=3, **settings)
    )
    found = tables(page.locator(FIGURE))
    y = x[None, None]
    for index in range(3):
        y = pad(y, settings | {"size": 3})
        y = F.conv2d(y, kernel[0][None, None], stride=settings["stride"])
        torch.testing.assert_close(
            found[f"map {index + 1}"], y[0, 0], rtol=1e-4, atol=1e-2
        )


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_pooling_is_torch_s(show, size, padding):
    torch.manual_seed(size)
    x = torch.randint(-9, 10, (7, 8)).double()
    options = {"pictures": {"x": x}, "size": size, "padding": padding, "stride": 2}
    page = show(bench("pooling", "padding", "stride", **options))
    live = page.locator(FIGURE)
    expected = {
        "max": F.max_pool2d(x[None], size, 2, padding),
        "average": F.avg_pool2d(x[None], size, 2, padding),
        "min": -F.max_pool2d(-x[None], size, 2, padding),
    }
    live.locator("summary").click()
    for kind, y in expected.items():
        live.locator("select").first.select_option(kind)
        [(name, rows)] = live.evaluate(TABLES)
        assert name == "pooled"
        torch.testing.assert_close(torch.tensor(rows).double(), y[0], rtol=0, atol=1e-4)


def test_where_it_pools_the_picture_shifts_and_the_status_says_what_stays(show):
    torch.manual_seed(0)
    x = torch.randint(0, 4, (6, 8)).double()
    page = show(bench("pooling", pictures={"x": x}), has_touch=True)
    live = page.locator(FIGURE)
    steps = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}
    stays = []
    for way in (*steps, "up", "right"):
        before = F.max_pool2d(x[None], 2)
        x = x.roll(steps[way], (0, 1))
        button = live.get_by_role("button", name=f"Shift {way}")
        (button.tap if way == "left" else button.click)()
        stays.append(int((F.max_pool2d(x[None], 2) == before).sum()))
        said = f"Shifted {way} by one pixel: {stays[-1]} of 12 pooled values stay. "
        assert line(page).startswith(f"{said}y(0, 0) = max({x[0, 0]:g}, {x[0, 1]:g}, ")
    assert len(set(stays)) > 2
    live.get_by_role("button", name="Shift down").focus()
    page.keyboard.press("Enter")
    assert line(page).startswith("Shifted down")
    expected = F.max_pool2d(x.roll(1, 0)[None], 2)[0]
    assert torch.equal(tables(live)["pooled"], expected)
    live.get_by_role("button", name="Step").click()
    assert line(page).startswith("y(0, 1) = ")
    assert show(bench()).get_by_role("button", name="Shift").count() == 0


def test_filters_of_several_outputs_are_the_kernels_in_turn(show):
    colour = torch.arange(108).view(3, 6, 6) % 11
    page = show(bench("channels", pictures={"x": colour}, outputs=2, kernel="Sobel"))
    found = tables(page.locator(FIGURE))
    assert list(found) == ["result, channel 1", "result, channel 2"]
    blur = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]).double() / 16
    y = F.conv2d(colour.double().sum(0)[None, None], blur[None, None])[0, 0]
    torch.testing.assert_close(found["result, channel 2"], y, rtol=1e-4, atol=1e-4)


def test_the_window_is_stepped_by_mouse_and_shows_products_and_sum(show):
    page = show(bench())
    live = page.locator(FIGURE)
    assert line(page).startswith("y(0, 0) = 10·1 + 10·0 + 10·(\u22121) + ")
    live.get_by_role("button", name="Step").click()
    assert line(page).startswith("y(0, 1) = ") and line(page).endswith(" = 30")
    products = live.locator(".grid").nth(3).locator("span").all_inner_texts()
    assert products == ["10", "0", "0"] * 3
    shown = (
        live.locator(".panel")
        .nth(1)
        .locator("text")
        .evaluate_all(
            """all => all.filter(text => text.style.visibility != "hidden").map(
                text => text.textContent)"""
        )
    )
    assert shown == ["0", "30"]
    live.get_by_label("whole result").check()
    assert live.locator("rect.empty").count() == 0
    box = live.locator(".panel").nth(1).locator("svg").bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    assert line(page).startswith("y(3, 3) = 0·1")
    live.get_by_role("button", name="Back").click()
    assert line(page).startswith("y(3, 2) = ")


def test_a_drag_over_the_picture_takes_the_window_along(show):
    page = show(bench())
    box = page.locator(f"{FIGURE} .panel svg").first.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    for share in (0.4, 0.6, 0.75):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 5)
    page.mouse.up()
    assert line(page).startswith("y(0, 3) = ")
    assert page.locator(f"{FIGURE} rect.empty").count() == 16 - 4


def test_weights_and_pixels_can_be_changed(show):
    page = show(bench())
    live = page.locator(FIGURE)
    live.get_by_label("weight (0, 0)").fill("-2,5")
    assert line(page).startswith("y(0, 0) = 10·(\u22122.5) + 10·0")
    live.get_by_label("weight (0, 0)").fill("x")
    assert live.get_by_label("weight (0, 0)").get_attribute("aria-invalid") == "true"
    live.get_by_label("pixel (0, 0)").fill("4")
    assert line(page).startswith("y(0, 0) = 4·(\u22122.5) + 10·0")
    live.locator("select").select_option("identity")
    assert line(page).startswith("y(0, 0) = 4·0 + 10·0 + 10·0 + 10·0 + 10·1")


def test_a_bench_works_by_keyboard_alone(show):
    page = show(bench("padding"), bench())
    first, second = page.locator(FIGURE).all()
    before = second.locator("[role=status]").inner_text()
    first.locator(".panel").nth(1).focus()
    for key, place in (("ArrowRight", "0, 1"), ("ArrowDown", "1, 1"), ("End", "3, 3")):
        page.keyboard.press(key)
        assert line(page).startswith(f"y({place}) = ")
    first.locator(".panel").first.focus()  # here the arrows go from pixel to pixel
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    assert first.get_by_label("pixel (4, 0)").is_visible()
    assert line(page).startswith("y(3, 0) = ")
    assert second.locator("[role=status]").inner_text() == before


def test_padding_stride_and_dilation_show_their_formula_and_what_is_not_read(show):
    x = torch.arange(64).view(8, 8)
    page = show(bench("padding", "stride", "dilation", pictures={"x": x}))
    live = page.locator(FIGURE)
    live.get_by_label("stride").select_option("2")
    formula = live.locator(".formula")
    assert (
        "⌊(8 + 0 + 0 \u2212 1·(3 \u2212 1) \u2212 1) / 2⌋ + 1 = 3"
        in formula.inner_text()
    )
    assert "never read (orange): 15" in formula.inner_text()
    assert live.locator("rect.unread").count() == 15
    live.get_by_label("padding").select_option("SAME")
    assert (
        "⌊(8 + 0 + 1 \u2212 1·(3 \u2212 1) \u2212 1) / 2⌋ + 1 = 4"
        in formula.inner_text()
    )
    assert live.locator("rect.unread").count() == 0
    live.get_by_label("padding").select_option("1")  # PyTorch's: a frame too much
    assert (
        live.locator("rect.unread").count() == live.locator(".pad.unread").count() == 19
    )
    live.get_by_label("padding").select_option("same")
    assert (
        line(page)
        == 'PyTorch refuses padding="same" with a stride of 2: choose a number.'
    )
    live.get_by_label("stride").select_option("1")
    assert line(page).startswith("y(0, 0) = ")
    live.get_by_label("padding").select_option("0")
    live.get_by_label("kernel").select_option("learned")
    live.get_by_label("dilation").select_option("3")
    assert line(page) == "A window of 13 does not fit a line of 8 pixels."


def test_three_layers_mark_the_receptive_field_and_who_reads_a_pixel(show):
    x = torch.arange(81).view(9, 9)
    page = show(bench("layers", "stride", pictures={"x": x}, layers=3))
    live = page.locator(FIGURE)
    sides = "paths => paths.map(p => p.getAttribute('d').split('z').length - 1)"
    marked = live.locator("path.window").evaluate_all(sides)
    assert marked == [49, 25, 9, 0]
    assert line(page).endswith("Through 3 layers it sees 7 x 7 pixels.")
    assert "receptive field: 1 + 2 + 2 + 2 = 7" in live.locator(".formula").inner_text()
    live.locator(".panel").first.focus()
    page.keyboard.press("End")
    assert live.locator("path.window").evaluate_all(sides) == [0, 1, 1, 1]
    assert line(page).startswith("Pixel (8, 8) is read by 1 of map 1")


def test_a_pixel_shows_its_readers_the_turned_kernel_and_its_column(show):
    x = torch.arange(36).view(6, 6) % 7
    kernel = torch.arange(1.0, 10).view(3, 3)
    page = show(bench("backward", pictures={"x": x}, kernel=kernel))
    live = page.locator(FIGURE)
    live.locator(".panel").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    y = F.conv2d(x[None].float(), kernel[None, None])[0]
    assert line(page).startswith("Pixel (2, 2) is read by 9 outputs; gradient = ")
    grids = [
        grid.locator("span").all_inner_texts() for grid in live.locator(".grid").all()
    ]
    assert grids[0] == [f"{value:g}" for value in y[:3, :3].flatten().tolist()]
    assert grids[2] == [f"{weight}" for weight in range(9, 0, -1)]
    bars = live.locator(".bars")
    place = {name: bars.get_attribute(name) for name in ("x", "width", "height")}
    assert place == {"x": "14", "width": "1", "height": "16"}
    assert live.locator(".matrix rect").count() == 16 * 9 + 2


def test_playing_fills_the_result_and_stops_at_the_end(show):
    page = show(bench())
    live = page.locator(FIGURE)
    live.get_by_role("button", name="Play").click()
    assert live.get_by_role("button", name="Pause").is_visible()
    page.wait_for_function(
        "!document.querySelector('.live rect.empty')", timeout=15_000
    )
    assert live.get_by_role("button", name="Play").is_visible()


def test_who_wants_no_motion_gets_the_whole_result_at_once(show):
    page = show(bench(), reduced_motion="reduce")
    live = page.locator(FIGURE)
    live.get_by_role("button", name="Play").click()
    assert live.locator("rect.empty").count() == 0
    assert live.get_by_role("button", name="Play").is_visible()


def test_a_frame_takes_less_than_16_milliseconds(show):
    """The largest picture: a step, and a weight that changes all of the result."""
    page = show(bench("padding", pictures={"boot": BOOT}, kernel="blur", padding=1))
    page.evaluate(BEST)
    times = page.locator(FIGURE).evaluate(
        """live => {
            const field = live.querySelector(".grid input");
            const actions = [() => live.querySelectorAll(".tools button")[2].click(),
                () => field.dispatchEvent(new Event("input"))];
            actions.forEach(act => act());
            return actions.map(best);
        }"""
    )
    assert max(times) < 16


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_a_bench_is_accessible_and_never_wider_than_the_page(show, theme, width):
    colour = torch.arange(108).view(3, 6, 6) % 11
    kinds = (
        bench("padding", "stride", "dilation", pictures={"boot": BOOT}),
        bench("channels", pictures={"x": colour}, outputs=2),
        bench("backward", "padding"),
        bench("pooling", "stride", "padding"),
    )
    for figure in kinds:
        page = show(figure, width=width, theme=theme, has_touch=True)
        live = page.locator(FIGURE)
        live.locator("summary").tap()
        live.locator(".panel svg").first.tap()
        assert_accessible(page)
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")


def test_the_still_form_stands_alone_and_prints(show):
    page = show(bench(), java_script_enabled=False)
    assert page.locator(".still caption", has_text="result").is_visible()
    page = show(bench())
    assert not page.locator(".still table").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator(".still table").first.is_visible()
    assert not page.locator(".live").is_visible()
