"""The torch network of an architecture: shapes, names, initial weights, gradients, freezing."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.errors import ArchitectureError, UnknownNameError, UsageError
from alexnet.models.architecture import Architecture, smallest_input
from alexnet.models.layers import Conv, Flatten, FullyConnected, Init
from alexnet.models.network import NAMES_ELSEWHERE, Network, channels_last, create_model
from alexnet.models.network_checks import check_layers
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from support.counts import num_parameters

PUBLISHED = ["alexnet", "alexnet_2012", "alexnet_caffe", "caffenet", "alexnet_owt", "alexnet_table"]


def tiny(
    name: str, width: float = 0.05, classes: int = 17, dropout: float | None = None
) -> Architecture:
    """The network, narrow and with the smallest input that it can take."""
    arch = ZOO[name]
    side = smallest_input(arch.layers, arch.input[0])
    return variant(
        arch, ModelOptions(width=width, input_size=side, dropout=dropout), num_classes=classes
    )


def images(arch: Architecture, count: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(count, *arch.input, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ZOO)
def test_parameters_equal_the_arithmetic(name: str) -> None:
    network = create_model(name, device="meta")
    rows = network.architecture.layer_infos()
    assert num_parameters(network) == sum(row.parameters for row in rows)
    for row in rows:
        layer = network.get_submodule(row.layer.name)
        tensors = [*layer.parameters(), *(b for b in layer.buffers() if b.ndim)]
        assert sum(t.numel() for t in tensors) == row.parameters, row.layer.name


@pytest.mark.parametrize("name", ZOO)
def test_output_shapes_equal_the_arithmetic(name: str) -> None:
    network = create_model(name, device="meta").eval()
    arch = network.architecture
    outputs = network.intermediate_outputs(torch.empty(2, *arch.input, device="meta"))
    assert list(outputs) == [layer.name for layer in arch.layers]
    for info in arch.layer_infos():
        assert outputs[info.layer.name].shape == (2, *info.output), info.layer.name


@pytest.mark.parametrize(
    "name", ["alexnet_owt", "alexnet_notebook", "alexnet_bn", "lenet5", "cifar_quick"]
)
def test_macs_equal_torchs_own_count(name: str) -> None:
    """Nets without response norm, whose banded convolution torch would count. Two flops a MAC."""
    network = create_model(name, device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *network.architecture.input, device="meta"))
    assert counter.get_total_flops() == 2 * sum(
        info.macs for info in network.architecture.layer_infos()
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_names(name: str) -> None:
    network = create_model(name, device="meta")
    layers = [f"conv{i}" for i in range(1, 6)] + ["fc6", "fc7", "fc8"]
    expected = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert [n for n, _ in network.named_parameters()] == expected
    assert list(network.state_dict()) == expected


def test_parameter_names_with_batch_norm() -> None:
    found = list(create_model("alexnet_bn", device="meta").state_dict())
    assert found[:6] == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.num_batches_tracked",
    ]
    assert found[-2:] == ["fc8.weight", "fc8.bias"]
    assert "conv1.bias" not in found


@pytest.mark.parametrize("shape", [(2, 3, 66, 67), (2, 3, 68, 68), (2, 1, 67, 67), (3, 66, 66)])
@pytest.mark.parametrize("method", ["forward", "intermediate_outputs"])
def test_wrong_input(shape: tuple[int, ...], method: str) -> None:
    network = create_model("alexnet", input_size=67, device="meta")
    given = "x".join(map(str, shape[1:])) if len(shape) == 4 else "a tensor of 3x66x66"
    with pytest.raises(ArchitectureError, match=f"^alexnet takes images of 3x67x67, not {given}$"):
        getattr(network, method)(torch.empty(shape, device="meta"))


def test_an_image_without_the_batch_axis() -> None:
    network = create_model("alexnet", input_size=67, device="meta")
    image = torch.empty(3, 67, 67, device="meta")
    with pytest.raises(
        ArchitectureError, match=r"of 3x67x67, .*batch axis: images\[None\] has it$"
    ):
        network(image)
    assert network(image[None]).shape == (1, 1000)


@pytest.mark.parametrize("name", ZOO)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    arch = tiny(name, width=0.1, dropout=0.0)
    network = Network(arch)
    loss = F.cross_entropy(network(images(arch)), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert bool(parameter.grad.any()), parameter_name
        assert bool(parameter.grad.isfinite().all()), parameter_name


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_caffe", "alexnet_bn"])
@pytest.mark.parametrize("classes", [10, 1000])
def test_first_loss_is_that_of_guessing(name: str, classes: int) -> None:
    torch.manual_seed(0)
    arch = tiny(name, width=0.1, classes=classes)
    labels = torch.arange(8) % classes
    loss = F.cross_entropy(Network(arch)(images(arch, 8)), labels)
    assert float(loss.detach()) == pytest.approx(math.log(classes), rel=0.05)


def test_initial_weights_of_the_paper() -> None:
    """Normal with std 0.01; the biases of conv2, conv4, conv5, fc6 and fc7 are 1, others 0."""
    torch.manual_seed(0)
    network = Network(variant(ZOO["alexnet"], ModelOptions(width=0.25, input_size=67)))
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, values in network.state_dict().items():
        layer, kind = name.split(".")
        if kind == "bias":
            assert values.unique().tolist() == [1.0 if layer in ones else 0.0], name
        else:  # at least 8,712 values
            assert float(values.std()) == pytest.approx(0.01, rel=0.04), name
            assert abs(float(values.mean())) < 5e-4, name


@pytest.mark.parametrize(
    ("name", "stds"),
    [
        (
            "alexnet_2012",
            {"conv2.weight": 0.01, "conv3.weight": 0.03, "conv5.weight": 0.03, "fc6.weight": 0.01},
        ),
        (
            "alexnet_caffe",
            {"conv2.weight": 0.01, "fc6.weight": 0.005, "fc7.weight": 0.005, "fc8.weight": 0.01},
        ),
    ],
)
def test_initial_weights_of_every_layer(name: str, stds: dict[str, float]) -> None:
    torch.manual_seed(0)
    state = Network(variant(ZOO[name], ModelOptions(width=0.25, input_size=67))).state_dict()
    for weight, std in stds.items():
        assert float(state[weight].std()) == pytest.approx(std, rel=0.04), weight


def test_weights_follow_torchs_generator() -> None:
    def first(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return Network(tiny("lenet5", 1.0)).state_dict()["conv2.weight"]

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_init_weights_initializes_again() -> None:
    network = Network(tiny("alexnet_bn"))
    before = network.conv1.weight.detach().clone()
    network.init_weights()
    assert not torch.equal(before, network.conv1.weight)


@pytest.mark.parametrize("name", ["alexnet_2012", "alexnet_bn", "alexnet_notebook", "cifar_quick"])
def test_intermediate_outputs_end_in_forward(name: str) -> None:
    torch.manual_seed(0)
    arch = tiny(name)
    network = Network(arch).eval()
    x = images(arch)
    outputs = network.intermediate_outputs(x)
    assert torch.equal(outputs[arch.layers[-1].name], network(x))
    first = network.get_submodule(arch.layers[0].name)
    assert torch.equal(outputs[arch.layers[0].name], first(x))
    again = network.get_submodule(arch.layers[1].name)(outputs[arch.layers[0].name])
    assert torch.equal(outputs[arch.layers[1].name], again)


class LayerTracer(fx.Tracer):
    """Takes every layer as a node, as torchvision's can."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_owt", "lenet5"])
