"""Other programs' names for the options of this package, in Python and in the shell.

The programs are torchvision, timm, fastai, Keras, Lightning, Hugging Face's Trainer, ultralytics.
Sentences name options by their flags, which `api.python_words` turns into keywords.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

WORDS_FOR = {
    "class_name": "target target_class class_index class_",
    "arch": "architecture backbone model model_name net",
    "model": "weights checkpoint ckpt checkpoint_path run",
    "paths": "source image images input file",
    "images": "source image paths input file files",
    "file": "input",
    "path": "run file",
    "data": "dataset data_dir data_path path folder train_data images source",
    "data_root": "root dataset_root",
    "num_classes": "classes nc n_classes num_labels n_out",
    "lr": "learning_rate base_lr max_lr lr0 lr_max learning_rate_init",
    "low_lr": "backbone_lr trunk_lr",
    "weight_decay": "wd",
    "decay_biases": "bn_wd norm_weight_decay bias_weight_decay wd_bn_bias",
    "momentum": "adam_beta1 beta1 beta_1 mom",
    "beta2": "adam_beta2 beta_2",
    "eps": "opt_eps adam_epsilon epsilon",
    "clip_norm": "clip_grad clip_grad_norm grad_clip gradient_clip_val max_grad_norm clipnorm "
    "global_clipnorm gradient_clip grad_norm",
    "accumulate": "grad_accum grad_accum_steps gradient_accumulation_steps "
    "accumulate_grad_batches accumulation_steps",
    "ema": "ema_decay model_ema model_ema_decay",
    "batch_size": "b bs batch bsz batchsize per_device_train_batch_size",
    "epochs": "n_epochs n_epoch num_epochs max_epochs num_train_epochs max_iter",
    "optimizer": "opt optim optimizer_type opt_func",
    "schedule": "scheduler sched lr_scheduler lr_scheduler_type cos_lr",
    "warmup_epochs": "warmup lr_warmup_epochs warmup_ratio pct_start",
    "warmup_steps": "num_warmup_steps",
    "milestones": "decay_milestones lr_steps lr_step_size decay_epochs",
    "gamma": "decay_rate lr_gamma factor",
    "plateau_patience": "patience_epochs lr_patience",
    "patience": "early_stopping early_stopping_patience early_stop early_stop_callback",
    "max_minutes": "max_time",
    "input_size": "imgsz img_size image_size size input_shape resolution train_crop_size",
    "resize_size": "val_resize_size resize_to presize",
    "channels": "in_chans in_channels input_channels",
    "dropout": "drop drop_rate",
    "flip": "hflip horizontal_flip do_flip fliplr random_flip",
    "vertical_flip": "vflip flip_vert flipud",
    "rotation": "degrees rotate rotation_range random_rotation max_rotate",
    "min_scale": "zoom_range random_resized_crop",
    "max_aspect_ratio": "ratio",
    "rand_augment": "aa auto_augment randaugment randaug ra_magnitude trivial_augment",
    "random_erasing": "reprob re_prob random_erase erasing cutout",
    "contrast_std": "contrast contrast_range",
    "mixup": "mixup_alpha mix_up",
    "cutmix": "cutmix_alpha cut_mix cutmix_prob",
    "label_smoothing": "smoothing label_smoothing_factor",
    "class_weights": "class_weight",
    "balanced_sampling": "weighted_sampler oversample",
    "precision": "amp fp16 bf16 half dtype mixed_precision to_fp16",
    "seed": "random_state random_seed data_seed",
    "val_fraction": "validation_split valid_pct val_split val_pct val_ratio",
    "test_fraction": "test_size test_split",
    "train_per_class": "limit_train_batches max_train_samples",
    "device": "gpu cuda accelerator",
    "devices": "num_gpus n_gpu num_processes nproc_per_node",
    "parallel": "strategy",
    "sync_batch_norm": "sync_bn",
    "freeze_up_to": "freeze freeze_layers freeze_backbone",
    "unfreeze_after_epoch": "freeze_epochs unfreeze unfreeze_epoch",
    "compile": "torch_compile torchcompile",
    "keep_checkpoints": "checkpoint_hist save_total_limit",
    "save_every_steps": "save_steps",
    "name": "exp_name experiment run_name",
    "log": "logger report_to loggers log_wandb",
    "find_lr": "lr_find auto_lr_find lr_finder",
    "dry_run": "fast_dev_run",
    "overfit_one_batch": "overfit_batches",
    "out": "o output_dir output save_dir logdir logging_dir project default_root_dir filename file",
    "resume": "ckpt_path resume_from_checkpoint resume_from",
    "recipe": "preset",
    "config": "config_file",
    "top": "topk top_k k",
    "min_probability": "conf threshold",
    "crops": "tta augment",
    "format": "onnx include",
    "opset": "opset_version",
    "jobs": "j n_jobs",
    "init_from": "weights checkpoint ckpt checkpoint_path pretrained pretrained_weights "
    "initial_checkpoint finetune fine_tune from_scratch scratch no_pretrained from_ "
    "from_checkpoint",
    "pretrained": "weights checkpoint ckpt checkpoint_path pretrained_weights from_ "
    "from_checkpoint init_from",
}
"""Other programs' words for each option. A word in several rows means the first of these options
that a function or a command has."""

NOTES = (
    (
        "freeze_epochs",
        "the layers up to --freeze-up-to 'conv5' are frozen in the first of the --epochs, on one "
        "schedule and with fixed batch norm statistics; fastai's come on top of the epochs",
    ),
    (
        "unfreeze unfreeze_epoch",
        "the layers up to --freeze-up-to 'conv5' are frozen until then",
    ),
    ("clipnorm", "of all gradients together, as Keras's global_clipnorm; clipnorm is per tensor"),
    ("from_scratch scratch no_pretrained", "random initial weights are --from scratch"),
    ("freeze freeze_layers freeze_backbone", "the last layer that is frozen, such as 'conv5'"),
    (
        "backbone_lr trunk_lr",
        "of the layers up to --freeze-up-to 'conv5', from the start with --unfreeze-after-epoch 0"
        " and --low-lr-after-epoch 0",
    ),
    ("warmup_ratio pct_start", "in epochs, not a fraction"),
    (
        "decay_epochs lr_step_size",
        "the epochs after which the learning rate drops, such as --milestones 30 60, for "
        "--schedule step",
    ),
    (
        "aa auto_augment randaugment randaug ra_magnitude trivial_augment",
        "the number of operations and their magnitude up to 10, such as --rand-augment 2 9",
    ),
    ("cutmix_alpha", "a probability; the area is uniform, as with an alpha of 1"),
    ("reprob re_prob random_erase erasing cutout", "a probability"),
    ("zoom_range random_resized_crop", "the smallest area of a crop, such as 0.35"),
    ("contrast contrast_range", "the standard deviation of the logarithm of a factor"),
    ("cos_lr", "such as --schedule cosine"),
    ("limit_train_batches max_train_samples", "images of each class"),
    ("max_iter", "passes over the training images"),
    ("early_stopping early_stop early_stop_callback", "in epochs without a lower validation error"),
    ("amp fp16 half to_fp16 mixed_precision", "float32, bf16 or fp16, and auto chooses"),
    ("strategy", "with --devices above 1"),
    ("gpu cuda accelerator", "a GPU is such as --device cuda:0"),
    (
        "pretrained finetune fine_tune",
        "images of your own are fine-tuned from torchvision's weights without it",
    ),
)
"""Words whose option of ours has another meaning or other values, and what else to say to them."""

SENTENCES = (
    (
        "num_classes classes nc n_classes num_labels n_out",
        "the data has the classes; create_model and variant take num_classes",
    ),
    (
        "num_workers workers j n_jobs dataloader_num_workers pin_memory pin_mem "
        "use_multiprocessing dataloader_pin_memory persistent_workers prefetch_factor",
        "images are decoded once, by all CPU cores, into the image store",
    ),
    ("shuffle", "training images are shuffled in every epoch, by the seed"),
    ("seeds", "a run has one seed; train one for each, and alexnet compare shows them as a group"),
    (
        "loss criterion loss_fn loss_func bce_loss",
        "the loss is cross-entropy; see --label-smoothing",
    ),
    (
        "metrics metric eval_metric metric_for_best_model greater_is_better",
        "top-1 error, top-5 error and loss are always computed, and the model is of the epoch "
        "with the lowest validation error",
    ),
    (
        "monitor mode min_delta restore_best_weights load_best_model_at_end save_best_only "
        "save_best",
        "the model is of the epoch with the lowest validation error, which --patience watches, too",
    ),
    (
        "multilabel multi_label multi_class multiclass task problem_type",
        "an image has exactly one class; for several labels of an image, train a model of two "
        "classes for each",
    ),
    (
        "transform transforms item_tfms batch_tfms aug_transforms augmentation augmentations "
        "augment train_transform no_aug",
        "crops, flips and colors have options of their own, such as --flip and --min-scale",
    ),
    (
        "color_jitter brightness brightness_range saturation hue hsv_h hsv_s hsv_v",
        "--color-std is the paper's shift along the principal colors, --contrast-std a random "
        "contrast, and --rand-augment 2 9 changes brightness, contrast and saturation, too; hues "
        "stay",
    ),
    (
        "translate shear perspective width_shift_range height_shift_range shear_range affine "
        "mosaic gaussian_blur",
        "the geometric changes are --padding (shifts of a few pixels), --min-scale, --rotation "
        "and --rand-augment 2 9",
    ),
    ("nesterov", "the momentum is the classical one; --optimizer adamw is another rule"),
    ("opt_betas betas adam_betas", "they are two options, --momentum and --beta2"),
    (
        "clip_value clipvalue clip_mode",
        "gradients are clipped by the norm of all together: --clip-norm",
    ),
    ("decay", "the decay of weights is --weight-decay, and the learning rate falls by --schedule"),
    (
        "min_lr lrf warmup_lr lr_min lr_end lr_noise div div_final final_div lr_cycle_mul t_max "
        "cooldown_epochs lr_cycle_limit",
        "--schedule cosine falls to 0, and --warmup-epochs rises from 0",
    ),
    (
        "layer_decay llrd lr_mult discriminative_lr head_lr lr_head splitter param_groups",
        "there are two learning rates: --lr, and --low-lr of the layers up to --freeze-up-to "
        "'conv5' with --unfreeze-after-epoch 0 and --low-lr-after-epoch 0",
    ),
    ("moms", "it is constant: --momentum"),
    (
        "drop_path drop_connect drop_block stochastic_depth",
        "there are no residual blocks to leave out; --dropout is that of the fully connected "
        "layers",
    ),
    ("bn_momentum bn_eps bn_tf", "batch norm has torch's constants"),
    ("swa stochastic_weight_avg swa_lr", "weights are averaged by --ema"),
    (
        "grad_checkpointing gradient_checkpointing",
        "less memory takes a smaller --batch-size, with --accumulate for the same update",
    ),
    (
        "max_steps steps_per_epoch initial_epoch epoch_size iterations",
        "a run is as long as its --epochs, each of which is all training images",
    ),
    ("gpus", "one GPU is --device cuda:0, and two are --devices 2"),
    (
        "world_size num_nodes local_rank dist_url",
        "torchrun starts processes on several hosts, and --devices 2 two on this one",
    ),
    (
        "validation_data val_data valid_data val_dir eval_dataset x_val test_data "
        "validation_dataset",
        "they are in the data: a folder val beside train, a column split in a list, or "
        "--val-fraction 0.1",
    ),
    (
        "check_val_every_n_epoch validation_freq eval_strategy evaluation_strategy eval_steps "
        "eval_interval per_device_eval_batch_size val_check_interval",
        "every epoch ends with an evaluation",
    ),
    (
        "save_strategy enable_checkpointing save_freq save_every checkpoint_every save_period",
        "checkpoints are written every --save-every-minutes, and the best model after its epoch",
    ),
    (
        "logging_steps log_interval print_freq log_every_n_steps logging_strategy",
        "a log, such as --log csv, has every step",
    ),
    (
        "deterministic full_determinism cudnn_benchmark",
        "order, crops and dropout depend on --seed alone; on a CPU a run repeated has the same "
        "bits",
    ),
    ("push_to_hub hub_model_id", "alexnet push uploads a finished run"),
    ("sample_weight", "images have no weights; classes have them by --class-weights balanced"),
    (
        "include_top",
        "create_model with num_classes has a new last layer, and Classifier.features gives the "
        "activations before it",
    ),
    (
        "auto_find_batch_size auto_scale_batch_size auto_batch",
        "the memory of a --batch-size is estimated by alexnet train --dry-run",
    ),
    ("x y", "give --data, the path of a folder of class folders or of a list of images"),
    ("json csv", "the function returns the result"),
    ("optimized", "give alexnet.load(model).optimized() in place of the model"),
    ("exact", "a model is exact, unless Classifier.optimized() has made it"),
    ("watch", "alexnet.reports.serving serves the page of a running training"),
    (
        "verbose progress quiet enable_progress_bar disable_tqdm",
        "reporter=None is silent, and a Reporter of your own receives everything",
    ),
    (
        "callbacks cbs callback",
        "reporter= takes a Reporter of your own, which is called after steps and epochs, and ends"
        " a run by StopTraining",
    ),
    (
        "features_only out_indices",
        "network.intermediate_outputs(images) gives the feature maps, and features of a "
        "Classifier the last hidden layer",
    ),
    ("find_lr lr_find auto_lr_find lr_finder", "alexnet.find_lr suggests a learning rate"),
    (
        "dry_run fast_dev_run overfit_one_batch overfit_batches",
        "these trials are the shell's: alexnet train DATA --dry-run or --overfit-one-batch",
    ),
)
"""Words for which no option has the same use, and the sentence that answers them."""

CALLERS = {
    "num_workers": "data",
    "shuffle": "epochs",
    "seeds": "epochs",
    "metrics": "epochs split",
    "eval_steps": "epochs",
    "bn_momentum": "norm",
    "optimized": "model",
    "exact": "model",
    "watch": "epochs runs",
    "find_lr": "epochs",
    "dry_run": "epochs",
}
"""Options of which a caller must have one for the sentence on this word, and its row, to fit."""


def _by_word(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {word: text for words, text in rows for word in words.split()}


OTHER_WORDS: dict[str, tuple[str, ...]] = {
    word: tuple(ours for ours, others in WORDS_FOR.items() if word in others.split())
    for words in WORDS_FOR.values()
    for word in words.split()
}
"""The options for each word of another program, of which the first available one is meant."""
ANSWERS, WORD_NOTES = _by_word(SENTENCES), _by_word(NOTES)
"""The answer to each word that no option matches; the remark on each that an option matches."""
NEEDED = {ANSWERS[word]: frozenset(options.split()) for word, options in CALLERS.items()}
"""`CALLERS`, by sentence."""
OPTION_NOTES = {"pretrained": "True takes torchvision's weights, a path or a run those in it"}
"""Remarks on options, by option."""

COMMAND = re.compile(r"\balexnet [a-z]+ [^;,]*")
"""Matches a command in a sentence, whose flags need not be options of the caller."""


def option_for(word: str, known: Collection[str]) -> str:
    """The option of ours that a word of another program means; "" if there is none."""
    return next((ours for ours in OTHER_WORDS.get(word, ()) if ours in known), "")


def note_on(word: str, ours: str) -> str:
    """A remark on a word and its option, as ": .."; "" if there is none."""
    note = WORD_NOTES.get(word) or OPTION_NOTES.get(ours, "")
    return f": {note}" if note else ""


def answer_to(word: str, known: Collection[str]) -> str:
    """The sentence on a word for which no option has the same use; "" without one.

    Args:
        word: the word as typed, with underscores.
        known: the options that can be given; an answer whose first option, apart from those of
            commands, is another one is not used, nor one that needs others by `CALLERS`.
    """
    answer = ANSWERS.get(word, "")
    if answer in NEEDED and NEEDED[answer].isdisjoint(known):
        return ""
    named = re.search(r"--([a-z][\w-]*)|(\w+)=", COMMAND.sub("", answer))
    option = (named[1] or named[2]).replace("-", "_") if named else ""
    return answer if not option or option in known else ""


def explain(word: str, known: Collection[str]) -> str:
    """A clause that names the option for another program's word; "" if the word is not known.

    Args:
        word: the word as typed, with underscores.
        known: the options that can be given.
    """
    if ours := option_for(word, known):
        return f"it is called {ours} here{note_on(word, ours)}"
    return answer_to(word, known)
