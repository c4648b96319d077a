"""Model files: whole or refused, the same content the same bytes, and everything comes back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from alexnet.checkpoints import tensors
from alexnet.checkpoints.model_file import MEAN_IMAGE, ModelInfo, Scores, load_model, save_model
from alexnet.checkpoints.tensors import CHECKSUM_KEY, FORMAT, checksum, load_tensors, save_tensors
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.errors import ModelFileError
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture
from alexnet.training.run_folder import RunFolder

TABLE = variant(architecture("lenet5"), ModelOptions(width=0.5), num_classes=3)
INFO = ModelInfo(
    architecture=TABLE,
    class_names=("daisy", "lily of the valley", "чай ☕"),
    preprocessing=Preprocessing(
        resize_size=28, padding=4, crop_size=32, channels=1, mean=(0.1, 1 / 3, 1e-17),
    ),
    recipe=Recipe(name="mine", seed=7),
    scores=Scores(epoch=4, val_top1_error=1 / 3),
    temperature=1.7,
)  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file of a small LeNet."""
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", Network(TABLE).state_dict(), INFO)
    return tmp_path / "model.safetensors"


def test_everything_comes_back(model: Path) -> None:
    torch.manual_seed(0)
    expected = Network(TABLE).state_dict()
    weights, info, mean_image = load_model(model)
    assert info == INFO
    assert mean_image is None
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_mean_image_comes_back(model: Path) -> None:
    image = torch.rand(1, 32, 32)
    info = replace(INFO, preprocessing=replace(INFO.preprocessing, has_mean_image=True))
    weights = load_model(model)[0]
    save_model(model, weights, info, image)
    again, _, found = load_model(model)
    assert found is not None
    assert torch.equal(found, image)
    assert MEAN_IMAGE not in again
    save_model(model, weights, info)
    with pytest.raises(ModelFileError, match="lacks its mean image"):
        load_model(model)


@pytest.mark.parametrize("name", ZOO)
def test_every_table_survives_the_header(name: str, tmp_path: Path) -> None:
    info = replace(
        INFO,
        architecture=architecture(name),
        class_names=tuple(map(str, range(ZOO[name].num_classes))),
    )
    save_tensors(tmp_path / "header.safetensors", {"x": torch.zeros(1)}, info)
    assert load_tensors(tmp_path / "header.safetensors", ModelInfo)[1] == info


def test_the_same_content_is_the_same_bytes_whatever_the_memory_layout(
    model: Path, tmp_path: Path
) -> None:
    weights, info, _ = load_model(model)
    other = {
        name: t.to(memory_format=torch.channels_last) if t.ndim == 4 else t
        for name, t in reversed(weights.items())
    }
    save_model(tmp_path / "other.safetensors", other, info)
    assert (tmp_path / "other.safetensors").read_bytes() == model.read_bytes()


def test_the_file_is_plain_safetensors_with_one_key_of_json(model: Path) -> None:
    with safe_open(model, framework="np") as file:
        header = file.metadata()
        assert "conv1.weight" in file.keys()  # noqa: SIM118
    assert list(header) == ["alexnet"]
    facts = json.loads(header["alexnet"])
    assert facts["class_names"] == list(INFO.class_names)
    assert {"format", "architecture", "class_names", "preprocessing", "recipe", "scores"} <= set(
        facts
    )


def test_no_flipped_byte_goes_unseen(model: Path) -> None:
    """Either the file is rejected, or what was written is read; half the flips are in values."""
    whole, (weights, info, _) = model.read_bytes(), load_model(model)
    header = 8 + int.from_bytes(whole[:8], "little")
    draw = np.random.default_rng(0)
    places = [*draw.integers(0, header, 60), *draw.integers(header, len(whole), 60)]
    refused = 0
    for place in map(int, places):
        model.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :]
        )
        try:
            again, told, _ = load_model(model)
        except ModelFileError:
            refused += 1
        else:
            assert told == info, place
            assert all(torch.equal(weights[name], again[name]) for name in weights), place
    assert refused >= 100


