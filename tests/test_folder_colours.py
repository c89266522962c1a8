"""A folder's pictures are normalised in the order of colours that torchvision uses."""

import pytest
import torch
from PIL import Image
from torchvision.models import get_model_weights
from torchvision.transforms.v2.functional import pil_to_tensor

from cnnlib import folder
from cnnlib.folder import image_folder

ORANGE = (230, 120, 10)  # three levels, so that no two colours can change places


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "densenet121"])
def test_mean_and_deviation_are_those_of_torchvisions_weights(name):
    theirs = get_model_weights(name).DEFAULT.transforms()
    assert list(folder.MEAN) == theirs.mean
    assert list(folder.STD) == theirs.std


def test_a_picture_of_one_colour_is_what_torchvision_makes_of_it(tmp_path):
    picture = Image.new("RGB", (40, 40), ORANGE)
    for part in ("train", "val"):
        for name in ("one", "two"):
            (tmp_path / part / name).mkdir(parents=True)
            picture.save(tmp_path / part / name / "picture.png")
    preset = get_model_weights("resnet50").DEFAULT.transforms(
        crop_size=32, resize_size=36
    )
    expected = preset(pil_to_tensor(picture)).expand(2, 3, 32, 32)
    for batches in image_folder(tmp_path, 32, batch_size=2):
        x, _ = next(iter(batches))
        torch.testing.assert_close(x, expected)
