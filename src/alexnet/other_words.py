"""Words of other programs (torchvision, timm, fastai, Keras, ultralytics) for options of ours."""

from __future__ import annotations

import re
from collections.abc import Collection

OTHER_WORDS = {
    "architecture": "arch",
    "backbone": "arch",
    "model": "arch",
    "model_name": "arch",
    "net": "arch",
    "dataset": "data",
    "data_dir": "data",
    "data_path": "data",
    "path": "data",
    "folder": "data",
    "train_data": "data",
    "root": "data_root",
    "learning_rate": "lr",
    "base_lr": "lr",
    "max_lr": "lr",
    "lr0": "lr",
    "lr_max": "lr",
    "wd": "weight_decay",
    "decay": "weight_decay",
    "bs": "batch_size",
    "batch": "batch_size",
    "n_epochs": "epochs",
    "n_epoch": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "num_train_epochs": "epochs",
    "imgsz": "input_size",
    "img_size": "input_size",
    "image_size": "input_size",
    "size": "input_size",
    "opt": "optimizer",
    "optim": "optimizer",
    "scheduler": "schedule",
    "sched": "schedule",
    "lr_scheduler": "schedule",
    "drop": "dropout",
    "drop_rate": "dropout",
    "in_chans": "channels",
    "in_channels": "channels",
    "hflip": "flip",
    "horizontal_flip": "flip",
    "smoothing": "label_smoothing",
    "amp": "precision",
    "fp16": "precision",
    "dtype": "precision",
    "mixed_precision": "precision",
    "random_state": "seed",
    "random_seed": "seed",
    "validation_split": "val_fraction",
    "valid_pct": "val_fraction",
    "val_split": "val_fraction",
    "test_size": "test_fraction",
    "test_split": "test_fraction",
    "gpu": "device",
    "gpus": "device",
    "cuda": "device",
    "freeze": "freeze_up_to",
    "freeze_epochs": "freeze_after_epoch",
    "torch_compile": "compile",
    "output_dir": "out",
    "output": "out",
    "save_dir": "out",
    "logdir": "out",
    "project": "out",
    "preset": "recipe",
    "config_file": "config",
    "topk": "top",
    "top_k": "top",
    "k": "top",
    "tta": "crops",
    "filename": "out",
    "file": "out",
    "opset_version": "opset",
}
"""From a word of another program to the option of this one."""

ANSWERS = {
    "num_classes": "the data has the classes; create_model and variant take num_classes",
    "classes": "the data has the classes",
    "num_workers": "images are decoded once, by all CPU cores, into the image store",
    "workers": "images are decoded once, by all CPU cores, into the image store",
    "shuffle": "training images are shuffled in every epoch, by the seed",
    "loss": "the loss is cross-entropy; see label_smoothing",
    "criterion": "the loss is cross-entropy; see label_smoothing",
    "loss_fn": "the loss is cross-entropy; see label_smoothing",
    "metrics": "top-1 error, top-5 error and loss are always computed",
    "transform": "crops, flips and colors have options of their own, such as flip and min_scale",
    "transforms": "crops, flips and colors have options of their own, such as flip and min_scale",
    "x": "give data=, the path of a folder of class folders or of a list of images",
    "y": "give data=, the path of a folder of class folders or of a list of images",
    "json": "the function returns the result",
    "verbose": "reporter=None is silent, and a Reporter of your own receives everything",
    "progress": "reporter=None is silent, and a Reporter of your own receives everything",
    "callbacks": "reporter= takes a Reporter of your own, which is called after steps and epochs",
    "pretrained": "init_from= takes a model file, a run or a checkpoint of another program",
    "weights": "init_from= takes a model file, a run or a checkpoint of another program",
}
"""What to say to a word for which there is no single option."""

OTHER_NAMES = {
    "AlexNet": "create_model",
    "alexnet": "create_model",
    "build_model": "create_model",
    "get_model": "create_model",
    "make_model": "create_model",
    "model": "create_model",
    "Sequential": "Architecture",
    "Model": "create_model",
    "load_model": "load",
    "load_learner": "load",
    "load_from_checkpoint": "load",
    "from_pretrained": "load",
    "fit": "train",
    "fine_tune": "train",
    "finetune": "train",
    "Learner": "train",
    "Trainer": "train",
    "vision_learner": "train",
    "cnn_learner": "train",
    "test": "evaluate",
    "validate": "evaluate",
    "score": "evaluate",
    "classify": "predict",
    "inference": "predict",
    "export_model": "export",
    "to_onnx": "export",
    "convert": "import_model",
    "presets": "list_presets",
    "recipes": "list_presets",
    "datasets": "list_datasets",
    "list_architectures": "list_models",
    "summary": "architecture",
    "Dataset": "load_splits",
    "ImageDataLoaders": "load_splits",
    "ImageFolder": "load_splits",
    "load_dataset": "load_splits",
    "Callback": "Reporter",
    "Error": "AlexNetError",
}
"""From a function or class of another program to the public name of `alexnet` for it."""


def explain(word: str, known: Collection[str]) -> str:
    """What a word of another program is called here; "" if the word is not known.

    Args:
        word: as typed, with underscores.
        known: the options that can be given.
    """
    ours, answer = OTHER_WORDS.get(word, ""), ANSWERS.get(word, "")
    if ours in known:
        return f"it is called {ours} here"
    named = re.findall(r"(\w+)=", answer)
    return answer if all(name in known for name in named) else ""
