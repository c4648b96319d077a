"""Networks from and for other programs: torchvision, Keras and ONNX in; ONNX and torch.export out.

Nothing that is read may bring code along, and whatever crosses the border is compared by numbers
where the other program's own computation is at hand.
"""