def test_fx_traces_the_layers(name: str, training: bool, tmp_path: Path) -> None:
    network = Network(tiny(name)).train(training)
    x = images(network.architecture, count=2)
    layers = LayerTracer().trace(network)
    nodes = [node.target for node in layers.nodes if node.op == "call_module"]
    assert nodes == [layer.name for layer in network.architecture.layers]
    outputs = []
    torch.save(fx.symbolic_trace(network), tmp_path / "traced.pt")
    saved = torch.load(tmp_path / "traced.pt", weights_only=False).train(training)
    for traced in (network, fx.symbolic_trace(network), fx.GraphModule(network, layers), saved):
        torch.manual_seed(0)  # of dropout
        outputs.append(traced(x))
    assert torch.equal(outputs[1], outputs[0])
    assert torch.equal(outputs[2], outputs[0])
    assert torch.equal(outputs[3], outputs[0])


def test_a_module_of_another_name_is_kept_and_not_run() -> None:
    network = Network(tiny("alexnet")).eval()
    x = images(network.architecture)
    expected, names = network(x), [layer.name for layer in network.architecture.layers]
    network.criterion = nn.CrossEntropyLoss(weight=torch.ones(17))
    network.softmax = nn.Softmax(1)
    assert torch.equal(network(x), expected)
    assert list(network.intermediate_outputs(x)) == list(network.layer_modules()) == names
    assert torch.equal(network.output_from("fc6", network.input_of("fc6", x)), expected)
    assert "criterion.weight" in network.state_dict()
    for other in (copy.deepcopy(network), fx.symbolic_trace(network)):
        assert torch.equal(other(x), expected)
    with pytest.raises(ArchitectureError, match="it also has criterion"):
        check_layers(network, network.architecture)


