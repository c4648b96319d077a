"""Both runtimes compute the same."""

from __future__ import annotations

import numpy as np

from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import normalize_array, random_images
from support.narrow_nets import narrow_classifier
from support.onnx_files import OnnxExports


def test_the_onnx_package_computes_the_same_as_onnxruntime(onnx_exports: OnnxExports) -> None:
    content = onnx_exports("lenet5").path.read_bytes()
    run, runtime = onnx_runner(content)
    run_reference, reference = onnx_runner(content, find_package=lambda name: None)
    assert runtime.startswith("onnxruntime ")
    assert reference.endswith("(reference)")
    classifier = narrow_classifier("lenet5")
    images = normalize_array(random_images(classifier.network, 2), classifier.info.preprocessing)
    expected = run(images)
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(run_reference(images), expected, rtol=0, atol=tolerance)
