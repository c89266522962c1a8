"""That training still works, on every machine."""

from cnnlib import experiments


def test_lenet_with_relu_and_max_pooling_learns_fashion_mnist():
    run = experiments.find("lenet-ablation")
    sizes = {"images": 4_000, "tests": 1_000, "epochs": 2}
    result = run(activation="ReLU", pooling="max", seed=0, **sizes)
    assert result["test_accuracy"][-1] >= 0.70
