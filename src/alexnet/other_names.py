"""Names that other programs have for networks, functions and formats, and what there is here."""

from __future__ import annotations

OTHER_FAMILIES = (
    "resnet", "resnext", "wide_resnet", "vgg", "googlenet", "inception", "xception", "densenet",
    "mobilenet", "efficientnet", "squeezenet", "shufflenet", "mnasnet", "regnet", "nasnet",
    "convnext", "vit", "deit", "swin", "maxvit", "yolo", "unet",
)  # fmt: skip
"""Prefixes of the names of networks that this package does not have."""

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
    "val": "evaluate",
    "eval": "evaluate",
    "score": "evaluate",
    "classify": "predict",
    "inference": "predict",
    "infer": "predict",
    "export_model": "export",
    "to_onnx": "export",
    "convert": "import_model",
    "presets": "list_presets",
    "recipes": "list_presets",
    "datasets": "list_datasets",
    "list_architectures": "list_models",
    "summary": "architecture",
    "mistakes": "label_errors",
    "find_label_issues": "label_errors",
    "neighbors": "features",
    "grad_cam": "explain",
    "GradCAM": "explain",
    "interpret": "explain",
    "ClassificationInterpretation": "report",
    "Interpretation": "report",
    "Dataset": "load_splits",
    "ImageDataLoaders": "load_splits",
    "ImageFolder": "load_splits",
    "load_dataset": "load_splits",
    "Callback": "Reporter",
    "CancelFitException": "StopTraining",
    "CancelTrainException": "StopTraining",
    "StopTrainingException": "StopTraining",
    "lr_find": "find_lr",
    "LRFinder": "find_lr",
    "Error": "AlexNetError",
}
"""The public names of `alexnet`, by the names of other programs' functions and classes."""

SHELL_COMMANDS = {
    "compare": "alexnet compare RUN RUN",
    "tune": "alexnet tune DATA",
    "push": "alexnet push RUN OWNER/NAME",
    "push_to_hub": "alexnet push RUN OWNER/NAME",
    "info": "alexnet info RUN",
    "describe": "alexnet info RUN",
    "runs": "alexnet runs",
    "cache": "alexnet cache list",
    "doctor": "alexnet doctor",
    "check": "alexnet data check DATA",
    "check_data": "alexnet data check DATA",
    "data_check": "alexnet data check DATA",
    "prepare": "alexnet data prepare DATA",
    "show": "alexnet data show DATA",
    "split": "alexnet data split DATA OUT",
}
"""Commands that no function of `alexnet` matches, by the names that one could have."""

OTHER_FORMATS = {
    "torchscript": "torch.jit.trace(alexnet.load(MODEL).network, images) gives one",
    **dict.fromkeys(
        ("pt2", "pt", "pytorch", "torch_export"),
        "torch is torch.export's program, and torchvision a state dict for its alexnet",
    ),
    **dict.fromkeys(
        ("tflite", "tf", "tensorflow", "saved_model", "coreml", "openvino", "tensorrt", "engine"),
        "its own converter takes the file of onnx, or that of keras",
    ),
    "safetensors": "a model file is one already",
}
"""Formats of other programs, and what there is instead."""


def answer_to_format(word: str) -> str:
    """The sentence on a format of exported files that other programs have; "" for another word."""
    answer = OTHER_FORMATS.get(word.lower().lstrip("."), "")
    return f"there is no --format {word}: {answer}" if answer else ""
