"""The network served by LitServe, as its documentation shows: litserve_app.py MODEL PORT.

Pillow decodes, torch computes in bf16 where the CPU has it; nothing of this package's own kernels.
"""

import base64
import io
import sys
from typing import Any

import litserve
import numpy as np
from PIL import Image, ImageOps


class Predictor(litserve.LitAPI):  # type: ignore[misc]
    """Serves the network in batches of up to 64 images, collected for at most 5 ms."""

    def setup(self, device: str) -> None:
        """Load the model."""
        from alexnet.inference.classifier import load

        self.classifier = load(sys.argv[1], "cpu")

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """Decode a request's image to uint8 [S, S, 3]."""
        image = Image.open(io.BytesIO(base64.b64decode(request["image"]))).convert("RGB")
        side = self.classifier.info.preprocessing.resize_size
        return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS))

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Stack the images into one array."""
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The class probabilities of a batch."""
        return self.classifier.probabilities(x)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """Split a batch's probabilities into one row for each image."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """The five most probable classes, with their probabilities."""
        best = np.argsort(-output)[:5]
        return {
            "classes": [int(i) for i in best],
            "probabilities": [float(output[i]) for i in best],
        }


if __name__ == "__main__":
    server = litserve.LitServer(
        Predictor(max_batch_size=64, batch_timeout=0.005), accelerator="cpu", workers_per_device=1
    )
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
