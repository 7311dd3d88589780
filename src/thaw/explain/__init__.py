"""Look inside a network: activations, filters, Grad-CAM, occlusion. Any Keras model that takes pixels and gives logits."""
