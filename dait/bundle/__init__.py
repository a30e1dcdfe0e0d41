"""A trained student as a folder that works without this project: weights, ONNX, card, script."""
