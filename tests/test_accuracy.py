"""That training still works: loosely on every machine, strictly where the budget is
full (the weekly run on a GPU)."""

from cnnlib import experiments, train


def test_lenet_with_relu_and_max_pooling_learns_fashion_mnist():
    sizes, floor = train.budget(
        small=({"images": 4_000, "tests": 1_000, "epochs": 2}, 0.70),
        full=({"images": 60_000, "tests": 10_000, "epochs": 10}, 0.90),
    )
    run = experiments.find("lenet-ablation")
    result = run(activation="ReLU", pooling="max", seed=0, **sizes)
    assert result["test_accuracy"][-1] >= floor