def test_the_checksum_covers_names_types_shapes_values_and_text() -> None:
    base = {"a": torch.arange(6.0), "b": torch.zeros(2, dtype=torch.bfloat16)}
    others = [
        {**base, "a": torch.arange(6.0).reshape(2, 3)},
        {**base, "a": torch.arange(6.0).to(torch.float64)},
        {**base, "b": torch.zeros(2, dtype=torch.float16)},
        {"a": base["a"], "c": base["b"]},
        {**base, "step": torch.tensor(3.0)},
        {**base, "empty": torch.zeros(0)},
    ]
    sums = {checksum(base, ""), checksum(base, "x"), *(checksum(other, "") for other in others)}
    assert len(sums) == 2 + len(others)
    assert checksum(dict(reversed(base.items())), "") == checksum(base, "")
    assert checksum({}, "123456789") == "cbf43926", "the check value of CRC-32"


def test_a_model_file_can_be_read_by_whom_any_new_file_can(model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    assert model.stat().st_mode == (tmp_path / "other").stat().st_mode


def rewrite(model: Path, **changes: object) -> None:
    """Change keys of the header's JSON, as a file without a checksum; None drops one."""
    with safe_open(model, framework="pt") as file:
        facts = json.loads(file.metadata()["alexnet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    facts = {k: v for k, v in {**facts, CHECKSUM_KEY: None, **changes}.items() if v is not None}
    save_file(tensors, model, metadata={"alexnet": json.dumps(facts)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["a", "b"]}, "names 2 classes for 3 outputs"),
        ({"colour": 1}, "'colour'"),
        ({"recipe": None}, "recipe"),
        ({"class_names": "abc"}, "class_names must be a list"),
        ({"format": "one"}, "format 'one'"),
        ({"architecture": {"name": "x"}}, "architecture"),
    ],
    ids=str,
)
def test_a_header_that_is_not_ours_is_rejected(
    model: Path, changes: dict[str, object], message: str
) -> None:
    rewrite(model, **changes)
    with pytest.raises(ModelFileError, match=message):
        load_model(model)


@pytest.mark.parametrize("more", [{}, {"a_new_key": 1}], ids=["same keys", "new keys"])
def test_a_newer_format_is_rejected(model: Path, more: dict[str, object]) -> None:
    rewrite(model, format=FORMAT + 1, **more)
    with pytest.raises(
        ModelFileError, match=rf"newer version .*\(format {FORMAT + 1}.*install that version"
    ):
        load_model(model)


@pytest.mark.parametrize("format_", [1, None], ids=["model", "training state"])
def test_an_older_format_is_rejected_in_one_sentence(model: Path, format_: int | None) -> None:
    """Files of format 1 have other keys; states of that time name no format."""
    rewrite(model, format=format_, classes=["a", "b", "c"], class_names=None)
    with pytest.raises(ModelFileError) as caught:
        load_model(model)
    assert str(caught.value) == (
        f"{model} was written by an older version of alexnet (format 1, and this version reads "
        f"format {FORMAT}): use it with that version, or train or import the model again"
    )


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_damaged_file_is_rejected(model: Path, cut: int) -> None:
    model.write_bytes(model.read_bytes()[:cut])
    with pytest.raises(ModelFileError, match=r"model\.safetensors is incomplete or damaged"):
        load_model(model)


def test_a_file_that_is_replaced_while_it_is_read_is_whole(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, info, _ = load_model(model)
    newer = {name: tensor + 1 for name, tensor in weights.items()}
    tries: list[Path] = []
    read = tensors._load_tensors

    def read_mixed_at_first(path: Path, header: type[ModelInfo]) -> object:
        tries.append(path)
        if len(tries) > 1:
            return read(path, header)
        save_model(path, newer, info)
        raise ModelFileError("its content does not match its checksum")

    monkeypatch.setattr(tensors, "_load_tensors", read_mixed_at_first)
    loaded, _, _ = load_model(model)
    assert len(tries) == 2
    assert all(torch.equal(loaded[name], newer[name]) for name in newer)


def test_missing_and_foreign_files_have_different_messages(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        load_model(tmp_path / "nothing")
    save_file({"w": torch.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(ModelFileError, match="another program"):
        load_model(tmp_path / "foreign")
    with pytest.raises(ModelFileError):
        load_model(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.read_bytes()

    def half(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("alexnet.checkpoints.tensors.save_file", half)
    with pytest.raises(OSError, match="No space"):
        save_model(model, {"x": torch.zeros(1)}, INFO)
    assert model.read_bytes() == whole
    assert [path.name for path in model.parent.iterdir()] == [model.name]


def test_a_run_folder_moves_as_a_whole(trained: RunFolder, tmp_path: Path) -> None:
    moved = shutil.copytree(trained.path, tmp_path / "moved")
    assert load_model(Path(moved) / "model.safetensors")[1] == load_model(trained.model)[1]
