"""What a network is made of: layers, shapes, costs, a diagram. No stage uses it."""
