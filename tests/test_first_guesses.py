"""What people type first who know torchvision, timm, fastai, Keras or ultralytics.

Every call works, or raises an `AlexNetError` that names the way out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import alexnet
from alexnet.errors import AlexNetError
from alexnet.training.run_folder import RunFolder

WORKS = [
    ("alexnet.create_model('alexnet', num_classes=10, device='meta')", "Network"),
    ("alexnet.create_model('alexnet', dropout=0.2, channels=1, device='meta')", "Network"),
    ("alexnet.create_model(alexnet.architecture('lenet5'), num_classes=3)", "Network"),
    ("alexnet.models.create_model('lenet5')", "Network"),
    ("alexnet.create_model('lenet5', device='auto')", "Network"),
    ("alexnet.variant('alexnet', activation='tanh', num_classes=17)", "Architecture"),
    ("alexnet.list_models('*bn*')", "list"),
    ("alexnet.list_datasets()", "list"),
    ("alexnet.list_presets()", "list"),
    ("alexnet.load(run)", "Classifier"),
    ("alexnet.load(str(run))", "Classifier"),
    ("alexnet.load(run / 'model.safetensors', device=torch.device('cpu'))", "Classifier"),
    ("classifier(image)", "Predictions"),
    ("classifier(str(image), top=3)[0].label", "str"),
    ("classifier.predict([image, image])", "Predictions"),
    ("classifier(Image.open(image))", "Predictions"),
    ("classifier(np.zeros((40, 40, 3), np.uint8))", "Predictions"),
    ("classifier('nothere.jpg')[0].error", "str"),
    ("alexnet.predict(run, image)", "Predictions"),
    ("alexnet.evaluate(run)", "Evaluation"),
    ("alexnet.evaluate(classifier, data=photos, split='val')", "Evaluation"),
    ("alexnet.load_splits(photos, resize_size=32, test_fraction=None)", "dict"),
    ("alexnet.train(photos, **small)", "Run"),
    ("alexnet.train('quickstart', data=str(photos), **small)", "Run"),
    ("alexnet.train(data=photos, **{**small, 'arch': alexnet.architecture('lenet5')})", "Run"),
    ("alexnet.train(data=photos, device=torch.device('cpu'), lr=np.float32(0.01), **small)", "Run"),
]
TOLD = [
    ("alexnet.AlexNet()", "did you mean alexnet.create_model?"),
    ("alexnet.alexnet(weights='DEFAULT')", "did you mean alexnet.create_model?"),
    ("alexnet.models.alexnet()", "did you mean alexnet.models.create_model?"),
    ("alexnet.create_model('alexnt')", "unknown architecture 'alexnt'; did you mean alexnet or"),
    ("alexnet.create_model('alexnet', in_chans=1)", "it is called channels here"),
    ("alexnet.create_model('alexnet', drop_rate=0.5)", "it is called dropout here"),
    ("alexnet.create_model(model_name='alexnet')", "it is called arch here"),
    (
        "alexnet.create_model('alexnet_owt', weights='DEFAULT')",
        "it is called pretrained here: True",
    ),
    ("alexnet.create_model('alexnet_owt', checkpoint_path='a')", "it is called pretrained here"),
    ("alexnet.train(photos, augment=False)", "flip=False, color_std=0 is no augmentation"),
    ("alexnet.train(photos, freeze_epochs=2)", "it is called unfreeze_after_epoch here"),
    (
        "alexnet.train(photos, lr=slice(1e-5, 1e-3))",
        "are two learning rates: lr=, and low_lr",
    ),
    ("alexnet.train(photos, nesterov=True)", "the momentum is the classical one"),
    ("alexnet.lr_find(photos)", "did you mean alexnet.find_lr?"),
    ("alexnet.architecture('AlexNet')", "did you mean alexnet or"),
    ("alexnet.list_model()", "did you mean alexnet.list_models?"),
    ("alexnet.load_model(run)", "did you mean alexnet.load?"),
    ("alexnet.load_learner(run)", "did you mean alexnet.load?"),
    ("alexnet.load('nowhere')", "there is no file nowhere"),
    (
        "alexnet.create_model('alexnet', device='cuda:9')",
        "'cuda:9' cannot be used here; try device",
    ),
    ("alexnet.create_model('alexnet', num_classes='5')", "num_classes '5' must be a whole number"),
    ("alexnet.create_model('alexnet', input_size=(9, 9))", "input_size=(9, 9) must be a whole"),
    ("alexnet.train(photos, log=True, **small)", "words such as tensorboard, not True"),
    ("alexnet.resume(run, log=5)", "loggers are named by words such as tensorboard, not 5"),
    ("alexnet.resume(run, epochs='9')", "epochs must be int, not '9'"),
    ("alexnet.evaluate(run, label_from=5)", "label_from= must be a text, not 5"),
    ("alexnet.pretrain(['rbm'])", "unknown kind of pretraining \"['rbm']\""),
    ("alexnet.preset(['flowers17'])", "unknown preset"),
    ("alexnet.variant('alexnet', {'norm': 'batch'})", "argument is a ModelOptions, not {'norm'"),
    ("alexnet.architecture(None)", "an architecture is named by a text, not None"),
    ("alexnet.list_models(None)", "pattern must be a text, not None"),
    ("alexnet.Client(8000)", "url must be a text"),
    ("alexnet.Client(token=None)", "token must be a text"),
    ("alexnet.Client(timeout_seconds='9')", "timeout_seconds is a number above 0"),
    ("classifier.explain(image, methods=True)", "methods must be texts, not True"),
    ("classifier.logits(np.zeros((1, 32, 32, 3), np.uint8), batch=0)", "batch must be a whole num"),
    ("alexnet.compare(run, run)", "the shell has it: alexnet compare RUN RUN"),
    ("alexnet.tune(photos)", "alexnet tune DATA"),
    ("alexnet.push(run, 'me/x')", "the shell has it: alexnet push RUN OWNER/NAME"),
    ("alexnet.info(run)", "the shell has it: alexnet info RUN"),
    ("alexnet.check(photos)", "the shell has it: alexnet data check DATA"),
    ("alexnet.serve(run)", "alexnet.serve is a module; the shell has it: alexnet serve RUN"),
    ("alexnet.explain(run, image)", "is a module; alexnet.load(model).explain(image) explains one"),
    ("alexnet.label_errors(photos)", "the shell has alexnet data mistakes DATA"),
    ("alexnet.features(run, image)", "is a module; alexnet.load(model).features(images) gives"),
    ("alexnet.train([('a.jpg', 'x')])", "to a CSV file of path,label, and give its path"),
    ("alexnet.create_model(classifier.network)", "not a Network; its .architecture is one"),
    ("alexnet.variant(classifier.network)", "not a Network; its .architecture is one"),
    (
        "alexnet.variant(None)",
        "an architecture is its name, a file with one or an Architecture; not",
    ),
    ("alexnet.create_model('alexnet', pretrained=None)", "a file of weights or its address; not N"),
    ("alexnet.create_model('alexnet', pretrained=classifier)", "a file of weights or its address"),
    ("alexnet.train(photos, pretrained=classifier)", "whose weights .save(file) or torch.save can"),
    ("alexnet.evaluate(run, data=None)", "data must be a text or a path, not None"),
    ("alexnet.evaluate(run, torch.zeros(3))", "data must be a text or a path, not a Tensor"),
    ("alexnet.evaluate(run, out=None)", "out must be a text or a path, not None"),
    ("alexnet.resume(None)", "path must be a text or a path, not None"),
    ("alexnet.resume_pretraining(None)", "path must be a text or a path, not None"),
    ("alexnet.import_model(torch.nn.Linear(2, 2))", "file must be a text or a path, not a Linear"),
    ("alexnet.import_model({}, 'alexnet')", "file must be a text or a path, not a dict"),
    ("classifier.save(None)", "path must be a text or a path, not None"),
    ("alexnet.load(run, map_location='cpu')", "unknown keyword 'map_location'"),
    ("alexnet.load(run, device='gpu')", "device 'gpu' cannot be used here; try device='cuda'"),
    ("classifier.predict(image, topk=3)", "it is called top here"),
    ("classifier(image, k=3)", "it is called top here"),
    ("classifier(torch.zeros(3, 40, 40))", "wants the values 0 to 255 as uint8"),
    ("alexnet.predict(image, run)", "the model comes first, before the images"),
    ("alexnet.predict(image)", "missing a required argument: 'images'"),
    ("alexnet.test(run)", "did you mean alexnet.evaluate?"),
    ("alexnet.evaluate(run, split='validation')", "known: all, auto, test, train, val"),
    ("alexnet.evaluate(run, crops=5)", "crops must be 1 or 10, not 5"),
    ("alexnet.evaluate(run, batch_size=32)", "unknown keyword 'batch_size'; known: crops, data"),
    ("alexnet.fit(photos)", "did you mean alexnet.train?"),
    ("alexnet.Trainer()", "did you mean alexnet.train?"),
    ("alexnet.train('flower17')", "unknown preset (nor is it data) 'flower17'; did you mean flow"),
    ("alexnet.train('photoz/')", "there is no folder 'photoz/'"),
    ("alexnet.train('alexnet_bn')", "is an architecture; name it with arch='alexnet_bn'"),
    ("alexnet.train('nets.py:table')", "table of layers, not data; name it with arch='nets.py:"),
    ("alexnet.train(photos, activation='Tanh')", "did you mean tanh?"),
    ("alexnet.train(photos, batch_size=0)", "batch_size=0 must be at least 1"),
    ("alexnet.create_model('alexnet_bn', activation='Tanh')", "activation='Tanh' must be one of"),
    ("alexnet.variant('alexnet_bn', norm='Batch')", "; did you mean 'batch'?"),
    ("alexnet.train(preset='flowers17')", "it is called recipe here"),
    ("alexnet.train(classifier, photos)", "too many positional arguments; it takes recipe, config"),
    ("alexnet.train(torch.zeros(3))", "a preset, or the path of data; not a Tensor"),
    ("alexnet.train(photos, learning_rate=0.01)", "it is called lr here"),
    ("alexnet.train(photos, n_epochs=3)", "it is called epochs here"),
    ("alexnet.train(photos, epoch=3)", "did you mean epochs"),
    ("alexnet.train(photos, bs=8)", "it is called batch_size here"),
    ("alexnet.train(photos, wd=0.1)", "it is called weight_decay here"),
    ("alexnet.train(photos, imgsz=64)", "it is called input_size here"),
    ("alexnet.train(photos, model='alexnet_owt')", "it is called arch here"),
    ("alexnet.train(photos, arch='alexnet_owtt')", "did you mean alexnet_owt or"),
    ("alexnet.train(photos, arch=torch.nn.Linear(2, 2))", "arch must be str or Architecture"),
    ("alexnet.train(photos, optimizer='AdamW')", "did you mean adamw?"),
    ("alexnet.train(photos, optimizer=torch.optim.Adam)", "it can be paper, sgd, adam"),
    ("alexnet.train(photos, epochs='5')", "epochs must be int, not '5'"),
    ("alexnet.train(photos, validation_split=0.2)", "it is called val_fraction here"),
    ("alexnet.train(photos, num_workers=4)", "images are decoded once, by all CPU cores"),
    ("alexnet.train(photos, num_classes=12)", "the data has the classes"),
    ("alexnet.train(photos, callbacks=[])", "reporter= takes a Reporter of your own"),
    ("alexnet.train(photos, verbose=0)", "reporter=None is silent"),
    ("alexnet.train(photos, out=run)", "exists; choose another out="),
    ("alexnet.resume('nowhere')", "is not a run folder"),
    ("alexnet.resume(run, epoch=20)", "unknown keyword 'epoch'; did you mean epochs?"),
    ("alexnet.export(run, 'net.tflite')", "it can be .onnx, .pt2, .keras, .weights.h5"),
    ("alexnet.export(run, format='onx')", "did you mean onnx"),
    ("alexnet.export(run)", "name the file to write"),
    ("alexnet.to_onnx(run)", "did you mean alexnet.export?"),
    ("alexnet.import_model('nothere.pth', 'alexnet_owt')", "there is no file nothere.pth"),
    ("alexnet.import_model('nothere.pth')", "there is no file nothere.pth"),
    ("alexnet.pretrain('rbms')", "unknown kind of pretraining 'rbms'; did you mean rbm?"),
    ("alexnet.preset('flowers17', learning_rate=1)", "it is called lr here"),
    ("alexnet.load_dataset(photos)", "did you mean alexnet.load_splits?"),
    ("alexnet.datasets.ImageFolder(photos)", "did you mean alexnet.list_datasets?"),
    ("alexnet.report(5)", "a run is its folder, its name or a Run; not int"),
    ("alexnet.report(photos)", "is a folder without a run"),
    ("alexnet.report([run, run])", "a run is named twice"),
    ("alexnet.mistakes(photos)", "did you mean alexnet.label_errors?"),
    ("alexnet.transforms.centre_crop", "did you mean alexnet.transforms.center_crop?"),
]


@pytest.fixture
def names(
    trained: RunFolder, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """What the calls use; they run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    small = {
        **{"arch": "lenet5", "width": 0.5, "input_size": None, "crop_size": None},
        **{"resize_size": 32, "epochs": 1, "batch_size": 36},
    }
    return {
        **{"alexnet": alexnet, "np": np, "torch": torch, "Image": Image},
        "run": trained.path,
        "photos": flowers,
        "image": sorted(flowers.glob("test/*/*"))[0],
        "small": small,
    }


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(("call", "kind"), WORKS)
def test_the_call_works(call: str, kind: str, names: dict[str, Any]) -> None:
    if "classifier" in call:
        names["classifier"] = alexnet.load(names["run"], "cpu")
    assert type(eval(call, names)).__name__ == kind


@pytest.mark.parametrize(("call", "text"), TOLD)
def test_the_way_out_is_told(call: str, text: str, names: dict[str, Any]) -> None:
    if "classifier" in call:
        names["classifier"] = alexnet.load(names["run"], "cpu")
    with pytest.raises(AlexNetError) as told:
        eval(call, names)
    assert text in str(told.value)
    assert "--" not in str(told.value), "a flag, where a keyword is meant"
    assert not list(Path.cwd().iterdir())


def test_there_are_enough_guesses() -> None:
    assert len({call for call, _ in (*WORKS, *TOLD)}) >= 80