def test_layers_are_run_by_their_names_and_in_their_order() -> None:
    network = Network(tiny("alexnet")).eval()
    x = images(network.architecture)
    expected, last = network(x), network.fc8
    network.relu2 = network.relu1  # one module, run twice
    del network.fc8
    features = network(x)
    assert features.shape == (4, network.fc7.out_features)
    network.fc8 = last  # now the last child, as before; and then a first one that is not
    first = network.conv1
    del network.conv1
    network.conv1 = first
    assert torch.equal(network(x), expected)
    assert torch.equal(last(features), expected)
    network.freeze_up_to("pool2")
    assert not first.weight.requires_grad


@pytest.mark.parametrize("name", [*NAMES_ELSEWHERE, "fc9", "conv6", "relu", "Conv1", "FC", "Head"])
@pytest.mark.parametrize("module", [nn.Linear(4, 5), nn.Identity()])
def test_a_name_that_may_be_meant_as_a_layers_is_refused(name: str, module: nn.Module) -> None:
    network = Network(tiny("alexnet"))
    message = f"^alexnet has no layer '{name}', .*; its last layer is fc8: network.fc8 = .. replace"
    with pytest.raises(UsageError, match=message):
        setattr(network, name, module)
    with pytest.raises(UsageError, match=message):
        network.add_module(name, module)
    assert not hasattr(network, name)
    setattr(network, name, 5)  # no module
    assert getattr(network, name) == 5


@pytest.mark.parametrize("name", ["extra", "output", "logits", "linear", "fc_new", "dropout"])
def test_a_module_with_parameters_that_would_not_be_run_is_refused(name: str) -> None:
    class Extended(Network):
        def __init__(self, arch: Architecture) -> None:
            super().__init__(arch)
            setattr(self, name, nn.ModuleList([nn.LazyLinear(2)]))

    message = f"no layer '{name}', so .* not be run; .* fc5: .*Sequential.* or a subclass with a fo"
    with pytest.raises(UsageError, match=message):
        Extended(tiny("lenet5"))
    network = Network(tiny("lenet5"))
    with pytest.raises(UsageError, match=message):
        network.register_module(name, nn.Linear(10, 2))
    network.forward = lambda images: network.extra(images)  # type: ignore[method-assign]
    setattr(network, name, nn.Linear(10, 2))
    network.head = nn.Linear(10, 2)


def test_a_module_set_before_init_gets_torchs_error() -> None:
    class Early(Network):
        def __init__(self, arch: Architecture) -> None:
            assert not hasattr(self, "head")
            self.extra = nn.Linear(10, 2)
            super().__init__(arch)

    with pytest.raises(AttributeError, match=r"assign module before Module\.__init__\(\) call"):
        Early(tiny("lenet5"))


@pytest.mark.parametrize("name", NAMES_ELSEWHERE)
def test_a_part_of_other_programs_networks_is_told(name: str) -> None:
    network = Network(tiny("alexnet"))
    assert not hasattr(network, name)
    with pytest.raises(AttributeError, match=f"^alexnet has no '{name}'; .* is network.fc8, and"):
        getattr(network, name)
    with pytest.raises(AttributeError, match="object has no attribute 'fc10'"):
        _ = network.fc10


