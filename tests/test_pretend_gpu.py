"""The pretend GPU refuses what CUDA refuses, allows what it allows, and counts so.

Where torch sees a real GPU most of these tests ask that one: whether CUDA does what is
said of it here."""

import copy
import io
import os
import pickle
import subprocess
import sys
import traceback

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from cnnlib import train
from tests.pretend_gpu import pretend_gpu

ZERO = torch.device("cuda", 0)
PRETENDED = not torch.cuda.is_available()
pretended = pytest.mark.skipif(not PRETENDED, reason="a real GPU is here")


def index_with(index, value, device):
    x = torch.zeros(4, 3, device=device)
    x[index] = value
    return x


REFUSED = {  # what is done with x on the GPU and c on the CPU, and what CUDA says
    "sum": (lambda x, c: x + c, "two devices, cuda:0 and cpu"),
    "sum in place": (lambda x, c: c.add_(x), "two devices"),
    "sum into a number": (lambda x, c: c[0, 0].add_(x[0, 0]), "two devices"),
    "comparison": (lambda x, c: x == c, "two devices"),
    "product": (lambda x, c: x @ c.T, "two devices"),
    "stack of numbers": (lambda x, c: torch.stack([x.sum(), c.sum()]), "two devices"),
    "concatenation": (lambda x, c: torch.cat([x, c]), "two devices"),
    "linear layer": (lambda x, c: nn.Linear(3, 2)(x), "two devices"),
    "labels": (lambda x, c: F.cross_entropy(x, c.argmax(1)), "two devices"),
    "gather": (lambda x, c: x.gather(1, c.long()), "two devices"),
    "embedding": (lambda x, c: F.embedding(c.long(), x), "two devices"),
    "shape only": (lambda x, c: x + c.to("meta"), "two devices, cuda:0 and meta"),
    "closeness": (lambda x, c: torch.allclose(x, c), "two devices"),
    "into an argument": (lambda x, c: torch.add(x, x, out=c), "two devices"),
    "array": (lambda x, c: x.numpy(), "convert cuda:0 device type tensor to numpy"),
    "array of it": (lambda x, c: np.asarray(x), "convert cuda:0 device type"),
    "NumPy function": (lambda x, c: np.exp(x), "convert cuda:0 device type"),
    "index": (lambda x, c: c[x.argmax(1) % 3], "either on cpu or on the same device"),
    "mask": (lambda x, c: c[x > 0], "either on cpu or on the same device"),
    "assignment": (
        lambda x, c: index_with(torch.tensor([0, 1]), c[:2], "cuda"),
        "two devices",
    ),
    "generator": (
        lambda x, c: torch.rand(3, device="cuda", generator=torch.Generator()),
        "Expected a 'cuda' device type for generator but found 'cpu'",
    ),
    "generator of the GPU": (
        lambda x, c: torch.rand(3, generator=torch.Generator("cuda")),
        "Expected a 'cpu' device type for generator but found 'cuda'",
    ),
    "generator in place": (
        lambda x, c: x.normal_(generator=torch.Generator()),
        "for generator but found 'cpu'",
    ),
    "pinned memory": (lambda x, c: x.pin_memory(), "only dense CPU tensors"),
    "pinned at once": (
        lambda x, c: torch.empty(3, device="cuda", pin_memory=True),
        "only dense CPU tensors",
    ),
    "product of integers": (lambda x, c: x.long() @ x.long().T, "not implemented"),
    "another GPU": (lambda x, c: x.to("cuda:1"), "invalid device ordinal"),
    "format": (lambda x, c: f"{x:.2f}", "unsupported format string"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cuda_refuses_is_refused(gpu, name):
    attempt, message = REFUSED[name]
    said = message if PRETENDED else ""  # the words of CUDA are not the same everywhere
    with pytest.raises((RuntimeError, TypeError), match=said):
        attempt(torch.ones(4, 3, device=gpu), torch.ones(4, 3))


@pretended
def test_what_cannot_be_pretended_is_refused(gpu):
    with pytest.raises(
        NotImplementedError, match=r"torch\.compile cannot be pretended"
    ):
        torch.compile(nn.ReLU())


def test_what_cuda_allows_is_allowed(gpu):
    x, c = torch.ones(4, 3, device=gpu), torch.ones(4, 3)
    for result in (
        x + c.sum(),  # a number of the CPU
        x[c[:, 0].long()],  # an index on the CPU
        x[c > 0],
        index_with(0, c[0], gpu),  # a slice is copied from anywhere
        index_with(torch.tensor([0, 1]), c.sum(), gpu),
        torch.empty(4, 3, device=gpu).copy_(c),
        torch.where(x > 0, x, c.sum()),
        x.new_zeros(2),
        torch.zeros_like(c, device=gpu),
        torch.tensor([1.0], device=gpu),
        torch.as_tensor(np.ones(3), device="cuda:0"),
        torch.rand(3, device=gpu, generator=torch.Generator("cuda")),
        x.to(c.dtype).double(),
        next(iter(x)),
        x.max(1).values,
        x.cuda(),
    ):
        assert result.device == ZERO and result.is_cuda and not result.is_cpu
    for result in (
        x.cpu(),
        x.to(c),
        torch.zeros_like(x, device="cpu"),
        torch.tensor([x.sum(), 1.0]),
        c.copy_(x),
        index_with(0, x[0], "cpu"),
        index_with((0, 1), x.sum(), "cpu"),
    ):
        assert result.device.type == "cpu" and type(result) is torch.Tensor
    assert f"{x.sum():.1f}" == "12.0" and x[0].tolist() == [1.0] * 3
    assert np.array_equal(x.numpy(force=True), np.ones((4, 3)))


def test_tensors_are_printed_with_their_device(gpu):
    x = torch.tensor([1.0, 2.0], device=gpu)
    assert repr(x) == "tensor([1., 2.], device='cuda:0')"
    assert repr(x.double()) == "tensor([1., 2.], device='cuda:0', dtype=torch.float64)"
    x.requires_grad_()
    assert repr(x).endswith("device='cuda:0', requires_grad=True)")
    assert repr(x * 2).endswith("device='cuda:0', grad_fn=<MulBackward0>)")
    assert repr(nn.Parameter(x.detach())).startswith("Parameter containing:\ntensor(")


@pretended
def test_queries_answer_as_on_a_machine_with_a_gpu(monkeypatch):
    monkeypatch.delenv("CNNLIB_PRECISION", raising=False)
    with pretend_gpu(count=2):
        assert train.device() == torch.device("cuda")  # without an index, as torch's
        assert train.hardware() == "Pretended GPU, bf16"
        assert torch.cuda.is_available() and torch.cuda.device_count() == 2
        assert torch.ones(1, device="cuda").get_device() == 0
        torch.accelerator.set_device_index(1)
        assert torch.ones(1, device="cuda").device == torch.device("cuda", 1)
        with pytest.raises(RuntimeError, match=r"two devices, cuda:\d and cuda:\d"):
            torch.ones(1, device="cuda:0") + torch.ones(1, device="cuda:1")
    with pretend_gpu(capability=(7, 5)):
        assert train.precision(torch.device("cuda")) == torch.float32
    assert not torch.cuda.is_available() and train.device().type == "cpu"


def test_a_module_moves_in_place_with_its_buffers_and_gradients(gpu):
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    parameters = list(net.parameters())
    optimizer = torch.optim.AdamW(parameters)
    net.to(gpu)
    net(torch.randn(5, 3, device=gpu)).pow(2).sum().backward()
    optimizer.step()
    assert all(one is other for one, other in zip(parameters, net.parameters()))  # noqa: B905
    for tensor in (*parameters, *net.buffers(), *(p.grad for p in parameters)):
        assert tensor.device == ZERO
    assert all(isinstance(p, nn.Parameter) for p in parameters)
    with pytest.raises(RuntimeError, match="gradient with device type 'cpu'"):
        parameters[0].grad = torch.zeros(3, 3)
    net.double().cpu()
    for tensor in (*parameters, *(p.grad for p in parameters)):
        assert tensor.device.type == "cpu" and tensor.dtype == torch.float64
    assert type(parameters[0]) is nn.Parameter


def test_a_copy_is_a_copy(gpu):
    x = torch.zeros(2, device=gpu)
    there, same = x.cpu(), copy.deepcopy(x)
    x += 1
    assert there.tolist() == same.tolist() == [0, 0] and same.device == ZERO
    net = nn.Linear(2, 2).to(gpu)
    leaf = torch.ones(2, device=gpu, requires_grad=True)
    net(leaf).sum().backward()
    twin = copy.deepcopy(net)
    assert twin.weight.grad is None  # as torch's own, unlike a tensor's
    assert copy.deepcopy(leaf).grad is not None
    assert twin.weight.device == ZERO and isinstance(twin.weight, nn.Parameter)
    with torch.no_grad():
        net.weight.zero_()
    assert twin.weight.abs().sum() > 0


@pretended
def test_what_does_not_block_arrives_when_synchronised(gpu):
    x = torch.ones(2, device=gpu)
    moved = x.to("cpu", non_blocking=True)
    copied = torch.zeros(2).pin_memory().copy_(x, non_blocking=True)
    assert moved.isnan().all() and copied.isnan().all()
    torch.cuda.synchronize()
    assert moved.tolist() == copied.tolist() == [1, 1]
    pageable = torch.zeros(2).copy_(x, non_blocking=True)  # waits
    assert pageable.tolist() == [1, 1]
    assert torch.ones(2).pin_memory().is_pinned() and not torch.ones(2).is_pinned()


def test_saved_tensors_come_back_to_their_device(gpu):
    file = io.BytesIO()
    net = nn.Linear(2, 2).to(gpu)
    torch.save({"net": net.state_dict(), "w": net.weight}, file)
    for place, expected in ((None, ZERO), ("cuda", ZERO), ("cpu", torch.device("cpu"))):
        file.seek(0)
        loaded = torch.load(file, map_location=place)
        assert loaded["net"]["weight"].device == loaded["w"].device == expected
        assert isinstance(loaded["w"], nn.Parameter)
        assert torch.equal(loaded["w"].cpu(), net.weight.cpu())
    assert pickle.loads(pickle.dumps(net)).weight.device == ZERO
    twin = nn.Linear(2, 2)
    twin.load_state_dict(net.state_dict())
    assert twin.weight.device.type == "cpu"


@pretended
def test_what_the_gpu_saved_is_refused_where_there_is_none():
    with pretend_gpu():
        file = io.BytesIO()
        torch.save(torch.ones(2, device="cuda"), file)
    file.seek(0)
    with pytest.raises(RuntimeError, match=r"map_location=torch.device\('cpu'\)"):
        torch.load(file)


def test_the_gpu_has_random_numbers_of_its_own(gpu):
    def draw(device):
        torch.manual_seed(0)
        return torch.rand(4, device=device).tolist()

    assert draw(gpu) == draw(gpu) != draw("cpu") == draw("cpu")
    torch.manual_seed(0)
    F.dropout(torch.ones(9, device=gpu)), nn.init.normal_(torch.ones(9, device=gpu))
    assert torch.rand(4).tolist() == draw("cpu")
    layer = nn.Dropout().to(gpu)
    assert not torch.equal(*(layer(torch.ones(99, device=gpu)) for _ in range(2)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_follows_the_lists_of_cuda(gpu, dtype):
    x, c = torch.randn(2, 3, 8, 8, device=gpu), torch.randn(2, 2)
    layer = nn.Conv2d(3, 4, 3).to(gpu)
    with torch.autocast("cuda", dtype):
        y = layer(x)
        assert y.dtype == (y.flatten(1) @ y.flatten(1).T).dtype == dtype
        assert F.max_pool2d(y.relu(), 2).dtype == dtype
        for function in (torch.exp, torch.sum, lambda t: t.softmax(1), lambda t: t**2):
            assert function(y).dtype == torch.float32
        assert F.cross_entropy(y.mean((2, 3)), y.argmax(1)[:, 0, 0]).dtype == (
            torch.float32
        )
        assert F.local_response_norm(y, 3).dtype == torch.float32  # has a power in it
        assert F.avg_pool3d(y[None], 2).dtype == dtype  # which the CPU cannot
        assert (c @ c).dtype == torch.float32
        assert (x.double().flatten(1) @ x.double().flatten(1).T).dtype == torch.float64
    with torch.autocast("cpu", dtype):
        assert layer(x).dtype == torch.float32
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert layer.weight.grad.device == ZERO


@pretended
def test_convolutions_read_ten_bits_where_the_card_does():
    x, w = torch.randn(1, 3, 9, 9), torch.randn(4, 3, 3, 3)
    exact = F.conv2d(x, w)

    def error(**changes):
        with pretend_gpu(**changes):
            y = F.conv2d(x.to("cuda"), w.to("cuda")).cpu()
        return ((y - exact).abs().max() / exact.abs().max()).item()

    assert 1e-5 < error() < 1e-3
    assert error(capability=(7, 5)) == 0
    with torch.backends.cudnn.flags(allow_tf32=False):
        assert error() == 0
    with pretend_gpu():
        matrices = torch.randn(5, 5), torch.randn(5, 5)
        one, other = (m.to("cuda") for m in matrices)
        assert torch.equal((one @ other).cpu(), torch.mm(*matrices))


@pretended
def test_sums_depend_on_an_order_that_changes(gpu):
    x = torch.rand(40, 30, device=gpu)
    first, second = x.sum(1), x.sum(1)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second)
    sums = [x.double().sum().item() for _ in range(2)]
    assert sums[0] != sums[1] == pytest.approx(sums[0], rel=1e-12)
    whole = (10 * x).round()
    assert torch.equal(whole.sum(1), whole.sum(1))  # exact in every order
    assert torch.equal(whole @ whole.T, whole @ whole.T)
    half = torch.rand(400, 3, 300, device=gpu).bfloat16()
    first, second = half.sum(1).float(), half.sum(1).float()
    assert 1e-5 < (first != second).float().mean() < 1e-2  # seldom, by one digit
    torch.testing.assert_close(first, second, rtol=0.02, atol=0)


def test_hooks_see_gradients_on_the_gpu(gpu):
    x, seen = torch.ones(2, device=gpu, requires_grad=True), []
    x.register_hook(lambda grad: seen.append(grad.device))
    (2 * x).sum().backward()
    assert seen == [ZERO]


def test_what_a_checkpoint_computes_again_is_computed_on_the_gpu(gpu):
    layer, x = nn.Linear(3, 3).to(gpu), torch.ones(2, 3, device=gpu)
    devices = []
    layer.register_forward_pre_hook(lambda _, inputs: devices.append(inputs[0].device))
    with torch.autocast("cuda", torch.bfloat16):
        y = checkpoint(layer, x, use_reentrant=False)
    y.float().sum().backward()
    assert devices == [ZERO] * 2
    assert layer.weight.grad.device == ZERO


@pretended
def test_a_forked_process_cannot_use_the_gpu(gpu):
    x = torch.ones(2, device=gpu)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            x + x
        except RuntimeError:
            os.write(write, traceback.format_exc().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as said:
        assert "Cannot re-initialize CUDA in forked subprocess" in said.read()


@pretended
def test_a_module_is_run_with_it(tmp_path):
    (tmp_path / "asked.py").write_text(
        "import sys, torch\n"
        "print(__name__, sys.argv[1:], torch.ones(2, device='cuda').device)\n"
    )
    command = [sys.executable, "-m", "tests.pretend_gpu", "asked", "--epochs", "2"]
    paths = filter(None, [".", str(tmp_path), os.environ.get("PYTHONPATH")])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    said = subprocess.check_output(command, env=env, text=True)
    assert said == "__main__ ['--epochs', '2'] cuda:0\n"