def test_a_network_of_ones_own_may_use_these_names() -> None:
    class Headed(Network):
        def __init__(self, arch: Architecture) -> None:
            super().__init__(arch)
            self.head = nn.Linear(17, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(super().forward(images))

    network = Headed(tiny("lenet5"))
    assert network(images(network.architecture)).shape == (4, 2)
    network.criterion = nn.CrossEntropyLoss()
    assert network.num_classes == 2
    layers = (Flatten("features"), FullyConnected("head", 3))
    assert Network(Architecture("mine", "", (1, 4, 4), layers)).head.out_features == 3


def test_num_classes_is_the_length_of_the_output() -> None:
    network = Network(tiny("alexnet"))
    assert network.num_classes == 17
    network.fc8 = nn.Sequential(nn.Dropout(), nn.Linear(network.fc7.out_features, 5))
    assert network.num_classes == network(images(network.architecture)).shape[1] == 5
    assert create_model("cifar_quick", device="meta").num_classes == 10


@pytest.mark.parametrize("name", ["alexnet", "alexnet_owt", "alexnet_2012", "lenet5"])
@pytest.mark.parametrize("is_deleted", [True, False])
def test_num_classes_without_the_last_layer(name: str, is_deleted: bool) -> None:
    network = Network(tiny(name)).eval()
    last = network.architecture.layers[-1].name
    setattr(network, last, nn.Identity())
    if is_deleted:
        delattr(network, last)
    assert network.num_classes == network(images(network.architecture)).shape[1] != 17


def test_a_subclass_may_assign_num_classes() -> None:
    class Counted(Network):
        def __init__(self, arch: Architecture) -> None:
            super().__init__(arch)
            self.num_classes = 5
            self.fc8 = nn.Conv2d(1, 5, 1)

    network = Counted(tiny("alexnet"))
    assert network.num_classes == copy.deepcopy(network).num_classes == 5
    with pytest.raises(
        UsageError, match=r"num_classes = 5 would .* network.fc8 = nn.Linear\(.., 5\)"
    ):
        Network(tiny("alexnet")).num_classes = 5


def test_224_pixels_with_extra_padding_are_227_with_three_zeros() -> None:
    """conv1 of net 145: the paper's 55 x 55 outputs, with 3 rows and columns of zeros."""
    torch.manual_seed(0)
    arch = Architecture("head", "", (3, 224, 224), ZOO["alexnet_2012"].layers[:1])
    padded = Architecture("head", "", (3, 227, 227), ZOO["alexnet"].layers[:1])
    network, other = Network(arch), Network(padded)
    other.load_state_dict(network.state_dict())
    x = images(arch, 1)
    wide = torch.zeros(1, 3, 227, 227)
    wide[:, :, :224, :224] = x
    assert torch.allclose(network(x), other(wide), rtol=1e-5, atol=1e-6)
    assert network(x).shape == (1, 96, 55, 55)


def test_keras_flatten_order_is_a_permutation_of_the_dense_kernel() -> None:
    torch.manual_seed(0)
    layers = (Conv("conv1", 3, 3), Flatten("flatten", "hwc"), FullyConnected("fc2", 5))
    keras = Network(Architecture("keras", "", (2, 6, 6), layers))
    ours = Network(Architecture("ours", "", (2, 6, 6), (layers[0], Flatten("flatten"), layers[2])))
    state = keras.state_dict()
    weight = state["fc2.weight"].reshape(5, 4, 4, 3).permute(0, 3, 1, 2).flatten(1)
    ours.load_state_dict({**state, "fc2.weight": weight})
    x = images(keras.architecture)
    assert torch.allclose(keras(x), ours(x), rtol=1e-5, atol=1e-7)
    keras_outputs, our_outputs = keras.intermediate_outputs(x), ours.intermediate_outputs(x)
    assert not torch.equal(keras_outputs["flatten"], our_outputs["flatten"])


def test_names_of_other_programs_are_told() -> None:
    network = Network(tiny("alexnet_owt"))
    state = network.state_dict()
    with pytest.raises(RuntimeError, match=r"Missing key(.|\n)*pretrained=FILE(.|\n)*import_model"):
        network.load_state_dict({f"features.{name}": t for name, t in state.items()})
    del state["fc8.bias"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "fc8.bias"\. $'):
        network.load_state_dict(state)
    assert network.load_state_dict(state, strict=False).missing_keys == ["fc8.bias"]


def test_freeze_up_to() -> None:
    network = create_model("alexnet_bn", device="meta")
    network.freeze_up_to("pool2")
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "conv2.weight",
        "bn2.weight",
        "bn2.bias",
    }


def test_freeze_up_to_a_weight_layer_takes_it_too() -> None:
    network = create_model("alexnet", device="meta")
    network.freeze_up_to("conv1")
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["conv1.weight", "conv1.bias"]


def test_freeze_up_to_an_unknown_layer() -> None:
    network = create_model("alexnet", device="meta")
    with pytest.raises(
        UnknownNameError, match=r"^unknown layer of alexnet 'pool3'; did you mean pool"
    ):
        network.freeze_up_to("pool3")


def test_train_keeps_frozen_layers_in_evaluation() -> None:
    torch.manual_seed(0)
    arch = tiny("alexnet_bn")
    network = Network(arch)
    network.freeze_up_to("bn2")
    network.train()
    modes = {name: child.training for name, child in network.named_children()}
    assert [name for name, mode in modes.items() if not mode] == ["conv1", "bn1", "conv2", "bn2"]
    before = {name: t.clone() for name, t in network.state_dict().items()}
    network(images(arch))
    moved = {name for name, t in network.state_dict().items() if not torch.equal(t, before[name])}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert moved == {f"bn{i}.{kind}" for i in range(3, 8) for kind in statistics}


def test_train_and_eval_without_freezing() -> None:
    network = Network(tiny("alexnet_bn"))
    assert network.train() is network
    assert all(child.training for child in network.children())
    network.eval()
    assert not any(child.training for child in network.modules())


def test_frozen_weights_get_no_gradient() -> None:
    torch.manual_seed(0)
    arch = tiny("lenet5", 1.0, classes=4)
    network = Network(arch)
    network.freeze_up_to("conv2")
    network(images(arch)).sum().backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert without == {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}


def test_memory_formats_give_the_same_logits() -> None:
    torch.manual_seed(0)
    arch = tiny("alexnet_2012", width=0.1)
    network = Network(arch).eval()
    x = images(arch)
    expected = network(x)
    last = channels_last(network)
    assert last is network
    assert last.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    found = last(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_create_model() -> None:
    network = create_model("lenet5", num_classes=3)
    assert network.architecture.num_classes == 3
    assert network.fc5.weight.shape == (3, 84)
    assert network.conv1.weight.device == torch.device("cpu")
    assert network.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_create_model_changes_only_what_is_named() -> None:
    assert create_model("alexnet", device="meta").architecture == ZOO["alexnet"]
    assert create_model("alexnet", input_size=99, device="meta").architecture.input == (3, 99, 99)


def test_create_model_errors() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown architecture 'alexnet2'; did you mean"):
        create_model("alexnet2", device="meta")
    with pytest.raises(ArchitectureError, match="the smallest input that works is 67x67"):
        create_model("alexnet", input_size=60, device="meta")


def test_owt_is_torchvisions() -> None:
    """torchvision's alexnet written out, with the same weights, gives the same logits."""
    torch.manual_seed(0)
    network = Network(variant(ZOO["alexnet_owt"], ModelOptions(width=0.125), num_classes=5)).eval()
    blocks = [
        nn.Conv2d(3, 8, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 24, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(24, 48, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(48, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.AdaptiveAvgPool2d(6),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(32 * 36, 512),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(512, 512),
        nn.ReLU(),
        nn.Linear(512, 5),
    ]
    other = nn.Sequential(*blocks).eval()
    weights = network.state_dict().values()
    other.load_state_dict(dict(zip(other.state_dict(), weights, strict=True)))
    x = images(network.architecture, 2)
    assert torch.allclose(network(x), other(x), rtol=1e-5, atol=1e-6)


def test_a_layer_with_a_method_s_name() -> None:
    arch = Architecture("net", "", (1, 3, 3), (Flatten("train"),))
    with pytest.raises(ArchitectureError, match="'train'"):
        Network(arch)


def test_init_of_a_network_without_weights_uses_no_random_numbers() -> None:
    torch.manual_seed(5)
    Network(Architecture("net", "", (1, 3, 3), (Flatten("flatten"),)))
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_zero_init_gives_zero_logits() -> None:
    layers = (Flatten("flatten"), FullyConnected("fc1", 2, init=Init("normal", 0.0, bias=0.25)))
    network = Network(Architecture("net", "", (1, 2, 2), layers))
    assert network(torch.ones(3, 1, 2, 2)).tolist() == [[0.25, 0.25]] * 3


@pytest.mark.parametrize("name", ZOO)
def test_logits_are_float32_under_autocast(name: str) -> None:
    network = Network(tiny(name)).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = network.intermediate_outputs(images(network.architecture))
    last = network.architecture.layer_infos()[-1].layer.name
    assert outputs[last].dtype == torch.float32
    matrices = [y for name, y in outputs.items() if name.startswith(("conv", "fc"))]
    assert {y.dtype for y in matrices[:-1]} == {torch.bfloat16}
    assert not torch.equal(matrices[-1], matrices[-1].bfloat16().float())


def test_logits_are_float32_where_the_last_layer_is_a_convolution() -> None:
    layers = (Conv("conv1", 8, 3, padding=1), Conv("conv2", 5, 3), Flatten("flatten"))
    network = Network(Architecture("all_conv", "a test", (3, 3, 3), layers))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network.intermediate_outputs(images(network.architecture))
    assert [y.dtype for y in outputs.values()] == [torch.bfloat16, torch.float32, torch.float32]
